"""A whole picture: one number, several lines, a table, or a page that lies on its side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tenfold.ink.lines import Box
from tenfold.ink.open import Picture, to_grey
from tenfold.ink.strip import make_strip
from tenfold.ink.views import find_views, looks_ruled
from tenfold.reader.columns import Columns
from tenfold.reader.constraint import Constraint
from tenfold.reader.reading import Line, Reading, describe_line, unturn_box
from tenfold.reader.troubles import find_troubles

if TYPE_CHECKING:
    from tenfold.reader.line_reader import LineReader
    from tenfold.reader.table import Table

__all__ = ["read_page"]

_LEAST_SIDE = 100  # pixels: a smaller picture is no page
_SURE, _DOUBTED = 0.5, 0.75  # shares of lines read without doubt: of a page taken, of one tried otherwise
_CLEARLY = 1.5  # times as much is read in another position


def read_page(reader: LineReader, picture: Picture, form: Constraint | Columns | None) -> Reading:
    """Cells of a table, row by row, where there is one; else lines from the top. A page that says little as
    it is, and much when it is turned, is turned by a quarter or a half.

    form: of each line, or of each column of a table, which says nothing about lines.
    """
    page = _Page(reader, to_grey(picture.pixels), picture.scale, form)
    views = find_views(page.grey)
    large = min(page.grey.shape) >= _LEAST_SIDE
    fills = bool(views) and views[0][0] == (0, 0, page.grey.shape[1], page.grey.shape[0])
    looked = large and (len(views) > 1 or (fills and looks_ruled(page.grey)))
    found = page.read_table() if looked else None
    if found is None:
        found = _Found(0, page.read_lines(views))
        if large and _says_little(found.lines):
            found = (None if looked else page.read_table()) or page.read_turned(found)
    troubles = find_troubles(page.grey, picture, found.lines, held=form is not None)
    return Reading(found.lines, troubles, picture, found.table, found.turned)


def _says_little(lines: tuple[Line, ...]) -> bool:
    return _sure(lines) < _DOUBTED * max(1, len(lines))


def _sure(lines: tuple[Line, ...]) -> int:
    return sum(bool(line.characters) and "?" not in line.text for line in lines)


def _amount(lines: tuple[Line, ...]) -> float:
    """Characters that were read, each counted by its line's confidence."""
    return sum(line.confidence * len(line.characters) for line in lines)


class _Found(NamedTuple):
    """turned: degrees counter-clockwise."""

    turned: int
    lines: tuple[Line, ...]
    table: Table | None = None


@dataclass(frozen=True, eq=False)
class _Page:
    """grey: uint8 (H, W), whose pixels are `scale` of the original."""

    reader: LineReader
    grey: np.ndarray
    scale: float
    form: Constraint | Columns | None

    def turn(self, turns: int) -> _Page:
        """Counter-clockwise, by quarters."""
        return replace(self, grey=np.ascontiguousarray(np.rot90(self.grey, turns)))

    def read_lines(self, views: list[list[Box]]) -> tuple[Line, ...]:
        constraint = None if isinstance(self.form, Columns) else self.form
        return tuple(self._read_line(boxes, constraint, row) for row, boxes in enumerate(views))

    def _read_line(self, boxes: list[Box], constraint: Constraint | None, row: int) -> Line:
        """boxes: the views of one line."""
        strips = [make_strip(self.grey[y0:y1, x0:x1]) for x0, y0, x1, y1 in boxes]
        best, decoded, logs = self.reader.read_views(strips, constraint)
        return describe_line(
            decoded, logs, strips[best], boxes[best],
            scale=self.scale, least=self.reader.card.least_confidence, row=row,
        )  # fmt: skip

    def read_table(self) -> _Found | None:
        from tenfold.ink.grid import find_grid  # SciPy's filters take longer to import than a line to read
        from tenfold.reader.table import find_turn, read_table

        grid = find_grid(self.grey)
        turns = find_turn(self.reader, grid) if grid else 0
        page = self.turn(turns) if turns else self
        grid = find_grid(page.grey) if turns else grid
        found = read_table(self.reader, grid, self.form, self.scale) if grid else None
        if found is None:
            return None
        table, lines = found
        move = page.unturn(turns)
        return _Found(90 * turns, tuple(line.moved(move) for line in lines), table.moved(move))

    def read_turned(self, upright: _Found) -> _Found:
        """In the position in which clearly most is read. One number is never cut into lines of its digits."""
        best, fewest = upright, 2 if len(upright.lines) > 1 else 3
        for turns in (1, 2, 3):
            page = self.turn(turns)
            views = find_views(page.grey)
            lines = page.read_lines(views) if len(views) >= fewest else ()
            least = max(_CLEARLY * _amount(upright.lines), _amount(best.lines))
            if _sure(lines) >= _SURE * len(lines) and _amount(lines) > least:
                best = _Found(90 * turns, tuple(line.moved(page.unturn(turns)) for line in lines))
        return best

    def unturn(self, turns: int) -> Callable[[Box], Box]:
        """Boxes of this page, turned by so many quarters, -> of the original as it came."""
        size = round(self.scale * self.grey.shape[1]), round(self.scale * self.grey.shape[0])
        return lambda box: unturn_box(box, turns, size)
