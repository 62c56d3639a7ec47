"""Softmax, one-hot and gradient as somebody wrote them, held against what they should be.

A recipe cannot carry a mistake in a formula; a notebook can. Seed A's are found here: a softmax divided by
the wrong sum, one-hot columns shifted by one, y - p called the gradient, sums where means belong, and nine
pictures of the weights of ten classes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tenfold.doctor.checks_sets import best_shift
from tenfold.doctor.checks_step import judge_slope
from tenfold.doctor.diagnosis import Finding
from tenfold.doctor.examination import make_finding
from tenfold.errors import UsageError
from tenfold.numerics import softmax as right_softmax

__all__ = ["check_own_code"]

Function = Callable[..., np.ndarray]

_IMAGES = 20
_MOVE = 1e-6


def check_own_code(
    *,
    softmax: Function | None = None,
    one_hot: Function | None = None,
    loss: Callable[[np.ndarray, np.ndarray], float] | None = None,
    gradient: Function | None = None,
    weights: np.ndarray | None = None,
    pictures: np.ndarray | None = None,
    classes: int = 10,
    seed: int = 0,
) -> tuple[Finding, ...]:
    """What is wrong with code of one's own; nothing where it is right. Leave out what you do not have.

    softmax: logits (N, K) -> probabilities (N, K). one_hot: labels (N,) -> (N, K). loss: (logits (N, K),
    labels (N,)) -> the mean loss; gradient: the same -> d loss / d logits (N, K), which needs the loss.
    weights (K, P) and pictures (M, ...) drawn from them, P pixels each. Raises UsageError for a gradient
    without a loss, or pictures without weights.
    """
    if (gradient is not None and loss is None) or (pictures is not None and weights is None):
        raise UsageError(
            "a gradient or pictures by themselves", expected="the loss, or the weights, with them"
        )
    rng = np.random.default_rng(seed)
    logits, labels = rng.standard_normal((_IMAGES, classes)), np.arange(_IMAGES) % classes
    findings: list[Finding] = []
    if softmax is not None:
        findings += _check_softmax(softmax, logits)
    if one_hot is not None:
        findings += _check_one_hot(one_hot, labels, classes)
    if loss is not None and gradient is not None:
        findings += _check_gradient(loss, gradient, logits, labels)
    if weights is not None and pictures is not None:
        findings += _check_pictures(weights, pictures)
    return tuple(findings)


def _check_softmax(softmax: Function, logits: np.ndarray) -> list[Finding]:
    with np.errstate(all="ignore"):
        probs, large = np.asarray(softmax(logits.copy())), np.asarray(softmax(1000 * logits))
    sums = probs.sum(axis=-1)
    if not np.allclose(probs, right_softmax(logits), atol=1e-6):
        seen = f"its rows sum to {sums.min():.4g} up to {sums.max():.4g}"
        return [make_finding("softmax-wrong", "fault", seen)]
    if not np.isfinite(large).all():
        share = float((~np.isfinite(large)).mean())
        seen = f"of scores a thousand times as large, {share:.0%} of its answers are no numbers"
        return [make_finding("softmax-overflow", "fault", seen)]
    return []


def _check_one_hot(one_hot: Function, labels: np.ndarray, classes: int) -> list[Finding]:
    columns = np.asarray(one_hot(labels)).argmax(axis=1)
    shift, _ = best_shift(labels, columns, classes)
    if (columns == labels).all():
        return []
    seen = f"label {labels[0]} has its 1 in column {columns[0]}"
    return [make_finding("columns-shifted", "warning", seen, shift=str(shift))]


def _check_gradient(
    loss: Callable[[np.ndarray, np.ndarray], float],
    gradient: Function,
    logits: np.ndarray,
    labels: np.ndarray,
) -> list[Finding]:
    slope = np.asarray(gradient(logits.copy(), labels))
    length = float(np.linalg.norm(slope))
    step = _MOVE * slope / max(length, 1e-12)
    change = float(loss(logits + step, labels)) - float(loss(logits - step, labels))
    code, severity, seen = judge_slope(change / (2 * _MOVE * max(length, 1e-12)), len(labels))
    return [make_finding(code, severity, seen)] if code else []


def _check_pictures(weights: np.ndarray, pictures: np.ndarray) -> list[Finding]:
    """A row of the weights is shown where a picture follows it, scaled and shifted in whatever way."""
    drawn = np.reshape(pictures, (len(pictures), -1)).astype(float)
    likeness = np.corrcoef(np.concatenate([weights, drawn]))[: len(weights), len(weights) :]
    missing = np.flatnonzero(likeness.max(axis=1, initial=-1.0) < 0.99)
    if not len(missing):
        return []
    named = ", ".join(map(str, missing))
    seen = f"{len(weights) - len(missing)} of {len(weights)} rows are shown; missing: {named}"
    return [make_finding("pictures-missing", "warning", seen)]
