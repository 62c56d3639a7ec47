"""Labelled pictures of one person's digits -> the 28x28 examples that a reader learns this hand from."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tenfold.classifier import Classifier
from tenfold.data.folders import SUFFIXES
from tenfold.data.tables import natural_key
from tenfold.errors import DataError, DataNotFoundError, UsageError
from tenfold.ink.frame import SIDE, frame_ink
from tenfold.ink.lift import lift_ink
from tenfold.ink.marks import find_rows, join_marks
from tenfold.ink.open import open_picture
from tenfold.ink.segment import segment_digits

__all__ = ["Examples", "Labelled", "collect_examples", "find_pictures", "label_pictures"]

Progress = Callable[[str, int, int], None]

_LIST = re.compile(r"\d+(\s*,\s*\d+)*")
_REMEDY = "give --labels 3,1,4 or --labels FILE.csv, or sort the pictures into folders 0 to 9"


class Labelled(NamedTuple):
    """A picture's path and the digits written on it; "" where no label is known."""

    path: str
    label: str


@dataclass(frozen=True, eq=False)
class Examples:
    """images: uint8 (N, 28, 28), framed. labels: int64 (N,), 0..9. paths: of each one's picture.

    left_out: pictures that gave no example, each with the reason.
    """

    images: np.ndarray
    labels: np.ndarray
    paths: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]


def find_pictures(given: Sequence[str | Path]) -> list[str]:
    """Files as they are; of a folder the pictures in it and below, 2.png before 10.png.

    Raises DataError for a folder without any.
    """
    found: list[str] = []
    for each in given:
        if not Path(each).is_dir():
            found.append(str(each))
            continue
        inside = sorted(_below(str(each)), key=lambda path: (natural_key(path), path))
        if not inside:
            raise DataError(f"{each} holds no picture", expected=", ".join(SUFFIXES))
        found += inside
    return found


def _below(folder: str) -> Iterator[str]:
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                yield str(Path(place, name))


def label_pictures(given: Sequence[str | Path], labels: str | None) -> list[Labelled]:
    """Each picture with its label: the digits written on it, in reading order.

    labels: "3,1,4", one a picture in their order; the path of a CSV file with path and label a line,
    paths counted from its folder, which need not be given again; or None, where the name of each
    picture's folder is its label. Raises UsageError and DataError.
    """
    if labels is not None and not _LIST.fullmatch(labels.strip()):
        return _by_table(given, Path(labels))
    if not given:
        raise UsageError("no pictures", expected="pictures of digits", remedy=_REMEDY)
    paths = find_pictures(given)
    if labels is None:
        return _by_folder(paths)
    each = [label.strip() for label in labels.split(",")]
    if len(each) != len(paths):
        raise UsageError(f"{len(each)} labels for {len(paths)} pictures", expected="one label a picture")
    return [Labelled(path, label) for path, label in zip(paths, each, strict=True)]


def _by_folder(paths: Sequence[str]) -> list[Labelled]:
    names = [Path(path).absolute().parent.name for path in paths]
    labelled = [
        Labelled(path, name if re.fullmatch("[0-9]", name) else "")
        for path, name in zip(paths, names, strict=True)
    ]
    if not any(each.label for each in labelled):
        raise UsageError("no labels, and no picture lies in a folder 0 to 9", remedy=_REMEDY)
    return labelled


def _by_table(given: Sequence[str | Path], table: Path) -> list[Labelled]:
    rows = _read_table(table)
    if not given:
        return rows
    known = {os.path.realpath(row.path): row.label for row in rows}
    return [Labelled(path, known.get(os.path.realpath(path), "")) for path in find_pictures(given)]


def _read_table(table: Path) -> list[Labelled]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            lines = list(csv.reader(file))
    except FileNotFoundError:
        raise DataNotFoundError(f"--labels {table} is neither digits nor a file", remedy=_REMEDY) from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{table} cannot be read ({reason})", expected="path,label lines") from error
    columns = (0, 1)
    if lines and {"path", "label"} <= set(lines[0]):
        columns = (lines[0].index("path"), lines[0].index("label"))
        lines[0] = []
    rows = []
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        if len(line) <= max(columns):
            raise DataError(f"{table}, line {number}: {','.join(line)[:60]!r}", expected="path,label")
        path, label = (line[column].strip() for column in columns)
        rows.append(Labelled(str(table.parent / path), label))
    if not rows:
        raise DataError(f"{table} has no lines", expected="path,label lines")
    return rows


def collect_examples(
    classifier: Classifier, labelled: Sequence[Labelled], *, progress: Progress | None = None
) -> Examples:
    """The digits of the pictures, lifted and framed as they are read; a picture that shows another number
    of digits than its label, or none, is left out. A label of one digit takes all ink for that digit.
    """
    images: list[np.ndarray] = []
    labels: list[int] = []
    paths: list[str] = []
    left_out: list[tuple[str, str]] = []
    for number, (path, label) in enumerate(labelled, start=1):
        try:
            found = _frame(classifier, path, label)
        except DataError as error:
            left_out.append((path, str(error).removeprefix(f"{path}: ")))
        else:
            images += found
            labels += [int(digit) for digit in label]
            paths += [path] * len(found)
        if progress:
            progress("pictures", number, len(labelled))
    stacked = np.stack(images) if images else np.zeros((0, SIDE, SIDE), np.uint8)
    return Examples(stacked, np.array(labels, np.int64), tuple(paths), tuple(left_out))


def _frame(classifier: Classifier, path: str, label: str) -> list[np.ndarray]:
    """The examples of one picture. Raises DataError saying why there are none."""
    if not re.fullmatch("[0-9]+", label):
        raise DataError(f"label {label!r}" if label else "no label", expected="the digits written on it")
    ink = lift_ink(open_picture(path).pixels)
    found = [segment.image for segment in segment_digits(ink, classifier.judge)]
    if found and len(found) != len(label) == 1:
        found = [frame_ink(join_marks([mark for row in find_rows(ink) for mark in row]).strength)]
    if not found:
        raise DataError("nothing found")
    if len(found) != len(label):
        raise DataError(f"{len(found)} digits found", expected=f"{len(label)}, for its label {label}")
    return found
