"""Doubtful lines and cells become items, and a person's texts take their places."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tenfold.pictures.lines import find_views
from tenfold.reader.reading import Reading
from tenfold.reader.table import make_form
from tenfold.review.items import items_of, with_texts

sys.path.append(str(Path(__file__).parents[1] / "reader"))  # its helpers

from tables_drawn import draw_table
from template_reader import template_reader, write

READER = template_reader()
TABLE = (("7", "38"), ("4", "2X5"), ("8X", "90"), ("5", "16"))


@pytest.fixture
def reading() -> Reading:
    return READER.read(write("27\n1X.9\n56"))


@pytest.mark.parametrize("text", ["14.9", "1449.95", "7"])
def test_a_text_of_any_length_keeps_the_document_whole(reading: Reading, text: str) -> None:
    (item,) = items_of(reading, "a.png")
    assert (item.name, item.text) == ("line 2", "1?.9")
    told = with_texts(reading, [text])
    assert told.text == f"27\n{text}\n56" and not items_of(told, "a.png")
    line = told.lines[1]
    assert line.reviewed and line.confidence == 1.0
    assert [each.label for each in line.characters] == list(text) and len(line.places) == len(text)
    boxes = [each.box for each in line.characters if each.box]
    assert boxes == sorted(boxes) and len(set(boxes)) == len(text)
    assert all(x0 < x1 and y0 < y1 for x0, y0, x1, y1 in boxes)
    assert told.only_digits().lines[1].text == text.replace(".", "")
    document = told.to_dict()
    assert [line.get("reviewed") for line in document["lines"]] == [None, True, None]
    assert all(each["alternatives"][0]["confidence"] == max(each["probs"]) for each in document["characters"])


def test_none_leaves_a_reading_as_it_is(reading: Reading) -> None:
    assert with_texts(reading, [None]).to_dict() == reading.to_dict()
    assert with_texts(reading, [""]).text == "27\n56"


def test_a_line_of_which_nothing_fits(reading: Reading) -> None:
    form = make_form(pattern=r"\d{7}")
    unfit = READER.read(write("27\n16"), pattern=r"\d{7}")
    items = items_of(unfit, "a.png", form)
    assert [(item.text, item.constraint) for item in items] == [("", form)] * 2 and not unfit.lines
    told = with_texts(unfit, ["27", None])
    assert told.text == "27" and told.troubles == unfit.troubles != ()
    assert with_texts(unfit, ["27", "16"]).troubles == ()
    assert "reviewer" in with_texts(unfit, ["", ""]).troubles[0]


def test_cells_and_their_lines_are_corrected_together() -> None:
    reading = READER.read(draw_table(TABLE))
    items = items_of(reading, "t.png")
    assert (items[0].name, items[0].text) == ("row 2, column 2", "2?5")
    told = with_texts(reading, ["265", *[None] * (len(items) - 1)])
    assert told.table is not None and told.table.values[1] == ["4", "265"]
    assert sum(line.reviewed for line in told.lines) == 1
    assert [line.text for line in told.lines if line.reviewed] == ["265"]


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_crops_are_upright_and_one_line(turns: int) -> None:
    page = np.rot90(draw_table(TABLE), turns)
    reading = READER.read(np.ascontiguousarray(page))
    upright = items_of(READER.read(draw_table(TABLE)), "")[0].crop
    crop = items_of(reading, "")[0].crop
    assert crop.shape[0] < crop.shape[1] and len(find_views(crop)) == 1
    small = [np.asarray(Image.fromarray(each).resize((40, 20)), float) for each in (crop, upright)]
    assert np.corrcoef(small[0].ravel(), small[1].ravel())[0, 1] > 0.8


def test_a_picture_that_is_gone_is_shown_as_the_network_saw_it(reading: Reading) -> None:
    (item,) = items_of(reading.without_picture(), "gone.png")
    assert np.array_equal(item.crop, reading.lines[1].strip)


def test_a_large_photo_is_cut_at_its_full_size(tmp_path: Path) -> None:
    page = Image.new("L", (4000, 3000), 255)
    page.paste(write("1X9", size=300, margin=0), (900, 800))
    page.save(tmp_path / "photo.png")
    reading = READER.read(tmp_path / "photo.png").without_picture()
    (item,) = items_of(reading, str(tmp_path / "photo.png"))
    assert 250 < item.crop.shape[0] < 700 and item.crop.min() < 60
