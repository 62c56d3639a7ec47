"""The loss of line networks: by its definition, against PyTorch, and by central differences."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch.nn import functional

from tenfold.numerics import log_softmax
from tenfold.numpy_engine.losses import LOSSES, Loss, best_paths
from tenfold.settings import LossSettings
from tenfold.torch_engine.losses import compute_loss

CTC = LossSettings(name="ctc")
COUNT, COLUMNS, CLASSES = 7, 9, 5  # the last class is the blank
# an empty label, one class, repeats, one that just fits (4 classes and 3 blanks between), one that does not
LABELS = np.array(
    [
        [-1, -1, -1, -1, -1, -1],
        [2, -1, -1, -1, -1, -1],
        [1, 1, -1, -1, -1, -1],
        [0, 1, 2, 3, 2, -1],
        [3, 3, 3, 3, 0, 1],
        [0, 0, 0, 0, 0, 0],
        [1, 2, 3, 0, 1, 2],
    ]
)


def draw(dtype: type = np.float64) -> np.ndarray:
    return 2 * np.random.default_rng(1).standard_normal((COUNT, COLUMNS, CLASSES)).astype(dtype)


def by_torch(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, torch.Tensor, torch.Tensor]:
    """Losses (N,), as an array and as a tensor, and the leaf that they come from."""
    leaf = torch.tensor(logits, requires_grad=True)
    losses = functional.ctc_loss(
        leaf.log_softmax(2).transpose(0, 1),
        torch.tensor(labels).clamp(min=0),
        torch.full((len(logits),), logits.shape[1]),
        torch.tensor((labels >= 0).sum(axis=1)),
        blank=logits.shape[2] - 1,
        reduction="none",
        zero_infinity=True,
    )
    return losses.detach().numpy(), losses, leaf


def spell(path: tuple[int, ...], blank: int) -> list[int]:
    return [key for key, _ in itertools.groupby(path) if key != blank]


def test_is_minus_the_log_of_the_sum_over_all_alignments() -> None:
    logits, labels = draw()[:4, :5, :4], np.array([[-1, -1], [0, -1], [1, 1], [2, 0]])
    logs = log_softmax(logits)
    for row, label in enumerate(labels):
        wanted = [c for c in label.tolist() if c >= 0]
        total = sum(
            np.exp(logs[row, np.arange(5), path].sum())
            for path in itertools.product(range(4), repeat=5)
            if spell(path, blank=3) == wanted
        )
        loss, _ = LOSSES["ctc"](CTC)(logits[row : row + 1], label[None])
        assert loss == pytest.approx(-np.log(total), rel=1e-12)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("weighted", [False, True])
def test_loss_and_gradient_are_torchs(reduction: str, weighted: bool) -> None:
    settings = LossSettings(name="ctc", reduction=reduction)
    weights = np.random.default_rng(2).random(COUNT) if weighted else None
    losses, graph, leaf = by_torch(draw(), LABELS)
    parts = graph if weights is None else graph * torch.tensor(weights)
    (parts.sum() if reduction == "sum" else parts.mean()).backward()
    loss, gradient = LOSSES["ctc"](settings)(draw(), LABELS, weights)
    assert loss == pytest.approx(parts.mean().item(), rel=1e-12)
    np.testing.assert_allclose(gradient, leaf.grad.numpy(), rtol=1e-9, atol=1e-12)
    assert losses[5] == 0 and not gradient[5].any()  # six equal classes need eleven columns


def test_gradient_passes_central_differences() -> None:
    logits, compute = draw(), LOSSES["ctc"](CTC)
    _, gradient = compute(logits, LABELS)
    for entry in itertools.product(range(COUNT), range(0, COLUMNS, 2), range(CLASSES)):
        step = np.zeros_like(logits)
        step[entry] = 1e-5
        numeric = (compute(logits + step, LABELS)[0] - compute(logits - step, LABELS)[0]) / 2e-5
        assert gradient[entry] == pytest.approx(numeric, rel=1e-6, abs=1e-9)


def test_padding_changes_nothing() -> None:
    compute, wide = LOSSES["ctc"](CTC), np.pad(LABELS, ((0, 0), (0, 3)), constant_values=-1)
    for found, expected in zip(compute(draw(), wide), compute(draw(), LABELS), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_enormous_logits_stay_finite() -> None:
    logits = 1e4 * np.sign(draw(np.float32))
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        loss, gradient = LOSSES["ctc"](CTC)(logits, LABELS)
    assert np.isfinite(loss) and np.isfinite(gradient).all() and gradient.dtype == np.float32


def test_right_are_the_strips_whose_best_path_spells_the_label() -> None:
    rng = np.random.default_rng(4)
    logits = rng.standard_normal((200, 4, 3))
    labels = rng.integers(-1, 2, (200, 3))
    labels = -np.sort(-labels, axis=1)  # the padding to the end
    spelled = [spell(tuple(path), blank=2) for path in logits.argmax(axis=2).tolist()]
    expected = [row == [c for c in label if c >= 0] for row, label in zip(spelled, labels.tolist())]
    found = best_paths(logits)
    assert [[c for c in row if c >= 0] for row in found.tolist()] == spelled
    assert 0 < sum(expected) < 200
    for wide in (labels, np.pad(labels, ((0, 0), (0, 4)), constant_values=-1)):
        assert LOSSES["ctc"](CTC).count_right(logits, wide) == sum(expected)
        assert int(compute_loss(torch.tensor(logits), torch.tensor(wide), CTC).correct) == sum(expected)


def test_measured_without_training() -> None:
    assert Loss.measure(draw(), LABELS, CTC) == pytest.approx(by_torch(draw(), LABELS)[0].mean(), rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_torch_engine_takes_the_same(weighted: bool) -> None:
    weights = np.random.default_rng(2).random(COUNT) if weighted else None
    leaf = torch.tensor(draw(), requires_grad=True)
    result = compute_loss(leaf, torch.tensor(LABELS), CTC, None if weights is None else torch.tensor(weights))
    result.objective.backward()
    loss, gradient = LOSSES["ctc"](CTC)(draw(), LABELS, weights)
    assert result.mean.item() == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(leaf.grad.numpy(), gradient, rtol=1e-9, atol=1e-12)
