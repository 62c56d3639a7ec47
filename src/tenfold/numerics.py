"""Softmax, its logarithm, one-hot targets, and shares with their interval, in NumPy.

These are the only ones: engines, classifier and evaluation call them, or are tested against them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = [
    "accuracy",
    "log_softmax",
    "one_hot",
    "orthogonalise",
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


def accuracy(predicted: np.ndarray, labels: np.ndarray) -> float:
    """Share of equal entries of two (N,) integer arrays."""
    return float(np.mean(predicted == labels))


def wilson_interval(right: int, total: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927): sound also near 0 and 1, where +-2 sigma is not."""
    if total == 0:
        return 0.0, 1.0
    share = right / total
    centre = share + z * z / (2 * total)
    spread = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def orthogonalise(matrix: Any) -> Any:
    """U V^T, about, of a matrix U S V^T: five steps of Newton and Schulz bring its singular values near 1, to
    0.7 to 1.2 (Jordan 2024, "Muon"). Of NumPy or of torch, float (M, N)."""
    a, b, c = 3.4445, -4.775, 2.0315
    wide = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    wide = wide / ((wide * wide).sum() ** 0.5 + 1e-7)
    for _ in range(5):
        squares = wide @ wide.T
        wide = a * wide + (b * squares + c * squares @ squares) @ wide
    return wide.T if matrix.shape[0] > matrix.shape[1] else wide
