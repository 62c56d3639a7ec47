"""A whole picture: one number, several lines, a table, or a page that lies on its side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tenfold.pictures.lines import Box, make_strip
from tenfold.pictures.open import Picture, to_grey
from tenfold.pictures.views import find_views, looks_ruled
from tenfold.reader.alphabet import OTHER
from tenfold.reader.constraint import Constraint
from tenfold.reader.decode import Columns, Decoded, Effort
from tenfold.reader.reading import Line, Reading, describe_line, unturn_box
from tenfold.reader.troubles import (
    MANY,
    NARROW,
    TOO_MUCH,
    are_words,
    choose_evenly,
    find_troubles,
    holds_frame,
    is_letter,
    is_number,
    is_sure,
    may_be_sure,
    split_line,
)

if TYPE_CHECKING:
    from tenfold.reader.line_reader import LineReader
    from tenfold.reader.table import Table


_LEAST_SIDE = 100  # pixels: a smaller picture is not a page
_SURE, _DOUBTED = 0.5, 0.8  # shares of lines read without doubt: of a page taken, of one tried otherwise
_CLEARLY = 1.5  # times as much is read in another position
_MOST_CELLS = 4000  # of a table; more, on a whole page, are squared paper or too small to read
_POSITIONS = 4  # of a page, turned by quarters
_SAMPLE = 8  # lines that are looked at in each but the first


def read_page(
    reader: LineReader, picture: Picture, form: Constraint | Columns | None, *, printed: bool = False
) -> Reading:
    """Cells of a table, row by row, where there is one; else lines from the top. A page that says little as
    it is, and much when it is turned, is turned by a quarter or a half. Of a page of words only the lines
    that are surely numbers are given.

    form: of each line, or of each column of a table, which says nothing about lines. printed: numbers between
    words are read, too.
    """
    page = _Page(reader, to_grey(picture.pixels), picture.scale, form, Effort(), printed=printed)
    found = page.read()
    troubles = find_troubles(page.grey, picture, found.lines, held=form is not None, words=found.words)
    if page.effort.pixels < 0:
        troubles = (*troubles, TOO_MUCH)
    return Reading(found.lines, troubles, picture, found.table, found.turned)


def _says_little(lines: tuple[Line, ...]) -> bool:
    return _sure(lines) < _DOUBTED * max(1, len(lines))


def _sure(lines: tuple[Line, ...]) -> int:
    return sum(bool(line.characters) and "?" not in line.text for line in lines)


def _amount(lines: tuple[Line, ...]) -> float:
    """Characters that were read, each counted by its line's confidence."""
    return sum(line.confidence * len(line.characters) for line in lines)


class _Found(NamedTuple):
    """turned: degrees counter-clockwise. words: whether the page is one of words."""

    turned: int
    lines: tuple[Line, ...]
    table: Table | None = None
    words: bool = False


_WORDS = _Found(0, (), words=True)


@dataclass(frozen=True, eq=False)
class _Page:
    """grey: uint8 (H, W), whose pixels are `scale` of the original. effort: what is left for this picture."""

    reader: LineReader
    grey: np.ndarray
    scale: float
    form: Constraint | Columns | None
    effort: Effort
    printed: bool

    def turn(self, turns: int) -> _Page:
        """Counter-clockwise, by quarters."""
        return replace(self, grey=np.ascontiguousarray(np.rot90(self.grey, turns)))

    def read(self) -> _Found:
        found = self._read_all()
        if found.table is None and self.form is None and not self.printed and are_words(found.lines):
            return found._replace(lines=tuple(filter(is_sure, found.lines)), words=True)
        return found

    def _read_all(self) -> _Found:
        views = find_views(self.grey)
        large = min(self.grey.shape) >= _LEAST_SIDE
        if large and len(views) >= MANY and self._is_text():
            return _WORDS
        fills = bool(views) and views[0][0] == (0, 0, self.grey.shape[1], self.grey.shape[0])
        looked = large and (len(views) > 1 or (fills and looks_ruled(self.grey)))
        found = self.read_table() if looked else None
        if found is not None:
            return found
        found = self.read_lines(views)
        if not large or not (found.words or _says_little(found.lines)):
            return found
        if len(views) < MANY and self._is_text():
            return _WORDS
        return (None if looked else self.read_table()) or self.read_turned(found)

    def _is_text(self) -> bool:
        """Whether, in each position, some lines from all over the page are words, and no rules of a table are
        there: then the rest need not be read."""
        if self.printed or holds_frame(self.grey):
            return False
        many = 0
        for turns in range(_POSITIONS):
            page = self.turn(turns)
            views = find_views(page.grey)
            if not page.are_words(views, _SAMPLE if turns else MANY):
                return False
            many += len(views) >= MANY
        return many > 0

    def are_words(self, views: list[list[Box]], most: int) -> bool:
        """Whether none of some lines from all over the page is a sure number, and most are far from being
        any; where there are few, whether none is sure."""
        rows, near = choose_evenly(len(views), most), []
        for row in rows:
            x0, y0, x1, y1 = views[row][0]
            if may_be_sure(self.reader.score_strip(make_strip(self.grey[y0:y1, x0:x1]), self.effort)):
                near.append(self._read_line(views[row], None, row))
                if is_sure(near[-1]):
                    return False
        return len(views) < MANY or 2 * len(near) < len(rows) or are_words(near)

    def read_lines(self, views: list[list[Box]]) -> _Found:
        if self.printed:
            return _Found(0, self._read_words(views))
        if len(views) >= MANY and self.are_words(views, MANY):
            return _WORDS
        constraint = None if isinstance(self.form, Columns) else self.form
        lines: list[Line] = []
        for row, boxes in enumerate(views):
            if self.effort.pixels < 0:
                break
            lines.append(self._read_line(boxes, constraint, row))
        return _Found(0, tuple(lines))

    def _read_words(self, views: list[list[Box]]) -> tuple[Line, ...]:
        """The numbers between gaps, each a line of its own. Figures of one width leave wide gaps around a
        point, as on receipts: what holds more than a number is split where gaps are narrower."""
        constraint = None if isinstance(self.form, Columns) else self.form
        lines: list[Line] = []
        for row, boxes in enumerate(views):
            for word in split_line(self.grey, boxes[0]):
                decoded = self._decode(word)
                whole = is_number(decoded, constraint) and OTHER not in (decoded.text or "")
                parts = [word] if whole else split_line(self.grey, word, NARROW)
                numbers = (
                    parts if whole else [part for part in parts if is_number(self._decode(part), constraint)]
                )
                lines += [self._read_line([part], constraint, row) for part in numbers]
        return tuple(line for line in lines if line.characters and not is_letter(line))

    def _decode(self, box: Box) -> Decoded:
        """Without a form. Nothing where no effort is left."""
        if self.effort.pixels < 0:
            return Decoded(None, (), {})
        x0, y0, x1, y1 = box
        return self.reader.read_strip(make_strip(self.grey[y0:y1, x0:x1]), effort=self.effort)[0]

    def _read_line(self, boxes: list[Box], constraint: Constraint | None, row: int) -> Line:
        """boxes: the views of one line."""
        strips = [make_strip(self.grey[y0:y1, x0:x1]) for x0, y0, x1, y1 in boxes]
        best, decoded, logs = self.reader.read_views(strips, constraint, self.effort)
        return describe_line(
            decoded, logs, strips[best], boxes[best],
            scale=self.scale, least=self.reader.card.least_confidence, row=row,
        )  # fmt: skip

    def read_table(self) -> _Found | None:
        from tenfold.pictures.grid import find_grid
        from tenfold.reader.table import find_turn, read_table

        grid = find_grid(self.grey)
        if grid is not None and np.prod(grid.shape) > _MOST_CELLS:
            return None
        turns = find_turn(self.reader, grid, self.effort) if grid else 0
        page = self.turn(turns) if turns else self
        grid = find_grid(page.grey) if turns else grid
        found = read_table(self.reader, grid, self.form, self.scale, self.effort) if grid else None
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
            lines = page.read_lines(views).lines if len(views) >= fewest else ()
            least = max(_CLEARLY * _amount(upright.lines), _amount(best.lines))
            if _sure(lines) >= _SURE * len(lines) and _amount(lines) > least:
                best = _Found(90 * turns, tuple(line.moved(page.unturn(turns)) for line in lines))
        return best

    def unturn(self, turns: int) -> Callable[[Box], Box]:
        """Boxes of this page, turned by so many quarters, -> of the original as it came."""
        size = round(self.scale * self.grey.shape[1]), round(self.scale * self.grey.shape[0])
        return lambda box: unturn_box(box, turns, size)
