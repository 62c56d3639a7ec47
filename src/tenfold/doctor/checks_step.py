"""One step: what goes in, what the loss rewards, and whether the gradient belongs to it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tenfold.arrays import Batch
from tenfold.doctor.diagnosis import Examination, Severity
from tenfold.doctor.recipe_under_test import RecipeUnderTest
from tenfold.doctor.trials import without_regularisers
from tenfold.networks.shapes import initial_weights
from tenfold.numpy_engine.engine import NumpyEngine
from tenfold.numpy_engine.losses import LOSSES
from tenfold.numpy_engine.network import look_inside
from tenfold.recipes.load import change_recipe
from tenfold.recipes.schema import Recipe
from tenfold.settings import LossSettings

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
    changes = {"input.scaling": "standardise"}
    if spread > _FAR or abs(mean) > _FAR:
        examination.found("inputs-unscaled", "fault", seen, expected=expected, changes=changes)
    elif spread < _NEAR:
        examination.found("inputs-tiny", "fault", seen, expected=expected, changes=changes)
    else:
        examination.passed("scale of the inputs", seen, expected)


def check_loss(examination: Examination) -> None:
    """Whether answering all classes with the same low score is cheaper than guessing, at a place where the
    gradient is gone: then descent ends there, whatever the images show."""
    under_test = examination.under_test
    settings = under_test.recipe.loss
    guess, pull = _constant_answer(settings, 0.0, under_test.classes)
    levels = [_constant_answer(settings, level, under_test.classes) for level in np.linspace(-15, 15, 31)]
    lowest, left = min(levels, key=lambda pair: round(pair[0], 6))
    seen = f"the same answer for every image brings the loss from {guess:.3f} to {lowest:.3f}"
    expected = "no answer that is good for every image and flat"
    if lowest < 0.9 * guess and left < _GONE * pull:
        seen += f", with {left / pull:.1g} of the gradient left"
        changes = {"loss.name": "cross-entropy"}
        examination.found("loss-trap", "fault", seen, expected=expected, changes=changes)
    else:
        examination.passed("whether the loss rewards predicting no class", seen, expected)


def _constant_answer(settings: LossSettings, level: float, classes: int) -> tuple[float, float]:
    """(loss, length of an image's gradient) with the score `level` for all classes of all images."""
    labels = np.arange(classes)
    loss, gradient = LOSSES[settings.name](settings)(np.full((classes, classes), level), labels)
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
    engine = _engine(under_test, plain)
    few = under_test.train.subset(
        np.random.default_rng(under_test.seed).permutation(len(under_test.train))[:_IMAGES]
    )
    batch = Batch(few.images, few.labels)
    _check_derivative(examination, engine, batch)
    _check_columns(examination, engine, batch)
    _check_bias_rate(examination, engine, batch)


def _engine(under_test: RecipeUnderTest, recipe: Recipe) -> NumpyEngine:
    options = replace(under_test.setup(recipe).engine.options, precision="float64")
    network = recipe.plan(under_test.train.image_shape, under_test.classes)
    return NumpyEngine(network, initial_weights(network, "torch", seed=under_test.seed), options)


def _exact(engine: NumpyEngine) -> dict[str, np.ndarray]:
    """float64, where `engine.weights()` would round."""
    return {name: value.copy() for name, value in engine.store.values.items()}


def _check_derivative(examination: Examination, engine: NumpyEngine, batch: Batch) -> None:
    """The loss's derivative along the gradient, by central differences, over the gradient's length: 1 if the
    gradient is right, -1 if its sign is wrong, 1/N if it is the sum over N images."""
    derivative = _derivative(engine, batch)
    code, severity, seen = judge_derivative(derivative, len(batch))
    expected = "1: right, and averaged over the batch"
    if not code:
        examination.passed("derivative along the gradient", seen, expected)
    elif code == "gradient-sum":
        under_test, recipe = examination.under_test, examination.under_test.recipe
        rate = recipe.optimiser.learning_rate * under_test.batch_size(recipe)
        if recipe.optimiser.name != "sgd":
            rate = recipe.optimiser.learning_rate  # Adam does not feel the gradient's length
        changes = {"loss.reduction": "mean", "optimiser.learning_rate": rate}
        examination.found(code, severity, seen, expected=expected, changes=changes)
    else:
        examination.found(code, severity, seen, expected=expected)


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
    weights = _exact(engine)
    view = look_inside(engine.network, weights, engine.options, batch.images, batch.labels)
    length = float(np.sqrt(sum(np.square(g).sum() for g in view.gradients.values())))
    if not length:
        return 1.0
    losses = []
    for sign in (1, -1):
        moved = weights | {
            name: view.weights[name] + sign * _MOVE / length * gradient
            for name, gradient in view.gradients.items()
        }
        losses.append(look_inside(engine.network, moved, engine.options, batch.images, batch.labels).loss)
    return (losses[0] - losses[1]) / (2 * _MOVE * length)


def _check_columns(examination: Examination, engine: NumpyEngine, batch: Batch) -> None:
    """The column that the gradient wants to raise for each image, against the image's class."""
    view = look_inside(engine.network, _exact(engine), engine.options, batch.images, batch.labels)
    gradient = view.layers[-1].gradient
    if gradient is None:
        return
    shifts = (gradient.argmin(axis=1) - batch.labels) % engine.network.classes
    shift = int(np.bincount(shifts).argmax())
    seen = f"the column raised for class c is c + {shift}" if shift else "class c raises column c"
    expected = "column c for class c"
    if shift and (shifts == shift).all():
        examination.found(
            "columns-shifted", "warning", seen, expected=expected, changes={"loss.label_shift": 0},
            shift=str(shift if 2 * shift <= engine.network.classes else shift - engine.network.classes),
        )  # fmt: skip
    else:
        examination.passed("column of each class", seen, expected)


def _check_bias_rate(examination: Examination, engine: NumpyEngine, batch: Batch) -> None:
    """How far one step moves a bias, and the weights beside it, for the gradient they had."""
    before = _exact(engine)
    gradients = look_inside(engine.network, before, engine.options, batch.images, batch.labels).gradients
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
    if not 1 / _APART < worst < _APART:
        groups = [
            g.model_dump() for g in examination.under_test.recipe.optimiser.groups if "bias" not in g.match
        ]
        changes = {"optimiser.groups": groups}
        examination.found("bias-rate", "warning", seen, expected=expected, changes=changes)
    else:
        examination.passed("steps of biases against weights", seen, expected)


def _rate(change: np.ndarray, gradient: np.ndarray, *, adaptive: bool) -> float:
    """Adam's step has the length of the rate; that of plain descent goes with the gradient."""
    if adaptive:
        moved = np.abs(change[np.abs(gradient) > 1e-9])
        return float(np.median(moved)) if len(moved) else 0.0
    return float(np.linalg.norm(change)) / max(float(np.linalg.norm(gradient)), 1e-12)
