"""Data that are not what they should be: one line that names the file, and nothing left behind."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_chain import Command, pictures, write_csv, write_folder, write_idx_folder, write_npz

IMAGES, LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"


def idx(
    name: str, change: Callable[[bytes], bytes], *, packed: bool = True
) -> Callable[[], tuple[Path, str]]:
    """A folder of IDX files, one of them changed inside (or, not packed, in its compressed bytes)."""

    def make() -> tuple[Path, str]:
        path = write_idx_folder(Path("data")) / name
        raw = path.read_bytes()
        path.write_bytes(gzip.compress(change(gzip.decompress(raw))) if packed else change(raw))
        return path.parent, name

    return make


def flip(at: int) -> Callable[[bytes], bytes]:
    return lambda raw: raw[:at] + bytes([raw[at] ^ 0x10]) + raw[at + 1 :]


def count(number: int) -> Callable[[bytes], bytes]:
    return lambda raw: raw[:4] + struct.pack(">i", number) + raw[8:]


def npz(**arrays: Any) -> Callable[[], tuple[Path, str]]:
    def make() -> tuple[Path, str]:
        images, labels = pictures(30)
        np.savez("data.npz", **({"images": images, "labels": labels} | arrays))
        return Path("data.npz"), "data.npz"

    return make


def table(change: Callable[[str], str]) -> Callable[[], tuple[Path, str]]:
    def make() -> tuple[Path, str]:
        path = write_csv(Path("data.csv"), 30)
        path.write_text(change(path.read_text()))
        return path, path.name

    return make


def line(number: int, text: str) -> Callable[[str], str]:
    def change(whole: str) -> str:
        lines = whole.splitlines()
        lines[number] = text
        return "\n".join(lines) + "\n"

    return change


def folder(change: Callable[[Path], Any], names: str) -> Callable[[], tuple[Path, str]]:
    def make() -> tuple[Path, str]:
        path = write_folder(Path("data"), 30)
        change(path)
        return path, names

    return make


def written(path: str, content: bytes) -> Callable[[], tuple[Path, str]]:
    def make() -> tuple[Path, str]:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(content)
        return Path(path), path

    return make


def empty_folder() -> tuple[Path, str]:
    Path("data").mkdir()
    return Path("data"), "data"


def zeros(*shape: int, dtype: Any = np.uint8) -> np.ndarray:
    return np.zeros(shape, dtype)


CASES: dict[str, Callable[[], tuple[Path, str]]] = {
    "idx: truncated": idx(IMAGES, lambda raw: raw[:-7]),
    "idx: truncated header": idx(IMAGES, lambda raw: raw[:9]),
    "idx: empty": idx(IMAGES, lambda raw: b""),
    "idx: too long": idx(LABELS, lambda raw: raw + b"\0"),
    "idx: wrong magic": idx(IMAGES, flip(0)),
    "idx: wrong type": idx(IMAGES, flip(2)),
    "idx: wrong dimensions": idx(LABELS, flip(3)),
    "idx: fewer than announced": idx(IMAGES, count(151)),
    "idx: a negative count": idx(LABELS, count(-1)),
    "idx: an enormous count": idx(IMAGES, count(2**31 - 1)),
    "idx: counts differ": idx(LABELS, lambda raw: raw[:4] + struct.pack(">i", 149) + raw[8:-1]),
    "idx: bits flipped in the gzip": idx(IMAGES, flip(200), packed=False),
    "idx: half a gzip": idx(IMAGES, lambda raw: raw[: len(raw) // 2], packed=False),
    "idx: not a gzip": idx(IMAGES, lambda raw: b"<html>not found</html>", packed=False),
    "idx: a broken test part": idx("t10k-images-idx3-ubyte.gz", lambda raw: raw[:-7]),
    "npz: objects": npz(images=np.array([{"a": 1}] * 30, dtype=object)),
    "npz: object labels": npz(labels=np.array(["a", 1] * 15, dtype=object)),
    "npz: not a number": npz(images=np.full((30, 12, 12), np.nan)),
    "npz: infinite": npz(images=np.full((30, 12, 12), np.inf)),
    "npz: beyond 255": npz(images=np.full((30, 12, 12), 256)),
    "npz: negative pixels": npz(images=np.full((30, 12, 12), -1)),
    "npz: negative labels": npz(labels=np.arange(30) - 5),
    "npz: broken labels": npz(labels=np.arange(30) + 0.5),
    "npz: too few labels": npz(labels=np.arange(29) % 3),
    "npz: one row": npz(images=zeros(30)),
    "npz: no images": npz(images=zeros(0, 12, 12), labels=zeros(0)),
    "npz: one class": npz(labels=zeros(30)),
    "npz: other names": lambda: (np.savez("data.npz", a=zeros(3)), (Path("data.npz"), "data.npz"))[1],
    "npz: not a zip": written("data.npz", b"no archive"),
    "npz: half an archive": lambda: (
        Path("data.npz").write_bytes(write_npz(Path("data.npz")).read_bytes()[:900]),
        (Path("data.npz"), "data.npz"),
    )[1],
    "csv: nan in a row": table(line(5, ",".join(["1", "nan", *["0"] * 143]))),
    "csv: a word in a row": table(line(5, ",".join(["1", "ink", *["0"] * 143]))),
    "csv: a short row": table(line(5, "1,2,3")),
    "csv: an empty cell": table(line(5, ",".join(["1", "", *["0"] * 143]))),
    "csv: beyond 255": table(line(5, ",".join(["1", "256", *["0"] * 143]))),
    "csv: negative": table(line(5, ",".join(["1", "-1", *["0"] * 143]))),
    "csv: no square": table(lambda text: "\n".join(row.rpartition(",")[0] for row in text.splitlines())),
    "csv: a header alone": table(lambda text: text.splitlines()[0] + "\n"),
    "csv: empty": written("data.csv", b""),
    "csv: bytes": written("data.csv", bytes(range(256)) * 10),
    "folder: empty": empty_folder,
    "folder: empty classes": folder(lambda path: [file.unlink() for file in path.rglob("*.png")], "data"),
    "folder: no picture": folder(lambda path: (path / "left" / "003.png").write_text("no"), "003.png"),
    "folder: half a picture": folder(
        lambda path: (path / "left" / "003.png").write_bytes((path / "left" / "003.png").read_bytes()[:80]),
        "003.png",
    ),
    "folder: one class": folder(
        lambda path: [file.unlink() for name in ("middle", "right") for file in (path / name).iterdir()],
        "data",
    ),
    "a text file": written("notes.txt", b"hello"),
}  # fmt: skip


def below(place: Path) -> set[str]:
    return {str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()}


@pytest.mark.parametrize("case", CASES)
def test_hostile_data(tenfold: Command, place: Path, case: str) -> None:
    path, named = CASES[case]()
    before = below(place)
    message = tenfold("train", "tiny.toml", "--data", path, "--quiet").complaint(1, named)
    assert "expected" in message or ";" in message, "no remedy"
    assert not (place / "runs").exists() and below(place) == before
    tenfold("data", "info", path).complaint(1, named)


def test_test_images_of_another_size_are_found_before_the_training(tenfold: Command, place: Path) -> None:
    images, labels = pictures(30)
    np.savez("data.npz", x_train=images, y_train=labels, x_test=images[:, :9], y_test=labels)
    tenfold("train", "tiny.toml", "--data", "data.npz").complaint(1, "data.npz", "test images of (9, 12)")
    assert not (place / "runs").exists()


def test_hostile_data_to_evaluate(tenfold: Command, trained: Path) -> None:
    path, named = CASES["idx: truncated"]()
    tenfold("evaluate", trained / "runs" / "one", "--data", path, "--split", "train").complaint(1, named)


def test_a_named_set_is_verified(tenfold: Command, place: Path) -> None:
    """MNIST by name is held against its known sums: pictures of another set under its names are refused."""
    write_idx_folder(place / "mnist")
    tenfold("train", "tiny.toml", "--data", "mnist", "--data-dir", place, "--offline", "--quiet").complaint(
        1, "train-images-idx3-ubyte.gz", "sha256"
    )
    assert not (place / "runs").exists()


def test_other_units_are_one_line_of_train_and_evaluate(tenfold: Command, place: Path) -> None:
    images, labels = pictures()
    np.savez(place / "shades.npz", images=images / 16.0, labels=labels)
    done = tenfold("train", "tiny.toml", "--data", "shades.npz", "--run-dir", "run", "--no-report", "-q")
    assert done.code == 0
    line = "shades.npz: its pixels from 0 to 15 are scaled to 0 to 255"
    assert done.err.count(line) == 1 and "Warning" not in done.err
    done = tenfold("evaluate", "run", "--data", "shades.npz", "--json")
    assert done.code == 0 and done.err.count(line) == 1
