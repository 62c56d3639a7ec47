"""The doubtful lines and cells of a reading, and the reading with a person's texts in their places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from PIL import Image

from tenfold.arrays import Prediction
from tenfold.errors import DataError
from tenfold.pictures.formats import PdfPage
from tenfold.pictures.lines import Box
from tenfold.pictures.open import open_grey, to_grey
from tenfold.pictures.views import find_views
from tenfold.reader.alphabet import CHARACTERS, OTHER
from tenfold.reader.constraint import Constraint
from tenfold.reader.decode import Columns
from tenfold.reader.reading import COLUMN_WIDTH, Line, Reading
from tenfold.reader.table import Cell, Table
from tenfold.reader.troubles import UNFIT_TROUBLES
from tenfold.review.page import ReviewItem

__all__ = ["items_of", "with_texts"]

# What a person is shown of a picture: a line or a cell, upright, and one line to the reader.

_MARGINS = (0.4, 0.2, 0.0)  # of a line's height, on each side: the first with which no neighbour is seen
_INSETS = (0.03, 0.06, 0.1)  # of a cell's sides: likewise, for its rules
_LONGEST = 1600  # pixels of a crop's longer side


def open_crops(reading: Reading, source: str | PdfPage) -> tuple[np.ndarray, float] | None:
    """uint8 (H, W) to cut from, and the original's pixels for each of its own; None where the picture cannot
    be opened again."""
    if reading.picture is not None:
        return to_grey(reading.picture.pixels), reading.picture.scale
    try:
        return open_grey(source), 1.0
    except DataError:
        return None


def cut_line(crops: tuple[np.ndarray, float], box: Box, turned: int) -> np.ndarray:
    """box: in the original's pixels. turned: degrees counter-clockwise after which it is upright."""
    return _first_of_one_line(_line_crops(crops, box, turned))


def cut_cell(crops: tuple[np.ndarray, float], corners: tuple[tuple[int, int], ...]) -> np.ndarray:
    """corners: of the cell, in the original's pixels, from the one that is its upper left clockwise."""
    return _first_of_one_line(_cell_crops(crops, corners))


def _first_of_one_line(cuts: Iterator[np.ndarray]) -> np.ndarray:
    """The first in which one line is found, else the first."""
    first = None
    for cut in cuts:
        cut = _small(cut)
        if len(find_views(cut)) == 1:
            return cut
        first = cut if first is None else first
    if first is None:
        raise ValueError("nothing to choose from")
    return first


def _line_crops(crops: tuple[np.ndarray, float], box: Box, turned: int) -> Iterator[np.ndarray]:
    grey, scale = crops
    x0, y0, x1, y1 = (edge / scale for edge in box)
    for share in _MARGINS:
        margin = share * min(x1 - x0, y1 - y0)
        left, top = max(0, round(x0 - margin)), max(0, round(y0 - margin))
        cut = grey[top : max(top + 1, round(y1 + margin)), left : max(left + 1, round(x1 + margin))]
        if not cut.size:  # a box outside: the picture is another one by now
            cut = np.full((32, 32), 255, np.uint8)
        yield np.ascontiguousarray(np.rot90(cut, turned // 90))


def _cell_crops(
    crops: tuple[np.ndarray, float], corners: tuple[tuple[int, int], ...]
) -> Iterator[np.ndarray]:
    """Each is upright and rectangular, however the cell lies in the picture."""
    grey, scale = crops
    upper, right, lower, left = np.array(corners, float) / scale
    for inset in _INSETS:
        low, high = inset, 1 - inset
        quad = [
            _between(upper, right, lower, left, across, down)
            for across, down in ((low, low), (low, high), (high, high), (high, low))
        ]
        size = _length(quad[0], quad[3], quad[1], quad[2]), _length(quad[0], quad[1], quad[3], quad[2])
        flat = [float(value) for corner in quad for value in corner]
        image = Image.fromarray(grey).transform(
            size, Image.Transform.QUAD, flat, Image.Resampling.BILINEAR, fillcolor=255
        )
        yield np.asarray(image)


def _between(
    upper: np.ndarray, right: np.ndarray, lower: np.ndarray, left: np.ndarray, across: float, down: float
) -> np.ndarray:
    top, bottom = upper + across * (right - upper), left + across * (lower - left)
    return np.asarray(top + down * (bottom - top))


def _length(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> int:
    """Pixels: the longer one of a side from a to b and its opposite from c to d."""
    longer = max(float(np.hypot(*(b - a))), float(np.hypot(*(d - c))))
    return int(min(_LONGEST, max(1, round(longer))))


def _small(cut: np.ndarray) -> np.ndarray:
    if max(cut.shape) <= _LONGEST:
        return cut
    image = Image.fromarray(cut)
    image.thumbnail((_LONGEST, _LONGEST), Image.Resampling.LANCZOS)
    return np.asarray(image)


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
