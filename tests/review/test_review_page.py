"""The page of doubtful readings in a real browser: by keyboard from the first to the last."""

from __future__ import annotations

import csv
from functools import partial
from pathlib import Path

import pytest
from browser import Page
from local_pages import Running, item, review, running, type_text, until, violations
from page_hand import Hand

from tenfold.reader.constraint import Constraint
from tenfold.review.page import ReviewItem

TWO = Constraint.make(pattern=r"\d{1,2}")
FINISH = ("finish", {})


def opened(page: Page, served: Running, number: int = 1, **options: object) -> Hand:
    page.show(served.address, **({"width": 1280} | options))  # type: ignore[arg-type]
    shown(page, number)
    return Hand(page)


def shown(page: Page, number: int) -> None:
    until(page, f"document.querySelector('#progress').innerText.startsWith('{number} of')")
    Hand(page).wait()


def of(items: list[ReviewItem], keep: Path | None = None) -> partial[list[str | None]]:
    return partial(review, items, keep=keep)


def test_keyboard_alone_from_the_first_to_the_last(page: Page, tmp_path: Path) -> None:
    items = [item("1?9"), item("7?", 1, TWO), item("?", 2), item("?8", 3)]
    with running(of(items, tmp_path / "kept"), FINISH) as served:
        hand = opened(page, served)
        assert page.evaluate("document.activeElement.id") == "text"
        assert page.evaluate("getSelection().toString()") == "1?9"
        assert hand.text("#place") == "sheets/exam.jpg, row 1, column 2"
        assert hand.count("#read .unsure") == 1
        type_text(hand, "109")
        hand.key("Enter")
        shown(page, 2)
        assert hand.text("#form") == r"Expected: the form \d{1,2}"
        type_text(hand, "743")
        hand.key("Enter")
        hand.wait()
        assert "743 is not the form" in hand.text("#why") and hand.text("#progress") == "2 of 4"
        type_text(hand, "9")  # what is changed is looked at anew
        assert hand.text("#why") == ""
        hand.key("Backspace", 2)
        hand.key("Enter")
        shown(page, 3)
        hand.key("Escape")
        shown(page, 4)
        hand.key("ArrowLeft", alt=True)
        hand.key("Enter", shift=True)
        shown(page, 2)
        assert page.evaluate("document.querySelector('#text').value") == "74"
        type_text(hand, "75")
        for number in (3, 4):
            hand.key("Enter")  # what is answered already stays as it is
            shown(page, number)
        type_text(hand, "28")
        hand.key("Enter")
        until(page, "!document.querySelector('#end').hidden")
        assert hand.text("#end h2") == "All 4 are reviewed"
        assert served.result() == ["109", "75", "", "28"]
    with (tmp_path / "kept" / "labels.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    assert [(row["label"], row["read"]) for row in rows] == [("109", "1?9"), ("75", "7?"), ("28", "?8")]


def test_a_second_enter_takes_what_is_not_of_the_form(page: Page) -> None:
    with running(of([item("1?", 0, TWO)]), FINISH) as served:
        hand = opened(page, served)
        hand.key("Enter")
        until(page, "document.querySelector('#why').innerText.includes('?')")
        hand.wait()
        hand.key("Enter")  # a doubtful character is never taken
        hand.wait()
        assert page.evaluate("document.querySelector('#text').ariaInvalid") == "true"
        page.evaluate("document.querySelector('#text').select()")
        type_text(hand, "100")
        hand.key("Enter")
        hand.wait()
        assert "again" in hand.text("#why")
        hand.key("Enter")
        assert served.result() == ["100"]


def test_an_early_end_leaves_the_rest(page: Page) -> None:
    with running(of([item("1?"), item("?2", 1), item("3?", 2)]), FINISH) as served:
        hand = opened(page, served)
        type_text(hand, "12")
        hand.key("Enter")
        shown(page, 2)
        hand.key("Enter", ctrl=True)
        until(page, "!document.querySelector('#end').hidden")
        assert "1 of 3 reviewed" in hand.text("#end")
        assert served.result() == ["12", None, None]


def test_a_reload_goes_on_where_it_stopped(page: Page) -> None:
    with running(of([item("1?"), item("?2", 1), item("3?", 2)]), FINISH) as served:
        hand = opened(page, served)
        type_text(hand, "12")
        hand.key("Enter")
        shown(page, 2)
        opened(page, served, 2)
        hand.key("Enter", shift=True)
        shown(page, 1)
        assert page.evaluate("document.querySelector('#text').value") == "12"


def test_what_is_shown_is_read_out_once(page: Page) -> None:
    with running(of([item("1?"), item("?2", 1)]), FINISH) as served:
        hand = opened(page, served)
        assert hand.count("[role=status]") == hand.count("[role=alert]") == 1
        assert hand.page.evaluate("document.querySelector('#said').textContent") == (
            "1 of 2: sheets/exam.jpg, row 1, column 2. Read: 1 doubtful "
        )
        assert page.evaluate("document.querySelector('#crop').alt").startswith("Cut from the picture")
        assert page.evaluate("document.querySelector('#crop').decode().then(() => true)")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing(page: Page, width: int, dark: bool) -> None:
    with running(of([item("1?", 0, TWO), item("?2", 1)]), FINISH) as served:
        hand = opened(page, served, width=width, dark=dark)
        hand.key("Enter")
        until(page, "document.querySelector('#why').innerText")
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        hand.key("Enter", ctrl=True)
        until(page, "!document.querySelector('#end').hidden")
        assert violations(page) == []
