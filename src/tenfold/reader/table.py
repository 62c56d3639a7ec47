"""A ruled table, form or sudoku: its cells, each read as a line of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from tenfold.ink.grid import Grid
from tenfold.ink.lines import Box
from tenfold.ink.strip import make_strip
from tenfold.reader.alphabet import DIGITS, OTHER
from tenfold.reader.constraint import Columns, Constraint, Length
from tenfold.reader.decode import Decoded
from tenfold.reader.reading import Line, describe_line, unturn_box

if TYPE_CHECKING:
    from tenfold.reader.line_reader import LineReader

__all__ = ["Cell", "Table", "read_table"]

_INSETS = (0.03, 0.0, 0.06)  # of a cell's sides: it is read with more and less of its rules
_EMPTY = 0.15  # of the table's ink: a cell of less contrast is empty
_LEAST = 8  # grey levels, likewise
_INK = 90  # per cent of the cells that have less contrast than the table's ink
_SAMPLE = 12  # cells that say which way up the page lies
_STROKE = 0.35  # of a cell's height: a stroke as high as that, free of the rules, is written
_FEWEST = 3  # cells with a number: what has fewer is no table, but paper with rules


@dataclass(frozen=True, eq=False)
class Cell:
    """One cell. text: what is written there, "?" for each doubtful character; "" where no number is. reason:
    why a program should not use it: "empty", "text", "doubtful", "unfit" (nothing of the expected form), or
    "". box: around it, in the pixels of the upright original; corners: x and y of its four, likewise."""

    text: str
    confidence: float
    reason: str
    box: Box
    corners: tuple[tuple[int, int], ...] = ()

    @property
    def value(self) -> str:
        """The text where all of it is sure, else ""."""
        return "" if self.reason else self.text

    def to_dict(self) -> dict[str, Any]:
        return {
            "text": self.text,
            "confidence": self.confidence,
            "reason": self.reason or None,
            "box": list(self.box),
        }


@dataclass(frozen=True, eq=False)
class Table:
    """rows: cells, from the top and from the left, as many in each. turned: by how many degrees the page was
    turned counter-clockwise to be read upright."""

    rows: tuple[tuple[Cell, ...], ...]
    turned: int = 0

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self.rows), len(self.rows[0])

    @property
    def values(self) -> list[list[str]]:
        """The cells' texts; what is empty, text or doubtful is ""."""
        return [[cell.value for cell in row] for row in self.rows]

    def to_dict(self) -> dict[str, Any]:
        rows, columns = self.shape
        cells = [[cell.to_dict() for cell in row] for row in self.rows]
        return {"rows": rows, "columns": columns, "turned": self.turned, "cells": cells}


def read_table(
    reader: LineReader, grid: Grid, form: Constraint | Columns | None, scale: float
) -> tuple[Table, tuple[Line, ...]] | None:
    """The table, and the lines of its cells in reading order; None where fewer than three hold a number.

    form: of every cell, or of each column. scale: original pixels per pixel of the picture in which the grid
    was found. Which way up the page lies is told by what a dozen cells say in each of the four positions.
    """
    inked = _find_inked(grid)
    if inked.sum() < _FEWEST:
        return None
    turn = _find_turn(reader, grid, inked)
    read = _Cells(reader, grid, form, scale, turn)
    rows: list[tuple[Cell, ...]] = []
    lines: list[Line] = []
    for number, places in enumerate(_places(grid.shape, turn)):
        found = [read.cell(place, number, k, inked=bool(inked[place])) for k, place in enumerate(places)]
        rows.append(tuple(cell for cell, _ in found))
        lines += [line for _, line in found if line is not None]
    if sum(bool(line.characters) for line in lines) < _FEWEST:
        return None
    return Table(tuple(rows), 90 * turn), tuple(lines)


def _find_inked(grid: Grid) -> np.ndarray:
    """bool (R, C): cells whose contrast is more than what shines through the paper has."""
    spans = np.array(
        [[_span(_cut(grid, (i, j), 0.1)) for j in range(grid.shape[1])] for i in range(grid.shape[0])]
    )
    return spans > max(_LEAST, _EMPTY * float(np.percentile(spans, _INK)), _EMPTY * float(spans.max()) / 2)


def _span(grey: np.ndarray) -> float:
    """Levels from the median that 2 of 100 pixels exceed."""
    values = grey.astype(np.float32)
    return float(np.percentile(np.abs(values - np.median(values)), 98))


def _cut(grid: Grid, place: tuple[int, int], inset: float) -> np.ndarray:
    x0, y0, x1, y1 = grid.cell(*place, inset)
    return grid.flat[y0:y1, x0:x1]


def _places(shape: tuple[int, int], turn: int) -> Iterator[list[tuple[int, int]]]:
    """The cells' places on the flat picture, row by row as the turned page has them."""
    numbers = np.rot90(np.arange(shape[0] * shape[1]).reshape(shape), turn)
    for row in numbers:
        yield [(int(number) // shape[1], int(number) % shape[1]) for number in row]


def _find_turn(reader: LineReader, grid: Grid, inked: np.ndarray) -> int:
    """Quarter turns counter-clockwise after which the cells are read with the most confidence."""
    places = np.argwhere(inked)
    places = places[:: -(-len(places) // _SAMPLE)]
    sums = [0.0] * 4
    for row, column in places:
        cut = _cut(grid, (int(row), int(column)), _INSETS[0])
        for turn in range(4):
            decoded, _ = reader.read_strip(make_strip(np.rot90(cut, turn)))
            sums[turn] += _trust(decoded)
    return int(np.argmax(sums))


def _trust(decoded: Decoded) -> float:
    text = decoded.text or ""
    return decoded.confidence if text and OTHER not in text and any(c in DIGITS for c in text) else 0.0


@dataclass(frozen=True, eq=False)
class _Cells:
    reader: LineReader
    grid: Grid
    form: Constraint | Columns | None
    scale: float
    turn: int

    def cell(self, place: tuple[int, int], row: int, column: int, *, inked: bool) -> tuple[Cell, Line | None]:
        """inked: whether there is anything to be read."""
        edges = self.grid.cell(*place, 0.0)
        box, corners = self._original(edges), self._corners(edges)
        if not inked:
            return Cell("", 1.0, "empty", box, corners), None
        if isinstance(self.form, Columns) and column in self.form.text:
            return Cell("", 1.0, "text", box, corners), None
        constraint = self.form.of(column) if isinstance(self.form, Columns) else self.form
        line = self._read(place, row, constraint)
        if not line.characters and not line.text_only and constraint is None and self._has_stroke(place):
            line = self._read(place, row, Length(1))  # a lone 1, which seemed a rule
        if not line.characters:
            reason = "text" if line.text_only else "unfit" if line.unfit else "empty"
            return Cell("", line.confidence, reason, box, corners), line
        reason = "doubtful" if OTHER in line.text else ""
        return Cell(line.text, line.confidence, reason, box, corners), line

    def _read(self, place: tuple[int, int], row: int, constraint: Constraint | None) -> Line:
        cuts = [np.rot90(_cut(self.grid, place, inset), self.turn) for inset in _INSETS]
        best, decoded, logs = self.reader.read_views([make_strip(cut) for cut in cuts], constraint)
        height, width = cuts[best].shape
        least = self.reader.card.least_confidence
        strip = make_strip(cuts[best])
        line = describe_line(decoded, logs, strip, (0, 0, width, height), scale=1.0, least=least, row=row)
        edges = self.grid.cell(*place, _INSETS[best])
        characters = tuple(
            replace(each, box=self._original(self._unturned(each.box, edges)))
            for each in line.characters
            if each.box is not None
        )
        return replace(line, characters=characters, box=self._original(edges))

    def _has_stroke(self, place: tuple[int, int]) -> bool:
        cut = np.rot90(_cut(self.grid, place, _INSETS[0]), self.turn).astype(np.float32)
        far = np.abs(cut - np.median(cut))
        labels, _ = ndimage.label(far > _span(cut) / 2, np.ones((3, 3), bool))
        height, width = cut.shape
        return any(
            rows.stop - rows.start >= _STROKE * height
            and rows.start > 0 and rows.stop < height and columns.start > 0 and columns.stop < width
            for rows, columns in ndimage.find_objects(labels)
        )  # fmt: skip

    def _unturned(self, box: Box, edges: Box) -> Box:
        """A box on the turned cell -> on the flat picture."""
        size = edges[2] - edges[0], edges[3] - edges[1]
        x0, y0, x1, y1 = unturn_box(box, self.turn, size[::-1] if self.turn % 2 else size)
        return x0 + edges[0], y0 + edges[1], x1 + edges[0], y1 + edges[1]

    def _original(self, box: Box) -> Box:
        """The box around what a box of the flat picture covers in the original."""
        x, y = zip(*self._corners(box), strict=True)
        return min(x), min(y), max(x), max(y)

    def _corners(self, box: Box) -> tuple[tuple[int, int], ...]:
        x0, y0, x1, y1 = box
        corners = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], float)
        mapped = np.rint(self.grid.to_picture(corners) * self.scale).astype(int)
        return tuple((int(x), int(y)) for x, y in mapped)
