"""The page on which a form's boxes are drawn, in a real browser, and the TOML that it saves."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Page
from local_pages import Running, running, type_text, until, violations
from page_hand import Hand
from PIL import Image

from tenfold.errors import DataError, UsageError
from tenfold.forms.template import Check, Field, Form
from tenfold.review.draw import Mistake, draw_form, parse_form

NEVER = ("save", {"fields": [{"name": "end", "box": [0, 0, 1, 1]}]})  # ends a page that a test left open


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A large photo in a folder of its own."""
    path = tmp_path / "photos" / "blank exam.png"
    path.parent.mkdir()
    Image.fromarray(np.full((1800, 2400), 235, np.uint8)).save(path)
    return path


@pytest.fixture
def served(picture: Path, tmp_path: Path) -> Iterator[Running]:
    with running(partial(draw_form, picture, tmp_path / "forms" / "exam.toml"), NEVER) as started:
        yield started


def opened(page: Page, served: Running, **options: Any) -> Hand:
    page.show(served.address, **({"width": 1280} | options))
    until(page, "document.querySelector('#picture').naturalWidth")
    return Hand(page)


def drag(page: Page, start: tuple[float, float], to: tuple[float, float], *, touch: bool = False) -> None:
    """Places as shares of the picture."""
    left, top, width, height = page.evaluate(
        "{ document.querySelector('#picture').scrollIntoView();"
        " const box = document.querySelector('#picture').getBoundingClientRect();"
        " [box.left, box.top, box.width, box.height] }"
    )
    points = [(left + x * width, top + y * height) for x, y in (start, to, to)]
    hand = Hand(page)
    if touch:
        hand._touch([list(point) for point in points])
    else:
        hand._move([list(point) for point in points], "mouse", 0.5)


def boxes(page: Page) -> list[list[float]]:
    """Left, top, right and bottom of each, as they are shown, in per cent."""
    return page.evaluate(
        "[...document.querySelectorAll('.box')].map(({ style }) => { const [x, y, w, h] ="
        " [style.left, style.top, style.width, style.height].map(parseFloat); return [x, y, x + w, y + h] })"
    )


def chosen(page: Page) -> str:
    return page.evaluate("document.activeElement.closest('li, button')?.className")


def read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def test_drawn_by_mouse_and_finger_named_and_saved(
    page: Page, served: Running, picture: Path, tmp_path: Path
) -> None:
    hand = opened(page, served)
    drag(page, (0.12, 0.30), (0.18, 0.34))
    type_text(hand, "points_1")  # its name has the focus, and is selected
    hand.key("Tab")
    type_text(hand, r"\d{1,2}")
    drag(page, (0.5, 0.5), (0.4, 0.4), touch=True)  # towards the upper left
    type_text(hand, "total")
    drag(page, (0.45, 0.45), (0.55, 0.65))  # moved
    drag(page, (0.6, 0.7), (0.64, 0.74))  # its corner: resized
    drag(page, (0.8, 0.8), (0.801, 0.8))  # a slip
    assert np.allclose(boxes(page), [[12, 30, 18, 34], [50, 60, 64, 74]], atol=0.4)
    page.evaluate("document.querySelector('#sums').focus()")
    type_text(hand, "total=points_1")
    hand.key("Enter", ctrl=True)
    until(page, "!document.querySelector('#end').hidden")
    assert "2 fields in" in hand.text("#end")
    assert served.result() is True
    form = read(tmp_path / "forms" / "exam.toml")
    assert list(form) == ["name", "picture", "field", "check"]
    assert (form["name"], form["picture"]) == ("exam", "blank exam.png")
    assert (tmp_path / "forms" / "blank exam.png").read_bytes() == picture.read_bytes()
    first, second = form["field"]
    assert first["pattern"] == r"\d{1,2}" and set(second) == {"name", "box"} and second["name"] == "total"
    assert np.allclose(first["box"], [0.12, 0.30, 0.18, 0.34], atol=0.004)
    assert all(round(edge, 4) == edge for edge in (*first["box"], *second["box"]))
    assert form["check"] == [{"sum": "total = points_1"}]


def test_keyboard_alone(page: Page, served: Running, tmp_path: Path) -> None:
    hand = opened(page, served)
    hand.key("n")
    assert chosen(page) == "box chosen"
    hand.key("ArrowRight", 4)
    hand.key("ArrowUp", 2)
    hand.key("ArrowDown", 3, shift=True)
    hand.key("ArrowLeft", 5, ctrl=True)
    assert np.allclose(boxes(page), [[41.5, 44, 61.5, 50.5]])
    assert "left 41.5 %" in page.evaluate("document.querySelector('#said').textContent")
    hand.key("N")
    hand.key("Delete")
    assert len(boxes(page)) == 1 and chosen(page) == "box chosen"
    hand.key("ArrowLeft", 200)
    assert boxes(page)[0][0] == 0, "it stays on the picture"
    hand.key("Enter")
    type_text(hand, "nn")  # in a name N is a letter
    assert len(boxes(page)) == 1
    hand.key("Enter", ctrl=True)
    until(page, "!document.querySelector('#end').hidden")
    assert [field["name"] for field in read(tmp_path / "forms" / "exam.toml")["field"]] == ["nn"]


def test_what_cannot_be_saved_is_said_and_kept(page: Page, served: Running, tmp_path: Path) -> None:
    hand = opened(page, served)

    def refused(*words: str) -> None:
        page.evaluate("document.querySelector('#why').textContent = ''")
        hand.key("Enter", ctrl=True)
        until(page, "document.querySelector('#why').innerText && !document.querySelector('#save').disabled")
        for word in words:
            assert word in hand.text("#why")

    refused("no box is drawn")
    drag(page, (0.1, 0.1), (0.2, 0.2))
    type_text(hand, "a")
    drag(page, (0.3, 0.3), (0.4, 0.4))
    type_text(hand, "a")
    refused("two fields are named a")
    assert page.evaluate("document.querySelectorAll('[aria-invalid]').length") == 1
    assert page.evaluate("document.activeElement === document.querySelectorAll('#fields input')[2]")
    type_text(hand, "b")
    hand.key("Tab")
    type_text(hand, "[")
    refused("field ab")
    page.show(served.address, width=1280)  # a reload finds all of it again
    until(page, "document.querySelectorAll('.box').length === 2")
    assert page.evaluate("[...document.querySelectorAll('#fields input')].map((each) => each.value)") == [
        "a", "", "ab", "["
    ]  # fmt: skip
    assert not (tmp_path / "forms").exists()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing(page: Page, served: Running, width: int, dark: bool) -> None:
    hand = opened(page, served, width=width, dark=dark)
    drag(page, (0.1, 0.2), (0.3, 0.4))
    drag(page, (0.5, 0.5), (0.7, 0.6), touch=True)
    assert len(boxes(page)) == 2
    page.evaluate("document.querySelector('#fields input').value = ''")
    hand.key("Enter", ctrl=True)
    until(page, "document.querySelector('#why').innerText")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


# without a browser


def save(page: Running, fields: list[dict[str, Any]], sums: list[str] | None = None) -> dict[str, Any]:
    told = page.post("save", {"fields": fields, "sums": sums or []})
    assert told.status_code == 200
    return told.json()


FIELD = {"name": "a", "box": [0.1, 0.2, 0.3, 0.4], "pattern": ""}


def test_a_file_that_is_there_is_never_replaced_unasked(picture: Path, tmp_path: Path) -> None:
    output = tmp_path / "exam.toml"
    output.write_text("mine")
    with pytest.raises(UsageError, match=r"exam\.toml is there already; .*--force"):
        draw_form(picture, output, announce=print)
    output.unlink()
    with running(partial(draw_form, picture, output), NEVER) as page:
        output.write_text("mine")  # meanwhile
        assert "is there already" in save(page, [FIELD])["why"] and output.read_text() == "mine"
        output.unlink()
        assert save(page, [FIELD])["saved"]
    with running(partial(draw_form, picture, output, replace=True), NEVER) as page:
        assert save(page, [FIELD | {"name": "b"}])["saved"]
    assert [field["name"] for field in read(output)["field"]] == ["b"]


def test_another_picture_of_that_name_is_left_alone(picture: Path, tmp_path: Path) -> None:
    other = tmp_path / picture.name
    other.write_bytes(b"another one")
    with running(partial(draw_form, picture, tmp_path / "exam.toml"), NEVER) as page:
        (tmp_path / "exam.png").write_bytes(b"and one more")
        assert "are there already" in save(page, [FIELD])["why"]
        assert not (tmp_path / "exam.toml").exists()
        (tmp_path / "exam.png").unlink()
        assert save(page, [FIELD])["picture"] == "exam.png"
    assert other.read_bytes() == b"another one" and read(tmp_path / "exam.toml")["picture"] == "exam.png"


def test_beside_its_picture_nothing_is_copied(picture: Path) -> None:
    output = picture.parent / "exam.toml"
    with running(
        partial(draw_form, picture, output, fields=[Field("a", (0.1, 0.2, 0.3, 0.4))]), NEVER
    ) as page:
        told = page.get("form").json()
        assert told["fields"] == [FIELD]
        assert save(page, told["fields"])["saved"] and page.result()
    assert sorted(path.name for path in picture.parent.iterdir()) == [picture.name, "exam.toml"]


def test_a_picture_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not there"):
        draw_form(tmp_path / "no.png", tmp_path / "exam.toml", announce=print)


@pytest.mark.parametrize(
    ("change", "sums", "found"),
    [
        ({"name": ""}, [], "without a name"),
        ({"name": "1a"}, [], "letters, digits"),
        ({"name": "a b"}, [], "letters, digits"),
        ({"name": "é"}, [], "letters, digits"),
        ({"name": 3}, [], "letters, digits"),
        ({"pattern": r"\q"}, [], "field a"),
        ({"pattern": 3}, [], "no pattern"),
        ({"box": [0.1, 0.2, 0.1, 0.4]}, [], "no size"),
        ({"box": [0.1, 0.2, 0.10004, 0.4]}, [], "no size"),
        ({"box": [0.1, 0.2, 1.1, 0.4]}, [], "outside"),
        ({"box": [0.1, 0.2, float("nan"), 0.4]}, [], "no size"),
        ({"box": ["0", 0, 1, 1]}, [], "no size"),
        ({"box": None}, [], "no size"),
        ({}, ["a"], "total = a"),
        ({}, ["a = b"], "no field is named b"),
        ({}, ["a = a +"], "sum 'a = a"),
        ({}, [3], "list of sums"),
    ],
)  # fmt: skip
def test_what_is_no_form(change: dict[str, Any], sums: list[Any], found: str) -> None:
    with pytest.raises(Mistake, match=found):
        parse_form({"fields": [FIELD | change], "sums": sums})


def test_the_toml_is_what_was_drawn() -> None:
    fields = (
        Field("a", (0.1, 0.2, 0.3, 0.4), r"\d{2}"),
        Field("b_2", (0.0, 0.0, 1.0, 1.0), r"\d{1,2}"),
    )
    text = Form.render_toml('ex"am', "ä b.png", fields, [Check("a", ("b_2",))])
    assert tomllib.loads(text) == {
        "name": 'ex"am',
        "picture": "ä b.png",
        "field": [
            {"name": "a", "box": [0.1, 0.2, 0.3, 0.4], "pattern": r"\d{2}"},
            {"name": "b_2", "box": [0.0, 0.0, 1.0, 1.0], "pattern": r"\d{1,2}"},
        ],
        "check": [{"sum": "a = b_2"}],
    }
    assert r"pattern = '\d{1,2}'" in text
