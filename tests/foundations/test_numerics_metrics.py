"""Numerics and metrics against SciPy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import special, stats
from sklearn import metrics as reference

from tenfold import numerics
from tenfold.evaluation.evaluate import calibration_bins, calibration_error, confusion_matrix, per_class
from tenfold.numerics import log_softmax, one_hot, softmax
from tenfold.numpy_engine.losses import Loss
from tenfold.settings import LossSettings

LOGITS = arrays(np.float64, (4, 5), elements=st.floats(-1e4, 1e4))
RNG = np.random.default_rng(0)


@given(LOGITS)
def test_softmax_is_scipys(logits: np.ndarray) -> None:
    np.testing.assert_allclose(softmax(logits), special.softmax(logits, axis=-1), rtol=1e-12, atol=0)
    np.testing.assert_allclose(
        log_softmax(logits), special.log_softmax(logits, axis=-1), rtol=1e-12, atol=1e-12
    )


@given(LOGITS, st.floats(-1e4, 1e4))
def test_softmax_ignores_a_shift_and_sums_to_one(logits: np.ndarray, shift: float) -> None:
    np.testing.assert_allclose(softmax(logits + shift), softmax(logits), rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(softmax(logits).sum(axis=-1), 1)


def test_softmax_keeps_float32_and_leaves_its_argument() -> None:
    logits = np.array([[1e30, -1e30, 0]], np.float32)
    before = logits.copy()
    assert softmax(logits).dtype == log_softmax(logits).dtype == np.float32
    np.testing.assert_array_equal(softmax(logits), [[1, 0, 0]])
    np.testing.assert_array_equal(logits, before)


def test_one_hot() -> None:
    np.testing.assert_array_equal(one_hot(np.array([2, 0]), 3), [[0, 0, 1], [1, 0, 0]])
    assert one_hot(np.array([0]), 2, np.float64).dtype == np.float64


@pytest.mark.parametrize("classes", [2, 5, 10])
def test_confusion_and_per_class_are_sklearns(classes: int) -> None:
    labels, predicted = RNG.integers(0, classes, (2, 300))
    labels[labels == classes - 1] = 0  # a class without support
    predicted[predicted == 0] = 1  # and one never predicted
    names = np.arange(classes)
    confusion = confusion_matrix(predicted, labels, classes)
    np.testing.assert_array_equal(confusion, reference.confusion_matrix(labels, predicted, labels=names))
    ours = per_class(confusion)
    theirs = reference.precision_recall_fscore_support(labels, predicted, labels=names, zero_division=0)
    for key, expected in zip(("precision", "recall", "f1", "support"), theirs, strict=True):
        np.testing.assert_allclose(ours[key], expected, rtol=1e-12, err_msg=key)
    assert numerics.accuracy(predicted, labels) == reference.accuracy_score(labels, predicted)


def test_cross_entropy_is_sklearns_log_loss() -> None:
    logits, labels = RNG.normal(0, 3, (200, 7)), RNG.integers(0, 7, 200)
    expected = reference.log_loss(labels, special.softmax(logits, axis=1), labels=range(7))
    assert Loss.measure(logits, labels, LossSettings()) == pytest.approx(expected, rel=1e-12)


@given(st.integers(1, 10_000), st.data())
def test_wilson_is_scipys(total: int, data: st.DataObject) -> None:
    right = data.draw(st.integers(0, total))
    expected = stats.binomtest(right, total).proportion_ci(0.95, method="wilson")
    low, high = numerics.wilson_interval(right, total)
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    share, rounding = right / total, 1e-15
    assert 0 <= low <= share + rounding and share - rounding <= high <= 1


def test_wilson_without_any_image() -> None:
    assert numerics.wilson_interval(0, 0) == (0, 1)


def test_calibration_bins_against_a_plain_loop() -> None:
    confidence = np.concatenate([RNG.random(400), [0.2, 0.4, 1.0, 1 / 15, 1e-9]])
    correct = RNG.random(len(confidence)) < confidence
    bins = calibration_bins(confidence, correct, 15)
    error = 0.0
    for number, (count, mean_confidence, mean_correct) in enumerate(bins):
        inside = (confidence > number / 15) & (confidence <= (number + 1) / 15)
        assert count == inside.sum()
        if count:
            assert mean_confidence == pytest.approx(confidence[inside].mean())
            assert mean_correct == pytest.approx(correct[inside].mean())
            error += inside.mean() * abs(confidence[inside].mean() - correct[inside].mean())
    assert calibration_error(confidence, correct, 15) == pytest.approx(error)


def test_calibration_of_an_honest_and_of_a_boasting_classifier() -> None:
    confidence = np.full(1000, 0.8)
    honest = np.arange(1000) % 5 > 0
    assert calibration_error(confidence, honest) == pytest.approx(0, abs=1e-12)
    assert calibration_error(np.ones(1000), honest) == pytest.approx(0.2)
    assert calibration_error(np.empty(0), np.empty(0, bool)) == 0
