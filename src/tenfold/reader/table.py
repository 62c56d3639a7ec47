"""A ruled table, form or sudoku: what its columns must look like, and its cells, each read as a line.

The cells around a doubtful one say how many digits it has, or that words stand there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold.errors import UsageError
from tenfold.pictures.lines import Box, make_strip
from tenfold.reader.constraint import Constraint, Length, Pattern
from tenfold.reader.decode import OTHER, Effort, decode
from tenfold.reader.reading import Line, read_line, score_strip

if TYPE_CHECKING:
    from tenfold.pictures.grid import Grid
    from tenfold.reader.line_reader import LineReader

__all__ = ["Cell", "Columns", "Table", "make_form"]

_MANY_LENGTHS, _ALIKE = 4, 0.8  # cells of a column that are sure, and the share of them with as many digits
_SEVERAL, _FEW = 3, 0.3  # cells of a row or column, and the most of them that are sure where it holds words
_VERY_SURE = 0.95  # confidence of a number that stands in a column of words
_MOST_COLUMNS, _SHOWN = 64, 40  # columns; characters of them in a message
_INSETS = (0.03, 0.0, 0.06)  # of a cell's sides: it is read with more and less of its rules
_EMPTY = 0.15  # of the table's ink: a cell of less contrast is empty
_LEAST = 8  # grey levels, likewise
_INK = 90  # per cent of the cells that have less contrast than the table's ink
_STEPS = 4  # in which these are read, until it is clear:
_STROKE = 0.35  # of a cell's height: a stroke as high as that, free of the rules, is written
_MANY = 220  # cells: of a larger table each is read once, without more and less of its rules
_FEWEST = 3  # cells with a number: what has fewer is not a table, but paper with rules

_Found = tuple["Cell", Line | None]  # a cell, and what was read in it


@dataclass(frozen=True)
class Columns:
    """What the cells of each column of a table must look like; None is any number. text: columns that are not
    read."""

    parts: tuple[Constraint | None, ...]
    text: frozenset[int]

    @classmethod
    def parse(cls, columns: str) -> Columns:
        """ "name,\\d{1,2},": a comma within {} or [] or () separates nothing."""
        words = [word.strip() for word in re.split(r",(?![^{\[(]*[}\])])", columns)]
        if not any(words) or len(words) > _MOST_COLUMNS:
            expected = r"a pattern each, as 'name,\d{1,2},\d+'"
            raise UsageError(f"columns {columns[:_SHOWN]!r}", expected=expected)
        text = frozenset(number for number, word in enumerate(words) if word.isidentifier())
        parts = [None if not word or i in text else Pattern(word) for i, word in enumerate(words)]
        return cls(tuple(parts), text)

    def of(self, column: int) -> Constraint | None:
        """Of columns beyond those that were named, any number."""
        return self.parts[column] if column < len(self.parts) else None


def make_form(*, columns: str | None = None, **form: Any) -> Constraint | Columns | None:
    """As `Constraint.make`, or for a table. Raises UsageError. columns: instead of all these, a pattern for
    each column of a table, separated by commas; one that names no digit, as `name`, is a column of text,
    which is not read, and an empty one any number."""
    if columns is None:
        return Constraint.make(**form)
    if any(value is not None for value in form.values()):
        raise UsageError("columns and another form are both asked for", expected="one of them")
    return Columns.parse(columns)


@dataclass(frozen=True, eq=False)
class Cell:
    """One cell. text: what is written there, "?" for each doubtful character; "" where no number is. reason:
    why a program should not use it: "empty", "text", "doubtful", "unfit" (nothing of the expected form),
    "unread" (a person who reviewed it could not read it, or the page holds more than is read), or "". box:
    around it, in the pixels of the upright original; corners: x and y of its four, likewise. reviewed: a
    person read it."""

    text: str
    confidence: float
    reason: str
    box: Box
    corners: tuple[tuple[int, int], ...] = ()
    reviewed: bool = False

    @property
    def value(self) -> str:
        """The text where all of it is sure, else ""."""
        return "" if self.reason else self.text

    def to_dict(self) -> dict[str, Any]:
        told = {"text": self.text, "confidence": self.confidence, "reason": self.reason or None}
        told |= {"box": list(self.box)}
        return told | ({"reviewed": True} if self.reviewed else {})


@dataclass(frozen=True, eq=False)
class Table:
    """rows: cells, from the top and from the left, as many in each."""

    rows: tuple[tuple[Cell, ...], ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self.rows), len(self.rows[0])

    @property
    def values(self) -> list[list[str]]:
        """The cells' texts; what is empty, text or doubtful is ""."""
        return [[cell.value for cell in row] for row in self.rows]

    def moved(self, move: Callable[[Box], Box]) -> Table:
        """With other boxes; a corner is moved as a box without extent."""

        def cell(each: Cell) -> Cell:
            corners = tuple(move((x, y, x, y))[:2] for x, y in each.corners)
            return replace(each, box=move(each.box), corners=corners)

        return self._with(cell)

    def only_digits(self) -> Table:
        """Without separators."""
        return self._with(lambda each: replace(each, text="".join(re.findall("[0-9?]", each.text))))

    def _with(self, change: Callable[[Cell], Cell]) -> Table:
        return Table(tuple(tuple(map(change, row)) for row in self.rows))

    def to_dict(self) -> dict[str, Any]:
        rows, columns = self.shape
        cells = [[cell.to_dict() for cell in row] for row in self.rows]
        return {"rows": rows, "columns": columns, "cells": cells}


def read_table(
    reader: LineReader, grid: Grid, form: Constraint | Columns | None, scale: float, effort: Effort
) -> tuple[Table, tuple[Line, ...]] | None:
    """The table, and the lines of its cells in reading order; None where fewer than three hold a number.
    form: of every cell, or of each column. scale: original pixels per pixel of the picture in which the grid
    was found. effort: cells for which nothing is left of it are "unread"."""
    inked = _find_inked(grid)
    if inked.sum() < _FEWEST:
        return None
    read = _Cells(reader, grid, form, scale, effort, once=bool(inked.sum() > _MANY))
    found = [
        [read.cell((i, j), inked=bool(cell)) for j, cell in enumerate(row)] for i, row in enumerate(inked)
    ]
    if form is None:
        drop_words(found)
        read_again(found, lambda place, length: read.cell(place, inked=True, constraint=length))
    lines = [line for row in found for _, line in row if line is not None]
    if sum(bool(line.characters) for line in lines) < _FEWEST:
        return None
    return Table(tuple(tuple(cell for cell, _ in row) for row in found)), tuple(lines)


def find_turn(reader: LineReader, grid: Grid, effort: Effort) -> int:
    """Quarter turns counter-clockwise after which up to two dozen cells are read with the most confidence."""
    places = np.argwhere(_find_inked(grid))
    places = places[:: max(1, -(-len(places) // 24))]  # cells that say which way up the page lies
    sums = np.zeros(4)
    for start in range(_STEPS):  # each time cells from all over the table
        for row, column in places[start::_STEPS]:
            cut = _cut(grid, (int(row), int(column)), _INSETS[0])
            for turn in range(4):
                decoded = decode(score_strip(reader, make_strip(np.rot90(cut, turn)), effort))
                if decoded.digits and OTHER not in (decoded.text or ""):
                    sums[turn] += decoded.confidence**2
        other, best = np.sort(sums)[-2:]
        if best >= max(3.0, 2 * other):  # cells' worth of confidence, and twice as much as otherwise
            break
    return int(np.argmax(sums))


def _find_inked(grid: Grid) -> np.ndarray:
    """bool (R, C): cells whose contrast is more than what shines through the paper has."""
    spans = np.reshape([_span(_cut(grid, (i, j), 0.1)) for i, j in np.ndindex(grid.shape)], grid.shape)
    return spans > max(_LEAST, _EMPTY * float(np.percentile(spans, _INK)), _EMPTY * float(spans.max()) / 2)


def _span(grey: np.ndarray) -> float:
    """Levels from the median that 2 of 100 pixels exceed."""
    values = grey.astype(np.float32)
    return float(np.percentile(np.abs(values - np.median(values)), 98))


def _cut(grid: Grid, place: tuple[int, int], inset: float) -> np.ndarray:
    x0, y0, x1, y1 = grid.cell(*place, inset)
    return grid.flat[y0:y1, x0:x1]


@dataclass(frozen=True, eq=False)
class _Cells:
    reader: LineReader
    grid: Grid
    form: Constraint | Columns | None
    scale: float
    effort: Effort
    once: bool

    def cell(self, place: tuple[int, int], *, inked: bool, constraint: Constraint | None = None) -> _Found:
        """inked: whether there is anything to be read. constraint: where the form says nothing."""
        edges = self.grid.cell(*place, 0.0)

        def answer(text: str, confidence: float, reason: str, line: Line | None = None) -> _Found:
            return Cell(text, confidence, reason, self._original(edges), self._corners(edges)), line

        if not inked:
            return answer("", 1.0, "empty")
        if isinstance(self.form, Columns):
            if place[1] in self.form.text:
                return answer("", 1.0, "text")
            constraint = self.form.of(place[1])
        elif self.form is not None:
            constraint = self.form
        if self.effort.pixels < 0:
            return answer("", 0.0, "unread")
        line = self._read(place, constraint)
        if not line.characters and not line.text_only and constraint is None and self._has_stroke(place):
            line = self._read(place, Length(1))  # a lone 1, which seemed a rule
        if not line.characters:
            reason = "text" if line.text_only else "unfit" if line.unfit else "empty"
            return answer("", line.confidence, reason, line)
        return answer(line.text, line.confidence, "doubtful" if OTHER in line.text else "", line)

    def _read(self, place: tuple[int, int], constraint: Constraint | None) -> Line:
        boxes = [self.grid.cell(*place, inset) for inset in _INSETS[: 1 if self.once else None]]
        strips = [make_strip(self.grid.flat, box) for box in boxes]
        line = read_line(self.reader, strips, constraint, self.effort, boxes=boxes, row=place[0])
        return line.moved(self._original)

    def _has_stroke(self, place: tuple[int, int]) -> bool:
        from scipy import ndimage  # imported lazily, as all that finds a table

        cut = _cut(self.grid, place, _INSETS[0]).astype(np.float32)
        far = np.abs(cut - np.median(cut))
        labels, _ = ndimage.label(far > _span(cut) / 2, np.ones((3, 3), bool))
        height, width = cut.shape
        return any(
            rows.stop - rows.start >= _STROKE * height
            and rows.start > 0 and rows.stop < height and columns.start > 0 and columns.stop < width
            for rows, columns in ndimage.find_objects(labels)
        )  # fmt: skip

    def _original(self, box: Box) -> Box:
        """The box around what a box of the flat picture covers in the original."""
        x, y = zip(*self._corners(box), strict=True)
        return min(x), min(y), max(x), max(y)

    def _corners(self, box: Box) -> tuple[tuple[int, int], ...]:
        x0, y0, x1, y1 = box
        corners = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], float)
        mapped = np.rint(self.grid.to_picture(corners) * self.scale).astype(int)
        return tuple((int(x), int(y)) for x, y in mapped)


def read_again(found: list[list[_Found]], read: Callable[[tuple[int, int], Constraint], _Found]) -> None:
    """Doubtful cells as numbers of so many digits as nearly all that are sure in their column have. found:
    rows of cells, changed in place. read: a place and what must stand there -> what is read."""
    for column in range(len(found[0])):
        sure = [len(cell.text) for cell in (row[column][0] for row in found) if cell.value]
        usual = max(set(sure), key=sure.count, default=0)
        if len(sure) < _MANY_LENGTHS or sure.count(usual) < _ALIKE * len(sure):
            continue
        for place, row in enumerate(found):
            if row[column][0].reason == "doubtful":
                again = read((place, column), Length(usual))
                row[column] = again if again[0].value else row[column]


def drop_words(found: list[list[_Found]]) -> None:
    """What seems a number in a column of words, and is not very sure; what is doubtful in a row of heads."""
    words = [_say_words([row[place] for row in found], _FEW) for place in range(len(found[0]))]
    for row in found:
        heads = _say_words([each for each, word in zip(row, words, strict=True) if not word], 0)
        for place, (cell, line) in enumerate(row):
            doubtful = cell.reason == "doubtful"
            drop = doubtful or cell.confidence < _VERY_SURE if words[place] else heads and doubtful
            if cell.text and line is not None and drop:
                line = replace(line, text="", characters=(), places=(), text_only=True)
                row[place] = replace(cell, text="", reason="text"), line


def _say_words(cells: Sequence[_Found], most: float) -> bool:
    """Whether some of several cells hold words, and at most this share of them a number that is sure."""
    reasons = [cell.reason for cell, _ in cells if cell.reason != "empty"]
    return len(reasons) >= _SEVERAL and "text" in reasons and reasons.count("") <= most * len(reasons)
