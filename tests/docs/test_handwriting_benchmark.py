"""The figures of benchmarks/handwriting.py on small cases that can be counted by hand."""

from __future__ import annotations

import itertools
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

from tenfold.metrics import wilson_interval

SCORES: dict[str, Any] = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "reading_scores.py"))


@pytest.mark.parametrize(
    ("read", "label", "edits"),
    [("1049", "1049", 0), ("", "1049", 4), ("149", "1049", 1), ("10490", "1049", 1), ("1?49", "1049", 1),
     ("0941", "1049", 3), ("kitten", "sitting", 3)],
)  # fmt: skip
def test_edit_distance_counts_edits(read: str, label: str, edits: int) -> None:
    assert SCORES["edit_distance"](read, label) == edits
    assert SCORES["edit_distance"](label, read) == edits


def test_edit_distance_is_a_shortest_path() -> None:
    """Breadth first over all single edits of short binary texts, independent of the table of the book."""
    texts = ["".join(t) for n in range(4) for t in itertools.product("01", repeat=n)]
    for start in texts:
        reached, edge, steps = {start: 0}, [start], 0
        while edge:
            steps += 1
            edge = [new for old in edge for new in _edits(old) if new in texts and new not in reached]
            reached |= dict.fromkeys(edge, steps)
        for end in texts:
            assert SCORES["edit_distance"](start, end) == reached[end]


def _edits(text: str) -> set[str]:
    cuts = [(text[:i], text[i:]) for i in range(len(text) + 1)]
    dropped = {a + b[1:] for a, b in cuts if b}
    replaced = {a + c + b[1:] for a, b in cuts if b for c in "01"}
    return dropped | replaced | {a + c + b for a, b in cuts for c in "01"}


def test_roc_area_equals_scikit_learn_with_ties() -> None:
    rng = np.random.default_rng(0)
    for decimals in (1, 2, 8):
        scores = rng.random(300).round(decimals)
        positive = rng.random(300) < scores
        assert SCORES["roc_area"](scores, positive) == pytest.approx(roc_auc_score(positive, scores))
    with pytest.raises(ValueError, match="negatives"):
        SCORES["roc_area"](np.ones(3), np.ones(3, dtype=bool))


@pytest.mark.parametrize(("right", "total"), [(0, 10), (394, 400), (120, 120), (5, 9)])
def test_wilson_interval_equals_scipy(right: int, total: int) -> None:
    interval = binomtest(right, total).proportion_ci(method="wilson")
    assert wilson_interval(right, total) == pytest.approx((interval.low, interval.high), abs=1e-9)


def test_coverage_and_risk_by_hand() -> None:
    scores = np.array([0.2, 0.9, 0.5, 0.9, 0.5])
    right = np.array([False, True, False, True, True])
    coverage, risk = SCORES["coverage_risk"](scores, right)
    assert coverage.tolist() == pytest.approx([2 / 5, 4 / 5, 1])  # equal scores go together
    assert risk.tolist() == pytest.approx([0, 1 / 4, 2 / 5])
    area = SCORES["area_under_curve"](coverage, risk)
    assert area == pytest.approx(2 / 5 * 0 + 2 / 5 * 1 / 4 + 1 / 5 * 2 / 5)


def test_risk_at_full_coverage_is_the_share_of_errors() -> None:
    rng = np.random.default_rng(1)
    scores, right = rng.random(50), rng.random(50) < 0.8
    coverage, risk = SCORES["coverage_risk"](scores, right)
    assert coverage[-1] == 1
    assert risk[-1] == pytest.approx(1 - right.mean())
    for threshold in (0.3, 0.6):
        answered = scores >= threshold
        place = int(np.flatnonzero(np.isclose(coverage, answered.mean()))[0])
        assert risk[place] == pytest.approx(1 - right[answered].mean())


@pytest.mark.parametrize(
    ("text", "label", "cause"),
    [("7", "7", ""), ("", "7", "nothing found"), ("?", "7", "refused"), ("1", "7", "wrong digit"),
     ("17", "7", "too many marks"), ("1?", "7", "too many marks"), ("104", "1049", "too few marks"),
     ("10?9", "1049", "refused"), ("1?48", "1049", "wrong digit"), ("10\n49", "1049", "several rows")],
)  # fmt: skip
def test_causes_of_misses(text: str, label: str, cause: str) -> None:
    assert SCORES["cause_of"](text, label) == cause


def test_what_counts_as_refused() -> None:
    assert [SCORES["is_refused"](text) for text in ("", "?", "1?", "12")] == [True, True, True, False]
