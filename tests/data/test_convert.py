"""Sources converted to mapped files: the same images as loaded whole, in bounded memory, named mistakes."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tenfold import convert_dataset, load_dataset
from tenfold.arrays import ImageDataset
from tenfold.errors import DataError, TenfoldWarning, UsageError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (60, 6, 6), dtype=np.uint8)
LABELS = np.arange(60) % 3
NAMES = ("cat", "dog 2", "dog 10")


def png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def table(labels: list[object], scale: float = 1.0, header: bool = True) -> str:
    head = ["label", *(f"p{number}" for number in range(36))]
    rows = [
        [label, *(f"{value * scale:g}" for value in image.reshape(-1))]
        for label, image in zip(labels, IMAGES, strict=True)
    ]
    return "".join(",".join(map(str, row)) + "\n" for row in ([head] if header else []) + rows)


def whole(folder: Path) -> ImageDataset:
    dataset = load_dataset(folder, split="all")
    assert isinstance(dataset.images, np.memmap)
    return dataset


@pytest.mark.parametrize("piece", [1 << 22, 300])  # bytes: all at once, and two or three rows at a time
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", table(LABELS.tolist())),
        ("a.csv.gz", table(LABELS.tolist(), header=False).replace("\n", "\r\n")),
        ("words.csv", table([NAMES[label] for label in LABELS])),
        ("floats.csv", table(LABELS.tolist(), 1 / 255)),
    ],
    ids=lambda value: value[:10],
)
def test_csv(name: str, text: str, piece: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenfold.data.convert._BYTES", piece)
    data = text.encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    if name == "floats.csv":
        with pytest.warns(TenfoldWarning, match="scaled"):
            counts = convert_dataset(tmp_path / name, tmp_path / "out")
    else:
        counts = convert_dataset(tmp_path / name, tmp_path / "out")
    found = whole(tmp_path / "out")
    assert counts == {"train": 60} and len(found) == 60
    np.testing.assert_array_equal(found.images, IMAGES)
    np.testing.assert_array_equal(found.labels, LABELS)
    assert found.class_names == (NAMES if name == "words.csv" else ("0", "1", "2"))


def test_parquet(tmp_path: Path) -> None:
    """Pixels in columns, and encoded images as Hugging Face writes them."""
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = {f"p{k}": IMAGES.reshape(60, -1)[:, k] for k in range(36)}
    parquet.write_table(pyarrow.table({"label": LABELS, **columns}), tmp_path / "a.parquet")
    rows = [{"bytes": png(image), "path": None} for image in IMAGES]
    (tmp_path / "shards").mkdir()
    for part in (0, 1):
        cut = slice(30 * part, 30 * part + 30)
        shard = pyarrow.table({"image": rows[cut], "label": LABELS[cut]})
        parquet.write_table(shard, tmp_path / "shards" / f"{part}.parquet")
    for source in ("a.parquet", "shards"):
        convert_dataset(tmp_path / source, tmp_path / f"{source}-out")
        found = whole(tmp_path / f"{source}-out")
        np.testing.assert_array_equal(found.images, IMAGES)
        np.testing.assert_array_equal(found.labels, LABELS)
    (tmp_path / "b.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match=r"b\.parquet cannot be read"):
        convert_dataset(tmp_path / "b.parquet", tmp_path / "b")


def add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def test_webdataset(tmp_path: Path) -> None:
    """As the package webdataset's TarWriter writes them: a key's members next to each other."""
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for number, (image, label) in enumerate(zip(IMAGES, LABELS, strict=True)):
            add(tar, f"{number:03}.cls", str(label).encode())
            add(tar, f"{number:03}.png", png(image))
    convert_dataset(tmp_path / "a.tar", tmp_path / "out")
    found = whole(tmp_path / "out")
    np.testing.assert_array_equal(found.images, IMAGES)
    np.testing.assert_array_equal(found.labels, LABELS)
    with tarfile.open(tmp_path / "b.tar", "w") as tar:
        add(tar, "7.png", png(IMAGES[0]))
    with pytest.raises(DataError, match="7 has no label"):
        convert_dataset(tmp_path / "b.tar", tmp_path / "b")
    (tmp_path / "c.tar").write_bytes((tmp_path / "a.tar").read_bytes()[:1000])
    with pytest.raises(DataError, match=r"c\.tar"):
        convert_dataset(tmp_path / "c.tar", tmp_path / "c")
    assert not (tmp_path / "b").exists() and not list(tmp_path.glob(".*"))


def test_a_folder_of_pictures(tmp_path: Path) -> None:
    """All of it, mixed; train/ and test/ stay apart."""
    for part, cut in (("train", slice(0, 45)), ("test", slice(45, 60))):
        for number, (image, label) in enumerate(zip(IMAGES[cut], LABELS[cut], strict=True)):
            place = tmp_path / "all" / part / NAMES[label] / f"{number}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(png(image))
    assert convert_dataset(tmp_path / "all", tmp_path / "out") == {"train": 45, "test": 15}
    for part, cut in (("train", slice(0, 45)), ("test", slice(45, 60))):
        found = load_dataset(tmp_path / "out", split=part)
        assert found.class_names == NAMES
        given = sorted((image.tobytes(), label) for image, label in zip(IMAGES[cut], LABELS[cut]))
        assert sorted((image.tobytes(), label) for image, label in zip(found.images, found.labels)) == given
        assert np.diff(found.labels).min() < 0  # not class by class
    Image.new("L", (5, 5)).save(tmp_path / "all" / "test" / "cat" / "0.png")
    with pytest.raises(DataError, match=r"is 5 x 5; expected 6 x 6|is 6 x 6; expected 5 x 5"):
        convert_dataset(tmp_path / "all", tmp_path / "again")


def test_many_classes_and_mistakes(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(table([label + 500 for label in LABELS.tolist()]))
    convert_dataset(tmp_path / "a.csv", tmp_path / "out")
    assert whole(tmp_path / "out").labels.max() == 502
    with pytest.raises(UsageError, match="is there already"):
        convert_dataset(tmp_path / "a.csv", tmp_path / "out")
    for name, text, words in (
        ("a.idx", "x", "is not a kind"),
        ("b.csv", "label,p\n", "no images"),
        ("c.csv", "0,1,2,3\n", "square"),
        ("d.csv", table(LABELS.tolist()) + "1,2\n", "row 62 has 2 columns"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(DataError, match=words):
            convert_dataset(tmp_path / name, tmp_path / "none")
    (tmp_path / "out" / "classes.json").write_text(json.dumps(["one"]))
    with pytest.raises(DataError, match="1 names for 503 classes"):
        load_dataset(tmp_path / "out")


MEMORY = """
import resource, sys
from tenfold import convert_dataset
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
convert_dataset(sys.argv[1], sys.argv[2])
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_memory_does_not_grow_with_the_source(tmp_path: Path) -> None:
    line = "7," + ",".join(["200"] * 784) + "\n"
    (tmp_path / "a.csv").write_text((line + line.replace("7,", "6,", 1)) * 12_000)  # 75 MB of text
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, tmp_path / "a.csv", tmp_path / "out"],
        capture_output=True, text=True, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert int(done.stdout) < 100  # MiB; read_csv takes five times as much
