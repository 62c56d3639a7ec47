"""Runs set side by side: the paired test in words, and the page."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from report_runs import make_dataset, make_recipe, make_run, start_run
from scipy import stats

from tenfold.runs.folder import Run
from tenfold.show.pages import write_comparison
from tenfold.show.runs import PairedTest, RunComparison

BLOBS = make_dataset(tuple("abcd"), (12, 10), count=400)


def _run_that_misses(folder: Path, missed: list[int]) -> Run:
    """A run whose evaluation misses just these images."""
    run = make_run(folder, BLOBS)
    evaluation = run.evaluation
    assert evaluation is not None
    index = np.array(missed, dtype=np.int64)
    labels = BLOBS.labels[index]
    replace(
        evaluation,
        miss_index=index, miss_label=labels, miss_predicted=(labels + 1) % 4,
        miss_confidence=np.linspace(0.99, 0.5, len(index)), miss_images=BLOBS.images[index],
        miss_shown=np.arange(len(index)),
    ).save(folder)  # fmt: skip
    return Run(folder)


def compare_pairs(runs: list[Run]) -> tuple[list[PairedTest], list[str]]:
    compared = RunComparison(runs)
    return compared.tests, compared.notes


def test_words_say_whether_the_difference_is_real(tmp_path: Path) -> None:
    good = _run_that_misses(tmp_path / "good", list(range(17)))
    poor = _run_that_misses(tmp_path / "poor", list(range(100, 141)))
    (test,), notes = compare_pairs([good, poor])
    assert notes == []
    assert (test.only_one.tolist(), test.only_other.tolist()) == (list(range(100, 141)), list(range(17)))
    assert test.p == test.adjusted == pytest.approx(stats.binomtest(17, 58).pvalue, rel=1e-9)
    assert test.sentence() == (
        "good is right on 41 images that poor misses, poor on 17 that good misses: p = 0.002, "
        "so the difference is unlikely to be chance: good is better."
    )
    alike = _run_that_misses(tmp_path / "alike", list(range(1, 19)))
    (test,), _ = compare_pairs([good, alike])
    assert "good is right on 1 image that alike misses" not in test.sentence()
    assert test.sentence().startswith("good is right on 2 images that alike misses, alike on 1 that")
    assert test.sentence().endswith("p = 1.00, so the difference may well be chance.")
    (test,), _ = compare_pairs([good, good])
    assert test.sentence().endswith("are right on the same images: no difference is seen.")


def test_several_pairs_are_corrected(tmp_path: Path) -> None:
    runs = [
        _run_that_misses(tmp_path / "a", list(range(10))),
        _run_that_misses(tmp_path / "b", list(range(50, 70))),
        _run_that_misses(tmp_path / "c", list(range(100, 160))),
    ]
    tests, _ = compare_pairs(runs)
    assert [(test.one, test.other) for test in tests] == [("a", "b"), ("a", "c"), ("b", "c")]
    raw = [stats.binomtest(k, n).pvalue for k, n in ((10, 30), (10, 70), (20, 80))]
    assert [test.p for test in tests] == pytest.approx(raw)
    assert tests[1].adjusted == pytest.approx(3 * raw[1]) and tests[2].adjusted == pytest.approx(2 * raw[2])
    assert tests[0].adjusted == pytest.approx(raw[0])
    assert "p < 0.001 (corrected for 3 comparisons)" in tests[1].sentence()


def test_other_images_are_no_pair(tmp_path: Path) -> None:
    one = make_run(tmp_path / "one", BLOBS)
    two = make_run(tmp_path / "two", make_dataset(tuple("abcd"), (12, 10), count=200))
    untested = start_run(tmp_path / "three", make_recipe())
    tests, notes = compare_pairs([one, two, untested])
    assert tests == []
    assert notes[0].startswith("one and two were not tested on the same images (made up, 400; made up, 200)")
    assert notes[1:] == ["three was not tested: `tenfold evaluate` does it."]


def test_runs_of_the_same_name_are_told_apart(tmp_path: Path) -> None:
    one, two = start_run(tmp_path / "a" / "x", make_recipe()), start_run(tmp_path / "b" / "x", make_recipe())
    assert RunComparison([one, two]).names == ["a/x", "b/x"]
    assert RunComparison([one, one]).names == ["x (1)", "x (2)"]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pages")
    tested = [
        _run_that_misses(folder / "a-run", list(range(40))),
        _run_that_misses(folder / "<b>other</b>", list(range(30, 50))),
    ]
    fresh = [start_run(folder / "new", make_recipe()), make_run(folder / "old", BLOBS)]
    return [
        write_comparison(tested, folder / "two.html"),
        write_comparison(fresh, folder / "fresh.html"),
    ]


def test_page_shows_where_they_disagree(pages: list[Path]) -> None:
    text = pages[0].read_text(encoding="utf-8")
    assert len(text.encode()) < 3_000_000
    assert "http://" not in text and "https://" not in text and "<b>other" not in text
    assert "a-run is right on 10 images that" in text and "30 that a-run misses: p = 0.002" in text
    heading = "is right, a-run is not: 30 images"
    first = text.index("is not: 10 images")
    assert re.findall(r"index&nbsp;(\d+)", text[first : text.index(heading)]) == [
        str(index) for index in range(40, 50)
    ]
    assert re.findall(r"index&nbsp;(\d+)", text[text.index(heading) :]) == [str(i) for i in range(18)]
    assert "The recipes are the same." in text


def test_page_says_what_cannot_be_compared(pages: list[Path]) -> None:
    text = pages[1].read_text(encoding="utf-8")
    assert "new was not tested" in text and text.count("No two of these runs were tested") == 2
    assert "Not all of these runs were tested on the same classes." in text


@pytest.mark.parametrize("width", [1280, 390, 320])
def test_pages_are_quiet_and_never_scroll_sideways(browser_page, pages: list[Path], width: int) -> None:
    for page in pages:
        browser_page.show(page, width=width, dark=width == 390)
        assert browser_page.evaluate("document.documentElement.scrollWidth") <= width
    assert browser_page.complaints() == []
    assert all(url.startswith(("file:", "data:", "about:")) for url in browser_page.requests())
