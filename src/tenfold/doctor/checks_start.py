"""The network before its first step: is it undecided, does every layer let numbers and gradients through?"""

from __future__ import annotations

import numpy as np

from tenfold.doctor.diagnosis import Severity
from tenfold.doctor.examination import Examination
from tenfold.doctor.readings import saturation, view_inside
from tenfold.doctor.recipe_under_test import RecipeUnderTest
from tenfold.networks.layers import LayerSpec, parse_layers
from tenfold.numpy_engine.losses import LOSSES
from tenfold.numpy_engine.network import InsideView
from tenfold.recipes.schema import Recipe

__all__ = ["check_start", "guessing_loss"]

# Sound starts of the carried recipes lie up to 0.9 above ln(classes); N(0, 1) weights 16 and more.
_ABOVE, _FAR_ABOVE = 1.5, 5.0  # nats
_TIMES, _FAR_TIMES = 5.0, 50.0  # the loss of guessing, for losses that are not in nats
_FLAT, _MOSTLY_FLAT = 0.25, 0.5  # of a layer's outputs
# ||gradient|| / ||weights|| of the first layer over that of the last: sound networks have 0.05 to 5.
_VANISHED, _GONE, _EXPLODED = 0.01, 0.001, 1000.0


def check_start(examination: Examination) -> None:
    """On inputs as scaled by what was found before, so that large pixels are not blamed on the weights."""
    view = view_inside(examination.under_test, examination.recipe)
    if not examination.under_test.recipe.network.start_from:
        _check_saturation(examination, view)
        _check_first_loss(examination, view)
    _check_gradients(examination)


def _start_changes(recipe: Recipe) -> dict[str, str]:
    """Kaiming's spread makes up for the half that ReLU cuts away; Glorot's is for symmetric units."""
    relu = any(kind == "relu" for kind in _kinds(parse_layers(recipe.network.layers)))
    return {"network.initialise": "kaiming" if relu else "xavier"}


def _kinds(specs: tuple[LayerSpec, ...]) -> list[str]:
    return [kind for spec in specs for kind in (spec.kind, *_kinds(spec.inner))]


def _check_saturation(examination: Examination, view: InsideView) -> None:
    """The outputs too, where the loss as it was given puts a sigmoid on them."""
    shares = {
        layer.name: saturation(layer.kind, layer.outputs)
        for layer in view.layers
        if layer.kind in ("sigmoid", "tanh")
    }
    if examination.under_test.recipe.loss.name == "sigmoid-distance":
        shares["the output"] = saturation("logits", view.logits)
    if not shares:
        return
    layer, share = max(shares.items(), key=lambda pair: pair[1])
    seen = f"{share:.0%} of {layer} lies where the derivative is below a twentieth of its maximum"
    expected = f"at most {_FLAT:.0%}"
    if share > _FLAT:
        examination.found(
            "saturated", "fault" if share > _MOSTLY_FLAT else "warning", seen, expected=expected,
            changes=_start_changes(examination.under_test.recipe), layer=layer[0].upper() + layer[1:],
        )  # fmt: skip
    else:
        examination.passed("saturated units at the start", seen, expected)


def _check_first_loss(examination: Examination, view: InsideView) -> None:
    under_test = examination.under_test
    settings = under_test.recipe.loss
    guess = guessing_loss(under_test)
    first = _loss_of(view, examination)
    if settings.name == "cross-entropy":
        high, grave = first > guess + _ABOVE, first > guess + _FAR_ABOVE
        expected = f"ln {under_test.classes} = {guess:.2f}, and at most {_ABOVE:g} more"
    else:
        high, grave = first > _TIMES * guess, first > _FAR_TIMES * guess
        expected = f"{guess:.2f}, that of guessing, and at most {_TIMES:g} times as much"
    seen = f"{first:.2f}"
    if high or not np.isfinite(first):
        examination.found(
            "start-loss", "fault" if grave or not np.isfinite(first) else "warning",
            f"the loss before the first step is {seen}; that of guessing is {guess:.2f}", expected=expected,
            changes=_start_changes(under_test.recipe),
        )  # fmt: skip
    else:
        examination.passed("loss at the start", seen, expected)


def guessing_loss(under_test: RecipeUnderTest) -> float:
    """Of scores of 0 for every class."""
    settings = under_test.recipe.loss
    scores = np.zeros((under_test.classes, under_test.classes))
    return LOSSES[settings.name](settings)(scores, np.arange(under_test.classes))[0]


def _loss_of(view: InsideView, examination: Examination) -> float:
    """With the loss as it was given, though the view may be of a recipe whose loss is fixed already."""
    settings = examination.under_test.recipe.loss.model_copy(update={"label_shift": 0})
    under_test = examination.under_test
    few = np.random.default_rng(under_test.seed).permutation(len(under_test.train))[: len(view.logits)]
    with np.errstate(all="ignore"):
        return LOSSES[settings.name](settings)(view.logits, under_test.train.labels[few])[0]


def _check_gradients(examination: Examination) -> None:
    """After the start is fixed: what is left lies in the layers themselves."""
    view = view_inside(examination.under_test, examination.recipe)
    rates = [
        (
            name.removesuffix(".weight"),
            float(np.linalg.norm(gradient)) / max(float(np.linalg.norm(view.weights[name])), 1e-12),
        )
        for name, gradient in view.gradients.items()
        if name.endswith(".weight") and gradient.ndim > 1
    ]
    if len(rates) < 2 or not rates[-1][1] > 0:
        return
    ratio = float(rates[0][1] / rates[-1][1])
    seen = f"per weight, {rates[0][0]} gets {ratio:.2g} times the gradient that {rates[-1][0]} gets"
    expected = f"from {_VANISHED:g} to {_EXPLODED:g}"
    if ratio < _VANISHED:
        severity: Severity = "fault" if ratio < _GONE else "warning"
        changes, remedy = _open_the_way(examination.recipe)
        examination.found(
            "vanishing-gradients", severity, seen, expected=expected, changes=changes, remedy=remedy
        )
    elif ratio > _EXPLODED or not np.isfinite(ratio):
        examination.found(
            "exploding-gradients",
            "fault",
            seen,
            expected=expected,
            changes=_start_changes(examination.recipe),
        )
    else:
        examination.passed("gradients from the last layer to the first", seen, expected)


def _open_the_way(recipe: Recipe) -> tuple[dict[str, object], str]:
    """ReLU instead of sigmoid and tanh, and weights that fit it; where ReLUs are there already, weights."""
    kinds = _kinds(parse_layers(recipe.network.layers))
    changes: dict[str, object] = {"network.initialise": "kaiming"}
    if "sigmoid" in kinds or "tanh" in kinds:
        changes["network.layers"] = _relu_layers(list(recipe.network.layers))
        return changes, "ReLU in place of sigmoid and tanh, and first weights made for it (He et al. 2015)."
    return changes, "First weights with a spread of sqrt(2 / inputs), made for ReLU (He et al. 2015)."


def _relu_layers(layers: list) -> list:
    return [
        {"residual": _relu_layers(list(line["residual"]))}
        if isinstance(line, dict)
        else "relu"
        if line in ("sigmoid", "tanh")
        else line
        for line in layers
    ]
