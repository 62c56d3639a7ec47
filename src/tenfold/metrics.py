"""Arrays in, numbers out: accuracy, loss, confusion, calibration, intervals."""

from __future__ import annotations

import math

import numpy as np

__all__ = [
    "accuracy",
    "calibration_bins",
    "calibration_error",
    "confusion_matrix",
    "cross_entropy",
    "per_class",
    "wilson_interval",
]


def accuracy(predicted: np.ndarray, labels: np.ndarray) -> float:
    """Share of equal entries of two (N,) integer arrays."""
    return float(np.mean(predicted == labels))


def cross_entropy(log_probs: np.ndarray, labels: np.ndarray) -> float:
    """Mean of -log p(true class) in nats; log_probs (N, K), labels (N,)."""
    return float(-np.mean(log_probs[np.arange(len(labels)), labels], dtype=np.float64))


def confusion_matrix(predicted: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """int64 (K, K): rows are true classes, columns predicted ones."""
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def per_class(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """precision, recall, f1: float64 (K,), 0 where undefined; support: int64 (K,)."""
    hits = np.diag(confusion).astype(np.float64)
    predicted, support = confusion.sum(axis=0), confusion.sum(axis=1)
    precision = hits / np.maximum(predicted, 1)
    recall = hits / np.maximum(support, 1)
    total = precision + recall
    f1 = 2 * precision * recall / np.where(total > 0, total, 1)
    return {"precision": precision, "recall": recall, "f1": f1, "support": support}


def calibration_bins(confidence: np.ndarray, correct: np.ndarray, bins: int = 15) -> np.ndarray:
    """float64 (bins, 3): count, mean confidence and accuracy in equal bins of (0, 1]."""
    index = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(index, minlength=bins).astype(np.float64)
    filled = np.maximum(count, 1)
    mean_confidence = np.bincount(index, weights=confidence, minlength=bins) / filled
    mean_correct = np.bincount(index, weights=correct.astype(np.float64), minlength=bins) / filled
    return np.stack([count, mean_confidence, mean_correct], axis=1)


def calibration_error(confidence: np.ndarray, correct: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error (Naeini 2015; Guo et al. 2017): the mean gap, weighed by count."""
    count, mean_confidence, mean_correct = calibration_bins(confidence, correct, bins).T
    return float(np.sum(count * np.abs(mean_confidence - mean_correct)) / max(len(confidence), 1))


def wilson_interval(right: int, total: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927): sound also near 0 and 1, where +-2 sigma is not."""
    if total == 0:
        return 0.0, 1.0
    share = right / total
    centre = share + z * z / (2 * total)
    spread = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)
