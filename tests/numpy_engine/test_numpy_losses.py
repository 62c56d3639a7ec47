"""Losses against PyTorch and autograd, in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tenfold.numpy_engine.losses import LOSSES
from tenfold.settings import LossSettings

N, K = 6, 5
NAMES = [name for name in LOSSES if name != "ctc"]  # which has tests of its own


def settings_of(name: str) -> list[LossSettings]:
    both = [LossSettings(name=name, reduction=reduction) for reduction in ("mean", "sum")]
    if name != "cross-entropy":
        return both
    smooth = [s.model_copy(update={"label_smoothing": amount}) for s in both for amount in (0.1, 1.0)]
    floor = [s.model_copy(update={"probability_floor": 0.1}) for s in both + smooth]
    return both + smooth + floor


ALL = [settings for name in NAMES for settings in settings_of(name)]


def each(logits: torch.Tensor, labels: torch.Tensor, settings: LossSettings) -> torch.Tensor:
    """The loss of each image, by PyTorch."""
    target = F.one_hot(labels, K).double()
    if settings.name == "cross-entropy":
        return F.cross_entropy(logits, labels, label_smoothing=settings.label_smoothing, reduction="none")
    if settings.name == "mean-squared-error":
        return F.mse_loss(logits, target, reduction="none").mean(1)
    probs = logits.sigmoid()
    return torch.where(target == 1, 1 - probs, probs).mean(1)


def draw() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return 3 * rng.standard_normal((N, K)), rng.integers(0, K, N)


@pytest.mark.parametrize("settings", ALL, ids=repr)
def test_gradient_equals_autograd(settings: LossSettings) -> None:
    logits, labels = draw()
    theirs = torch.tensor(logits, requires_grad=True)
    losses = each(theirs, torch.tensor(labels), settings)
    (losses.sum() if settings.reduction == "sum" else losses.mean()).backward()
    loss, gradient = LOSSES[settings.name](settings)(logits, labels)
    np.testing.assert_allclose(gradient, theirs.grad.numpy(), rtol=1e-10, atol=1e-14)
    if not settings.probability_floor:
        assert loss == pytest.approx(losses.mean().item(), rel=1e-12)


@pytest.mark.parametrize("settings", ALL, ids=repr)
def test_gradient_passes_central_differences(settings: LossSettings) -> None:
    logits, labels = draw()
    unclipped = settings.model_copy(update={"probability_floor": 0.0})
    compute = LOSSES[settings.name](unclipped)
    _, gradient = LOSSES[settings.name](settings)(logits, labels)
    times = N if settings.reduction == "sum" else 1
    for entry in np.ndindex(N, K):
        step = np.zeros_like(logits)
        step[entry] = 1e-5
        numeric = times * (compute(logits + step, labels)[0] - compute(logits - step, labels)[0]) / 2e-5
        assert gradient[entry] == pytest.approx(numeric, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_a_floor_changes_the_reported_loss_only(smoothing: float) -> None:
    logits, labels = draw()
    settings = LossSettings(probability_floor=0.2, label_smoothing=smoothing)
    loss, _ = LOSSES["cross-entropy"](settings)(logits, labels)
    clipped = torch.tensor(logits).softmax(1).clamp(0.2, 0.8).log()
    target = F.one_hot(torch.tensor(labels), K).double() * (1 - smoothing) + smoothing / K
    assert loss == pytest.approx(-(target * clipped).sum(1).mean().item(), rel=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_enormous_logits_stay_finite(name: str) -> None:
    logits = np.array([[1e4, -1e4], [-1e4, 1e4]], np.float32)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        loss, gradient = LOSSES[name](LossSettings(name=name))(logits, np.array([0, 0]))
    assert np.isfinite(loss)
    assert np.isfinite(gradient).all()
    assert gradient.dtype == np.float32


def test_a_saturated_sigmoid_still_has_its_small_gradient() -> None:
    logits = np.array([[20.0, 20.0]], np.float32)
    _, gradient = LOSSES["sigmoid-distance"](LossSettings(name="sigmoid-distance"))(logits, np.array([0]))
    np.testing.assert_allclose(gradient, [[-np.exp(-20) / 2, np.exp(-20) / 2]], rtol=1e-5)
