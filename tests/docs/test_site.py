"""The documentation site: built strictly, links resolve, and a real browser asks for nothing elsewhere."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from browser import Page
from latex2mathml.converter import convert
from web_host import host

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without the notebooks, which are executed elsewhere."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env=os.environ | {"TENFOLD_DOCS_NOTEBOOKS": "false", "NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    with host({"/": site}) as base:
        yield base


class _Places(HTMLParser):
    """What a page refers to, and the names within it."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.names: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.links += [value for key in ("href", "src") if (value := given.get(key))]
        self.names |= {value for key in ("id", "name") if (value := given.get(key))}


def _places(path: Path) -> _Places:
    parsed = _Places()
    parsed.feed(path.read_text(encoding="utf-8"))
    return parsed


def test_all_links_resolve_inside_the_site(site: Path) -> None:
    pages = {path: _places(path) for path in site.rglob("*.html")}
    assert len(pages) > 15
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme == "data" or (path.name == "404.html" and link.startswith("/")):
                continue
            if parts.netloc == "squidfunk.github.io":  # the theme's name in the footer, a link to click on
                continue
            assert not parts.netloc, f"{path}: {link}"
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            assert target.is_file(), f"{path}: {link}"
            if parts.fragment and target in pages:
                assert unquote(parts.fragment) in pages[target].names | {"__skip"}, f"{path}: {link}"


def test_formulas_are_shown_by_the_browser_itself(site: Path) -> None:
    text = (site / "explanation" / "mathematics.html").read_text(encoding="utf-8")
    assert "arithmatex" not in text
    assert text.count("<math") > 30
    assert convert(r"p = \mathrm{softmax}(z / T)", display="block") in text


def test_tables_come_from_the_readme(site: Path) -> None:
    table = (ROOT / "README.md").read_text(encoding="utf-8").partition("<!-- figures -->\n")[2]
    first = table.splitlines()[2].split("|")[1].strip()
    assert f"<td>{first}</td>" in (site / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(("width", "dark"), [(390, False), (1280, True)])
def test_pages_in_a_browser(site: Path, address: str, browser_page: Page, width: int, dark: bool) -> None:
    for path in sorted(site.rglob("*.html")):
        browser_page.show(f"{address}/{path.relative_to(site).as_posix()}", width=width, dark=dark)
        wide = browser_page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, path
    assert browser_page.complaints() == []
    asked = {urlsplit(url).netloc for url in browser_page.requests() if url.startswith("http")}
    assert asked == {urlsplit(address).netloc}


def test_colours_follow_the_reader(address: str, browser_page: Page) -> None:
    colours = []
    for dark in (False, True):
        browser_page.show(f"{address}/index.html", width=1280, dark=dark)
        colours.append(browser_page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert colours == ["rgb(255, 255, 255)", "rgb(20, 24, 31)"]


@pytest.mark.parametrize("opened", ["served", "from the disk"])
def test_search_finds_without_network(site: Path, address: str, browser_page: Page, opened: str) -> None:
    browser_page.show(f"{address}/index.html" if opened == "served" else site / "index.html", width=1280)
    browser_page.evaluate("document.querySelector('.md-search__input').focus()")
    browser_page.call("Input.insertText", text="temperature")
    found = browser_page.evaluate(
        """new Promise(done => { const look = () => {
             const links = [...document.querySelectorAll('.md-search-result__link')];
             links.length ? done(links.map(link => link.href).join()) : setTimeout(look, 50) }; look() })"""
    )
    assert "explanation/mathematics.html" in found
    assert browser_page.complaints() == []
    assert {urlsplit(url).netloc for url in browser_page.requests()} <= {urlsplit(address).netloc, ""}


@pytest.mark.parametrize("program", ["write_api", "write_recipe_keys"])
def test_reference_is_what_the_code_says(program: str) -> None:
    namespace = runpy.run_path(str(SCRIPTS / f"{program}.py"))
    written = namespace["PAGE"].read_text(encoding="utf-8")
    assert written == namespace["page"](), f"run: python scripts/{program}.py"
