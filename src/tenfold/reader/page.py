"""A whole picture: one number, several lines, a table, a page that lies on its side, or one of words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tenfold.pictures.lines import Box, Strip, find_views, holds_frame, looks_ruled, make_strip
from tenfold.pictures.open import open_picture
from tenfold.reader.constraint import Constraint
from tenfold.reader.decode import BLANK, CHARACTERS, DIGITS, OTHER, Decoded, Effort, decode
from tenfold.reader.reading import TOO_MUCH, Line, Reading, find_troubles, read_line, score_strip, unturn_box
from tenfold.reader.table import Columns, Table, find_turn, read_table

if TYPE_CHECKING:
    from tenfold.reader.line_reader import LineReader

__all__ = ["read_picture"]

_SURE, _DOUBTED = 0.5, 0.8  # shares of lines read without doubt: of a page taken, of one tried otherwise
_MOST_CELLS = 4000  # of a table; more, on a whole page, are squared paper or too small to read
_MANY = 12  # lines: of so many, some say whether a page is text
_FEWEST = 3  # lines: fewer are not a page of words
_SHARE = 3  # a page of which less than one line in so many is a sure number may be text
_UNSURE = 0.3  # least median confidence of numbers that are hard to read; words read as digits have less
_DOUBT = -1.0  # log-probability per digit: where all columns together have less, no number is sure
_LIKELY = 0.6  # least confidence of a number between words, which are read as numbers with less
_INK = 0.4  # of the span from paper to full ink
_WIDE, _NARROW = 0.29, 0.22  # of a line's height, with its margins: gaps between words, of one width or not

Lines = tuple[Line, ...]


def read_picture(
    reader: LineReader, picture: Any, form: Constraint | Columns | None = None, *, printed: bool = False
) -> Reading:
    """Whatever `open_picture` takes -> what is written there: cells of a table, row by row, where there is
    one; else lines from the top. A page that says little as it is, and much when it is turned, is turned by a
    quarter or a half. Of a page of words only the lines that are surely numbers are given. form: of each
    line, or of each column of a table, which says nothing about lines. printed: numbers between words are
    read, too. Raises DataError for what is not a picture."""
    opened = open_picture(picture)
    page = _Page(reader, opened.grey, opened.scale, form, Effort(), printed=printed)
    views, large = find_views(page.grey), min(page.grey.shape) >= 100  # pixels: less is not a page
    if large and len(views) >= _MANY and page.is_text():
        found = _WORDS
    else:
        fills = bool(views) and views[0][0] == (0, 0, page.grey.shape[1], page.grey.shape[0])
        looked = large and (len(views) > 1 or (fills and looks_ruled(page.grey)))
        table = page.read_table() if looked else None
        found = table or page.read_lines(views)
        doubted = found.words or _count_sure(found.lines) < _DOUBTED * max(1, len(found.lines))
        if large and table is None and doubted:
            if len(views) < _MANY and page.is_text():
                found = _WORDS
            else:
                found = (None if looked else page.read_table()) or page.read_turned(found)
    if found.table is None and form is None and not printed and are_words(found.lines):
        found = found._replace(lines=tuple(filter(is_sure, found.lines)), words=True)
    troubles = find_troubles(page.grey, opened, found.lines, held=form is not None, words=found.words)
    if page.effort.pixels < 0:
        troubles = (*troubles, TOO_MUCH)
    return Reading(found.lines, troubles, opened, found.table, found.turned)


def _count_sure(lines: Lines) -> int:
    return sum(bool(line.characters) and OTHER not in line.text for line in lines)


def _amount(lines: Lines) -> float:
    """Characters that were read, each counted by its line's confidence."""
    return sum(line.confidence * len(line.characters) for line in lines)


class _Found(NamedTuple):
    """turned: degrees counter-clockwise. words: whether the page is one of words."""

    turned: int
    lines: Lines
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
        return replace(self, grey=np.ascontiguousarray(np.rot90(self.grey, turns))) if turns else self

    def is_text(self) -> bool:
        """Whether, in each position, some lines from all over the page are words, and no rules of a table are
        there: then the rest need not be read."""
        if self.printed or holds_frame(self.grey):
            return False
        many = 0
        for turns in range(4):  # of a page, turned by quarters
            page = self.turn(turns)
            views = find_views(page.grey)
            if not page.are_words(views, 8 if turns else _MANY):  # fewer than in the first
                return False
            many += len(views) >= _MANY
        return many > 0

    def are_words(self, views: list[list[Box]], most: int) -> bool:
        """Whether none of some lines from all over the page is a sure number, and most are far from being
        any; where there are few, whether none is sure."""
        rows = choose_evenly(len(views), most)
        near: list[Line] = []
        for row in rows:
            strips = [make_strip(self.grey, box) for box in views[row]]
            if may_be_sure(score_strip(self.reader, strips[0], self.effort)):
                near.append(read_line(self.reader, strips, None, self.effort))
                if is_sure(near[-1]):
                    return False
        return len(views) < _MANY or 2 * len(near) < len(rows) or are_words(near)

    def read_lines(self, views: list[list[Box]]) -> _Found:
        constraint = None if isinstance(self.form, Columns) else self.form
        if not self.printed and len(views) >= _MANY and self.are_words(views, _MANY):
            return _WORDS
        lines: list[Line] = []
        for row, boxes in self._find_numbers(views, constraint) if self.printed else enumerate(views):
            if self.effort.pixels < 0 and not self.printed:
                break
            strips = [make_strip(self.grey, box) for box in boxes]
            options: dict[str, Any] = {"boxes": boxes, "scale": self.scale, "row": row}
            lines.append(read_line(self.reader, strips, constraint, self.effort, **options))
        if self.printed:
            lines = [line for line in lines if line.characters and not is_letter(line)]
        return _Found(0, tuple(lines))

    def _find_numbers(
        self, views: list[list[Box]], constraint: Constraint | None
    ) -> Iterable[tuple[int, list[Box]]]:
        """The numbers between gaps, each with its line. Figures of one width leave wide gaps around a point,
        as on receipts: what holds more than a number is split where gaps are narrower."""
        for row, boxes in enumerate(views):
            for word in split_line(self.grey, boxes[0]):
                decoded = self._decode(word)
                if is_number(decoded, constraint) and OTHER not in (decoded.text or ""):
                    yield row, [word]
                    continue
                parts = split_line(self.grey, word, _NARROW)
                numbers = [part for part in parts if is_number(self._decode(part), constraint)]
                yield from ((row, [part]) for part in numbers)

    def _decode(self, box: Box) -> Decoded:
        """Without a form. Nothing where no effort is left."""
        if self.effort.pixels < 0:
            return Decoded(None, (), {})
        return decode(score_strip(self.reader, make_strip(self.grey, box), self.effort), None, self.effort)

    def read_table(self) -> _Found | None:
        from tenfold.pictures.grid import Grid  # imported lazily: SciPy takes long

        grid = Grid.find(self.grey)
        if grid is None or np.prod(grid.shape) > _MOST_CELLS:
            return None
        turns = find_turn(self.reader, grid, self.effort)
        page = self.turn(turns)
        grid = Grid.find(page.grey) if turns else grid
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
            least = max(1.5 * _amount(upright.lines), _amount(best.lines))  # clearly more
            if _count_sure(lines) >= _SURE * len(lines) and _amount(lines) > least:
                best = _Found(90 * turns, tuple(line.moved(page.unturn(turns)) for line in lines))
        return best

    def unturn(self, turns: int) -> Callable[[Box], Box]:
        """Boxes of this page, turned by so many quarters, -> of the original as it came."""
        size = round(self.scale * self.grey.shape[1]), round(self.scale * self.grey.shape[0])
        return lambda box: unturn_box(box, turns, size)


def is_sure(line: Line) -> bool:
    """Whether a number was read without doubt, and not one letter of many."""
    return bool(line.characters) and OTHER not in line.text and not is_letter(line)


def is_letter(line: Line) -> bool:
    """Whether one character was read in what is as wide as a word."""
    return len(line.characters) == 1 and line.strip.shape[1] > 4 * Strip.HEIGHT  # a word


def are_words(lines: Sequence[Line]) -> bool:
    """Whether these are lines of words: few sure numbers, and the others far from being numbers."""
    others = [line.confidence if line.characters else 0.0 for line in lines if not is_sure(line)]
    if len(lines) < _FEWEST or _SHARE * (len(lines) - len(others)) >= len(lines):
        return False
    return float(np.median(others)) < _UNSURE


def may_be_sure(logs: np.ndarray) -> bool:
    """float (T, 21), log-probabilities of a strip's columns -> whether their likeliest characters spell a
    number, and are likely: a look that costs little, where `decode` takes its time over words."""
    best = logs.argmax(axis=1)
    pairs = zip(best, [BLANK, *best])
    spelt = "".join(CHARACTERS[place] for place, before in pairs if place not in (BLANK, before))
    digits = sum(each in DIGITS for each in spelt)
    if not digits or OTHER in spelt.strip(OTHER):
        return False
    return float(logs.max(axis=1).sum()) > _DOUBT * digits


def choose_evenly(count: int, most: int) -> list[int]:
    """Places of at most so many of `count` things, from the first to the last."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int)).tolist()


def is_number(decoded: Decoded, form: Constraint | None = None) -> bool:
    """Whether a word is a number of this form: nothing else in it but a sign at one end, as of a currency."""
    text = decoded.text or ""
    digits, others = sum(each in DIGITS for each in text), text.count(OTHER)
    if not digits or decoded.confidence < _LIKELY or OTHER in text.strip(OTHER):
        return False
    return (not others or (others == 1 and digits > 1)) and (form is None or form.fits(text.strip(OTHER)))


def split_line(grey: np.ndarray, line: Box, gap: float = _WIDE) -> list[Box]:
    """A line of a picture -> the boxes of what gaps separate in it that are wider than so many heights of the
    line, from the left."""
    x0, y0, x1, y1 = line
    crop = grey[y0:y1, x0:x1].astype(np.int16)
    far = np.abs(crop - int(np.median(crop)))
    inked = np.flatnonzero((far > max(1, _INK * float(np.percentile(far, 98)))).any(axis=0))
    if not inked.size:
        return []
    least = max(2, round(gap * (y1 - y0)))
    breaks = np.flatnonzero(np.diff(inked) > least)
    starts, ends = inked[np.r_[0, breaks + 1]], inked[np.r_[breaks, len(inked) - 1]] + 1
    margin = round(_NARROW * (y1 - y0)) // 2
    spans = zip(starts.tolist(), ends.tolist(), strict=True)
    return [(max(x0, x0 + low - margin), y0, min(x1, x0 + high + margin), y1) for low, high in spans]
