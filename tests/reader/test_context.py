"""A column tells how many digits a doubtful cell has; columns and heads of words hold no numbers."""

from __future__ import annotations

import numpy as np
import pytest

from tenfold.reader.constraint import Constraint, Length
from tenfold.reader.reading import Line
from tenfold.reader.table import Cell, drop_words, read_again

BOX = (0, 0, 1, 1)
Found = tuple[Cell, Line | None]


def cell(text: str, confidence: float = 0.9) -> Found:
    """ "" is empty, "w" words, what holds "?" doubtful."""
    reason = {"": "empty", "w": "text"}.get(text, "doubtful" if "?" in text else "")
    line = Line(text, confidence, BOX, (), np.zeros((32, 9), np.uint8), ()) if text else None
    return Cell("" if text in ("", "w") else text, confidence, reason, BOX), line


def rows_of(*rows: str) -> list[list[Found]]:
    return [[cell(text.replace(".", "")) for text in row.split()] for row in rows]


def texts(found: list[list[Found]]) -> list[str]:
    return [" ".join({"text": "w", "empty": "."}.get(c.reason, c.text) for c, _ in row) for row in found]


def test_doubtful_cells_have_as_many_digits_as_their_column() -> None:
    found = rows_of("12 1", "34 22", "56 333", "78 4", "90 55", "? ?", ". ?7", "w ?")
    asked: list[tuple[tuple[int, int], Constraint]] = []

    def read(place: tuple[int, int], length: Constraint) -> Found:
        asked.append((place, length))
        return cell("47")

    read_again(found, read)
    assert texts(found) == ["12 1", "34 22", "56 333", "78 4", "90 55", "47 ?", ". ?7", "w ?"]
    assert [place for place, _ in asked] == [(5, 0)]
    assert asked[0][1] == Length(2)


@pytest.mark.parametrize("rows", [("1", "2", "3", "?"), ("1", "2", "3", "44", "55", "?")])
def test_few_or_uneven_columns_say_nothing(rows: tuple[str, ...]) -> None:
    def read(*_: object) -> Found:
        raise AssertionError

    read_again(rows_of(*rows), read)


def test_a_cell_that_stays_doubtful_is_left() -> None:
    found = rows_of("1", "2", "3", "4", "5", "??")
    read_again(found, lambda *_: cell("?"))
    assert texts(found)[-1] == "??"


def test_columns_of_words_hold_no_numbers() -> None:
    found = rows_of("w 7", "? 8", "w ?", "?0 9", ". 10", "33 11")
    found[5][0] = cell("33", 0.6)
    drop_words(found)
    assert texts(found) == ["w 7", "w 8", "w ?", "w 9", ". 10", "w 11"]
    dropped = found[3][0][1]
    assert dropped is not None and (dropped.text, dropped.text_only) == ("", True)
    sure = rows_of("w 7", "w 8", "w 9", "w 10")
    sure[2][0] = cell("60", 0.97)
    drop_words(sure)
    assert texts(sure) == ["w 7", "w 8", "60 9", "w 10"]


def test_heads_are_words() -> None:
    found = rows_of("w w ?3 w", "1 2 3 4", "5 6 ? 8", "1 . 2 4")
    drop_words(found)
    assert texts(found) == ["w w w w", "1 2 3 4", "5 6 ? 8", "1 . 2 4"]


@pytest.mark.parametrize("rows", [("1 ? ?", "? ? ?", "? ? 2"), ("w 1 2", "w 3 ?", "w ? 4", ". 7 ?")])
def test_doubt_alone_is_no_word(rows: tuple[str, ...]) -> None:
    found = rows_of(*rows)
    before = texts(found)
    drop_words(found)
    assert texts(found) == before
