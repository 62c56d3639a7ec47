"""The frame and the style that all pages share, and pictures as coloured characters."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import jinja2
import numpy as np
import pytest
from browser import Page
from markupsafe import Markup

import tenfold
from tenfold.explain.explanation import Subject
from tenfold.show import charts
from tenfold.show.components import colour_blocks, half_blocks, render_page

STYLE = files("tenfold.show").joinpath("templates", "base.css").read_text(encoding="utf-8")
LIGHT, DARK, PRINT = (dict(re.findall(r"--(\w+): (#\w{6})", block)) for block in STYLE.split(":root")[1:4])
FRAMED = ["explain.css.j2", "explore.css", "doctor.css", "report.css.j2"]


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, section 1.4.3."""
    levels = []
    for colour in (one, other):
        share = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
        linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
        levels.append(float(linear @ (0.2126, 0.7152, 0.0722)) + 0.05)
    return max(levels) / min(levels)


@pytest.mark.parametrize("colours", [LIGHT, DARK, PRINT], ids=["light", "dark", "print"])
def test_every_colour_of_text_can_be_read(colours: dict[str, str]) -> None:
    assert set(colours) == set(LIGHT)
    for text in ("ink", "muted", "accent", "second", "good", "bad"):
        for ground in ("page", "surface"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)


def test_charts_are_drawn_in_the_colours_of_the_light_page() -> None:
    for name in ("ink", "muted", "line", "accent", "second", "good", "bad"):
        assert getattr(charts, name.upper()) == LIGHT[name]


def test_no_package_repeats_the_common_style() -> None:
    """Neither its colours nor any of its rules."""
    ours = {line for line in STYLE.splitlines() if line.endswith("}") and len(line) > 40}
    found = [
        path
        for path in Path(tenfold.__file__).parent.glob("*/templates/*.css*")
        if path.name != "base.css" and "pages" not in path.parts
    ]
    assert sorted(path.name for path in found) == sorted(FRAMED)
    for path in found:
        text = path.read_text(encoding="utf-8")
        assert not ours & set(text.splitlines()) and "--page:" not in text


def test_a_package_must_say_what_its_page_is() -> None:
    with pytest.raises(jinja2.TemplateRuntimeError, match="Required block 'title' not found"):
        render_page("base.html.j2", {})


def test_links_at_the_top_and_escaping(browser_page: Page, tmp_path: Path) -> None:
    context: dict[str, object] = {"subject": Subject("<b>&"), "picture": None, "digits": []}
    context |= {"contents": [("one", "A <link>")]}
    path = tmp_path / "page.html"
    context |= {"script": Markup("document.title += '; ran';")}
    path.write_text(render_page("explain.html.j2", context), "utf-8")
    browser_page.show(path, width=390)
    assert browser_page.evaluate("document.title") == "<b>& explained – tenfold; ran"
    assert browser_page.evaluate("document.querySelector('nav a').textContent") == "A <link>"
    assert browser_page.evaluate("document.querySelector('nav a').hash") == "#one"
    assert browser_page.complaints() == []


def test_colours_of_the_upper_and_the_lower_pixel() -> None:
    pixels = np.arange(18, dtype=np.uint8).reshape(3, 2, 3)
    lines = colour_blocks(pixels)
    assert [line.plain for line in lines] == ["▀▀", "▀▀"]
    assert str(lines[0].spans[1].style) == "rgb(3,4,5) on rgb(9,10,11)"
    assert str(lines[1].spans[0].style) == "rgb(12,13,14) on rgb(0,0,0)"


def test_grey_is_a_colour_with_three_equal_parts() -> None:
    image = np.array([[200, 40], [7, 90]], np.uint8)
    assert half_blocks(image, grey=True) == colour_blocks(np.stack([image] * 3, axis=2))
