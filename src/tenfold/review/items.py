"""The doubtful lines, cells and fields of a picture, and a person's texts in their places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from tenfold.arrays import Prediction
from tenfold.errors import DataError
from tenfold.forms.template import Form
from tenfold.pictures.formats import PdfPage
from tenfold.pictures.lines import Box, Strip, find_views
from tenfold.pictures.open import open_grey
from tenfold.reader.constraint import Constraint
from tenfold.reader.decode import CHARACTERS, OTHER
from tenfold.reader.reading import Line, Reading
from tenfold.reader.table import Cell, Columns, Table

_MARGINS = (0.4, 0.2, 0.0)  # of a line's height, on each side: the first with which no neighbour is seen
_INSETS = (0.03, 0.06, 0.1)  # of a cell's sides: likewise, for its rules
_LONGEST = 1600  # pixels of a crop's longer side
_NAMES = tuple(CHARACTERS.replace(OTHER, ""))
_NOTHING = np.full((32, 32), 255, np.uint8)  # the crop where there is none

Grey = tuple[np.ndarray, float]  # uint8 (H, W) to cut from, and the original's pixels for each of its own


@dataclass(frozen=True, eq=False)
class ReviewItem:
    """A reading to be reviewed. source: the picture's path. name: of the line, cell or field in it. text:
    what was read, "?" for each doubtful character. crop: uint8 (H, W), what is shown of the picture.
    constraint: the expected form."""

    source: str
    name: str
    text: str
    crop: np.ndarray
    constraint: Constraint | None = None


class _Doubt(NamedTuple):
    """line: its number among those seen, -1 for a cell without one. cell: row and column, of a table."""

    line: int
    cell: tuple[int, int] | None = None


def items_of(reading: Any, source: str | PdfPage, form: Any = None) -> list[ReviewItem]:
    """What a person should look at: of a Reading doubtful lines, or of its table doubtful cells, in reading
    order; those of which nothing has the expected form are among them. Of a FilledForm its doubtful fields.

    source: the picture's path, or the page of a PDF; it is opened anew where the reading came without its
    picture. form: as it was read with, a Constraint, Columns or a Form.
    """
    if isinstance(form, Form):
        fields = zip(form.fields, reading.fields, strict=True)
        return [
            ReviewItem(str(source), each.name, each.text, each.crop, field.constraint)
            for field, each in fields
            if each.doubtful
        ]
    doubts = list(_doubts(reading))
    grey = _open_grey(reading, source) if doubts else None
    return [_item(reading, doubt, str(source), form, grey) for doubt in doubts]


def _open_grey(reading: Reading, source: str | PdfPage) -> Grey | None:
    """None where the picture cannot be opened again."""
    if reading.picture is not None:
        return reading.picture.grey, reading.picture.scale
    try:
        return open_grey(source), 1.0
    except DataError:
        return None


def with_texts(reading: Any, texts: Sequence[str | None]) -> Any:
    """The Reading or FilledForm with these texts in place of its items', in the order of `items_of`; None
    leaves one as it is, "" says that nothing can be read there. What was reviewed is marked, and sure."""
    if not isinstance(reading, Reading):
        return reading.with_texts(texts)
    seen, rows = list(reading.seen), [list(row) for row in reading.table.rows] if reading.table else []
    for doubt, text in zip(_doubts(reading), texts, strict=True):
        if text is None:
            continue
        if doubt.line >= 0:
            seen[doubt.line] = _corrected(seen[doubt.line], text)
        if doubt.cell is not None:
            row, column = doubt.cell
            reason = "" if text else "unread"
            read = replace(rows[row][column], text=text, confidence=1.0, reason=reason, reviewed=True)
            rows[row][column] = read
    table = Table(tuple(map(tuple, rows))) if reading.table else None
    return replace(reading, seen=tuple(seen), table=table, troubles=_troubles(reading.troubles, seen))


def _doubts(reading: Reading) -> Iterator[_Doubt]:
    if reading.table is None:
        for number, line in enumerate(reading.seen):
            if (line.characters and OTHER in line.text) or line.unfit:
                yield _Doubt(number)
        return
    for i, row in enumerate(reading.table.rows):
        for j, cell in enumerate(row):
            if cell.reason in ("doubtful", "unfit"):
                yield _Doubt(_line_of(cell, reading.seen), (i, j))


def _line_of(cell: Cell, lines: Sequence[Line]) -> int:
    """The line that was read in a cell: it has the same middle."""

    def far(number: int) -> float:
        x0, y0, x1, y1 = np.subtract(lines[number].box, cell.box)
        return max(abs(x0 + x1), abs(y0 + y1)) / 2

    nearest = min(range(len(lines)), key=far, default=-1)
    x0, y0, x1, y1 = cell.box
    return nearest if nearest >= 0 and far(nearest) < min(x1 - x0, y1 - y0) / 4 else -1


def _item(reading: Reading, doubt: _Doubt, source: str, form: Any, grey: Grey | None) -> ReviewItem:
    line = reading.seen[doubt.line] if doubt.line >= 0 else None
    crop = _NOTHING if line is None else line.strip
    if doubt.cell is not None and reading.table is not None:
        row, column = doubt.cell
        cell = reading.table.rows[row][column]
        constraint = form.of(column) if isinstance(form, Columns) else form
        if grey and cell.corners:
            crop = _first_of_one_line(_cell_crops(*grey, cell.corners))
        return ReviewItem(source, f"row {row + 1}, column {column + 1}", cell.text, crop, constraint)
    if line is None:
        raise ValueError("a doubt is a line's or a cell's")
    if grey:
        crop = _first_of_one_line(_line_crops(*grey, line.box, reading.turned))
    name = f"line {doubt.line + 1}" if len(reading.seen) > 1 else ""
    return ReviewItem(source, name, line.text, crop, None if isinstance(form, Columns) else form)


# What a person is shown of a picture: a line or a cell, upright, and one line to the reader.


def _first_of_one_line(cuts: Iterator[np.ndarray]) -> np.ndarray:
    """The first in which one line is found, else the first."""
    tried = []
    for cut in cuts:
        image = Image.fromarray(cut)
        image.thumbnail((_LONGEST, _LONGEST), Image.Resampling.LANCZOS)
        tried.append(np.asarray(image))
        if len(find_views(tried[-1])) == 1:
            return tried[-1]
    return tried[0]


def _line_crops(grey: np.ndarray, scale: float, box: Box, turned: int) -> Iterator[np.ndarray]:
    """box: in the original's pixels. turned: degrees counter-clockwise after which it is upright."""
    x0, y0, x1, y1 = (edge / scale for edge in box)
    for share in _MARGINS:
        margin = share * min(x1 - x0, y1 - y0)
        left, top = max(0, round(x0 - margin)), max(0, round(y0 - margin))
        cut = grey[top : max(top + 1, round(y1 + margin)), left : max(left + 1, round(x1 + margin))]
        if not cut.size:  # a box outside: the picture is another one by now
            cut = _NOTHING
        yield np.ascontiguousarray(np.rot90(cut, turned // 90))


def _cell_crops(grey: np.ndarray, scale: float, corners: tuple[tuple[int, int], ...]) -> Iterator[np.ndarray]:
    """Each is upright and rectangular, however the cell lies in the picture. corners: in the original's
    pixels, from the one that is its upper left clockwise."""
    upper, right, lower, left = np.array(corners, float) / scale
    for low in _INSETS:
        high = 1 - low
        across, down = np.array([(low, low), (low, high), (high, high), (high, low)]).T[:, :, None]
        top, bottom = upper + across * (right - upper), left + across * (lower - left)
        quad = top + down * (bottom - top)  # (4, 2), counter-clockwise
        sides = np.hypot(*(np.roll(quad, -1, axis=0) - quad).T)  # left, lower, right, upper
        longer = (max(sides[1], sides[3]), max(sides[0], sides[2]))
        width, height = np.clip(np.round(longer), 1, _LONGEST).astype(int).tolist()
        yield np.asarray(
            Image.fromarray(grey).transform(
                (width, height), Image.Transform.QUAD, quad.ravel().tolist(), Image.Resampling.BILINEAR,
                fillcolor=255,
            )
        )  # fmt: skip


# A line that a person read


def _corrected(line: Line, text: str) -> Line:
    """A line that a person read: its characters are certain, and where as many were seen in their places."""
    known = [character for character in text if character in _NAMES]
    same = len(known) == len(line.characters)
    boxes = [each.box for each in line.characters] if same else _spread(line.box, len(known))
    columns, count = line.strip.shape[1] // Strip.COLUMN_WIDTH, len(known)
    places = line.places if same else tuple(columns * (2 * i + 1) // (2 * count) for i in range(count))
    row = line.characters[0].row if line.characters else 0
    characters = tuple(_certain(*each, row) for each in zip(known, boxes, strict=True))
    return replace(
        line, text="".join(known), confidence=1.0, characters=characters, places=places,
        text_only=False, unfit=False, reviewed=True,
    )  # fmt: skip


def _certain(character: str, box: Box | None, row: int) -> Prediction:
    probs = np.zeros(len(_NAMES), np.float32)
    probs[_NAMES.index(character)] = 1
    return Prediction(character, 1.0, probs, _NAMES, box, row)


def _spread(box: Box, count: int) -> list[Box]:
    x0, y0, x1, y1 = box
    edges = [x0 + round(i * (x1 - x0) / count) for i in range(count + 1)] if count else []
    return [(left, y0, max(right, left + 1), y1) for left, right in pairwise(edges)]


def _troubles(troubles: tuple[str, ...], seen: Sequence[Line]) -> tuple[str, ...]:
    if not any(line.unfit for line in seen):
        troubles = tuple(each for each in troubles if each not in Reading.UNFIT_TROUBLES)
    if not troubles and not any(line.characters for line in seen):
        return ("nothing that can be read, as its reviewer said",)
    return troubles
