"""The page for every reader: by keyboard, by ear, on any width, under its own rules, and small."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import axe_core_python
import httpx
import pytest
from browser import Page
from lab import STATIC
from page_hand import Hand, in_a_row
from page_hosts import Served

from tenfold.synthesis.glyphs import load_glyphs

AXE = (Path(axe_core_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
GLYPHS = {glyph.label: glyph.strokes for glyph in reversed(load_glyphs())}
MARKS = Path(__file__).parents[2] / "examples" / "marks.jpg"
NOTE = Path(__file__).parents[2] / "examples" / "note.jpg"
BUDGET = 120_000  # bytes before the model
STOPS = ("pad", "undo", "clear", "width", "open", "camera", "why")


@pytest.fixture
def page(browser_page: Page) -> Iterator[Page]:
    """It must not complain."""
    browser_page.events.clear()
    yield browser_page
    assert browser_page.complaints() == []


def opened(page: Page, address: str, **options: Any) -> Hand:
    page.show(address, **options)
    hand = Hand(page)
    hand.wait()
    return hand


def write(hand: Hand, text: str) -> None:
    drawings = [[stroke[::3] for stroke in GLYPHS[label]] for label in text]
    hand.draw(in_a_row(drawings, aspect=hand.aspect()))


def violations(page: Page) -> list[str]:
    """What axe-core finds serious or critical, with the place."""
    found = page.evaluate(
        "axe.run(document, { resultTypes: ['violations'] }).then((found) => found.violations)"
    )
    return [
        f"{rule['id']}: {[node['html'] for node in rule['nodes']]}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_serious(page: Page, served: Served, width: int, dark: bool) -> None:
    hand = opened(page, served.address, width=width, dark=dark)
    page.call("Runtime.evaluate", expression=AXE)
    assert violations(page) == []
    write(hand, "35R")
    assert hand.count("#marks button") >= 2 and hand.count("#correct:not([hidden]) #right") == 1
    page.evaluate("new Promise((done) => setTimeout(done, 200))")  # bars glide to their length
    assert violations(page) == []
    hand.open(MARKS)
    assert hand.count("#rows button") > 4
    assert violations(page) == []
    page.evaluate("document.querySelector('#shooting').showModal()")
    assert violations(page) == []


def test_all_is_reached_by_the_tab_key(page: Page, served: Served) -> None:
    hand = opened(page, served.address, width=1000)
    hand.open(NOTE)
    met, unseen = [], []
    for _ in range(40):
        hand.key("Tab")
        name, outlined = page.evaluate(
            "{ const at = document.activeElement, style = getComputedStyle(at);"
            " [at.id || at.textContent.trim(), style.outlineStyle !== 'none'] }"
        )
        met.append(name)
        unseen += [] if outlined or at_end(name) else [name]
    order = [name for name in met if name in STOPS]
    assert tuple(order[: len(STOPS)]) == STOPS and not unseen
    assert met[0] == "Skip to what was read"
    rest = [met.index(name) for name in ("3", "1", "right", "keep", "none", "openapi.json")]
    assert rest == sorted(rest)


def at_end(name: str) -> bool:
    """Past the last stop the browser's own bars are next, and the body has the focus."""
    return "tenfold" in name


def test_what_is_read_is_said_once_and_not_while_it_grows(page: Page, served: Served) -> None:
    hand = opened(page, served.address, width=1000)
    page.evaluate(
        "{ const said = document.querySelector('#said'); self.heard = [];"
        " new MutationObserver(() => heard.push(said.textContent)).observe(said, { childList: true }) }"
    )
    write(hand, "7")
    assert page.evaluate("self.heard") == ["Read: 7"]
    assert hand.count("[aria-live], [role=status], [role=alert]") == 3  # and corrections, and changed ink
    assert page.evaluate("document.querySelector('#seen').ariaLabel").endswith(": 7")


@pytest.mark.parametrize("width", [320, 390, 1280, 2560])
def test_nothing_lies_beside_the_window(page: Page, served: Served, width: int) -> None:
    hand = opened(page, served.address, width=width)
    write(hand, "3141592")
    assert hand.count("#boxes div") >= 5
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    spilling = page.evaluate(
        "[...document.querySelectorAll('main *, header *, footer *')].filter((part) =>"
        " part.getClientRects().length && !part.closest('.unseen, #pad-help, #boxes')"
        " && part.getBoundingClientRect().right > innerWidth + 0.5).map((part) => part.outerHTML)"
    )
    assert spilling == []
    hand.open(MARKS)
    assert hand.count("#rows button") > 4
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_page_opened_from_disk_says_what_to_do(browser_page: Page) -> None:
    for name in ("index.html", "lab/index.html"):
        browser_page.show(STATIC / name, width=600)
        said = browser_page.evaluate("document.querySelector('#state').textContent")
        assert "python3 -m http.server" in said, name
    browser_page.show("about:blank", width=600)
    browser_page.events.clear()


def test_forced_colours_show_bars_and_what_is_chosen(page: Page, served: Served) -> None:
    hand = opened(page, served.address, width=1000)
    write(hand, "35")
    page.call("Emulation.setEmulatedMedia", features=[{"name": "forced-colors", "value": "active"}])
    bar, field = page.evaluate(
        "[getComputedStyle(document.querySelector('#bars .best .bar'), '::before').backgroundColor,"
        " getComputedStyle(document.body).backgroundColor]"
    )
    chosen, other = page.evaluate(
        "['true', 'false'].map((pressed) => getComputedStyle("
        "document.querySelector(`#marks button[aria-pressed=${pressed}]`)).backgroundColor)"
    )
    page.call("Emulation.setEmulatedMedia", features=[])
    assert bar != field and chosen != other


def test_the_page_asks_its_own_host_only(page: Page, served: Served, bundled: str) -> None:
    for address in (served.address, bundled):
        page.events.clear()
        write(opened(page, address, width=1000), "5")
        asked = {urlsplit(url).netloc for url in page.requests() if url.startswith("http")}
        assert asked == {urlsplit(address).netloc}


def test_the_policy_is_strict(served: Served) -> None:
    policy = httpx.get(served.address).headers["content-security-policy"]
    rules = dict(part.split(maxsplit=1) for part in policy.split("; "))
    assert rules["default-src"] == "'self'" and "script-src" not in rules and "style-src" not in rules
    assert "unsafe" not in policy


def test_all_before_the_model_is_small(page: Page, served: Served, bundled: str) -> None:
    for kind, address in (("server", served.address), ("bundle", bundled)):
        page.events.clear()
        write(opened(page, address, width=1000), "5")  # whatever is loaded late is loaded now
        own = {url for url in page.requests() if url.startswith(address) and "/v1/" not in url}
        if kind == "bundle":  # its worker's modules are asked for out of the page's sight
            listed = httpx.get(f"{address}sw.js").text.split("FILES = [")[1].split("]")[0]
            names = [name.strip(' "') for name in listed.split(",")]
            own = {f"{address}{name.removeprefix('./')}" for name in names if not name.startswith("model/")}
        total = sum(len(httpx.get(url).content) for url in own)
        assert 20_000 < total < BUDGET, f"{kind}: {len(own)} files"


def test_the_answer_is_measured(page: Page, served: Served) -> None:
    """From the pen's lifting to the answer shown: what the browser's own tools show as "answer"."""
    hand = opened(page, served.address, width=1000)
    write(hand, "5")
    durations = page.evaluate("performance.getEntriesByName('answer').map((each) => each.duration)")
    assert len(durations) >= 1 and all(duration > 0 for duration in durations)
