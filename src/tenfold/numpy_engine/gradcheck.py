"""Hand-written gradients looked at, and held against central differences in float64.

The derivative of f along one number w is (f(w + h) - f(w - h)) / 2h up to h^2 / 6 f'''. Where a ReLU or
a maximum switches between w - h and w + h, there is no derivative to compare with: there the
differences over h and over h / 2 disagree, and the entry is left out of the comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from tenfold.arguments import checked, describe_value
from tenfold.errors import UsageError
from tenfold.networks.engine import EngineOptions
from tenfold.networks.layers import LayerSpec
from tenfold.networks.own import part_kind, weights_of_part
from tenfold.networks.shapes import Network, plan_own
from tenfold.numpy_engine.layers import Layer, walk
from tenfold.numpy_engine.losses import Loss, move_labels
from tenfold.numpy_engine.network import RunningNetwork, build_layer, scale_pixels
from tenfold.numpy_engine.runtime.memory import ParameterStore, Space
from tenfold.numpy_engine.runtime.products import own_threads

__all__ = ["GradientCheck", "InsideView", "check_gradients", "check_layer"]

STEP = 1e-5
# Below this share of the largest gradient of its array, a gradient counts as that large: rounding in
# f, not the gradient, decides how small ones compare.
FLOOR = 1e-3
# Gradients that are all zero by hand (a bias before batch-norm) have no scale of their own: there the
# differences must be no more than rounding makes of them, which is this many of the last digits of f over h.
ZERO, ROUNDING = 1e-12, 8
# Differences over h and h / 2 that disagree by more than this mean a kink in between. Less than the
# tolerance: of thousands of ReLUs behind one weight, one that switches changes the gradient by little.
KINK = 3e-7


@dataclass(frozen=True)
class GradientRow:
    """One parameter, or "inputs". checked: entries compared; kinks: entries left out at a kink.
    largest: of the hand-written gradients, absolute. error: largest relative difference."""

    name: str
    shape: tuple[int, ...]
    checked: int
    kinks: int
    largest: float
    error: float

    def passed(self, tolerance: float) -> bool:
        """Whether more was compared than left out, and all of it stays within the tolerance."""
        return self.checked > self.kinks and self.error <= tolerance


@dataclass(frozen=True)
class GradientCheck:
    rows: tuple[GradientRow, ...]
    TOLERANCE: ClassVar[float] = 1e-6  # relative

    @property
    def largest_error(self) -> float:
        return max((row.error for row in self.rows), default=0.0)

    def passed(self, tolerance: float = TOLERANCE) -> bool:
        """Whether every row has passed."""
        return all(row.passed(tolerance) for row in self.rows)

    @classmethod
    def of_network(
        cls, network: Network, weights: Mapping[str, np.ndarray], options: EngineOptions, images: np.ndarray,
        labels: np.ndarray, *, samples: int = 40, rng: np.random.Generator,
    ) -> GradientCheck:  # fmt: skip
        """Checks a whole network with its loss: `samples` entries of each learned parameter, drawn at
        random. Dropout keeps one mask throughout. images: uint8 (N, H, W); labels: int64 (N,)."""
        store = ParameterStore.of(network, weights, np.float64)
        running = RunningNetwork(network, store, seed=options.seed)
        repeat = _same_draws(running.layers)
        inputs = scale_pixels(images, options, Space(np.float64))
        columns = move_labels(labels, options.loss, network.classes)
        # the loss reported is the mean, but clipped; the gradient is that of the unclipped loss
        unclipped = options.loss.model_copy(update={"probability_floor": 0.0})
        compute = Loss.of(unclipped)
        count = len(images) if unclipped.reduction == "sum" else 1

        def loss() -> float:
            repeat()
            return compute(running.forward(inputs, training=True), columns)[0] * count

        running.backward(compute(running.forward(inputs, training=True), columns)[1])
        analytic = {name: gradient.copy() for name, gradient in store.named_gradients.items()}
        return _compare(loss, store.values, analytic, samples, rng)


@checked
def check_gradients(
    layer: Layer, inputs: np.ndarray, *, rng: np.random.Generator, samples: int = 200
) -> GradientCheck:
    """Checks one layer built on a float64 store: its inputs' gradient and each parameter's.

    The loss is a random projection of the outputs, sum(outputs * weights). inputs: float64, as the
    layer takes them (pictures with the channels last).
    """
    inputs = np.array(inputs, dtype=np.float64)
    weights = rng.standard_normal(layer.forward(inputs, training=True).shape)
    repeat = _same_draws([layer])

    def loss() -> float:
        repeat()
        return float(np.vdot(layer.forward(inputs, training=True), weights))

    loss()
    back = layer.backward(weights)
    analytic = {} if back is None else {"inputs": back.copy()}
    arrays = {"inputs": inputs}
    for one in walk([layer]):
        for name, gradient in one.gradients.items():
            analytic[f"{one.spec.name}.{name}"] = gradient.copy()
            arrays[f"{one.spec.name}.{name}"] = one.values[name]
    return _compare(loss, arrays, analytic, samples, rng)


@checked
def check_layer(
    layer: Any, input_shape: Sequence[int] = (8,), *, images: int = 4, samples: int = 200, seed: int = 0
) -> GradientCheck:
    """Checks a NumPy layer of your own: an object with forward(inputs) and backward(gradient), and where it
    learns the dictionaries parameters and gradients, against central differences in float64.

    input_shape: of one image's inputs, (C,) or (H, W, C); they are drawn from N(0, 1). The result's `rows`
    name inputs and parameters; `passed()` tells whether all agree to 1e-6. Raises UsageError, RecipeError.
    """
    rng, given = np.random.default_rng(seed), tuple(input_shape)
    if part_kind(layer) == "torch" or not (hasattr(layer, "forward") and hasattr(layer, "backward")):
        found = f"the layer is {describe_value(layer)}"
        raise UsageError(found, expected="an object with forward and backward in NumPy")
    if len(given) not in (1, 3) or min(given) < 1:
        raise UsageError(f"input_shape {given}", expected="(C,) or (H, W, C)")
    shape = (given[2], *given[:2]) if len(given) == 3 else given
    spec = LayerSpec("own", type(layer).__name__, own=type(layer).__name__, part=layer)
    network = Network((plan_own(spec, shape),), shape, 0)
    first = {name: value for name, (value, _) in weights_of_part(layer, f"{spec.name}.").items()}
    store = ParameterStore.of(network, first, np.float64)
    running = build_layer(network.layers[0], store)
    return check_gradients(running, rng.standard_normal((images, *given)), rng=rng, samples=samples)


def _same_draws(layers: list[Layer]) -> Callable[[], None]:
    """A function that turns the layers' random numbers back to where they are now."""
    streams = [layer.rng for layer in walk(layers) if layer.rng is not None]
    states = [rng.bit_generator.state for rng in streams]

    def repeat() -> None:
        for rng, state in zip(streams, states, strict=True):
            rng.bit_generator.state = state

    return repeat


def _compare(
    loss: Callable[[], float], arrays: dict[str, np.ndarray], analytic: dict[str, np.ndarray], samples: int,
    rng: np.random.Generator,
) -> GradientCheck:  # fmt: skip
    rows = []
    rounding = ROUNDING * float(np.finfo(np.float64).eps) * max(1.0, abs(loss())) / STEP
    for name, gradients in analytic.items():
        entries = rng.permutation(gradients.size)[:samples]
        largest = float(np.abs(gradients).max(initial=0))
        floor = max(FLOOR * largest, 1e-8) if largest > ZERO else rounding / GradientCheck.TOLERANCE
        numbers = [_difference(loss, arrays[name], int(entry), floor) for entry in entries]
        smooth = [(float(gradients.flat[e]), n) for e, n in zip(entries, numbers) if n is not None]
        errors = [abs(a - n) / max(abs(a), abs(n), floor) for a, n in smooth]
        kinks = len(numbers) - len(smooth)
        rows.append(GradientRow(name, gradients.shape, len(smooth), kinks, largest, max(errors, default=0.0)))
    return GradientCheck(tuple(rows))


def _difference(loss: Callable[[], float], array: np.ndarray, entry: int, floor: float) -> float | None:
    """The central difference in one entry, or None at a kink.

    Richardson's extrapolation from h and h / 2 takes the error of h^2 away."""
    step = STEP * max(1.0, abs(float(array.flat[entry])))
    wide, narrow = (_central(loss, array, entry, h) for h in (step, step / 2))
    if abs(wide - narrow) > KINK * max(abs(wide), abs(narrow), floor):
        return None
    return (4 * narrow - wide) / 3


def _central(loss: Callable[[], float], array: np.ndarray, entry: int, step: float) -> float:
    before = array.flat[entry]
    array.flat[entry] = before + step
    above = loss()
    array.flat[entry] = before - step
    below = loss()
    array.flat[entry] = before
    return (above - below) / (2 * step)


class LayerView(Layer):
    """Does what `layer` does, and keeps copies of what went through. outputs: what it returned, (N, C) or
    (N, H, W, C). gradient: d loss / d outputs of the same shape, or None where nothing before it learns."""

    def __init__(self, layer: Layer, seen: list[LayerView]) -> None:
        """seen: gets this layer, after those inside of it."""
        layer.inner = self.inner = tuple(LayerView(inner, seen) for inner in layer.inner)
        self.layer, self.spec, self.gradients, self.rng = layer, layer.spec, layer.gradients, layer.rng
        self.name, self.kind = layer.spec.name, layer.spec.kind
        self.outputs: np.ndarray
        self.gradient: np.ndarray | None = None
        seen.append(self)

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:
        outputs = self.layer.forward(inputs, training=training)
        self.outputs = outputs.copy()
        return outputs

    def backward(self, gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray | None:
        self.gradient = gradient.copy()
        return self.layer.backward(gradient, wanted=wanted)


@dataclass(frozen=True, eq=False)
class InsideView:
    """loss: mean over the batch. logits: (N, K), in the order of the network's own columns.
    layers: in the order of computing, those inside a residual too. weights, gradients: by name."""

    loss: float
    logits: np.ndarray
    layers: tuple[LayerView, ...]
    weights: dict[str, np.ndarray]
    gradients: dict[str, np.ndarray]

    @classmethod
    @own_threads()
    def of(
        cls, network: Network, weights: Mapping[str, np.ndarray], options: EngineOptions, images: np.ndarray,
        labels: np.ndarray,
    ) -> InsideView:  # fmt: skip
        """Forward and backward of one batch, with nothing changed. images: uint8 (N, H, W); labels: (N,).

        As in training: dropout draws, batch-norm takes the batch's own statistics. float64 where
        options.precision says so. Raises ModelError where the weights do not fit the network.
        """
        dtype = np.dtype("float64" if options.precision == "float64" else "float32")
        store = ParameterStore.of(network, weights, dtype)
        running = RunningNetwork(network, store, seed=options.seed)
        seen: list[LayerView] = []
        running.layers = [LayerView(layer, seen) for layer in running.layers]
        columns = move_labels(labels, options.loss, network.classes)
        logits = running.forward(scale_pixels(images, options, Space(dtype)), training=True).copy()
        loss, gradient = Loss.of(options.loss)(logits, columns)
        running.backward(gradient)
        values, gradients = store.values, store.named_gradients
        return cls(
            loss, logits, tuple(seen), {name: values[name].copy() for name in gradients},
            {name: gradient.copy() for name, gradient in gradients.items()},
        )  # fmt: skip
