"""Pages about pictures of a folder: files instead of places, escaped, and never wider than a phone."""

from __future__ import annotations

from dataclasses import replace
from html import escape
from pathlib import Path

import numpy as np
import pytest
from browser import Page
from report_runs import make_dataset, make_recipe, make_run

from tenfold.arrays import ImageDataset
from tenfold.evaluation.label_errors import find_label_errors
from tenfold.show.pages import write_comparison, write_label_errors_page
from tenfold.show.report import write_report

NAMES = tuple("0123456789")


def from_files(pattern: str) -> ImageDataset:
    dataset = make_dataset(NAMES, (12, 10), count=200)
    return replace(dataset, files=tuple(pattern.format(k) for k in range(200)))


def write_pages(dataset: ImageDataset, folder: Path) -> dict[str, Path]:
    """Each page that shows pictures of a data set, by its kind."""
    one = make_run(folder / "one", dataset)
    other = make_run(
        folder / "other", dataset, make_recipe(network={"layers": ["flatten", "linear 4", "linear classes"]})
    )
    probs = np.full((200, 10), 0.02)
    probs[np.arange(200), (dataset.labels + (np.arange(200) % 5 == 0)) % 10] = 0.82
    found = find_label_errors(probs, dataset.labels, files=dataset.files)
    found.save(one.folder, images=dataset.images)
    write_label_errors_page(found, dataset, folder / "suspects.html")
    pages = {"suspects": folder / "suspects.html", "report": write_report(one)}
    return pages | {"comparison": write_comparison([one, other], folder / "comparison.html")}


def test_files_stand_in_for_places_and_are_escaped(tmp_path: Path) -> None:
    pattern = "7/scan '{0}' \"é\" <b>&amp;.png"
    for kind, page in write_pages(from_files(pattern), tmp_path).items():
        text = page.read_text(encoding="utf-8")
        assert "<b>" not in text and "index&nbsp;" not in text and "place in the" not in text, kind
        told = escape(pattern.split("}")[1]).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")
        assert f"{told}</span>" in text and f"{told}, " in text, kind  # below a picture, and for who hears it


def test_without_files_nothing_changes(tmp_path: Path) -> None:
    for kind, page in write_pages(make_dataset(NAMES, (12, 10), count=200), tmp_path).items():
        text = page.read_text(encoding="utf-8")
        assert "index&nbsp;" in text and "place in the" in text and 'class="small file"' not in text, kind


@pytest.mark.parametrize(
    "pattern", ["7/" + "a-long-name-without-a-space" * 8 + "{}.png", "7/" + "W" * 200 + "{}.png"]
)
def test_long_names_fit_a_phone(browser_page: Page, tmp_path: Path, pattern: str) -> None:
    for kind, page in write_pages(from_files(pattern), tmp_path).items():
        browser_page.show(page, width=390)
        assert browser_page.evaluate("document.documentElement.scrollWidth") <= 390, kind
        browser_page.evaluate("document.querySelector('.matrix .slip')?.click()")
        captions = "[...document.querySelectorAll('.pictures li, .strip li, th.file')]"
        wide = f"{captions}.filter(each => each.scrollWidth > each.clientWidth + 1).length"
        assert browser_page.evaluate(wide) == 0, kind
