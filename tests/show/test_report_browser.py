"""The page in a real browser: no overflow on a phone, no complaint, no request but for itself."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from browser import find_chromium
from report_runs import make_dataset, make_recipe, make_run, start_run

from tenfold.show.report import write_report

pytestmark = pytest.mark.skipif(find_chromium() is None, reason="no Chromium is installed")


@pytest.fixture(scope="module", params=["digits", "long names", "just started"])
def report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "a-run"
    if request.param == "just started":
        return write_report(start_run(folder, make_recipe(), command="tenfold train " + "x" * 200))
    long = tuple(f"a-class-with-a-rather-long-name-without-a-space-{k}" * 2 for k in range(14))
    names = tuple("0123456789") if request.param == "digits" else long
    return write_report(make_run(folder, make_dataset(names, (28, 28), count=200)))


@pytest.mark.parametrize("width", [1280, 390, 320])
def test_page_never_scrolls_sideways(browser_page: Any, report: Path, width: int) -> None:
    browser_page.show(report, width=width)
    assert browser_page.evaluate("window.innerWidth") == width
    assert browser_page.evaluate("document.documentElement.scrollWidth") <= width


def test_page_is_quiet_and_asks_for_nothing_else(browser_page: Any, report: Path) -> None:
    browser_page.show(report, width=1280)
    assert browser_page.complaints() == []
    others = [url for url in browser_page.requests() if not url.startswith(("file:", "data:", "about:"))]
    assert others == []


def test_charts_follow_the_preferred_colours(browser_page: Any, report: Path) -> None:
    ask = "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    lightness = {}
    for dark in (False, True):
        browser_page.show(report, width=1280, dark=dark)
        pairs = [browser_page.evaluate(ask)]
        if browser_page.evaluate("document.querySelectorAll('svg text').length"):
            fill = "getComputedStyle(document.querySelector('svg text')).fill"
            pairs.append([pairs[0][0], browser_page.evaluate(fill)])
        assert all(_contrast(*pair) > 4.5 for pair in pairs)  # WCAG 2.1, level AA
        lightness[dark] = _luminance(pairs[0][0])
    assert lightness[False] > 0.8 > 0.1 > lightness[True]


def _luminance(colour: str) -> float:
    """Relative luminance of "rgb(r, g, b)" as WCAG 2.1 defines it."""
    shares = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, two: str) -> float:
    low, high = sorted((_luminance(one), _luminance(two)))
    return (high + 0.05) / (low + 0.05)


def test_pictures_are_drawn(browser_page: Any, report: Path) -> None:
    browser_page.show(report, width=390)
    broken = "[...document.images].filter(i => !i.complete || !i.naturalWidth).length"
    assert browser_page.evaluate(broken) == 0


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("opened") / "a-run"
    return write_report(make_run(folder, make_dataset(tuple("0123456789"), (28, 28), count=200)))


def _press(page: Any, key: str, text: str = "", code: int = 0) -> None:
    extra = {"text": text} if text else {}
    page.call("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **extra)
    page.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)


@pytest.mark.parametrize("width", [1280, 390])
def test_cells_open_and_close_by_keyboard(browser_page: Any, digits: Path, width: int) -> None:
    browser_page.show(digits, width=width)
    opened = "[...document.querySelectorAll('[popover]:popover-open')].map(each => each.id)"
    cell = "document.querySelector('.matrix .slip')"
    assert browser_page.evaluate(opened) == []
    browser_page.evaluate(f"{cell}.focus()")
    _press(browser_page, "Enter", "\r", 13)
    wanted = browser_page.evaluate(f"{cell}.getAttribute('popovertarget')")
    assert browser_page.evaluate(opened) == [wanted]
    box = browser_page.evaluate(
        "(r => [r.left, r.right, r.top])(document.querySelector(':popover-open').getBoundingClientRect())"
    )
    assert 0 <= box[0] < box[1] <= width and box[2] >= 0
    strip = "getComputedStyle(document.querySelector(':popover-open li'), '::before').backgroundImage"
    assert browser_page.evaluate(strip).startswith('url("data:image/png')
    _press(browser_page, "Escape", code=27)
    assert browser_page.evaluate(opened) == []


def test_arrow_keys_go_from_cell_to_cell(browser_page: Any, digits: Path) -> None:
    browser_page.show(digits, width=1280)
    browser_page.evaluate("document.querySelector('[popovertarget=cell-3-3]').focus()")
    columns, at = "[...document.activeElement.closest('tr').querySelectorAll('button')]", []
    for _ in range(2):
        at.append(browser_page.evaluate(f"{columns}.indexOf(document.activeElement)"))
        _press(browser_page, "ArrowRight", code=39)
    assert browser_page.evaluate("document.activeElement.getAttribute('popovertarget')").startswith("cell-3")
    assert at[1] in (at[0], at[0] + 1)  # the next, or the last stays


def test_curves_are_read_by_pointer_and_by_keyboard(browser_page: Any, digits: Path) -> None:
    browser_page.show(digits, width=1280)
    read = "document.querySelector('#training .readout').textContent"
    resting = browser_page.evaluate(read)
    assert resting == "Epoch 3: training 0.3333, validation 0.3667"
    browser_page.evaluate("document.documentElement.style.scrollBehavior = 'auto'")
    left, top, width, height = browser_page.evaluate(
        "(r => [r.x, r.y, r.width, r.height])((s => { s.scrollIntoView({block: 'center'}); "
        "return s.getBoundingClientRect() })(document.querySelector('#training .plot svg')))"
    )
    near_left = {"x": left + 0.2 * width, "y": top + height / 2}
    browser_page.call("Input.dispatchMouseEvent", type="mouseMoved", **near_left)
    assert browser_page.evaluate(read) == "Epoch 1: training 1.0000, validation 1.1000 (published 1.9808)"
    assert browser_page.evaluate("document.querySelectorAll('#training .mark circle').length") == 3
    browser_page.call("Input.dispatchMouseEvent", type="mouseMoved", x=2, y=2)
    assert browser_page.evaluate(read) == resting
    browser_page.evaluate("document.querySelector('#training .plot').focus()")
    _press(browser_page, "ArrowLeft", code=37)
    assert browser_page.evaluate(read) == "Epoch 2: training 0.5000, validation 0.5500 (published 1.7033)"
    _press(browser_page, "Home", code=36)
    assert browser_page.evaluate(read).startswith("Epoch 1:")


def test_marks_lie_on_the_curves(browser_page: Any, digits: Path) -> None:
    """The dots that the script draws stand where matplotlib drew the curve."""
    browser_page.show(digits, width=1280)
    browser_page.evaluate("document.querySelector('#training .plot').focus()")
    dots = browser_page.evaluate(
        "[...document.querySelectorAll('#training .mark circle')].map(c => [+c.getAttribute('cx'), "
        "+c.getAttribute('cy')])"
    )
    lines = browser_page.evaluate(
        "[...document.querySelectorAll('#training .plot svg g[id^=\"loss-line2d\"] path')]"
        ".map(p => p.getAttribute('d'))"
    )
    ends = [[float(value) for value in line.split()[-2:]] for line in lines if line.count("L") == 2]
    for dot in dots:
        assert any(abs(dot[0] - x) < 0.2 and abs(dot[1] - y) < 0.2 for x, y in ends)


def test_printed_it_is_black_on_white_and_some_pages_long(browser_page: Any, digits: Path) -> None:
    browser_page.show(digits, width=1280, dark=True)
    printed = browser_page.call("Page.printToPDF", preferCSSPageSize=True)
    pdf = base64.b64decode(printed["data"])
    assert 5 <= pdf.count(b"/Type /Page\n") <= 25
    dark = {"name": "prefers-color-scheme", "value": "dark"}
    browser_page.call("Emulation.setEmulatedMedia", media="print", features=[dark])
    colours = "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    assert browser_page.evaluate(colours) == ["rgb(255, 255, 255)", "rgb(0, 0, 0)"]
    assert browser_page.evaluate("document.querySelector('nav').checkVisibility()") is False
    browser_page.call("Emulation.setEmulatedMedia", media="")
