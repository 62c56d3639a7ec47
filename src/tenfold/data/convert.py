"""Any source -> IDX files that `load_dataset` maps, in bounded memory: CSV, parquet, WebDataset, pictures."""

from __future__ import annotations

import bz2
import gzip
import json
import tarfile
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tenfold.arguments import checked
from tenfold.data import decode, folders
from tenfold.data.catalogue import Progress
from tenfold.data.idx import refuse_special, write_idx
from tenfold.data.npz import _shaped
from tenfold.data.ranges import PixelRange, find_range
from tenfold.data.tables import (
    LABEL_NAMES,
    _parse_slowly,
    _split_header,
    class_labels,
    parse_numbers,
    to_pixels,
)
from tenfold.errors import DataError, DataNotFoundError, MissingDependencyError, UsageError
from tenfold.files import Claim, fill_folder, write_text
from tenfold.helpers import count_cores
from tenfold.pictures.open import open_grey

__all__ = ["convert_dataset"]

Piece = tuple[np.ndarray, list[Any]]  # images (N, H, W), or rows of numbers (N, pixels); N labels
_BYTES = 1 << 22  # of a table that is parsed at once
_ROWS = 1000  # of a parquet file
_SAMPLE = 2000  # rows in which the range of pixels is looked for, besides the extremes of all
_TARS, _PARQUET, _CSV = (".tar", ".tar.gz", ".tgz"), (".parquet",), (".csv", ".csv.gz", ".csv.bz2")
_NAMES = {"train": "train", "test": "t10k"}
CLASSES = "classes.json"


@checked
def convert_dataset(
    source: str | Path, out: str | Path, *, progress: Progress | None = None
) -> dict[str, int]:
    """Writes IDX files and `classes.json` into the new folder `out`; returns each part's number of images.

    `load_dataset(out)` then reads pages of the files when they are used, so that a set may be larger than
    memory. source: a CSV file, gzip or not; a parquet file (pixels in columns, or encoded images in one) or a
    folder of them; a WebDataset tar (KEY.png with KEY.cls, .txt or .json) or a folder of them; a folder of
    pictures, as `load_dataset` has it. Images are grey and of one size. Rows keep their order; pictures of a
    folder are shuffled (seed 0), so that the classes are mixed. progress: told the images so far.
    Raises DataError as `load_dataset` does, UsageError where `out` is taken.
    """
    path, folder = Path(source).expanduser(), Path(out)
    refuse_special(path)
    if not path.exists():
        raise DataNotFoundError(f"{path} is not there", remedy="check the path")
    parts = _open(path)
    if Claim.is_taken(folder):
        raise UsageError(f"{folder} is there already", expected="a new folder", remedy="name another")
    with fill_folder(folder) as beside:
        written = {
            part: _write(beside, _NAMES[part], path, pieces, progress) for part, pieces in parts.items()
        }
        names = _merge_names([labels for _, labels in written.values()], path)
        for part, (_, labels) in written.items():
            _write_labels(beside / f"{_NAMES[part]}-labels-idx1-ubyte", labels, names)
        write_text(beside / CLASSES, json.dumps(names) + "\n")
    return {part: count for part, (count, _) in written.items()}


def _open(path: Path) -> dict[str, Callable[[], Iterator[Piece]]]:
    """part -> what yields its pieces, again each time."""
    if path.is_dir():
        for suffixes, read in ((_TARS, _tar_pieces), (_PARQUET, _parquet_pieces)):
            if files := sorted(each for each in path.iterdir() if each.name.lower().endswith(suffixes)):
                return {"train": partial(_chained, read, files)}
        splits = folders.split_folders(path)
        return {part: partial(_folder_pieces, place) for part, place in (splits or {"train": path}).items()}
    for suffixes, read in ((_TARS, _tar_pieces), (_PARQUET, _parquet_pieces), (_CSV, _csv_pieces)):
        if path.name.lower().endswith(suffixes):
            return {"train": partial(read, path)}
    expected = "a folder of pictures, .csv, .csv.gz, .parquet or .tar"
    raise DataError(f"{path} is not a kind of data set that can be converted", expected=expected)


def _chained(read: Callable[[Path], Iterator[Piece]], files: list[Path]) -> Iterator[Piece]:
    for file in files:
        yield from read(file)


# Pieces to files.


class _Labels:
    """Class names in the order in which they came, and for each image the number of its own: 4 bytes each."""

    def __init__(self) -> None:
        self.numbers: dict[Any, int] = {}
        self.each = array("i")

    def add(self, labels: Iterable[Any]) -> None:
        self.each.extend(self.numbers.setdefault(label, len(self.numbers)) for label in labels)


def _write(
    folder: Path, name: str, where: Path, read: Callable[[], Iterator[Piece]], progress: Progress | None
) -> tuple[int, _Labels]:
    """The images file of one part; (images, their labels)."""
    labels, count, shape = _Labels(), 0, None
    ends = _find_range(read, where)
    with (folder / f"{name}-images-idx3-ubyte").open("wb") as file:
        file.write(bytes(16))
        for values, given in read():
            images = to_pixels(_shaped(values, str(where)), where, first_row=count + 1, value_range=ends)
            shape = shape or images.shape[1:]
            if images.shape[1:] != shape:
                raise DataError(
                    f"{where}: image {count + 1:,} is {_size(images.shape[1:])}",
                    expected=f"{_size(shape)}, as the first", remedy="bring them to one size",
                )  # fmt: skip
            file.write(np.ascontiguousarray(images).data)
            labels.add(given)
            count += len(images)
            if progress:
                progress("images", count, 0)
        if shape is None:
            raise DataError(f"{where} holds no images", remedy="check that it is the right one")
        file.seek(0)
        file.write(np.array([0x803, count, *shape], ">u4").tobytes())
    return count, labels


def _find_range(read: Callable[[], Iterator[Piece]], where: Path) -> tuple[float, float]:
    """The numbers that are black and white: of a table by a pass over all of it."""
    sample: list[np.ndarray] = []
    ends, bytes_only = [np.inf, -np.inf], True
    for values, _ in read():
        if values.ndim == 3:  # pictures, decoded
            return PixelRange()
        bytes_only = bytes_only and values.dtype == np.uint8
        if sum(len(each) for each in sample) < _SAMPLE:
            sample.append(values[:_SAMPLE])
        ends = [min(ends[0], float(values.min())), max(ends[1], float(values.max()))]
    if not sample:
        return PixelRange()
    extremes = np.array([ends], np.uint8 if bytes_only else np.float32)
    return find_range([np.concatenate(sample), extremes], where)


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _merge_names(parts: list[_Labels], where: Path) -> list[str]:
    """Of all parts, as `class_labels` has them: 0 to the largest, or texts in natural order."""
    found = list(dict.fromkeys(name for part in parts for name in part.numbers))
    try:
        known = np.array([float(name) for name in found])
    except (TypeError, ValueError):
        known = np.array([str(name) for name in found])
    return list(class_labels(known, where)[1])


def _write_labels(path: Path, labels: _Labels, names: list[str]) -> None:
    place = {name: number for number, name in enumerate(names)}
    own = [place.get(str(name)) for name in labels.numbers]
    table = [place[str(int(float(name)))] if at is None else at for name, at in zip(labels.numbers, own)]
    numbers = np.array(table)[np.frombuffer(labels.each, np.intc)]
    small = len(names) <= 256
    write_idx(
        path if small else path.with_name(path.name.replace("idx1-ubyte", "idx2-int")), _typed(numbers, small)
    )


def _typed(numbers: np.ndarray, small: bool) -> np.ndarray:
    return numbers.astype(np.uint8) if small else numbers.astype(np.int32)[:, None]


# Sources to pieces.


def _csv_pieces(path: Path) -> Iterator[Piece]:
    opened: Any = {".gz": gzip.open, ".bz2": bz2.open}.get(path.suffix.lower(), open)
    with ExitStack() as stack:
        file: Any = stack.enter_context(opened(path, "rb"))
        header, rest = _split_header(file.readline())
        lower = [cell.lower() for cell in header]
        label_at = next((lower.index(name) for name in LABEL_NAMES if name in lower), 0)
        row, columns = (2 if header else 1), len(header)
        while piece := _lines(file, rest):
            rest = b""
            columns = columns or piece.split(b"\n", 1)[0].count(b",") + 1
            numbers = parse_numbers(piece)
            if numbers is None or numbers.shape[1] != columns or columns < 2:
                pixels, labels = _parse_slowly(piece, columns, label_at, path, row)
            else:
                pixels, labels = np.delete(numbers, label_at, axis=1), numbers[:, label_at]
            row += len(labels)
            yield pixels, labels.tolist()


def _lines(file: BinaryIO, before: bytes) -> bytes:
    """Some whole lines; nothing at the end."""
    return (before + file.read(_BYTES) + file.readline()).strip(b"\r\n")


def _parquet_pieces(path: Path) -> Iterator[Piece]:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise MissingDependencyError("pyarrow", extra="parquet", purpose="reading parquet") from error
    try:
        with ParquetFile(path) as file:
            names = file.schema_arrow.names
            lower = [name.lower() for name in names]
            label = next((names[lower.index(name)] for name in LABEL_NAMES if name in lower), names[0])
            images = next((name for name in ("image", "images", "img") if name in names), None)
            for batch in file.iter_batches(_ROWS, columns=[images, label] if images else None):
                labels = batch.column(label).to_pylist()
                if images:
                    rows = batch.column(images).to_pylist()
                    yield from _decoded(
                        [row["bytes"] if isinstance(row, dict) else row for row in rows], labels
                    )
                else:
                    others = [batch.column(name).to_numpy(False) for name in names if name != label]
                    yield np.stack(others, axis=1), labels
    except ArrowException as error:
        found = f"{path} cannot be read ({' '.join(str(error).split())[:200]})"
        raise DataError(found, expected="a parquet file", remedy="copy it again") from error


def _decoded(pictures: list[bytes], labels: list[Any]) -> Iterator[Piece]:
    """One by one, so that `_write` names the first of another size."""
    yield from ((open_grey(picture)[None], [label]) for picture, label in zip(pictures, labels, strict=True))


def _tar_pieces(path: Path) -> Iterator[Piece]:
    """A key's picture and its label stand next to each other, as WebDataset has it."""
    try:
        with tarfile.open(path, "r|*") as tar:
            key, found = "", dict[str, bytes]()
            for member in tar:
                stem, _, ending = Path(member.name).name.partition(".")
                name = f"{Path(member.name).parent}/{stem}"
                if not member.isfile():
                    continue
                if name != key:
                    yield from _sample(key, found, path)
                    key, found = name, {}
                found[ending.lower()] = tar.extractfile(member).read()  # type: ignore[union-attr]
            yield from _sample(key, found, path)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DataError(
            f"{path} cannot be read ({error})", expected="a tar", remedy="copy it again"
        ) from error


def _sample(key: str, found: dict[str, bytes], path: Path) -> Iterator[Piece]:
    if not found:
        return
    label: Any = next((found.pop(ending).decode() for ending in ("cls", "txt") if ending in found), None)
    if "json" in found:
        described = json.loads(found.pop("json"))
        label = next((described[name] for name in LABEL_NAMES if name in described), label)
    if label is None or not found:
        has = "no picture" if label is not None else "no label"
        expected = "KEY.png or .jpg with KEY.cls, KEY.txt or KEY.json"
        raise DataError(f"{path}: {key} has {has}", expected=expected)
    yield from _decoded([next(iter(found.values()))], [str(label).strip()])


def _folder_pieces(folder: Path) -> Iterator[Piece]:
    names = folders.class_folders(folder)
    paths, labels, *_ = zip(*folders._by_folder(folder, names), strict=True)
    height, width = open_grey(paths[0]).shape
    order = np.random.default_rng(0).permutation(len(paths))
    starts = range(0, len(order), decode.CHUNK)
    questions: Iterator[decode._Question] = (
        ((height, width), "pad", False, [paths[at] for at in order[start : start + decode.CHUNK]])
        for start in starts
    )
    processes = min(count_cores(), 8, len(paths) // decode.WORTH_A_PROCESS)
    place = iter(order.tolist())
    for answer in decode._decode_chunks(questions, processes):
        for each in answer:
            at = next(place)
            if isinstance(each, str):
                raise DataError(each)
            if each[2]:
                raise DataError(
                    f"{paths[at]} is {_size(open_grey(paths[at]).shape)}",
                    expected=f"{_size((height, width))}, as the first", remedy="bring them to one size",
                )  # fmt: skip
            yield each[0][None], [labels[at]]
