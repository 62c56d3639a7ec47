"""The temperature against what the labels were drawn with."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from tenfold.evaluation.evaluate import calibration_error
from tenfold.training.prepare import fit_temperature


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 4.0])
def test_finds_the_temperature_that_labels_were_drawn_with(true_temperature: float) -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 4, (20_000, 5))
    probs = softmax(logits / true_temperature, axis=1)
    labels = (probs.cumsum(axis=1) < rng.random((len(probs), 1))).sum(axis=1)
    found = fit_temperature(logits, labels)
    assert found == pytest.approx(true_temperature, rel=0.05)
    fitted = softmax(logits / found, axis=1)
    right = fitted.argmax(axis=1) == labels
    assert calibration_error(fitted.max(axis=1), right) < 0.015


def test_stays_in_range_where_every_answer_is_right() -> None:
    logits = np.eye(3)[np.arange(600) % 3] * 5
    assert 0.3 < fit_temperature(logits, np.arange(600) % 3) < 0.5
