"""Losses: (logits, labels) -> the loss, and its gradient with respect to the logits.

The loss reported is always the mean over the batch. The gradient is that of the mean, or of the
sum where the settings say so.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from tenfold.numerics import log_softmax, one_hot
from tenfold.numpy_engine.activations import sigmoid
from tenfold.settings import LossSettings

__all__ = ["CrossEntropy", "Loss", "MeanSquaredError", "SigmoidDistance"]


class Loss(ABC):
    """logits: float (N, K). labels: int (N,), the column that is right."""

    def __init__(self, settings: LossSettings) -> None:
        self.settings = settings

    @abstractmethod
    def __call__(self, logits: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
        """The mean loss, and its gradient (N, K)."""

    def share(self, logits: np.ndarray) -> float:
        """What one image's gradient counts for."""
        return 1.0 if self.settings.reduction == "sum" else 1 / len(logits)


class CrossEntropy(Loss):
    """Softmax, then -sum q log p, where q is 1 at the label and 0 elsewhere; with smoothing s it is
    (1 - s) of that and s / K everywhere (Szegedy et al. 2016). The gradient is simply p - q."""

    def __call__(self, logits: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
        smoothing, rows = self.settings.label_smoothing, np.arange(len(labels))
        log_probs = log_softmax(logits)
        gradient = np.exp(log_probs)
        reported = self._clipped(gradient) if self.settings.probability_floor else log_probs
        loss = -(1 - smoothing) * float(reported[rows, labels].sum()) / len(labels)
        if smoothing:
            loss -= smoothing * float(reported.mean())
            gradient -= smoothing / logits.shape[1]
        gradient[rows, labels] -= 1 - smoothing
        gradient *= self.share(logits)
        return loss, np.ascontiguousarray(gradient)

    def _clipped(self, probs: np.ndarray) -> np.ndarray:
        floor = self.settings.probability_floor
        return np.log(np.clip(probs, floor, 1 - floor))


class SigmoidDistance(Loss):
    """Seed D's loss: with p = sigmoid(logit), the mean over images and outputs of 1 - p where the
    target is 1, else p. The slope of p is p (1 - p), so a saturated output hardly learns."""

    def __call__(self, logits: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
        # 1 at the label, -1 elsewhere: then 1 - p at the label and p elsewhere are both p(-side z)
        side = 2 * one_hot(labels, logits.shape[1], logits.dtype.type) - 1
        distance = sigmoid(-side * logits)
        gradient = -side * distance * sigmoid(side * logits)
        gradient *= self.share(logits) / logits.shape[1]
        return float(distance.mean()), gradient


class MeanSquaredError(Loss):
    """The mean over images and outputs of (logit - target)^2, the target being 1 or 0."""

    def __call__(self, logits: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
        difference = logits - one_hot(labels, logits.shape[1], logits.dtype.type)
        loss = float(np.square(difference).mean())
        difference *= 2 * self.share(logits) / logits.shape[1]
        return loss, difference
