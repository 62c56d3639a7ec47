"""Losses: (logits, labels) -> the loss, and its gradient with respect to the logits.

The loss reported is always the mean over the batch. The gradient is that of the mean, or of the
sum where the settings say so.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from tenfold.numerics import one_hot, shifted_columns
from tenfold.numpy_engine.activations import sigmoid
from tenfold.settings import LossSettings

__all__ = ["CrossEntropy", "Loss", "MeanSquaredError", "SigmoidDistance", "mean_loss", "move_labels"]


class Loss(ABC):
    """logits: float (N, K). labels: int (N,), the column that is right. image_weights: float (N,), the factor
    of each image's loss before the mean (or sum) is taken; None is 1 for each."""

    def __init__(self, settings: LossSettings) -> None:
        self.settings = settings

    @abstractmethod
    def __call__(
        self, logits: np.ndarray, labels: np.ndarray, image_weights: np.ndarray | None = None
    ) -> tuple[float, np.ndarray]:
        """The mean loss, and its gradient (N, K)."""

    def count_right(self, logits: np.ndarray, labels: np.ndarray) -> int:
        """Images whose largest logit is that of the label."""
        return int(np.count_nonzero(logits.argmax(axis=1) == labels))

    def shares(self, logits: np.ndarray, image_weights: np.ndarray | None) -> float | np.ndarray:
        """What each image's gradient counts for: one number for all, or (N,)."""
        share = 1.0 if self.settings.reduction == "sum" else 1 / len(logits)
        return share if image_weights is None else share * image_weights.astype(logits.dtype)


def move_labels(labels: np.ndarray, settings: LossSettings, classes: int) -> np.ndarray:
    """The column of each label; see LossSettings.label_shift."""
    return (labels + settings.label_shift) % classes if settings.label_shift else labels


def mean_loss(losses: np.ndarray, image_weights: np.ndarray | None) -> float:
    """Of the images' losses (N,), each times its weight."""
    return float((losses.sum() if image_weights is None else losses @ image_weights) / len(losses))


class CrossEntropy(Loss):
    """Softmax, then -sum q log p, where q is 1 at the label and 0 elsewhere; with smoothing s it is
    (1 - s) of that and s / K everywhere (Szegedy et al. 2016). The gradient is simply p - q."""

    def __call__(
        self, logits: np.ndarray, labels: np.ndarray, image_weights: np.ndarray | None = None
    ) -> tuple[float, np.ndarray]:
        smoothing, rows = self.settings.label_smoothing, np.arange(len(labels))
        columns = shifted_columns(logits)  # (K, N), like all here
        right, mean = columns[labels, rows], columns.mean(axis=0) if smoothing else 0.0
        probs = np.exp(columns, out=columns)
        totals = probs.sum(axis=0)
        probs /= totals
        if self.settings.probability_floor:
            losses = self._clipped_losses(probs, labels)
        else:
            losses = np.log(totals) - (1 - smoothing) * right - smoothing * mean
        probs[labels, rows] -= 1 - smoothing
        if smoothing:
            probs -= smoothing / len(probs)
        probs *= self.shares(logits, image_weights)
        return mean_loss(losses, image_weights), np.ascontiguousarray(probs.T)

    def _clipped_losses(self, probs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Of (K, N), with probabilities kept off 0 and 1."""
        smoothing, floor = self.settings.label_smoothing, self.settings.probability_floor
        logs = np.log(np.clip(probs, floor, 1 - floor))
        rows = np.arange(len(labels))
        losses: np.ndarray = -(1 - smoothing) * logs[labels, rows] - smoothing * logs.mean(axis=0)
        return losses


class SigmoidDistance(Loss):
    """The sigmoid loss: with p = sigmoid(logit), the mean over images and outputs of 1 - p where the
    target is 1, else p. The derivative of p is p (1 - p), so a saturated output hardly learns."""

    def __call__(
        self, logits: np.ndarray, labels: np.ndarray, image_weights: np.ndarray | None = None
    ) -> tuple[float, np.ndarray]:
        # 1 at the label, -1 elsewhere: then 1 - p at the label and p elsewhere are both p(-side z)
        side = 2 * one_hot(labels, logits.shape[1], logits.dtype.type) - 1
        distance = sigmoid(-side * logits)
        gradient = -side * distance * sigmoid(side * logits)
        gradient.T[...] *= self.shares(logits, image_weights) / logits.shape[1]
        return mean_loss(distance.mean(axis=1), image_weights), gradient


class MeanSquaredError(Loss):
    """The mean over images and outputs of (logit - target)^2, the target being 1 or 0."""

    def __call__(
        self, logits: np.ndarray, labels: np.ndarray, image_weights: np.ndarray | None = None
    ) -> tuple[float, np.ndarray]:
        difference = logits - one_hot(labels, logits.shape[1], logits.dtype.type)
        loss = mean_loss(np.square(difference).mean(axis=1), image_weights)
        difference.T[...] *= 2 * self.shares(logits, image_weights) / logits.shape[1]
        return loss, difference
