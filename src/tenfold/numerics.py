"""Softmax, its logarithm, one-hot targets, and what rows of scores spell, in NumPy.

These are the only ones: engines, classifier and evaluation call them, or are tested against them.
"""

from __future__ import annotations

import numpy as np

__all__ = ["best_paths", "log_softmax", "one_hot", "shifted_columns", "softmax"]


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
