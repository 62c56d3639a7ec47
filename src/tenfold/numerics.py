"""Softmax, its logarithm, one-hot targets, and what rows of scores spell, in NumPy.

These are the only ones: engines, classifier and evaluation call them, or are tested against them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

__all__ = [
    "accuracy",
    "best_paths",
    "calibration_bins",
    "calibration_error",
    "class_intervals",
    "confusion_matrix",
    "coverage_risk",
    "cross_entropy",
    "edit_distance",
    "holm_adjust",
    "log_softmax",
    "mcnemar_p",
    "one_hot",
    "per_class",
    "shifted_columns",
    "softmax",
    "wilson_interval",
]


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities (..., K) from logits (..., K): exp(z - max z) / sum of the same.

    Subtracting the row maximum changes nothing but keeps exp in range
    (Goodfellow, Bengio, Courville: Deep Learning, section 4.1).
    """
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shifted /= shifted.sum(axis=-1, keepdims=True)
    return shifted


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """log(softmax(logits)) (..., K), without ever taking the logarithm of a rounded zero."""
    columns = shifted_columns(logits)
    columns -= np.log(np.exp(columns).sum(axis=0))
    return columns.transpose(*range(1, logits.ndim), 0)


def shifted_columns(logits: np.ndarray) -> np.ndarray:
    """Logits (..., K) less their row's maximum, as a new (K, ...): a few columns are worked through one
    after the other, because NumPy is slow along rows of ten."""
    last = logits.ndim - 1
    columns = np.array(logits.transpose(last, *range(last)), order="C")
    columns -= columns.max(axis=0)
    return columns


def one_hot(labels: np.ndarray, classes: int, dtype: type = np.float32) -> np.ndarray:
    """(N,) labels in 0..classes-1 -> (N, classes), one 1 per row."""
    rows: np.ndarray = np.zeros((len(labels), classes), dtype=dtype)
    rows[np.arange(len(labels)), labels] = 1
    return rows


def best_paths(scores: np.ndarray) -> np.ndarray:
    """Scores or logits (N, T, K), the last class the blank -> int64 (N, T): the likeliest class of each
    column, repeats merged and blanks left out, then -1 up to the end (Graves et al. 2006, section 3.2)."""
    path = scores.argmax(axis=2)
    kept = path != scores.shape[2] - 1
    kept[:, 1:] &= path[:, 1:] != path[:, :-1]
    spelled = np.full(path.shape, -1, np.int64)
    rows, _ = np.nonzero(kept)
    spelled[rows, (kept.cumsum(axis=1) - 1)[kept]] = path[kept]
    return spelled


# Arrays in, numbers out: accuracy, loss, confusion, calibration, intervals.


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


def class_intervals(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """precision, recall, f1: float64 (K, 2), 95 % intervals; 0 to 1 where there is nothing to count.

    F1 is 2 J / (1 + J) of J = hits / (hits + misses + false alarms), a share of counted things, so that
    Wilson's interval of J gives that of F1 (Lam et al. 2024, the indirect method).
    """
    hits, predicted, support = np.diag(confusion), confusion.sum(axis=0), confusion.sum(axis=1)
    shares = np.array(_intervals(hits, predicted + support - hits))
    return {
        "precision": np.array(_intervals(hits, predicted)),
        "recall": np.array(_intervals(hits, support)),
        "f1": 2 * shares / (1 + shares),
    }


def _intervals(right: np.ndarray, total: np.ndarray) -> list[tuple[float, float]]:
    return [wilson_interval(int(r), int(t)) for r, t in zip(right, total, strict=True)]


def coverage_risk(confidence: np.ndarray, correct: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(coverage, risk): float64 (T,) each, the share answered and the share of those that is wrong.

    The surest are answered first; equally sure ones together, so T is the number of different
    confidences (El-Yaniv & Wiener 2010).
    """
    order = np.argsort(-confidence, kind="stable")
    sure, wrong = confidence[order], np.cumsum(~correct[order])
    last = np.flatnonzero(np.append(sure[1:] != sure[:-1], True)[: len(sure)])
    return (last + 1) / max(len(sure), 1), wrong[last] / (last + 1)


def mcnemar_p(only_one: int, only_other: int) -> float:
    """The chance of a split at least as uneven, were both equally good: McNemar's test, exact.

    only_one, only_other: images that the one gets right and the other wrong, and the reverse. The
    two-sided binomial test of a fair coin (McNemar 1947), summed in whole numbers.
    """
    total, fewer = only_one + only_other, min(only_one, only_other)
    ways, below = 1, 0
    for k in range(fewer + 1):
        below += ways
        ways = ways * (total - k) // (k + 1)
    return min(1.0, 2 * below / 2**total)


def holm_adjust(p_values: Sequence[float]) -> list[float]:
    """Each p as it counts among so many tests (Holm 1979): the chance of any false alarm is kept."""
    values = np.array(p_values, dtype=float)
    order = np.argsort(values, kind="stable")
    scaled = np.minimum(1.0, values[order] * np.arange(len(values), 0, -1))
    values[order] = np.maximum.accumulate(scaled)
    return values.tolist()


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


def edit_distance(read: str, label: str) -> int:
    """The fewest characters to insert, delete or replace (Levenshtein 1965)."""
    row = list(range(len(label) + 1))
    for i, character in enumerate(read, start=1):
        above, row = row, [i]
        for j, wanted in enumerate(label, start=1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (character != wanted)))
    return row[-1]
