"""Labelled pictures of one person's writing -> the strips that a reader learns this hand from."""

from __future__ import annotations

import csv
import errno
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tenfold.data.folders import SUFFIXES, looks_like_picture
from tenfold.data.tables import natural_key
from tenfold.errors import DataError, DataNotFoundError, UsageError
from tenfold.ink.open import open_picture, to_grey
from tenfold.ink.strip import make_strip
from tenfold.ink.views import find_views
from tenfold.reader.alphabet import CHARACTERS, OTHER

__all__ = ["NO_NUMBER", "Example", "Labelled", "collect_examples", "find_pictures", "label_pictures"]

Progress = Callable[[str, int, int], None]

NO_NUMBER = "not a digit"  # the label of a picture in which no number stands

_LIST = re.compile(r"[\d.\-/:+×÷= ]+(,[\d.\-/:+×÷= ]+)*")
_LABEL = re.compile(f"[{re.escape(CHARACTERS.replace(OTHER, ''))}]{{1,32}}")
_BLANK = 8  # grey levels: a picture that spans no more shows nothing
_FAULTS = (errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE)  # of the machine, not of a picture
_REMEDY = "give --labels 3,1049,07/11 or --labels FILE.csv, or sort the pictures into folders 0 to 9"


class Labelled(NamedTuple):
    """A picture's path and what is written on it; "" where no label is known."""

    path: str
    label: str


@dataclass(frozen=True, eq=False)
class Example:
    """A line of one picture. text: what it spells; "?" for what is not a number, "" for bare paper.
    views: uint8 (32, W), the strips that it may be read in."""

    path: str
    text: str
    views: tuple[np.ndarray, ...]


def find_pictures(given: Sequence[str | Path]) -> list[str]:
    """Files as they are; of a folder the pictures in it and below, 2.png before 10.png.

    Raises DataError for a folder without any.
    """
    found: list[str] = []
    for each in map(Path, given):
        inside = [path for path in each.rglob("*") if not path.is_dir() and looks_like_picture(path)]
        shown = [path for path in inside if not any(part[0] == "." for part in path.relative_to(each).parts)]
        if each.is_dir() and not shown:
            raise DataError(f"{each} holds no picture", expected=", ".join(SUFFIXES))
        found += sorted(map(str, shown), key=lambda path: (natural_key(path), path)) or [str(each)]
    return found


def label_pictures(given: Sequence[str | Path], labels: str | None) -> list[Labelled]:
    """Each picture with its label: what is written on it, one line of the label per line of the picture.

    labels: "3,1049", one per picture in their order; the path of a CSV file with path and label in each
    line, paths counted from its folder, whose pictures need not be named again; or None, where the name
    of each picture's folder, 0 to 9, is its label. Raises UsageError and DataError.
    """
    if labels is not None and (not _LIST.fullmatch(labels.strip()) or Path(labels).is_file()):
        return _by_table(given, Path(labels))
    if not given:
        raise UsageError("no pictures", expected="pictures of numbers", remedy=_REMEDY)
    paths = find_pictures(given)
    if labels is None:
        return _by_folder(paths)
    each = [label.strip() for label in labels.split(",")]
    if len(each) != len(paths):
        raise UsageError(f"{len(each)} labels for {len(paths)} pictures", expected="one label per picture")
    return [Labelled(path, label) for path, label in zip(paths, each, strict=True)]


def _by_folder(paths: Sequence[str]) -> list[Labelled]:
    names = [Path(path).absolute().parent.name for path in paths]
    labelled = [
        Labelled(path, name if re.fullmatch("[0-9]", name) or name == NO_NUMBER else "")
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
        raise DataNotFoundError(f"--labels {table} is neither labels nor a file", remedy=_REMEDY) from None
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
    labelled: Sequence[Labelled], *, progress: Progress | None = None
) -> tuple[list[Example], list[tuple[str, str]]]:
    """(examples, pictures that gave none, each with the reason): the lines of the pictures, as strips that a
    reader would see; a picture that shows another number of lines than its label is left out. Raises
    DataError where the disk or the memory fails: the same pictures may be read well another time."""
    examples: list[Example] = []
    left_out: list[tuple[str, str]] = []
    for number, (path, label) in enumerate(labelled, start=1):
        try:
            examples += _lines_of(path, label)
        except DataError as error:
            cause = error.__cause__
            if isinstance(cause, MemoryError) or getattr(cause, "errno", None) in _FAULTS:
                raise
            left_out.append((path, str(error).removeprefix(f"{path}: ")))
        if progress:
            progress("pictures", number, len(labelled))
    return examples, left_out


def _lines_of(path: str, label: str) -> list[Example]:
    """The examples of one picture. Raises DataError saying why there are none."""
    texts = [] if label == NO_NUMBER else [part.replace(" ", "") for part in label.split("\n")]
    if not all(map(_LABEL.fullmatch, texts)):
        raise DataError(
            f"label {label!r}" if label else "no label", expected="1 to 32 digits and separators per line"
        )
    grey = to_grey(open_picture(path).pixels)
    blank = int(np.ptp(grey)) <= _BLANK
    if blank and texts:
        raise DataError("the picture is blank")
    lines = find_views(grey)
    texts = texts or ["" if blank else OTHER] * len(lines)
    if len(lines) != len(texts):
        found = f"{len(lines)} line{'s' * (len(lines) != 1)} found"
        raise DataError(found, expected=f"{len(texts)}, for its label {label}", remedy="cut out one line")
    strips = [tuple(make_strip(grey[y0:y1, x0:x1]) for x0, y0, x1, y1 in boxes) for boxes in lines]
    return [Example(path, text, views) for text, views in zip(texts, strips, strict=True)]
