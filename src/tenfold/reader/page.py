"""A whole picture: one number, several lines, a table, or a page that lies on its side."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tenfold.ink.lines import Box
from tenfold.ink.open import Picture, to_grey
from tenfold.ink.views import find_views
from tenfold.reader.constraint import Columns, Constraint
from tenfold.reader.reading import Line, Reading, unturn_box
from tenfold.reader.troubles import find_troubles

if TYPE_CHECKING:
    from tenfold.reader.line_reader import LineReader
    from tenfold.reader.table import Table

__all__ = ["read_page"]

_LEAST_SIDE = 100  # pixels: a smaller picture is no page
_SURE = 0.5  # share of lines that are read without doubt: a page with less may lie on its side
_CLEARLY = 2.0  # times as much is read in another position


def read_page(reader: LineReader, picture: Picture, form: Constraint | Columns | None) -> Reading:
    """Cells of a table, row by row, where there is one; else lines from the top. A page that says little as
    it is, and much when it is turned, is turned by a quarter or a half.

    form: of each line, or of each column of a table, which says nothing about lines.
    """
    grey, scale = to_grey(picture.pixels), picture.scale
    views, constraint = find_views(grey), None if isinstance(form, Columns) else form
    page = min(grey.shape) >= _LEAST_SIDE
    found = _read_table(reader, grey, form, scale) if page and _is_crowded(grey, views) else None
    table, lines = found or (None, _read_lines(reader, grey, views, constraint, scale))
    if page and table is None and not any(line.characters for line in lines):
        table, lines = _read_table(reader, grey, form, scale) or (None, lines)
    turned = table.turned if table else 0
    if page and table is None and len(views) > 1 and _sure(lines) < _SURE * len(lines):
        turned, lines = _read_turned(reader, grey, lines, constraint, scale)
    troubles = find_troubles(grey, picture, lines, held=form is not None)
    return Reading(lines, troubles, picture, table, turned)


def _is_crowded(grey: np.ndarray, views: list[list[Box]]) -> bool:
    """Not one line with room around it, nor dots alone."""
    return len(views) > 1 or (len(views) == 1 and views[0][0] == (0, 0, grey.shape[1], grey.shape[0]))


def _read_table(
    reader: LineReader, grey: np.ndarray, form: Constraint | Columns | None, scale: float
) -> tuple[Table, tuple[Line, ...]] | None:
    from tenfold.ink.grid import find_grid  # SciPy's filters take longer to import than a line to read
    from tenfold.reader.table import read_table

    grid = find_grid(grey)
    return read_table(reader, grid, form, scale) if grid else None


def _read_lines(
    reader: LineReader,
    grey: np.ndarray,
    views: list[list[Box]],
    constraint: Constraint | None,
    scale: float,
) -> tuple[Line, ...]:
    return tuple(reader.read_line(grey, boxes, constraint, row, scale) for row, boxes in enumerate(views))


def _sure(lines: tuple[Line, ...]) -> int:
    return sum(bool(line.characters) and "?" not in line.text for line in lines)


def _amount(lines: tuple[Line, ...]) -> float:
    """Characters that were read, each counted by its line's confidence."""
    return sum(line.confidence * len(line.characters) for line in lines)


def _read_turned(
    reader: LineReader,
    grey: np.ndarray,
    upright: tuple[Line, ...],
    constraint: Constraint | None,
    scale: float,
) -> tuple[int, tuple[Line, ...]]:
    """Degrees counter-clockwise, and the lines of the position in which clearly most is read."""
    best, turned = upright, 0
    for turns in (1, 2, 3):
        page = np.ascontiguousarray(np.rot90(grey, turns))
        views = find_views(page)
        lines = _read_lines(reader, page, views, constraint, scale) if len(views) > 1 else ()
        if _sure(lines) >= _SURE * len(lines) and _amount(lines) > max(
            _CLEARLY * _amount(upright), _amount(best)
        ):
            size = round(scale * page.shape[1]), round(scale * page.shape[0])
            best, turned = tuple(_unturn(line, turns, size) for line in lines), 90 * turns
    return turned, best


def _unturn(line: Line, turns: int, size: tuple[int, int]) -> Line:
    """With boxes in the pixels of the page as it came."""
    known = [(each, each.box) for each in line.characters if each.box is not None]
    characters = tuple(replace(each, box=unturn_box(box, turns, size)) for each, box in known)
    return replace(line, box=unturn_box(line.box, turns, size), characters=characters)
