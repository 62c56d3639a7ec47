"""Losses against torch.nn.functional and against their definitions in NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from tenfold.numerics import one_hot, softmax
from tenfold.settings import LossSettings
from tenfold.torch_engine.losses import compute_loss

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0, 3, (12, 5))
LABELS = RNG.integers(0, 5, 12)


def _loss(**settings: object) -> tuple[float, float, int, np.ndarray]:
    logits = torch.tensor(LOGITS, requires_grad=True)
    result = compute_loss(logits, torch.tensor(LABELS), LossSettings(**settings))
    result.objective.backward()
    return result.objective.item(), result.mean.item(), int(result.correct), logits.grad.numpy()


def test_cross_entropy_is_torchs() -> None:
    logits = torch.tensor(LOGITS, requires_grad=True)
    expected = functional.cross_entropy(logits, torch.tensor(LABELS), label_smoothing=0.1)
    expected.backward()
    objective, mean, correct, gradient = _loss(label_smoothing=0.1)
    assert objective == mean == pytest.approx(expected.item())
    assert correct == (LOGITS.argmax(axis=1) == LABELS).sum()
    np.testing.assert_allclose(gradient, logits.grad.numpy())


def test_sigmoid_distance_is_the_tutorials() -> None:
    p, target = 1 / (1 + np.exp(-LOGITS)), one_hot(LABELS, 5, np.float64)
    expected = np.where(target == 1, 1 - p, p).mean()
    derivative = np.where(target == 1, -1, 1) * p * (1 - p) / LOGITS.size
    objective, mean, _, gradient = _loss(name="sigmoid-distance")
    assert objective == mean == pytest.approx(expected)
    np.testing.assert_allclose(gradient, derivative)


def test_mean_squared_error_is_over_all_entries() -> None:
    difference = LOGITS - one_hot(LABELS, 5, np.float64)
    objective, mean, _, gradient = _loss(name="mean-squared-error")
    assert objective == mean == pytest.approx((difference**2).mean())
    np.testing.assert_allclose(gradient, 2 * difference / LOGITS.size)


@pytest.mark.parametrize("name", ["cross-entropy", "sigmoid-distance", "mean-squared-error"])
def test_sum_scales_the_gradient_but_not_the_report(name: str) -> None:
    _, mean, _, gradient = _loss(name=name)
    objective, reported, _, summed = _loss(name=name, reduction="sum")
    assert reported == mean
    assert objective == pytest.approx(12 * mean)
    np.testing.assert_allclose(summed, 12 * gradient)


def test_probability_floor_changes_only_the_report() -> None:
    floor = 0.05
    clipped = np.clip(softmax(LOGITS), floor, 1 - floor)
    expected = -np.log(clipped[np.arange(12), LABELS]).mean()
    _, mean, _, gradient = _loss(probability_floor=floor)
    assert mean == pytest.approx(expected)
    np.testing.assert_array_equal(gradient, _loss()[3])
    assert math.isfinite(_loss(probability_floor=1e-9)[1])


def test_label_shift_moves_columns_and_logits_come_back() -> None:
    settings = LossSettings(label_shift=-1)
    plain = compute_loss(torch.tensor(LOGITS), torch.tensor(LABELS), LossSettings())
    moved = torch.tensor(np.stack([LOGITS[:, (column + 1) % 5] for column in range(5)], axis=1))
    shifted = compute_loss(moved, torch.tensor(LABELS), settings)
    assert shifted.mean.item() == pytest.approx(plain.mean.item())
    assert shifted.correct == plain.correct
