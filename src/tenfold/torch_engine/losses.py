"""Logits and labels -> what is differentiated, and what is reported (see LossSettings)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch.nn import functional

from tenfold.networks.own import call_torch_loss
from tenfold.settings import LossSettings


class LossResult(NamedTuple):
    """objective: differentiated; the mean over the batch, or the sum. mean: reported, detached.
    correct: right answers, int64. All 0-dimensional."""

    objective: torch.Tensor
    mean: torch.Tensor
    correct: torch.Tensor


def compute_loss(
    logits: torch.Tensor,
    labels: torch.Tensor,
    settings: LossSettings,
    image_weights: torch.Tensor | None = None,
    own_loss: Callable[..., Any] | None = None,
    total: int | None = None,
) -> LossResult:
    """logits (N, K) as the network gives them, labels int64 (N,) as the data has them; image_weights (N,): of
    the images' losses before the mean (or sum) is taken, None is 1 for each. For ctc logits (N, T, K) and
    labels (N, L), padded with -1. own_loss: a user's function in their place. total: images in the batch of
    which these N, maybe none, are a part; what is returned is then the part's share."""
    if own_loss is not None:
        own = call_torch_loss(own_loss, logits, labels)
        return LossResult(own, own.detach(), (logits.argmax(dim=1) == labels).sum())
    columns = (labels + settings.label_shift) % logits.shape[1] if settings.label_shift else labels
    if len(labels):
        losses = _LOSSES[settings.name](logits, columns, settings)
    else:
        losses = logits.flatten(1).sum(dim=1)
    mean = _mean(losses, image_weights, total)
    objective = mean if settings.reduction == "mean" else mean * (total or len(labels))
    reported = mean.detach()
    if settings.name == "cross-entropy" and settings.probability_floor:
        reported = _mean(_clipped_cross_entropy(logits.detach(), columns, settings), image_weights, total)
    right = _reads_right(logits, columns) if settings.name == "ctc" else logits.argmax(dim=1) == columns
    return LossResult(objective, reported, right.sum())


def _mean(losses: torch.Tensor, image_weights: torch.Tensor | None, total: int | None) -> torch.Tensor:
    """Of the images' losses (N,), each times its weight."""
    weighted = losses if image_weights is None else losses * image_weights
    return weighted.mean() if total is None else weighted.sum() / total


def _cross_entropy(logits: torch.Tensor, columns: torch.Tensor, settings: LossSettings) -> torch.Tensor:
    return functional.cross_entropy(
        logits, columns, label_smoothing=settings.label_smoothing, reduction="none"
    )


def _sigmoid_distance(logits: torch.Tensor, columns: torch.Tensor, _: LossSettings) -> torch.Tensor:
    """1 - p where the target is 1, else p: in both cases |target - p| (sigmoid loss tutorial)."""
    return (_one_hot(columns, logits) - torch.sigmoid(logits)).abs().mean(dim=1)


def _mean_squared_error(logits: torch.Tensor, columns: torch.Tensor, _: LossSettings) -> torch.Tensor:
    return functional.mse_loss(logits, _one_hot(columns, logits), reduction="none").mean(dim=1)


def _ctc(logits: torch.Tensor, labels: torch.Tensor, _: LossSettings) -> torch.Tensor:
    """-log p of each label sequence (Graves et al. 2006), 0 where it does not fit into the columns."""
    count, length, classes = logits.shape
    logs = functional.log_softmax(logits, dim=2).transpose(0, 1)
    lengths = torch.full((count,), length, dtype=torch.int64)
    return functional.ctc_loss(
        logs, labels.clamp(min=0), lengths, (labels >= 0).sum(dim=1).cpu(),
        blank=classes - 1, reduction="none", zero_infinity=True,
    )  # fmt: skip


def _reads_right(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Whether the likeliest class of every column, repeats merged and blanks left out, spells the label."""
    length, blank = logits.shape[1], logits.shape[2] - 1
    path = logits.argmax(dim=2)
    kept = path != blank
    kept[:, 1:] &= path[:, 1:] != path[:, :-1]
    spelled = path.new_full((len(path), max(length, labels.shape[1]) + 1), -1)
    places = torch.where(kept, kept.cumsum(dim=1) - 1, spelled.shape[1] - 1)  # the last is for the others
    spelled.scatter_(1, places, path)
    padded = functional.pad(labels, (0, spelled.shape[1] - 1 - labels.shape[1]), value=-1)
    return (spelled[:, :-1] == padded).all(dim=1)


# of each image, (N,)
_LOSSES = {
    "cross-entropy": _cross_entropy,
    "sigmoid-distance": _sigmoid_distance,
    "mean-squared-error": _mean_squared_error,
    "ctc": _ctc,
}


def _clipped_cross_entropy(
    logits: torch.Tensor, columns: torch.Tensor, settings: LossSettings
) -> torch.Tensor:
    """Of p clipped to [floor, 1 - floor]: what the softmax regression tutorial prints, never infinite."""
    floor, smoothing = settings.probability_floor, settings.label_smoothing
    targets = _one_hot(columns, logits) * (1 - smoothing) + smoothing / logits.shape[1]
    probs = torch.softmax(logits, dim=1).clamp(floor, 1 - floor)
    return -(targets * probs.log()).sum(dim=1)


def _one_hot(columns: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(logits).scatter_(1, columns[:, None], 1.0)
