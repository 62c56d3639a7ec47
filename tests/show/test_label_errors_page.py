"""The page of likely label errors: what it says, and that a browser shows it without complaint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from browser import Page

from tenfold.arrays import ImageDataset
from tenfold.evaluation.label_errors import LabelErrors, find_label_errors
from tenfold.show.pages import write_label_errors_page


@pytest.fixture(scope="module")
def found(blobs: ImageDataset) -> LabelErrors:
    """Twenty of 600 labels are wrong: 7, 27, ..., whose middle pixels shine elsewhere."""
    probs = np.full((600, 3), 0.02)
    probs[np.arange(600), blobs.labels] = 0.96
    wrong = np.arange(7, 407, 20)
    probs[wrong] = np.roll(probs[wrong], 1, axis=1)
    return find_label_errors(probs, blobs.labels, note="Judged by hand.")


def test_what_it_says(found: LabelErrors, blobs: ImageDataset, tmp_path: Path) -> None:
    write_label_errors_page(found, blobs, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<strong>20</strong>" in text and "Judged by hand." in text
    assert text.count("<li><img") == 20 and "middle → right?" in text
    assert "http://" not in text and "https://" not in text


def test_nothing_to_say(blobs: ImageDataset, tmp_path: Path) -> None:
    sure = np.eye(3)[blobs.labels]
    write_label_errors_page(find_label_errors(sure, blobs.labels), blobs, tmp_path / "page.html")
    assert "No label is likely wrong." in (tmp_path / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_in_a_browser(
    browser_page: Page, found: LabelErrors, blobs: ImageDataset, tmp_path: Path, width: int, dark: bool
) -> None:
    write_label_errors_page(found, blobs, tmp_path / "page.html")
    browser_page.show(tmp_path / "page.html", width=width, dark=dark)
    assert browser_page.evaluate("document.documentElement.scrollWidth") <= width
    loaded = "[...document.images].filter(i => i.complete && i.naturalWidth > 0).length"
    assert browser_page.evaluate(loaded) == 20
    assert not browser_page.complaints()
