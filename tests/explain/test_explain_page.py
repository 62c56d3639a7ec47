"""The page in a real browser, and the picture."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import find_chromium
from PIL import Image
from small_models import LINEAR, MLP, small_classifier, small_images

from tenfold.arrays import ImageDataset
from tenfold.errors import UsageError
from tenfold.explain.explanation import Explanation, Subject, explain_predictions
from tenfold.show.explanation import check_target, mark_boxes, write_explanation

LONG = tuple(f"a-class-with-a-rather-long-name-without-a-space-{k}" * 2 for k in range(14))
CASES = ["digits", "linear", "long names", "nothing"]


@cache
def explanations_of(case: str) -> tuple[list[Explanation], Subject]:
    layers = LINEAR if case == "linear" else MLP
    names = LONG if case == "long names" else tuple("0123456789")
    options = {"rejects": True, "least_confidence": 0.9} if case == "digits" else {}
    classifier = small_classifier(layers, shape=(28, 28), classes=len(names), class_names=names, **options)
    images = small_images({"digits": 2, "nothing": 0}.get(case, 1), (28, 28))
    labels = np.arange(40) % len(names)
    dataset = ImageDataset(small_images(40, (28, 28), seed=5), labels, names, "drawn")
    predictions = [
        replace(each, box=(30 * number, 20, 30 * number + 28, 60))
        for number, each in enumerate(classifier.predictions(images))
    ]
    truth = names[0] if case == "linear" else None
    found = explain_predictions(classifier, predictions, dataset=dataset, truth=truth)
    picture = None if case == "linear" else Image.new("RGB", (400, 160), (240, 240, 235))
    notes = ("No neighbours: <the data> are gone & nobody knows where.",) if case == "linear" else ()
    return found, Subject(
        "a <picture> & more.jpg", tuple(predictions), picture, (200, 80), model="runs/a-model", notes=notes
    )


@pytest.fixture(scope="module", params=CASES)
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_explanation(
        tmp_path_factory.mktemp("page") / "explain.html", *explanations_of(request.param)
    )


needs_chromium = pytest.mark.skipif(find_chromium() is None, reason="no Chromium is installed")


@needs_chromium
def test_page_in_a_browser(browser_page: Any, page: Path) -> None:
    """Wide, on a phone, light and dark: no sideways scroll, nothing asked for, nothing complained of."""
    for width in (1280, 390):
        for dark in (False, True):
            browser_page.show(page, width=width, dark=dark)
            assert browser_page.evaluate("document.documentElement.scrollWidth") <= width
    broken = "[...document.images].filter(i => !i.complete || !i.naturalWidth || !i.alt).length"
    assert browser_page.evaluate(broken) == 0
    assert browser_page.complaints() == []
    others = [url for url in browser_page.requests() if not url.startswith(("file:", "data:", "about:"))]
    assert others == []


@needs_chromium
def test_page_is_accessible(browser_page: Any, page: Path) -> None:
    """axe-core, the rules of WCAG 2.1 A and AA, in both colours."""
    axe = pytest.importorskip("axe_core_python")
    (script,) = Path(axe.__file__).parent.glob("axe.min.js")
    for dark in (False, True):
        browser_page.show(page, width=1280, dark=dark)
        browser_page.evaluate(script.read_text(encoding="utf-8") + ";0")
        run = "axe.run().then(r => r.violations.map(v => v.id + ': ' + v.nodes[0].html))"
        assert browser_page.evaluate(run) == []


def test_page_holds_all_it_has_to_say(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "a &lt;picture&gt; &amp; more.jpg" in text and "<picture>" not in text
    assert "<script" not in text and not re.search(r"""(src|href)=["']?(http|//|/)""", text)
    assert len(text) < 3_000_000


def test_linear_page_states_every_sum(tmp_path: Path) -> None:
    found, shown = explanations_of("linear")
    text = write_explanation(tmp_path / "a.html", found, shown).read_text(encoding="utf-8")
    assert found[0].linear is not None
    for logit in found[0].linear.logits:
        assert f'<dd class="sum">{"−" if logit < 0 else "+"}{abs(logit):.2f}</dd>' in text
    assert "&lt;the data&gt; are gone &amp; nobody" in text


@pytest.mark.parametrize("case", CASES)
def test_picture_of_every_case(case: str, tmp_path: Path) -> None:
    found, shown = explanations_of(case)
    with Image.open(write_explanation(tmp_path / "a.png", found, shown)) as sheet:
        assert sheet.mode == "RGB" and sheet.width == 800
        assert sheet.height > 600 * max(1, len(found)) or case == "nothing"


def test_boxes_stand_where_the_digits_do() -> None:
    found, shown = explanations_of("digits")
    drawn = np.asarray(mark_boxes(replace(shown, predictions=(found[1].prediction,)), 400)).astype(int)
    changed = np.argwhere((drawn != (240, 240, 235)).any(axis=2))
    # the box (30, 20, 58, 60) of 200 x 80 pixels, twice as large, and 3 pixels around it
    assert changed.min(axis=0).tolist() == [37, 57] and changed.max(axis=0).tolist() == [123, 119]


def test_other_kinds_of_files_are_refused() -> None:
    for name in ("a.txt", "explain", "a.htm.gz"):
        with pytest.raises(UsageError, match="neither a page nor a picture"):
            check_target(Path(name))
    for name in ("a.html", "a.HTM", "b/c.PNG"):
        check_target(Path(name))
