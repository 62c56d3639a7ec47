"""The page in a real browser: no overflow on a phone, no complaint, no request but for itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from browser import find_chromium
from report_runs import make_dataset, make_recipe, make_run, start_run

from tenfold.report.write import write_report

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
