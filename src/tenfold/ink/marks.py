"""Lifted ink -> marks: pieces of ink that hang together, in rows, left to right, and cuts through them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tenfold.ink.frame import stroke_width
from tenfold.ink.regions import find_boxes, grow_labels, label_regions
from tenfold.ink.strength import Ink

__all__ = ["Box", "Mark", "cut_mark", "find_rows", "join_marks"]

Box = tuple[int, int, int, int]  # x0, y0, x1, y1 in pixels, the last two outside

_EDGE = 0.35  # strength at which ink begins
_SPECK = 0.16  # of the largest mark's longer side: smaller marks are specks
_FAINT = 0.45  # of the strongest mark's strength: paler ones are lines and shadows
_SLICE = 0.125  # of a digit's height: how far apart cuts are tried
_CROSSED = 2.5  # strokes that a cut may cross
_LINE = 1.5  # strokes that a column of a line holds on average; of digits it holds two or more
_MOST_MARKS = 400


@dataclass(frozen=True, eq=False)
class Mark:
    """box: in the ink's pixels. strength: float32 of the box's size, other marks' ink blanked."""

    box: Box
    strength: np.ndarray

    @property
    def width(self) -> int:
        return self.box[2] - self.box[0]

    @property
    def height(self) -> int:
        return self.box[3] - self.box[1]

    @property
    def weight(self) -> float:
        return float(self.strength.sum())


def find_rows(ink: Ink) -> list[list[Mark]]:
    """The marks of a picture, specks and borders left out: rows from the top, each left to right."""
    marks = _drop_specks(_components(ink))
    rows: list[list[Mark]] = []
    for mark in sorted(marks, key=lambda mark: -mark.height):
        row = next((row for row in rows if _beside(mark, row[0])), None)
        if row is None:
            rows.append([mark])
        else:
            row.append(mark)
    rows.sort(key=lambda row: row[0].box[1] + row[0].box[3])
    return [sorted(row, key=lambda mark: mark.box[0] + mark.box[2]) for row in rows]


def _components(ink: Ink) -> list[Mark]:
    top, left, strength = _inked_part(ink.strength)
    labels, count = label_regions(strength > _EDGE)
    if not count:
        return []
    grown = grow_labels(labels)  # the soft edge belongs to the mark
    places = find_boxes(grown, count)
    sizes = [0 if p is None else max(p[0].stop - p[0].start, p[1].stop - p[1].start) for p in places]
    marks = []
    for index in np.argsort(sizes, kind="stable")[::-1][:_MOST_MARKS]:
        rows, columns = places[index]
        own = np.where(grown[rows, columns] == index + 1, strength[rows, columns], np.float32(0))
        box = (left + columns.start, top + rows.start, left + columns.stop, top + rows.stop)
        marks.append(Mark(box, own))
    return [mark for mark in marks if ink.flat or not _is_border(mark, ink.strength.shape)]


def _inked_part(strength: np.ndarray) -> tuple[int, int, np.ndarray]:
    """First row, first column and the pixels of the part that holds all ink, one pixel around it."""
    inked = strength > _EDGE
    rows, columns = np.flatnonzero(inked.any(axis=1)), np.flatnonzero(inked.any(axis=0))
    if not len(rows):
        return 0, 0, strength
    top, left = max(0, int(rows[0]) - 1), max(0, int(columns[0]) - 1)
    return top, left, strength[top : rows[-1] + 2, left : columns[-1] + 2]


def _is_border(mark: Mark, shape: tuple[int, int]) -> bool:
    """The edge of the sheet, or a ruled line right across a photo."""
    x0, y0, x1, y1 = mark.box
    height, width = shape
    touched = (x0 <= 1) + (y0 <= 1) + (x1 >= width - 1) + (y1 >= height - 1)
    long, short = max(mark.width, mark.height), min(mark.width, mark.height)
    fill = mark.weight / (mark.width * mark.height)
    if touched and (long > 6 * short or long > 0.9 * (width if mark.width > mark.height else height)):
        return True
    return touched >= 2 and fill < 0.1


def _drop_specks(marks: Sequence[Mark]) -> list[Mark]:
    if not marks:
        return []
    scale = max(max(mark.width, mark.height) for mark in marks)
    return [mark for mark in marks if max(mark.width, mark.height) > _SPECK * scale]


def _beside(mark: Mark, tallest: Mark) -> bool:
    """Whether the mark's middle lies in the row of the tallest one, a third of it added on each side."""
    middle = (mark.box[1] + mark.box[3]) / 2
    room = 0.33 * tallest.height
    return tallest.box[1] - room <= middle <= tallest.box[3] + room


def join_marks(marks: Sequence[Mark]) -> Mark:
    """One mark with the ink of all."""
    if len(marks) == 1:
        return marks[0]
    boxes = np.array([mark.box for mark in marks])
    (x0, y0), (x1, y1) = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    whole = np.zeros((y1 - y0, x1 - x0), np.float32)
    for mark in marks:
        left, top = mark.box[0] - x0, mark.box[1] - y0
        part = whole[top : top + mark.height, left : left + mark.width]
        np.maximum(part, mark.strength, out=part)
    return Mark((int(x0), int(y0), int(x1), int(y1)), whole)


def cut_mark(mark: Mark, height: float) -> list[Mark]:
    """A wide mark in slices, left to right, wherever a cut would cross little ink; [mark] where nowhere.

    height: of a digit in this row, in pixels. The cuts are paths of least ink from top to bottom, an
    eighth of a digit's height apart, that may wander as far to the side, so that leaning neighbours come
    apart. Which of them part digits is for the classifier to say. A line is never cut.
    """
    stroke = max(stroke_width(mark.strength), 1.0)
    if mark.weight < _LINE * stroke * mark.width:
        return [mark]
    step = max(2, round(_SLICE * height))
    columns = range(step, mark.width - step + 1, step)
    paths = [_least_path(mark.strength, column, step) for column in columns]
    return _pieces(mark, [path for path, crossed in paths if crossed <= _CROSSED * stroke])


def _least_path(strength: np.ndarray, column: int, reach: int) -> tuple[np.ndarray, float]:
    """The column of each row (H,) of the path that crosses least ink, and the ink it crosses."""
    left, right = max(0, column - reach), min(strength.shape[1], column + reach + 1)
    away = 0.002 * np.abs(np.arange(left, right) - column)
    cost = strength[:, left:right] + away
    total = np.full((len(cost), cost.shape[1] + 2), np.inf, np.float32)  # walled in on both sides
    total[0, 1:-1] = cost[0]
    for row in range(1, len(cost)):
        above = total[row - 1]
        total[row, 1:-1] = cost[row] + np.minimum(np.minimum(above[:-2], above[2:]), above[1:-1])
    path = np.empty(len(cost), np.int64)
    path[-1] = int(total[-1].argmin()) - 1
    for row in range(len(cost) - 2, -1, -1):
        path[row] = path[row + 1] - 1 + int(total[row, path[row + 1] : path[row + 1] + 3].argmin())
    crossed = float(strength[np.arange(len(cost)), path + left].sum())
    return path + left, crossed


def _pieces(mark: Mark, paths: Sequence[np.ndarray]) -> list[Mark]:
    columns = np.arange(mark.width)
    owner = sum((columns[None] >= path[:, None]).astype(np.int64) for path in paths)
    pieces = []
    for number in range(len(paths) + 1):
        own = np.where(owner == number, mark.strength, 0).astype(np.float32)
        rows, across = np.flatnonzero(own.max(axis=1) > _EDGE), np.flatnonzero(own.max(axis=0) > _EDGE)
        if len(rows):
            top, bottom, start, stop = rows[0], rows[-1] + 1, across[0], across[-1] + 1
            x0, y0 = mark.box[0] + int(start), mark.box[1] + int(top)
            box = (x0, y0, x0 + int(stop - start), y0 + int(bottom - top))
            pieces.append(Mark(box, own[top:bottom, start:stop]))
    return pieces
