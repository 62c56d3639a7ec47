"""The doubtful lines and cells of a reading, and the reading with a person's texts in their places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from tenfold.arrays import Prediction
from tenfold.ink.lines import Box
from tenfold.ink.pdf import PdfPage
from tenfold.reader.alphabet import CHARACTERS, OTHER
from tenfold.reader.columns import Columns
from tenfold.reader.constraint import Constraint
from tenfold.reader.reading import COLUMN_WIDTH, Line, Reading
from tenfold.reader.table import Cell, Table
from tenfold.reader.troubles import UNFIT_TROUBLES
from tenfold.review.crops import cut_cell, cut_line, open_crops
from tenfold.review.page import ReviewItem

__all__ = ["items_of", "with_texts"]

_NAMES = tuple(CHARACTERS.replace(OTHER, ""))
_REASONS = ("doubtful", "unfit")


class _Doubt(NamedTuple):
    """line: its number among those seen, -1 for a cell without one. cell: row and column, of a table."""

    line: int
    cell: tuple[int, int] | None = None


def items_of(
    reading: Reading, source: str | PdfPage, form: Constraint | Columns | None = None
) -> list[ReviewItem]:
    """What a person should look at: doubtful lines, or of a table doubtful cells, in reading order; those of
    which nothing has the expected form are among them.

    source: the picture's path, or the page of a PDF; it is opened anew where the reading came without its
    picture. form: as it was read with.
    """
    doubts = list(_doubts(reading))
    crops = open_crops(reading, source) if doubts else None
    return [_item(reading, doubt, str(source), form, crops) for doubt in doubts]


def with_texts(reading: Reading, texts: Sequence[str | None]) -> Reading:
    """The reading with these texts in place of its items', in the order of `items_of`; None leaves one as it
    is, "" says that nothing can be read there. What was reviewed is marked, and sure."""
    seen, rows = list(reading.seen), [list(row) for row in reading.table.rows] if reading.table else []
    for doubt, text in zip(_doubts(reading), texts, strict=True):
        if text is None:
            continue
        if doubt.line >= 0:
            seen[doubt.line] = _corrected(seen[doubt.line], text)
        if doubt.cell is not None:
            row, column = doubt.cell
            reason = "" if text else "unread"
            rows[row][column] = replace(
                rows[row][column], text=text, confidence=1.0, reason=reason, reviewed=True
            )
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
            if cell.reason in _REASONS:
                yield _Doubt(_line_of(cell, reading.seen), (i, j))


def _line_of(cell: Cell, lines: Sequence[Line]) -> int:
    """The line that was read in a cell: it has the same middle."""

    def far(number: int) -> float:
        (x, y), (u, v) = _middle(lines[number].box), _middle(cell.box)
        return max(abs(x - u), abs(y - v))

    nearest = min(range(len(lines)), key=far, default=-1)
    x0, y0, x1, y1 = cell.box
    return nearest if nearest >= 0 and far(nearest) < min(x1 - x0, y1 - y0) / 4 else -1


def _middle(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _item(
    reading: Reading,
    doubt: _Doubt,
    source: str,
    form: Constraint | Columns | None,
    crops: tuple[np.ndarray, float] | None,
) -> ReviewItem:
    line = reading.seen[doubt.line] if doubt.line >= 0 else None
    strip = line.strip if line is not None else np.full((32, 32), 255, np.uint8)
    if doubt.cell is None or reading.table is None:
        if line is None:
            raise ValueError("a doubt is a line's or a cell's")
        constraint = None if isinstance(form, Columns) else form
        crop = cut_line(crops, line.box, reading.turned) if crops else strip
        name = f"line {doubt.line + 1}" if len(reading.seen) > 1 else ""
        return ReviewItem(source, name, line.text, crop, constraint)
    row, column = doubt.cell
    cell = reading.table.rows[row][column]
    constraint = form.of(column) if isinstance(form, Columns) else form
    crop = cut_cell(crops, cell.corners) if crops and cell.corners else strip
    return ReviewItem(source, f"row {row + 1}, column {column + 1}", cell.text, crop, constraint)


def _corrected(line: Line, text: str) -> Line:
    """A line that a person read: its characters are certain, and where as many were seen in their places."""
    known = [character for character in text if character in _NAMES]
    same = len(known) == len(line.characters)
    boxes = [each.box for each in line.characters] if same else _spread(line.box, len(known))
    columns = line.strip.shape[1] // COLUMN_WIDTH
    places = (
        line.places if same else tuple(columns * (2 * i + 1) // (2 * len(known)) for i in range(len(known)))
    )
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
    """Boxes side by side, over all of this one."""
    x0, y0, x1, y1 = box
    edges = [x0 + round(i * (x1 - x0) / count) for i in range(count + 1)] if count else []
    return [(left, y0, max(right, left + 1), y1) for left, right in pairwise(edges)]


def _troubles(troubles: tuple[str, ...], seen: Sequence[Line]) -> tuple[str, ...]:
    """Those that still hold."""
    if not any(line.unfit for line in seen):
        troubles = tuple(each for each in troubles if each not in UNFIT_TROUBLES)
    if not troubles and not any(line.characters for line in seen):
        return ("nothing that can be read, as its reviewer said",)
    return troubles
