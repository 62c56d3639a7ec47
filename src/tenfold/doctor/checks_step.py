"""One step: what goes in, what the loss rewards, whether the gradient belongs to it; code of one's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from tenfold.arguments import checked, describe_value
from tenfold.arrays import Batch
from tenfold.doctor.checks_sets import best_shift
from tenfold.doctor.diagnosis import Examination, Finding, Severity, make_finding
from tenfold.doctor.trials import without_regularisers
from tenfold.errors import UsageError
from tenfold.numerics import softmax as right_softmax
from tenfold.numpy_engine.engine import NumpyEngine
from tenfold.numpy_engine.gradcheck import InsideView
from tenfold.numpy_engine.losses import Loss
from tenfold.recipes.load import change_recipe
from tenfold.settings import LossSettings

__all__ = ["check_own_code"]

_FAR, _NEAR = 3.0, 0.02  # of mean and spread of the inputs
_IMAGES = 32
_EXACT = 0.05  # of 1
_MOVE = 1e-5  # the length of the step along the gradient, over which the change is measured
_APART = 3.0  # times: the rates of weights and biases
_GONE = 0.01  # of the gradient at the start: the gradient has vanished


def check_inputs(examination: Examination) -> None:
    """Mean near 0 and spread near 1 (LeCun et al. 1998); 0..1, as most people scale, is near enough."""
    under_test = examination.under_test
    options = under_test.setup(under_test.recipe).engine.options
    pixels = under_test.train.images
    mean = (float(pixels.mean()) / 255 - options.mean) / options.std
    spread = float(pixels.std()) / 255 / options.std
    seen = f"mean {mean:.2g}, standard deviation {spread:.2g}"
    expected = f"mean within ±{_FAR:g}, standard deviation from {_NEAR:g} to {_FAR:g}"
    far = spread > _FAR or abs(mean) > _FAR
    code, changes = "inputs-unscaled" if far else "inputs-tiny", {"input.scaling": "standardise"}
    examination.judge(code, seen, expected, changes, fault=far or spread < _NEAR)


def check_loss(examination: Examination) -> None:
    """Whether answering all classes with the same low score is cheaper than guessing, at a place where the
    gradient is gone: then descent ends there, whatever the images show."""
    under_test = examination.under_test
    settings = under_test.recipe.loss
    guess, pull = _constant_answer(settings, 0.0, under_test.classes)
    levels = [_constant_answer(settings, level, under_test.classes) for level in np.linspace(-15, 15, 31)]
    lowest, left = min(levels, key=lambda pair: round(pair[0], 6))
    seen = f"the same answer for every image brings the loss from {guess:.3f} to {lowest:.3f}"
    trap = lowest < 0.9 * guess and left < _GONE * pull
    if trap:
        seen += f", with {left / pull:.1g} of the gradient left"
    expected, changes = "no answer that is good for every image and flat", {"loss.name": "cross-entropy"}
    examination.judge("loss-trap", seen, expected, changes, fault=trap)


def _constant_answer(settings: LossSettings, level: float, classes: int) -> tuple[float, float]:
    """(loss, length of an image's gradient) with the score `level` for all classes of all images."""
    labels = np.arange(classes)
    loss, gradient = Loss.of(settings)(np.full((classes, classes), level), labels)
    return loss, float(np.linalg.norm(gradient))


def check_step(examination: Examination) -> None:
    """Measured on fresh small weights and standardised inputs, so that nothing is saturated: what is odd
    there lies in loss, gradient and optimiser, not in the start."""
    under_test = examination.under_test
    plain = change_recipe(
        without_regularisers(under_test.recipe),
        {
            "network.initialise": "torch",
            "network.start_from": "",
            "input.scaling": "standardise",
            "optimiser.clip_norm": 0.0,
            "loss.probability_floor": 0.0,
            "training.precision": "float64",
        },
    )
    options = replace(under_test.setup(plain).engine.options, precision="float64")
    network = plain.plan(under_test.train.image_shape, under_test.classes)
    engine = NumpyEngine(network, network.initial_weights("torch", seed=under_test.seed), options)
    few = under_test.draw(under_test.train, _IMAGES)
    batch = Batch(few.images, few.labels)
    _check_derivative(examination, engine, batch)
    _check_columns(examination, engine, batch)
    _check_bias_rate(examination, engine, batch)


def _look(engine: NumpyEngine, batch: Batch, weights: dict[str, np.ndarray] | None = None) -> InsideView:
    """weights: in place of the engine's own."""
    return InsideView.of(
        engine.network, weights or _exact(engine), engine.options, batch.images, batch.labels
    )


def _exact(engine: NumpyEngine) -> dict[str, np.ndarray]:
    """float64, where `engine.weights()` would round."""
    return {name: value.copy() for name, value in engine.store.values.items()}


def _check_derivative(examination: Examination, engine: NumpyEngine, batch: Batch) -> None:
    """The loss's derivative along the gradient, by central differences, over the gradient's length: 1 if the
    gradient is right, -1 if its sign is wrong, 1/N if it is the sum over N images."""
    derivative = _derivative(engine, batch)
    code, severity, seen = judge_derivative(derivative, len(batch))
    changes: dict[str, Any] = {}
    if code == "gradient-sum":
        recipe = examination.under_test.recipe
        rate = recipe.optimiser.learning_rate
        if recipe.optimiser.name == "sgd":  # Adam does not feel the gradient's length
            rate *= examination.under_test.batch_size(recipe)
        changes = {"loss.reduction": "mean", "optimiser.learning_rate": rate}
    examination.judge(
        code or "gradient-wrong", seen, "1: right, and averaged over the batch", changes,
        fault=severity == "fault", warning=severity == "warning",
    )  # fmt: skip


def judge_derivative(derivative: float, images: int) -> tuple[str, Severity, str]:
    """(code, severity, what was seen) of the loss's derivative along the gradient over the gradient's
    length; no code where it is 1."""
    seen = f"the loss falls {derivative:.4g} times as fast as the gradient says"
    if abs(derivative - 1) < _EXACT:
        return "", "note", seen
    if derivative < 0:
        return "gradient-sign", "fault", seen
    if abs(derivative * images - 1) < _EXACT:
        return "gradient-sum", "warning", f"{seen}, which is 1 / {images}, with {images} images"
    return "gradient-wrong", "fault", seen


def _derivative(engine: NumpyEngine, batch: Batch) -> float:
    weights, view = _exact(engine), _look(engine, batch)
    length = float(np.sqrt(sum(np.square(g).sum() for g in view.gradients.values())))
    if not length:
        return 1.0
    losses = []
    for sign in (1, -1):
        moved = weights | {
            name: view.weights[name] + sign * _MOVE / length * gradient
            for name, gradient in view.gradients.items()
        }
        losses.append(_look(engine, batch, moved).loss)
    return (losses[0] - losses[1]) / (2 * _MOVE * length)


def _check_columns(examination: Examination, engine: NumpyEngine, batch: Batch) -> None:
    """The column that the gradient wants to raise for each image, against the image's class."""
    gradient = _look(engine, batch).layers[-1].gradient
    if gradient is None:
        return
    shifts = (gradient.argmin(axis=1) - batch.labels) % engine.network.classes
    shift = int(np.bincount(shifts).argmax())
    seen = f"the column raised for class c is c + {shift}" if shift else "class c raises column c"
    by = str(shift if 2 * shift <= engine.network.classes else shift - engine.network.classes)
    moved, changes = bool(shift) and (shifts == shift).all(), {"loss.label_shift": 0}
    examination.judge("columns-shifted", seen, "column c for class c", changes, warning=moved, shift=by)


def _check_bias_rate(examination: Examination, engine: NumpyEngine, batch: Batch) -> None:
    """How far one step moves a bias, and the weights beside it, for the gradient they had."""
    before, gradients = _exact(engine), _look(engine, batch).gradients
    engine.train_step(batch, 1e-3)
    after = _exact(engine)
    adaptive = engine.options.optimiser.name != "sgd"
    worst, layer = 1.0, ""
    for name, gradient in gradients.items():
        weight = name.removesuffix("bias") + "weight"
        if not name.endswith(".bias") or weight not in gradients:
            continue
        rates = [
            _rate(after[each] - before[each], gradients[each], adaptive=adaptive) for each in (name, weight)
        ]
        if min(rates) > 0 and abs(np.log(rates[0] / rates[1])) > abs(np.log(worst)) and gradient.any():
            worst, layer = rates[0] / rates[1], name.removesuffix(".bias")
    seen = f"biases move {worst:.2g} times as far as weights" + (f" ({layer})" if layer else "")
    expected = f"within a factor of {_APART:g}"
    groups = examination.under_test.recipe.optimiser.groups
    changes = {"optimiser.groups": [group.model_dump() for group in groups if "bias" not in group.match]}
    apart = not 1 / _APART < worst < _APART
    examination.judge("bias-rate", seen, expected, changes, warning=apart)


def _rate(change: np.ndarray, gradient: np.ndarray, *, adaptive: bool) -> float:
    """Adam's step has the length of the rate; that of plain descent goes with the gradient."""
    if adaptive:
        moved = np.abs(change[np.abs(gradient) > 1e-9])
        return float(np.median(moved)) if len(moved) else 0.0
    return float(np.linalg.norm(change)) / max(float(np.linalg.norm(gradient)), 1e-12)


# Softmax, one-hot and gradient as somebody wrote them, held against what they should be.
#
# A recipe cannot carry a mistake in a formula; a notebook can. Those of the softmax regression tutorial are
# found here: a softmax divided by the wrong sum, one-hot columns shifted by one, y - p called the gradient,
# sums in place of means, and nine pictures of the weights of ten classes.

Function = Callable[..., np.ndarray]

_ROWS = 20  # of the scores that are tried
_MOST_CLASSES = 10_000
_LITTLE = 1e-6  # the length of the step along a gradient of the user's


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
        found = "a gradient or pictures by themselves"
        raise UsageError(found, expected="the loss, or the weights, with them")
    if not 2 <= classes <= _MOST_CLASSES:
        raise UsageError(f"{classes} classes", expected=f"2 to {_MOST_CLASSES}")
    rng = np.random.default_rng(seed)
    logits, labels = rng.standard_normal((_ROWS, classes)), np.arange(_ROWS) % classes
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
    step = _LITTLE * found / max(length, 1e-12)
    above, below = (_answer("loss", loss(logits + way, labels), ()) for way in (step, -step))
    change = float(above) - float(below)
    code, severity, seen = judge_derivative(change / (2 * _LITTLE * max(length, 1e-12)), len(labels))
    return [make_finding(code, severity, seen)] if code else []


def _check_pictures(weights: np.ndarray, pictures: np.ndarray) -> list[Finding]:
    """A row of the weights is shown where a picture follows it, scaled and shifted in whatever way."""
    drawn = np.reshape(pictures, (len(pictures), -1)) if pictures.size else np.zeros((0, 0))
    kinds = {weights.dtype.kind, drawn.dtype.kind}
    if weights.ndim != 2 or drawn.shape[1] != weights.shape[1] or not kinds <= {*"biuf"}:
        found = f"weights are {describe_value(weights)}, pictures {describe_value(pictures)}"
        raise UsageError(found, expected="numbers (K, P), and M pictures of P pixels each")
    likeness = np.corrcoef(np.concatenate([weights, drawn.astype(float)]))[: len(weights), len(weights) :]
    missing = np.flatnonzero(likeness.max(axis=1, initial=-1.0) < 0.99)
    if not len(missing):
        return []
    named = ", ".join(map(str, missing))
    seen = f"{len(weights) - len(missing)} of {len(weights)} rows are shown; missing: {named}"
    return [make_finding("pictures-missing", "warning", seen)]
