"""Pages of words are told from pages of numbers; numbers between words; a limited effort."""

from __future__ import annotations

import random
from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from tables_drawn import draw_table

from tenfold.pictures.lines import find_views, holds_frame, make_strip
from tenfold.pictures.open import open_grey, open_picture
from tenfold.reader import page as page_module
from tenfold.reader.constraint import Length
from tenfold.reader.decode import Decoded, Effort, decode
from tenfold.reader.line_reader import LineReader, load_reader
from tenfold.reader.page import are_words, choose_evenly, is_number, split_line
from tenfold.reader.reading import TOO_MUCH, score_strip

FONT = f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf"
WORDS = [
    "the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "and", "then", "writes", "letters"
]  # fmt: skip
TEXT = "text, no handwritten numbers"
RECEIPT = [
    ("CORNER MARKET", ""),
    ("Milk", "2.95"),
    ("Bread", "13.40"),
    ("Receipt 7146", ""),
    ("TOTAL", "16.35"),
]


def words(
    lines: int, *, size: int = 20, numbers: dict[int, str] | None = None, long: int = 60
) -> Image.Image:
    """A page of printed words. numbers: rows on which a number stands instead."""
    rng, font = random.Random(0), ImageFont.truetype(FONT, size)
    page = Image.new("L", (size * long * 3 // 5, size * (lines * 3 + 4) // 2), 240)
    draw = ImageDraw.Draw(page)
    for row in range(lines):
        text = (numbers or {}).get(row) or " ".join(rng.choices(WORDS, k=long // 4))[:long]
        draw.text((size, size + row * size * 3 // 2), text, 30, font)
    return page


def receipt(size: int = 40) -> Image.Image:
    font, page = ImageFont.truetype(FONT, size), Image.new("L", (size * 20, size * 10), 240)
    draw = ImageDraw.Draw(page)
    for row, (left, right) in enumerate(RECEIPT):
        draw.text((size, size + row * size * 3 // 2), left, 30, font)
        draw.text((size * 19, size + row * size * 3 // 2), right, 30, font, anchor="ra")
    return page


@pytest.fixture(scope="module")
def reader() -> LineReader:
    return load_reader()


@pytest.mark.parametrize("turns", [0, 1])
def test_a_page_of_print_is_text_however_it_lies(reader: LineReader, turns: int) -> None:
    reading = reader.read(np.rot90(np.asarray(words(14, long=40)), turns))
    assert reading.troubles == (TEXT,) and not reading.lines and not reading.turned


def test_a_page_of_print_costs_some_of_its_lines(reader: LineReader, monkeypatch: pytest.MonkeyPatch) -> None:
    spent: list[Effort] = []
    monkeypatch.setattr(page_module, "Effort", lambda: spent.append(Effort()) or spent[0])
    reader.read(words(30))
    assert Effort().pixels - spent[0].pixels < 45_000, "some of 30 lines, in all four positions"


def test_a_few_lines_of_print_are_text(reader: LineReader) -> None:
    reading = reader.read(words(6, size=30))
    assert reading.troubles == (TEXT,) and reading.text == ""


def test_numbers_on_a_page_of_words_are_given(reader: LineReader) -> None:
    reading = reader.read(words(8, size=30, long=30, numbers={3: "48251", 7: "7730"}))
    assert reading.text == "48251\n7730" and reading.troubles[0].startswith("mostly text")


def test_a_page_of_numbers_is_read_as_before(reader: LineReader) -> None:
    rng = random.Random(1)
    numbers = {row: str(rng.randrange(10**5, 10**6)) for row in range(20)}
    reading = reader.read(words(20, size=30, numbers=numbers, long=30))
    assert reading.text.split("\n") == list(numbers.values()) and reading.troubles == ()


def test_printed_numbers_between_words(reader: LineReader) -> None:
    reading = reader.read(receipt(), printed=True)
    assert [line.text for line in reading.lines] == ["2.95", "13.40", "7146", "16.35"]
    boxes = [line.box for line in reading.lines]
    assert all(x1 - x0 < 200 for x0, _, x1, _ in boxes), "around the number alone"
    form = reader.read(receipt(), printed=True, pattern=r"\d{4}")
    assert [line.text for line in form.lines] == ["7146"]


def test_a_word_is_a_number_where_it_holds_nothing_else() -> None:
    def number(text: str, sure: float = 0.9) -> bool:
        digits = "".join(each for each in text if each.isdigit())
        return is_number(Decoded(text, tuple(range(len(text))), {digits: sure}))

    assert number("12.50") and number("?12.50") and number("7") and number("12?")
    assert not any(map(number, ["", "?", "?7", "7?", "?12?", "1?2"])) and not number("12", 0.5)


@pytest.mark.parametrize("gap", [30, 60])
def test_a_line_is_split_at_wide_gaps(gap: int) -> None:
    grey = np.full((100, 400), 250, np.uint8)
    grey[30:70, 20:60] = grey[30:70, 60 + gap : 100 + gap] = 10
    boxes = split_line(grey, (0, 20, 400, 80), 0.6)
    assert len(boxes) == (2 if gap == 60 else 1)
    assert boxes[0][0] <= 20 and boxes[-1][2] >= 100 + gap and boxes[0][1::2] == (20, 80)
    assert split_line(np.full((100, 400), 250, np.uint8), (0, 0, 400, 100)) == []


def test_lines_hard_to_read_are_not_words(reader: LineReader) -> None:
    """Doubtful numbers are given with their question marks; three quarters of a page must be far from any."""
    lines = reader.read(words(8, size=30, numbers=dict.fromkeys(range(8), "48251"), long=20)).lines
    doubtful = [replace(line, text="4?251", confidence=0.5) for line in lines]
    assert not are_words(doubtful) and not are_words(lines) and not are_words([])
    assert are_words([replace(line, text="4?251", confidence=0.1) for line in lines])


def test_lines_are_chosen_from_all_over_the_page() -> None:
    assert choose_evenly(3, 12) == [0, 1, 2] and choose_evenly(0, 12) == []
    assert choose_evenly(101, 5) == [0, 25, 50, 75, 100]


def test_a_table_has_a_frame_and_words_have_none() -> None:
    assert holds_frame(open_grey(draw_table([["1", "2"], ["3", "4"]])))
    assert not holds_frame(np.asarray(words(24)))


def test_more_than_is_read_is_said(reader: LineReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_module, "Effort", lambda: Effort(pixels=2_000))
    reading = reader.read(draw_table([["1", "2", "3"]] * 6))
    assert reading.table is None or "unread" in {cell.reason for row in reading.table.rows for cell in row}
    assert reading.troubles[-1] == TOO_MUCH
    numbers = words(9, size=30, numbers=dict.fromkeys(range(9), "482516"), long=20)
    reading = reader.read(numbers)
    assert 0 < len(reading.lines) < 9 and reading.troubles == (TOO_MUCH,)


def test_a_search_for_what_does_not_fit_is_limited(reader: LineReader) -> None:
    grey = open_picture(words(3, size=30)).grey
    x0, y0, x1, y1 = find_views(grey)[0][0]
    logs = score_strip(reader, make_strip(grey[y0:y1, x0:x1]))
    effort = Effort(steps=5_000)
    assert decode(logs, Length(60), effort).text is None and -2_000 < effort.steps < 0
    free = Effort(steps=0)
    assert decode(logs, None, free) == decode(logs) and free == Effort(steps=0), "no form, no search"
