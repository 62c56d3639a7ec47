"""The recipe as it will run on these data, before any training: schedule, momentum, layers, batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import log2, prod
from typing import Any

import numpy as np

from tenfold.doctor.diagnosis import Severity
from tenfold.doctor.examination import Examination
from tenfold.engines.base import group_factor
from tenfold.networks.layers import change_layers
from tenfold.networks.shapes import Layer, Network
from tenfold.recipes.schema import Recipe
from tenfold.schedules import factor_at

__all__ = ["check_design"]

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
_CURVED = ("relu", "sigmoid", "tanh", "max-pool")


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
    factors = np.array([factor_at(int(step), steps, recipe.schedule) for step in sampled])
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
        code, grave = "schedule-grows", top > _FAR_GROWN
    elif steps >= _JUDGED and late > _LATE:
        one_cycle = recipe.schedule.name == "one-cycle"
        changes = {"schedule.rise": 0.3} if one_cycle else {"schedule.warm_up": 0.1}
        code, grave = "schedule-late", late > _LAST
    elif steps >= _JUDGED and mean < _LITTLE:
        stepped = recipe.schedule.name == "step"
        changes = {"schedule.milestones": [0.5, 0.75]} if stepped else {"schedule.name": "cosine"}
        code, grave = "schedule-early", mean < _HARDLY
    else:
        examination.passed("learning rate over all steps", seen, expected)
        return
    severity: Severity = "fault" if grave else "warning"
    examination.found(code, severity, seen, expected=expected, changes=changes)


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
    if not long and momentum < _LONG:
        examination.passed("momentum against the number of steps", seen, expected)
        return
    changes = {"optimiser.momentum": 0.9} if sgd else {"optimiser.betas": [0.9, 0.999]}
    severity: Severity = "fault" if long else "warning"
    examination.found("momentum-long", severity, seen, expected=expected, changes=changes)


def _check_frozen(examination: Examination, network: Network) -> None:
    """Weights whose group has the factor 0, or next to it."""
    recipe = examination.under_test.recipe
    weights = [p for p in network.parameters() if p.role == "weight"]
    still = [p for p in weights if group_factor(p.name, recipe.optimiser) < _STILL]
    share = sum(prod(p.shape) for p in still) / max(sum(prod(p.shape) for p in weights), 1)
    seen = f"{share:.0%} of the weights stay as they are" + (f", such as {still[-1].name}" if still else "")
    expected = "weights that learn, or that were learned elsewhere"
    head = bool(still) and still[-1] is weights[-1]
    if not still or (recipe.network.start_from and not head):
        examination.passed("weights that do not learn", seen, expected)
        return
    groups = [group.model_dump() for group in recipe.optimiser.groups if group.factor >= _STILL]
    changes = {"optimiser.groups": groups}
    severity: Severity = "fault" if head or share > 0.5 else "warning"
    examination.found("weights-frozen", severity, seen, expected=expected, changes=changes)


def _check_output(examination: Examination, network: Network) -> None:
    """What follows the layer that gives the scores: nothing should cut them off."""
    recipe = examination.under_test.recipe
    places = [
        n for n, layer in enumerate(network.layers) if layer.spec.kind in ("linear", "conv", "residual")
    ]
    behind = network.layers[places[-1] + 1 :] if places else network.layers
    kinds = [layer.spec.kind for layer in behind]
    allowed = ("sigmoid", "tanh") if recipe.loss.name == "mean-squared-error" else ()
    wrong = [kind for kind in kinds if kind in ("relu", "sigmoid", "tanh", "dropout") and kind not in allowed]
    expected = "scores as the last linear layer gives them"
    if not wrong or any("pool" in kind for kind in kinds):
        examination.passed("what follows the scores", ", ".join(kinds) or "nothing", expected)
        return
    lines = list(recipe.network.layers)
    kept = lines[: places[-1] + 1] if places else []
    kept += [line for line, kind in zip(lines[len(kept) :], kinds, strict=True) if kind not in wrong]
    seen = f"{' and '.join(wrong)} after {network.layers[places[-1]].spec.name}" if places else wrong[0]
    seen += f", which gives the {network.classes} scores"
    examination.found(
        "output-cut", "fault", seen, expected=expected, changes={"network.layers": kept}, layer=wrong[0]
    )


def _check_bottleneck(examination: Examination, network: Network) -> None:
    """The narrowest layer before the last, against the bits that it takes to tell the classes apart."""
    hidden = network.layers[: network.head]
    if not hidden:
        return
    narrowest = min(hidden, key=lambda layer: prod(layer.output_shape))
    width, bits = prod(narrowest.output_shape), log2(network.classes)
    seen = f"{narrowest.spec.name} gives {width:,} numbers per image, for {network.classes} classes"
    expected = f"at least {1.5 * bits:.1f}"
    if width >= 1.5 * bits:
        examination.passed("width of the narrowest layer", seen, expected)
        return
    severity: Severity = "fault" if width < bits else "warning"
    examination.found(
        "bottleneck", severity, seen, expected=expected,
        changes=_widen(examination.under_test.recipe, network), layer=narrowest.spec.name,
    )  # fmt: skip


def _widen(recipe: Recipe, network: Network) -> dict[str, Any]:
    """More units for each linear layer that is too narrow; nothing where a convolution or pooling is."""
    lines: list[Any] = list(recipe.network.layers)
    for layer in network.layers[: network.head]:
        if layer.spec.kind == "linear" and layer.spec.units < 1.5 * log2(network.classes):
            lines = change_layers(lines, layer.spec.name, max(32, 4 * network.classes))
    return {"network.layers": lines} if lines != list(recipe.network.layers) else {}


def _check_activations(examination: Examination, network: Network) -> None:
    """Linear layers in a row are one linear layer."""
    layers = list(_walk(network.layers))
    linear = [layer for layer in layers if layer.spec.kind in ("linear", "conv")]
    curved = any(layer.spec.kind in _CURVED for layer in layers)
    seen = f"{len(linear)} layers with weights, {'some' if curved else 'no'} activation between them"
    expected = "an activation between two layers with weights"
    if len(linear) < 2 or curved:
        examination.passed("activations", seen, expected)
        return
    lines: list[Any] = []
    for line, layer in zip(examination.under_test.recipe.network.layers, network.layers, strict=True):
        lines += [line, "relu"] if layer in linear and layer is not linear[-1] else [line]
    examination.found("no-activation", "warning", seen, expected=expected, changes={"network.layers": lines})


def _check_batch_norm(examination: Examination, network: Network) -> None:
    """Mean and spread are taken over the images of a batch, and the places of an image."""
    recipe = examination.under_test.recipe
    batch = examination.under_test.batch_size(recipe)
    norms = [layer for layer in _walk(network.layers) if layer.spec.kind == "batch-norm"]
    if not norms:
        return
    worst = min(norms, key=lambda layer: prod(layer.output_shape[1:]))
    values = batch * prod(worst.output_shape[1:])
    seen = f"{batch} images per step: {worst.spec.name} takes mean and spread of {values:,} values"
    expected = f"at least {_SMALL_BATCH} images, or {_FEW} values of several images"
    if batch > 1 and (batch >= _SMALL_BATCH or values >= _FEW):
        examination.passed("values that batch-norm measures", seen, expected)
        return
    severity: Severity = "fault" if batch == 1 or values < _TOO_FEW else "warning"
    changes = {"training.batch_size": 64}
    examination.found("batch-norm-few", severity, seen, expected=expected, changes=changes)


def _walk(layers: Sequence[Layer]) -> Iterator[Layer]:
    for layer in layers:
        yield layer
        yield from _walk(layer.inner)
