"""Tables are read cell by cell, however the page lies; columns have forms; pages on their side are turned."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tables_drawn import MARKS, draw_table

from tenfold.errors import UsageError
from tenfold.reader.explain import explain_reading
from tenfold.reader.line_reader import LineReader, load_reader
from tenfold.reader.reading import Reading, unturn_box
from tenfold.reader.table import Columns, make_form

VALUES = [["", *row[1:]] for row in MARKS]


@pytest.fixture(scope="module")
def reader() -> LineReader:
    return load_reader()


@pytest.fixture(scope="module")
def page() -> np.ndarray:
    return draw_table(MARKS)


@pytest.fixture(scope="module")
def reading(reader: LineReader, page: np.ndarray) -> Reading:
    return reader.read(page)


def test_cells_have_values_reasons_and_places(reading: Reading, page: np.ndarray) -> None:
    table = reading.table
    assert table is not None and table.shape == (4, 3) and table.values == VALUES
    reasons = [[cell.reason for cell in row] for row in table.rows]
    assert [row[0] for row in reasons] == ["text", "text", "empty", "text"] and reasons[2][1] == "empty"
    for i, row in enumerate(table.rows):
        for j, cell in enumerate(row):
            place = (60 + 140 * j, 60 + 70 * i, 200 + 140 * j, 130 + 70 * i)
            np.testing.assert_allclose(cell.box, place, atol=4)
            x0, y0, x1, y1 = place
            np.testing.assert_allclose(cell.corners, [(x0, y0), (x1, y0), (x1, y1), (x0, y1)], atol=4)
    assert reading.text == "7 38\n4 265\n90\n5 16"
    for character in reading.characters:
        assert character.box is not None
        x0, y0, x1, y1 = character.box
        assert page[y0:y1, x0:x1].min() < 100, "ink within"


def test_the_document_holds_the_table(reading: Reading) -> None:
    document = json.loads(json.dumps(reading.to_dict()))
    assert document["turned"] == 0 and (document["table"]["rows"], document["table"]["columns"]) == (4, 3)
    cell = document["table"]["cells"][1][2]
    assert cell["text"] == "265" and cell["reason"] is None and 0 < cell["confidence"] <= 1
    assert document["table"]["cells"][2][0] | {"box": []} == {
        "text": "", "confidence": 1.0, "reason": "empty", "box": []
    }  # fmt: skip
    assert [line["text"] for line in document["lines"]] == ["7", "38", "4", "265", "90", "5", "16"]


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_quarter_turns_change_nothing_but_the_places(
    turns: int, reader: LineReader, page: np.ndarray, reading: Reading
) -> None:
    found = reader.read(np.ascontiguousarray(np.rot90(page, turns)))
    assert found.turned == (360 - 90 * turns) and found.text == reading.text
    assert found.table is not None and found.table.values == VALUES
    size = (page.shape[1], page.shape[0]) if turns % 2 == 0 else (page.shape[0], page.shape[1])
    for one, other in zip(found.characters, reading.characters, strict=True):
        assert one.box is not None and other.box is not None
        np.testing.assert_allclose(unturn_box(one.box, turns, size), other.box, atol=1)


def test_lines_on_a_page_that_lies_on_its_side(reader: LineReader) -> None:
    rows = (("4096",), ("27182",), ("31415",), ("58008",))
    page = draw_table(rows, cell=(300, 80))
    page[page == 110] = 222  # no rules: the lines alone
    page = np.where((page > 90) & (page < 130), 222, page).astype(np.uint8)
    upright = reader.read(page)
    assert upright.table is None and upright.text.split() == [row[0] for row in rows]
    for turns in (1, 2, 3):
        found = reader.read(np.ascontiguousarray(np.rot90(page, turns)))
        assert (found.text, found.turned) == (upright.text, 360 - 90 * turns)
        x0, y0, x1, y1 = found.lines[0].box
        inner = np.rot90(page, turns)[y0:y1, x0:x1]
        assert inner.min() < 80 and inner.size < page.size / 5


def test_one_number_is_no_table(reader: LineReader) -> None:
    for rows in ((("1049",),), (("1049", "", ""), ("", "", ""))):
        found = reader.read(draw_table(rows))
        assert found.table is None


def test_columns_have_forms_of_their_own(reader: LineReader, page: np.ndarray) -> None:
    table = reader.read(page, columns=r"name,\d,\d{2}").table
    assert table is not None
    assert [row[0].reason for row in table.rows] == ["text", "text", "empty", "text"]
    assert table.rows[0][2].text == "38"
    assert all(len(row[2].text) in (0, 2) for row in table.rows)
    assert table.rows[1][2].text != "265"
    skipped = reader.read(page, columns="name,points,").table
    assert skipped is not None
    assert [row[1].reason for row in skipped.rows] == ["text", "text", "empty", "text"]
    assert [row[2].text for row in skipped.rows] == ["38", "265", "90", "16"]


@pytest.mark.parametrize(
    ("columns", "parts", "text"),
    [
        (r"name,\d{1,2},\d{1,3}", 3, {0}),
        (r"\d[,.]\d", 1, set()),
        (r"(\d,)?\d , ,no", 3, {2}),
    ],
)
def test_columns_are_told_apart(columns: str, parts: int, text: set[int]) -> None:
    found = make_form(columns=columns)
    assert isinstance(found, Columns) and len(found.parts) == parts and found.text == text


@pytest.mark.parametrize("form", [{"columns": ""}, {"columns": " , "}, {"columns": "a", "length": 3}])
def test_wrong_columns(form: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        make_form(**form)  # type: ignore[arg-type]


def test_digits_only(reader: LineReader) -> None:
    rows = (("1.5", "2"), ("33", "4.0"), ("5", "66"))
    found = reader.read(draw_table(rows)).only_digits()
    assert found.table is not None and found.table.values == [["15", "2"], ["33", "40"], ["5", "66"]]


def test_the_sheet_shows_the_cells(reader: LineReader, reading: Reading, page: np.ndarray) -> None:
    sheet = np.asarray(explain_reading(reading, reader)).astype(int)
    plain = np.asarray(explain_reading(Reading(reading.seen, (), reading.picture), reader)).astype(int)
    assert (sheet != plain).any()
