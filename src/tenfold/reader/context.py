"""What the cells around a doubtful one say about it: how many digits it has, or that words stand there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tenfold.reader.constraint import Constraint, Length
from tenfold.reader.reading import Line

if TYPE_CHECKING:
    from tenfold.reader.table import Cell

__all__ = ["drop_words", "read_again"]

_MANY, _ALIKE = 4, 0.8  # cells of a column that are sure, and the share of them with as many digits
_SEVERAL, _FEW = 3, 0.3  # cells of a row or column, and the most of them that are sure where it holds words
_VERY_SURE = 0.95  # confidence of a number that stands in a column of words

_Found = tuple["Cell", Line | None]  # a cell, and what was read in it


def read_again(found: list[list[_Found]], read: Callable[[tuple[int, int], Constraint], _Found]) -> None:
    """Doubtful cells as numbers of so many digits as nearly all that are sure in their column have.

    found: rows of cells, changed in place. read: a place and what must stand there -> what is read.
    """
    for column in range(len(found[0])):
        sure = [len(cell.text) for cell in (row[column][0] for row in found) if cell.value]
        usual = max(set(sure), key=sure.count, default=0)
        if len(sure) < _MANY or sure.count(usual) < _ALIKE * len(sure):
            continue
        for place, row in enumerate(found):
            if row[column][0].reason == "doubtful":
                again = read((place, column), Length(usual))
                row[column] = again if again[0].value else row[column]


def drop_words(found: list[list[_Found]]) -> None:
    """What seems a number in a column of words, and is not very sure; what is doubtful in a row of heads."""
    columns = [[row[place] for row in found] for place in range(len(found[0]))]
    words = [
        _say_words(column, _FEW * sum(cell.reason != "empty" for cell, _ in column)) for column in columns
    ]
    for row in found:
        heads = _say_words([each for each, word in zip(row, words, strict=True) if not word], 0)
        for place, (cell, line) in enumerate(row):
            doubtful = cell.reason == "doubtful"
            drop = doubtful or cell.confidence < _VERY_SURE if words[place] else heads and doubtful
            if cell.text and line is not None and drop:
                line = replace(line, text="", characters=(), places=(), text_only=True)
                row[place] = replace(cell, text="", reason="text"), line


def _say_words(cells: Sequence[_Found], most: float) -> bool:
    """Whether some of several cells hold words, and no more than `most` a number that is sure."""
    reasons = [cell.reason for cell, _ in cells if cell.reason != "empty"]
    return len(reasons) >= _SEVERAL and "text" in reasons and reasons.count("") <= most
