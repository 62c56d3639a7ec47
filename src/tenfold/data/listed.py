"""A CSV file that lists pictures: a column of files, seen from the CSV file's folder, and one of classes."""

from __future__ import annotations

import csv
from contextlib import suppress
from itertools import islice
from pathlib import Path

import numpy as np

from tenfold.arrays import ImageDataset
from tenfold.data.catalogue import Progress
from tenfold.data.decode import Pictures, Wishes
from tenfold.data.idx import read_payload
from tenfold.data.tables import LABEL_NAMES, class_labels
from tenfold.errors import DataError, printable

_FILES = (
    "file",
    "filename",
    "file_name",
    "path",
    "filepath",
    "file_path",
    "image",
    "image_path",
    "img",
    "id",
)
_CLASSES = (*LABEL_NAMES, "labels", "class_name", "category", "breed", "species")
_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".heic")
_MOST_COLUMNS = 30  # more are pixels


def lists_files(path: Path) -> bool:
    """Whether the file's second row (or its first, without a header) names a picture."""
    if path.name.lower().endswith(".gz"):
        return False
    with path.open("rb") as file:
        head = file.read(1 << 14)
    rows = []
    with suppress(csv.Error):  # of bytes that are no text
        rows = list(islice(csv.reader(head.decode("utf-8-sig", "replace").splitlines()), 2))
    return any(2 <= len(row) <= _MOST_COLUMNS and _file_column(row) is not None for row in rows)


def _file_column(row: list[str]) -> int | None:
    return next((at for at, cell in enumerate(row) if cell.strip().lower().endswith(_SUFFIXES)), None)


def read_listed(path: Path, wishes: Wishes, progress: Progress | None = None) -> ImageDataset:
    """The pictures and the classes that a CSV file lists, with or without a header. Raises DataError naming
    the rows whose files are not pictures."""
    text = read_payload(path).decode("utf-8-sig", "replace")
    try:
        rows = [row for row in csv.reader(text.splitlines()) if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise DataError(f"{path} is not a CSV file ({error})", expected="files and labels") from error
    header = [] if _file_column(rows[0]) is not None else [cell.strip().lower() for cell in rows[0]]
    body = rows[bool(header) :]
    file_at, label_at = _columns(header, body[0], path)
    short = next((row for row in body if len(row) <= max(file_at, label_at)), None)
    if short is not None:
        raise DataError(
            f"{path}, row {rows.index(short) + 1} has {len(short)} columns", expected=f"{len(rows[0])}"
        )
    names = [row[file_at].strip() for row in body]
    paths = [str(path.parent / name) for name in names]
    labels, classes = class_labels(_as_labels([row[label_at].strip() for row in body]), path)
    pictures = Pictures.decode(paths, paths, wishes, progress=progress)
    kept = np.setdiff1d(np.arange(len(names)), pictures.broken)
    files = tuple(printable(names[at]) for at in kept)
    return ImageDataset(pictures.images, labels[kept], classes, path.name, pictures.note, files=files)


def _columns(header: list[str], first: list[str], path: Path) -> tuple[int, int]:
    """Of the files and of the classes."""
    file_at = _file_column(first)
    if file_at is None:
        file_at = next((header.index(name) for name in _FILES if name in header), 0)
    label_at = next((header.index(name) for name in _CLASSES if name in header), None)
    if label_at is None and len(first) == 2:
        label_at = 1 - file_at
    if label_at is None:
        raise DataError(
            f"{path} has the columns {', '.join(header) or len(first)}",
            expected="a column of classes called label",
            remedy="rename it in the first row",
        )
    return file_at, label_at


def _as_labels(cells: list[str]) -> np.ndarray:
    """Whole numbers where all are."""
    plain = all(cell.isascii() and cell.isdigit() and len(cell) < 5 for cell in cells)
    return np.array(cells, dtype=np.int64 if plain else None)
