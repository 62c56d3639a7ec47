"""Tests of pairs, intervals of classes, and risk over coverage: against SciPy and derivations by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tenfold.evaluation.evaluate import class_intervals, coverage_risk
from tenfold.show.runs import holm_adjust, mcnemar_p


@given(st.integers(0, 400), st.integers(0, 400))
def test_mcnemar_is_scipys_binomial_test(one: int, other: int) -> None:
    expected = stats.binomtest(one, one + other, 0.5).pvalue if one + other else 1.0
    assert mcnemar_p(one, other) == pytest.approx(expected, rel=1e-9)
    assert mcnemar_p(one, other) == mcnemar_p(other, one)


def test_mcnemar_by_hand() -> None:
    assert mcnemar_p(0, 0) == 1
    assert mcnemar_p(0, 1) == 1  # one toss is heads or tails
    assert mcnemar_p(0, 6) == 2 / 2**6
    assert mcnemar_p(2, 8) == 2 * (1 + 10 + 45) / 2**10
    assert mcnemar_p(5, 5) == 1
    assert mcnemar_p(0, 5000) == 0.0  # 2 ** -4999 is below the least float
    assert mcnemar_p(41, 17) == pytest.approx(stats.binomtest(17, 58, 0.5).pvalue, rel=1e-12)
    # For many disagreements the chi-square form with continuity correction (Edwards 1948) is near.
    chance = stats.chi2.sf((abs(520 - 440) - 1) ** 2 / (520 + 440), 1)
    assert mcnemar_p(520, 440) == pytest.approx(chance, rel=0.01)


def test_holm_by_hand() -> None:
    assert holm_adjust([]) == []
    assert holm_adjust([0.03]) == [0.03]
    # 4 x 0.005; 3 x 0.01; 2 x 0.03; 1 x 0.04 is below the one before, which it may not be.
    assert holm_adjust([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm_adjust([0.6, 0.9]) == [1.0, 1.0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_itself_and_bonferroni(p_values: list[float]) -> None:
    adjusted = holm_adjust(p_values)
    for p, each in zip(p_values, adjusted, strict=True):
        assert p <= each <= min(1.0, len(p_values) * p)
    in_order = [adjusted[i] for i in np.argsort(p_values, kind="stable")]
    assert in_order == sorted(in_order)


def test_class_intervals_are_scipys() -> None:
    confusion = np.array([[40, 3, 0], [5, 20, 0], [1, 0, 0]])
    found = class_intervals(confusion)

    def wilson(right: int, total: int) -> tuple[float, float]:
        interval = stats.binomtest(right, total).proportion_ci(0.95, method="wilson")
        return interval.low, interval.high

    assert found["recall"] == pytest.approx(np.array([wilson(40, 43), wilson(20, 25), wilson(0, 1)]))
    assert found["precision"][:2] == pytest.approx(np.array([wilson(40, 46), wilson(20, 23)]))
    assert found["precision"][2].tolist() == [0, 1]  # never answered
    low, high = wilson(40, 40 + 3 + 6)
    assert found["f1"][0] == pytest.approx([2 * low / (1 + low), 2 * high / (1 + high)])


def test_f1_interval_covers_what_it_says() -> None:
    """Of 2,000 confusion matrices of a classifier whose F1 is known, 95 % of the intervals hold it."""
    rng = np.random.default_rng(0)
    cells = np.array([0.42, 0.06, 0.04, 0.48])
    truth = 2 * cells[0] / (2 * cells[0] + cells[1] + cells[2])
    inside = 0
    for draw in rng.multinomial(200, cells, size=2000):
        low, high = class_intervals(draw.reshape(2, 2))["f1"][0]
        inside += bool(low <= truth <= high)
    assert 0.93 < inside / 2000 < 0.97


def test_coverage_risk_against_a_plain_loop() -> None:
    rng = np.random.default_rng(1)
    confidence = rng.integers(1, 30, 200) / 30  # many are equally sure
    correct = rng.random(200) < confidence
    coverage, risk = coverage_risk(confidence, correct)
    bounds = sorted(set(confidence.tolist()), reverse=True)
    assert len(coverage) == len(bounds)
    for place, bound in enumerate(bounds):
        answered = confidence >= bound
        assert coverage[place] == pytest.approx(answered.mean())
        assert risk[place] == pytest.approx(1 - correct[answered].mean())
    assert coverage[-1] == 1 and risk[-1] == pytest.approx(1 - correct.mean())


def test_coverage_risk_without_any_answer() -> None:
    coverage, risk = coverage_risk(np.zeros(0), np.zeros(0, dtype=bool))
    assert len(coverage) == len(risk) == 0
