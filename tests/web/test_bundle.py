"""The browser bundle: served from a sub-folder of a static host, read, and read again without the host."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import Page
from page_hand import Hand
from some_classifiers import classifier_of
from web_host import host

from tenfold.errors import UsageError
from tenfold.export.web import export_web
from tenfold.reader.line_reader import load_reader
from tenfold.recipes.load import get_recipe

TWO = Path(__file__).parents[2] / "examples" / "two.png"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_web(load_reader(), tmp_path_factory.mktemp("site") / "some" / "where")


@pytest.fixture(scope="module")
def address(bundle: Path) -> Iterator[str]:
    with host({"/": bundle.parents[1]}) as root:
        yield f"{root}/some/where/"


READY = """new Promise((done, fail) => {
  const began = Date.now();
  (function look() {
    if (document.documentElement.dataset.ready) done(true);
    else if (Date.now() - began > 20000) fail(new Error(document.body.innerText));
    else setTimeout(look, 20);
  })();
})"""


def names_of(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_page_starts_anywhere_and_asks_only_its_own_folder(browser_page: Page, address: str) -> None:
    browser_page.show(address, width=1000)
    assert browser_page.evaluate(READY)
    assert browser_page.complaints() == []
    asked = [url for url in browser_page.requests() if not url.startswith(("blob:", "data:", "about:"))]
    assert asked and all(url.startswith(address) for url in asked)


def text_read(page: Page, picture: Path) -> str:
    """What the page says of a picture that its file button is given."""
    root = page.call("DOM.getDocument")["root"]["nodeId"]
    button = page.call("DOM.querySelector", nodeId=root, selector="#file")["nodeId"]
    page.call("DOM.setFileInputFiles", files=[str(picture)], nodeId=button)
    said = "document.querySelector('#state').textContent"
    answered = f"/ ms$/.test({said})"
    page.evaluate(
        f"new Promise((done) => (function look() {{ {answered} ? done() : setTimeout(look, 20); }})())"
    )
    return page.evaluate("document.querySelector('#text').textContent")


def test_it_reads_and_reads_on_without_its_host(browser_page: Page, bundle: Path) -> None:
    expected = load_reader().read(TWO).text
    with host({"/": bundle.parents[1]}) as root:
        browser_page.show(f"{root}/some/where/", width=1000)
        browser_page.evaluate(READY)
        controlled = "navigator.serviceWorker.ready.then((found) => found.active.scriptURL)"
        assert browser_page.evaluate(controlled) == f"{root}/some/where/sw.js"
        assert text_read(browser_page, TWO) == expected
    for name in ("", "index.html", "?utm=1"):
        browser_page.show(f"{root}/some/where/{name}", width=1000)
        assert browser_page.evaluate(READY)
        assert text_read(browser_page, TWO) == expected


def test_a_classifier_reads_one_digit_per_picture(browser_page: Page, tmp_path: Path) -> None:
    classifier = classifier_of(get_recipe("mlp-small"), background="dark")
    with host({"/": export_web(classifier, tmp_path / "site")}) as root:
        browser_page.events.clear()
        browser_page.show(f"{root}/", width=1000)
        hand = Hand(browser_page)
        hand.wait()
        hand.open(TWO)
        wanted = classifier.classify(TWO)
        assert hand.text("#text") == wanted.label == hand.text("#bars .best .name")
        assert (
            hand.count("#boxes div") == 0 and hand.count("#line[hidden], #sure[hidden], #marks[hidden]") == 3
        )
        assert browser_page.complaints() == []


def test_the_service_worker_knows_every_file(bundle: Path) -> None:
    code = (bundle / "sw.js").read_text()
    files = json.loads(re.search(r"const FILES = (\[.*\]);", code)[1])
    later = {name for name in names_of(bundle) if name.startswith(("lab/", "js/inside", "js/network/more"))}
    assert {"index.html" if name == "./" else name for name in files} == names_of(bundle) - later - {"sw.js"}
    assert {"lab/index.html", "lab/sample.bin.gz", "js/inside.js"} < later  # kept when they are first used


def test_the_service_worker_changes_with_the_model_and_with_nothing_else(
    bundle: Path, tmp_path: Path
) -> None:
    again = export_web(load_reader(), tmp_path / "again")
    other = export_web(classifier_of(get_recipe("mlp-small"), background="dark"), tmp_path / "other")
    assert (again / "sw.js").read_bytes() == (bundle / "sw.js").read_bytes()
    assert (other / "sw.js").read_bytes() != (bundle / "sw.js").read_bytes()


# SVG's namespace is a name, and localhost is what a person is told to open.
_FOREIGN = r"\beval\(|new Function\(|https?://(?!www\.w3\.org/2000/svg|localhost:8000)"


def test_nothing_runs_from_within_the_page(bundle: Path) -> None:
    page = (bundle / "index.html").read_text()
    assert re.findall(r"<script(?![^>]*\bsrc=)", page) == []
    assert re.findall(r"\son[a-z]+\s*=|javascript:|\sstyle\s*=", page) == []
    assert not [name for name in names_of(bundle) if name.endswith(".js") and
                re.search(_FOREIGN, (bundle / name).read_text())]  # fmt: skip


def test_the_browser_is_told_to_run_nothing_else(browser_page: Page, address: str) -> None:
    browser_page.show(address, width=1000)
    assert browser_page.evaluate(READY)
    assert browser_page.complaints() == []
    browser_page.evaluate(
        "{ const inline = document.createElement('script'); inline.textContent = 'self.intruder = 1';"
        " document.head.append(inline); }"
    )
    assert browser_page.evaluate("self.intruder === undefined")
    said = browser_page.evaluate("fetch('https://example.org/').then(() => 'sent', (error) => error.name)")
    assert said == "TypeError"
    violations = [text for text in browser_page.complaints() if "Content Security Policy" in text]
    assert len(violations) >= 2
    browser_page.events.clear()


def test_a_bundle_is_replaced_and_what_stands_beside_it_left(tmp_path: Path) -> None:
    folder = export_web(classifier_of(get_recipe("mlp-small"), background="dark"), tmp_path / "site")
    (folder / "CNAME").write_text("digits.example")
    export_web(load_reader(), folder)
    assert json.loads((folder / "model" / "card.json").read_text())["kind"] == "line reader"
    assert (folder / "CNAME").read_text() == "digits.example"
    assert json.loads((folder / "config.json").read_text())["backend"] == "local"


@pytest.mark.parametrize("name", ["a file", "a folder"])
def test_what_is_not_a_bundle_is_left_alone(tmp_path: Path, name: str) -> None:
    place = tmp_path / name
    inside: Any = place / "thesis.txt"
    if name == "a file":
        inside = place
    else:
        place.mkdir()
    inside.write_text("three years")
    with pytest.raises(UsageError, match=r"is there already.*name another with --out"):
        export_web(load_reader(), place)
    assert inside.read_text() == "three years" and names_of(tmp_path) == {
        inside.relative_to(tmp_path).as_posix()
    }


@pytest.mark.parametrize("card", [{"background": "light"}, {"shape": (12, 10), "background": "dark"}])
def test_what_reads_no_ink_is_refused(tmp_path: Path, card: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"expected one that reads handwriting.*--to onnx"):
        export_web(classifier_of(get_recipe("mlp-small"), **card), tmp_path / "site")
    assert not list(tmp_path.iterdir())
