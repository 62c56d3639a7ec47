"""The page and the picture of a data set: in a real browser, wide and narrow, light and dark."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import find_chromium
from looked_at import explorations, letters
from PIL import Image

from tenfold.errors import UsageError
from tenfold.explore.look import Record
from tenfold.show.data_page import write_page, write_poster

needs_chromium = pytest.mark.skipif(find_chromium() is None, reason="no Chromium is installed")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    return {kind: write_page(seen, folder / f"{kind}.html") for kind, seen in explorations().items()}


def test_what_stands_on_the_page(pages: dict[str, Path]) -> None:
    text = pages["letters"].read_text(encoding="utf-8")
    assert (
        "<script" not in text
        and not re.search(r"\son\w+=", text)
        and "http" not in re.sub(r'http-equiv="[^"]*"', "", text)
    )
    assert "equal, across train and test, labelled differently" in text
    assert "Equal: 6 images in 3 groups, 2 across train and test, 1 labelled differently." in text
    assert text.count('alt="mean of ') == text.count('alt="spread of ') == 3
    cells = re.findall(r'<td(?: class="light")? style="background: rgb\((\d+), \1, \1\)">\1</td>', text)
    assert [int(cell) for cell in cells] == letters()["train"].images[0].ravel().tolist()
    assert "a note" in pages["an empty class"].read_text(encoding="utf-8")
    assert "with &lt;b&gt;nothing&lt;/b&gt; in a class" in pages["an empty class"].read_text(encoding="utf-8")
    assert "Too large for a table" in pages["two classes, large"].read_text(encoding="utf-8")
    assert all(page.stat().st_size < 3_000_000 for page in pages.values())


def test_the_same_data_make_the_same_page(pages: dict[str, Path], tmp_path: Path) -> None:
    again = write_page(explorations()["letters"], tmp_path / "again.html")
    assert again.read_bytes() == pages["letters"].read_bytes()


def test_the_record_that_was_asked_for(tmp_path: Path) -> None:
    record = Record.find(letters(), 43)
    text = write_page(explorations()["letters"], tmp_path / "a.html", record=record).read_text("utf-8")
    assert "letters (test), image 3<br>label <strong>b</strong>" in text


@needs_chromium
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("kind", explorations())
def test_page_never_scrolls_sideways(
    browser_page: Any, pages: dict[str, Path], kind: str, width: int
) -> None:
    browser_page.show(pages[kind], width=width, dark=width == 390)
    assert browser_page.evaluate("document.documentElement.scrollWidth") <= width
    broken = "[...document.images].filter(i => !i.complete || !i.naturalWidth).length"
    assert browser_page.evaluate(broken) == 0
    stretched = "i.width / i.height - i.naturalWidth / i.naturalHeight"
    assert browser_page.evaluate(f"[...document.images].every(i => Math.abs({stretched}) < .1)")


@needs_chromium
def test_page_is_quiet_and_asks_for_nothing(browser_page: Any, pages: dict[str, Path]) -> None:
    browser_page.show(pages["letters"], width=1280)
    assert browser_page.complaints() == []
    others = [url for url in browser_page.requests() if not url.startswith(("file:", "data:", "about:"))]
    assert others == []


@needs_chromium
def test_page_follows_the_preferred_colours(browser_page: Any, pages: dict[str, Path]) -> None:
    seen = []
    for dark in (False, True):
        browser_page.show(pages["letters"], width=390, dark=dark)
        seen.append(browser_page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert seen == ["rgb(255, 255, 255)", "rgb(20, 24, 31)"]


@needs_chromium
def test_bars_are_as_long_as_the_counts(browser_page: Any, pages: dict[str, Path]) -> None:
    browser_page.show(pages["letters"], width=1280)
    length = "[...bar.children].reduce((sum, part) => sum + part.offsetWidth, 0)"
    lengths = browser_page.evaluate(f"[...document.querySelectorAll('.bar')].map(bar => {length})")
    lengths = np.array(lengths)
    np.testing.assert_allclose(lengths / lengths[0], [1, 18 / 28, 4 / 28], atol=0.01)


@pytest.mark.parametrize("kind", explorations())
def test_a_picture_of_every_kind(tmp_path: Path, kind: str) -> None:
    path = write_poster(explorations()[kind], tmp_path / "a.png")
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("L"))
    assert pixels.shape[1] == 1320 and pixels.min() < 40 < 250 < pixels.max()


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    for write in (write_page, write_poster):
        with pytest.raises(UsageError, match="is a folder; expected a file's name"):
            write(explorations()["letters"], tmp_path)
