"""Softmax, one-hot and gradient as somebody wrote them, held against what they should be.

A recipe cannot carry a mistake in a formula; a notebook can. Those of the softmax regression tutorial are
found here: a softmax divided by the wrong sum, one-hot columns shifted by one, y - p called the gradient,
sums in place of means, and nine pictures of the weights of ten classes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tenfold.arguments import checked, describe_value
from tenfold.doctor.checks_sets import best_shift
from tenfold.doctor.checks_step import judge_derivative
from tenfold.doctor.diagnosis import Finding
from tenfold.doctor.examination import make_finding
from tenfold.errors import UsageError
from tenfold.numerics import softmax as right_softmax

__all__ = ["check_own_code"]

Function = Callable[..., np.ndarray]

_IMAGES = 20
_MOST_CLASSES = 10_000
_MOVE = 1e-6


@checked
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
    without a loss, pictures without weights, or an answer of another shape.
    """
    if (gradient is not None and loss is None) or (pictures is not None and weights is None):
        raise UsageError(
            "a gradient or pictures by themselves", expected="the loss, or the weights, with them"
        )
    if not 2 <= classes <= _MOST_CLASSES:
        raise UsageError(f"{classes} classes", expected=f"2 to {_MOST_CLASSES}")
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


def _answer(name: str, value: object, shape: tuple[int | None, ...]) -> np.ndarray:
    """What a function of the user's gave, as numbers of that shape; None is any size."""
    answer = np.asarray(value)
    fits = answer.ndim == len(shape) and all(b in (None, a) for a, b in zip(answer.shape, shape))
    if not fits or answer.dtype.kind not in "biuf":
        sizes = " x ".join("K" if size is None else str(size) for size in shape)
        expected = f"numbers, {sizes}" if shape else "a number"
        raise UsageError(f"{name} gives {describe_value(answer)}", expected=expected)
    return answer


def _check_softmax(softmax: Function, logits: np.ndarray) -> list[Finding]:
    with np.errstate(all="ignore"):
        probs = _answer("softmax", softmax(logits.copy()), logits.shape)
        large = _answer("softmax", softmax(1000 * logits), logits.shape)
    sums = probs.sum(axis=-1)
    if not np.allclose(probs, right_softmax(logits), atol=1e-6):
        seen = f"its rows sum to {sums.min():.4g} up to {sums.max():.4g}"
        return [make_finding("softmax-wrong", "fault", seen)]
    if not np.isfinite(large).all():
        share = float((~np.isfinite(large)).mean())
        seen = f"of scores a thousand times as large, {share:.0%} of its answers are NaN or infinite"
        return [make_finding("softmax-overflow", "fault", seen)]
    return []


def _check_one_hot(one_hot: Function, labels: np.ndarray, classes: int) -> list[Finding]:
    columns = _answer("one_hot", one_hot(labels), (len(labels), None)).argmax(axis=1)
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
    found = _answer("gradient", gradient(logits.copy(), labels), logits.shape)
    length = float(np.linalg.norm(found))
    step = _MOVE * found / max(length, 1e-12)
    above, below = (_answer("loss", loss(logits + way, labels), ()) for way in (step, -step))
    change = float(above) - float(below)
    code, severity, seen = judge_derivative(change / (2 * _MOVE * max(length, 1e-12)), len(labels))
    return [make_finding(code, severity, seen)] if code else []


def _check_pictures(weights: np.ndarray, pictures: np.ndarray) -> list[Finding]:
    """A row of the weights is shown where a picture follows it, scaled and shifted in whatever way."""
    drawn = np.reshape(pictures, (len(pictures), -1)) if pictures.size else np.zeros((0, 0))
    kinds = {weights.dtype.kind, drawn.dtype.kind}
    if weights.ndim != 2 or drawn.shape[1] != weights.shape[1] or not kinds <= {*"biuf"}:
        raise UsageError(
            f"weights are {describe_value(weights)}, pictures {describe_value(pictures)}",
            expected="numbers (K, P), and M pictures of P pixels each",
        )
    likeness = np.corrcoef(np.concatenate([weights, drawn.astype(float)]))[: len(weights), len(weights) :]
    missing = np.flatnonzero(likeness.max(axis=1, initial=-1.0) < 0.99)
    if not len(missing):
        return []
    named = ", ".join(map(str, missing))
    seen = f"{len(weights) - len(missing)} of {len(weights)} rows are shown; missing: {named}"
    return [make_finding("pictures-missing", "warning", seen)]
