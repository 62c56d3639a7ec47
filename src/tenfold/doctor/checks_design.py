"""The recipe as it will run on these data, before any training: schedule, momentum, layers, batches."""

from __future__ import annotations

from collections.abc import Sequence
from math import log2, prod
from typing import Any

import numpy as np

from tenfold.doctor.diagnosis import Examination, RecipeUnderTest, Severity
from tenfold.doctor.trials import saturation, view_inside
from tenfold.networks.shapes import Network
from tenfold.numpy_engine.gradcheck import InsideView
from tenfold.numpy_engine.losses import Loss
from tenfold.recipes.load import change_recipe
from tenfold.recipes.schema import Recipe

_JUDGED = 8  # steps: of fewer not even a sound schedule has a shape
_SAMPLED = 2000  # steps of a long training at which the schedule is looked at
_LITTLE, _HARDLY = 0.2, 0.1  # mean factor of the learning rate over all steps; cosine has 0.5
_LATE, _LAST = 0.5, 0.8  # share of the steps before the rate is at its highest
_GROWN, _FAR_GROWN = 1.5, 3.0  # times the learning rate
_PARTS = 4  # times the steps that momentum averages over, which a training needs
_LONG = 0.995  # momentum that is unusual in a training of any length
_FEW, _TOO_FEW = 64, 8  # values that batch-norm takes mean and spread of
_SMALL_BATCH = 8
_STILL = 1e-3  # factor of a learning rate that counts as none
_CURVED = ("relu", "gelu", "silu", "sigmoid", "tanh", "max-pool")
_WEIGHTED = ("linear", "conv", "depthwise")


def check_design(examination: Examination) -> None:
    """What follows from the numbers of the recipe and of the images by themselves."""
    under_test = examination.under_test
    network = under_test.recipe.plan(under_test.train.image_shape, under_test.classes)
    _check_schedule(examination)
    _check_momentum(examination)
    _check_frozen(examination, network)
    if network.reads_lines:
        return
    _check_output(examination, network)
    _check_bottleneck(examination, network)
    _check_activations(examination, network)
    _check_batch_norm(examination, network)


def _check_schedule(examination: Examination) -> None:
    """The factor of the learning rate at each step that the training will take."""
    recipe = examination.under_test.recipe
    steps = examination.under_test.planned_steps(recipe)
    sampled = np.unique(np.linspace(0, steps - 1, min(steps, _SAMPLED)).astype(int))
    factors = np.array([recipe.schedule.factor_at(int(step), steps) for step in sampled])
    mean, top = float(factors.mean()), float(factors.max())
    first = int(sampled[np.argmax(factors >= 0.99 * top)])
    last, late = float(factors[-1]), first / steps
    seen = (
        f"over {steps:,} steps the rate is on average {mean:.2g} of optimiser.learning_rate, {top:.2g} at "
        f"its highest (from step {first + 1:,}), {last:.2g} in the last step"
    )
    expected = f"{_LITTLE:g} or more on average, the highest in the first half, at most {_GROWN:g}"
    changes: dict[str, Any]
    if top > _GROWN:
        changes = {"schedule.name": "cosine", "schedule.final_factor": 0.0}
        code, odd, grave = "schedule-grows", True, top > _FAR_GROWN
    elif steps >= _JUDGED and late > _LATE:
        one_cycle = recipe.schedule.name == "one-cycle"
        changes = {"schedule.rise": 0.3} if one_cycle else {"schedule.warm_up": 0.1}
        code, odd, grave = "schedule-late", True, late > _LAST
    else:
        stepped = recipe.schedule.name == "step"
        changes = {"schedule.milestones": [0.5, 0.75]} if stepped else {"schedule.name": "cosine"}
        code, odd = "schedule-early", steps >= _JUDGED and mean < _LITTLE
        grave = odd and mean < _HARDLY
    examination.judge(code, seen, expected, changes, fault=grave, warning=odd)


def _check_momentum(examination: Examination) -> None:
    """1 / (1 - momentum) steps are averaged over; the effective rate is as many times the learning rate."""
    settings = examination.under_test.recipe.optimiser
    sgd = settings.name == "sgd"
    momentum = settings.momentum if sgd else settings.betas[0]
    if not sgd and settings.betas[1] >= 1:
        momentum = 1.0
    steps = examination.under_test.planned_steps(examination.under_test.recipe)
    reach = 1 / (1 - momentum) if momentum < 1 else float("inf")
    seen = f"{momentum:g} averages over {reach:,.0f} steps, the training has {steps:,}"
    expected = f"at least {_PARTS} times as many steps, and less than {_LONG:g}"
    long = momentum > 0.9 and reach * _PARTS > steps
    changes = {"optimiser.momentum": 0.9} if sgd else {"optimiser.betas": [0.9, 0.999]}
    examination.judge("momentum-long", seen, expected, changes, fault=long, warning=momentum >= _LONG)


def _check_frozen(examination: Examination, network: Network) -> None:
    """Weights whose group has the factor 0, or next to it."""
    recipe = examination.under_test.recipe
    weights = [p for p in network.parameters() if p.role == "weight"]
    still = [p for p in weights if recipe.optimiser.factor_of(p.name) < _STILL]
    share = sum(prod(p.shape) for p in still) / max(sum(prod(p.shape) for p in weights), 1)
    seen = f"{share:.0%} of the weights stay as they are" + (f", such as {still[-1].name}" if still else "")
    expected = "weights that learn, or that were learned elsewhere"
    head = bool(still) and still[-1] is weights[-1]
    odd = head or bool(still and not recipe.network.start_from)
    groups = [group.model_dump() for group in recipe.optimiser.groups if group.factor >= _STILL]
    changes, grave = {"optimiser.groups": groups}, odd and (head or share > 0.5)
    examination.judge("weights-frozen", seen, expected, changes, fault=grave, warning=odd)


def _check_output(examination: Examination, network: Network) -> None:
    """What follows the layer that gives the scores: nothing should cut them off."""
    recipe = examination.under_test.recipe
    places = [n for n, layer in enumerate(network.layers) if layer.spec.kind in (*_WEIGHTED, "residual")]
    behind = network.layers[places[-1] + 1 :] if places else network.layers
    kinds = [layer.spec.kind for layer in behind]
    allowed = ("sigmoid", "tanh") if recipe.loss.name == "mean-squared-error" else ()
    wrong = [kind for kind in kinds if kind in (*_CURVED, "dropout") and kind not in allowed]
    expected = "scores as the last linear layer gives them"
    if not wrong or any("pool" in kind for kind in kinds):
        examination.passed("what follows the scores", ", ".join(kinds) or "nothing", expected)
        return
    lines = list(recipe.network.layers)
    kept = lines[: places[-1] + 1] if places else []
    kept += [line for line, kind in zip(lines[len(kept) :], kinds, strict=True) if kind not in wrong]
    seen = f"{' and '.join(wrong)} after {network.layers[places[-1]].spec.name}" if places else wrong[0]
    seen += f", which gives the {network.classes} scores"
    examination.found("output-cut", "fault", seen, expected, {"network.layers": kept}, layer=wrong[0])


def _check_bottleneck(examination: Examination, network: Network) -> None:
    """The narrowest layer before the last, against the bits that it takes to tell the classes apart."""
    hidden = network.layers[: network.head]
    if not hidden:
        return
    narrowest = min(hidden, key=lambda layer: prod(layer.output_shape))
    width, bits = prod(narrowest.output_shape), log2(network.classes)
    seen = f"{narrowest.spec.name} gives {width:,} numbers per image, for {network.classes} classes"
    # More units for each linear layer that is too narrow; nothing where a convolution or pooling is.
    narrow = [layer for layer in hidden if layer.spec.kind == "linear" and layer.spec.units < 1.5 * bits]
    wider = {f"network.layers.{layer.spec.name}": max(32, 4 * network.classes) for layer in narrow}
    lines = list(change_recipe(examination.under_test.recipe, wider).network.layers)
    examination.judge(
        "bottleneck", seen, f"at least {1.5 * bits:.1f}", {"network.layers": lines} if narrow else {},
        fault=width < bits, warning=width < 1.5 * bits, layer=narrowest.spec.name,
    )  # fmt: skip


def _check_activations(examination: Examination, network: Network) -> None:
    """Linear layers in a row are one linear layer."""
    layers = list(network.walk())
    linear = [layer for layer in layers if layer.spec.kind in _WEIGHTED]
    curved = any(layer.spec.kind in _CURVED for layer in layers)
    seen = f"{len(linear)} layers with weights, {'some' if curved else 'no'} activation between them"
    expected = "an activation between two layers with weights"
    lines: list[Any] = []
    for line, layer in zip(examination.under_test.recipe.network.layers, network.layers, strict=True):
        lines += [line, "relu"] if layer in linear and layer is not linear[-1] else [line]
    flat, changes = len(linear) >= 2 and not curved, {"network.layers": lines}
    examination.judge("no-activation", seen, expected, changes, warning=flat)


def _check_batch_norm(examination: Examination, network: Network) -> None:
    """Mean and spread are taken over the images of a batch, and the places of an image."""
    recipe = examination.under_test.recipe
    batch = examination.under_test.batch_size(recipe)
    norms = [layer for layer in network.walk() if layer.spec.kind == "batch-norm"]
    if not norms:
        return
    worst = min(norms, key=lambda layer: prod(layer.output_shape[1:]))
    values = batch * prod(worst.output_shape[1:])
    seen = f"{batch} images per step: {worst.spec.name} takes mean and spread of {values:,} values"
    expected = f"at least {_SMALL_BATCH} images, or {_FEW} values of several images"
    few = batch == 1 or (batch < _SMALL_BATCH and values < _FEW)
    grave = few and (batch == 1 or values < _TOO_FEW)
    changes = {"training.batch_size": 64}
    examination.judge("batch-norm-few", seen, expected, changes, fault=grave, warning=few)


# The network before its first step: is it undecided, does every layer let numbers and gradients through?

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
    return {"network.initialise": "kaiming" if {"relu", "gelu", "silu"} & {*recipe.kinds} else "xavier"}


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
    examination.judge(
        "saturated", seen, f"at most {_FLAT:.0%}", _start_changes(examination.under_test.recipe),
        fault=share > _MOSTLY_FLAT, warning=share > _FLAT, layer=layer[0].upper() + layer[1:],
    )  # fmt: skip


def _check_first_loss(examination: Examination, view: InsideView) -> None:
    under_test = examination.under_test
    # With the loss as it was given, though the view may be of a recipe whose loss is fixed already.
    settings = under_test.recipe.loss.model_copy(update={"label_shift": 0})
    labels = under_test.draw(under_test.train, len(view.logits)).labels
    with np.errstate(all="ignore"):
        first = Loss.of(settings)(view.logits, labels)[0]
    guess = guessing_loss(under_test)
    if settings.name == "cross-entropy":
        high, grave = first > guess + _ABOVE, first > guess + _FAR_ABOVE
        expected = f"ln {under_test.classes} = {guess:.2f}, and at most {_ABOVE:g} more"
    else:
        high, grave = first > _TIMES * guess, first > _FAR_TIMES * guess
        expected = f"{guess:.2f}, that of guessing, and at most {_TIMES:g} times as much"
    seen, grave = f"{first:.2f}", grave or not np.isfinite(first)
    if high or grave:
        seen = f"the loss before the first step is {seen}; that of guessing is {guess:.2f}"
    changes = _start_changes(under_test.recipe)
    examination.judge("start-loss", seen, expected, changes, fault=grave, warning=high)


def guessing_loss(under_test: RecipeUnderTest) -> float:
    """Of scores of 0 for every class."""
    settings = under_test.recipe.loss
    scores = np.zeros((under_test.classes, under_test.classes))
    return Loss.of(settings)(scores, np.arange(under_test.classes))[0]


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
    if ratio >= _VANISHED or np.isnan(ratio):
        changes, exploded = _start_changes(examination.recipe), ratio > _EXPLODED or not np.isfinite(ratio)
        examination.judge("exploding-gradients", seen, expected, changes, fault=exploded)
        return
    # ReLU instead of sigmoid and tanh, and weights that fit it; where ReLUs are there already, weights.
    opened: dict[str, object] = {"network.initialise": "kaiming"}
    remedy = "First weights with a spread of sqrt(2 / inputs), made for ReLU (He et al. 2015)."
    if {"sigmoid", "tanh"} & {*examination.recipe.kinds}:
        opened["network.layers"] = _relu_layers(examination.recipe.network.layers)
        remedy = "ReLU in place of sigmoid and tanh, and first weights made for it (He et al. 2015)."
    severity: Severity = "fault" if ratio < _GONE else "warning"
    examination.found("vanishing-gradients", severity, seen, expected, opened, remedy=remedy)


def _relu_layers(lines: Sequence) -> list:
    curves = {"sigmoid": "relu", "tanh": "relu"}
    return [
        {"residual": _relu_layers(line["residual"])} if isinstance(line, dict) else curves.get(line, line)
        for line in lines
    ]
