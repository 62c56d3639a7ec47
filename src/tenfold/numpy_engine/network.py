"""The table of layers, and a network that runs: forward and backward through its layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tenfold.networks.engine import EngineOptions
from tenfold.networks.shapes import Layer as LayerPlan
from tenfold.networks.shapes import Network
from tenfold.numpy_engine.convolution import AveragePool, Convolution, MaxPool, PixelUnshuffle
from tenfold.numpy_engine.layers import (
    BatchNorm,
    Columns,
    Dropout,
    Flatten,
    Layer,
    Linear,
    ReLU,
    Residual,
    Sigmoid,
    Tanh,
    backward_all,
    forward_all,
    pull_back_all,
    walk,
)
from tenfold.numpy_engine.losses import LOSSES, move_labels
from tenfold.numpy_engine.runtime.memory import ParameterStore, Space
from tenfold.numpy_engine.runtime.threads import own_threads

__all__ = ["InsideView", "LayerView", "look_inside"]

LAYERS: dict[str, type[Layer]] = {
    "flatten": Flatten,
    "linear": Linear,
    "relu": ReLU,
    "sigmoid": Sigmoid,
    "tanh": Tanh,
    "dropout": Dropout,
    "conv": Convolution,
    "batch-norm": BatchNorm,
    "max-pool": MaxPool,
    "average-pool": AveragePool,
    "pixel-unshuffle": PixelUnshuffle,
    "columns": Columns,
    "residual": Residual,
}


def build_layer(plan: LayerPlan, store: ParameterStore, *, seed: int = 0) -> Layer:
    """The runnable layer of a plan, with the layers inside it, on the parameters of `store`."""
    inner = [build_layer(layer, store, seed=seed) for layer in plan.inner]
    return LAYERS[plan.spec.kind](plan, store, inner=inner, seed=seed)


class RunningNetwork:
    """The layers of a network. Several may run on one store; they share its parameters."""

    def __init__(
        self, network: Network, store: ParameterStore, *, seed: int = 0, layers: list[Layer] | None = None
    ) -> None:
        """layers: others that do what the network's do, on the same store."""
        self.network, self.store = network, store
        self.layers = layers or [build_layer(plan, store, seed=seed) for plan in network.layers]

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:
        """float (N, H, W) -> logits (N, K), or (N, T, K) of a line network, which the next forward
        overwrites."""
        return forward_all(self.layers, inputs[..., np.newaxis], training=training)

    def backward(self, gradient: np.ndarray) -> None:
        """d loss / d logits -> the store's gradients."""
        backward_all(self.layers, gradient, wanted=False)

    def pull_back(self, gradient: np.ndarray) -> np.ndarray:
        """After a forward without training: d / d logits -> d / d inputs (N, H, W), which the
        next one overwrites; the store's gradients stay as they are."""
        return pull_back_all(self.layers, gradient)[..., 0]

    def features(self, inputs: np.ndarray) -> np.ndarray:
        """float (N, H, W) -> (N, D), what enters the last linear layer; overwritten as outputs are."""
        return forward_all(self.layers[: self.network.head], inputs[..., np.newaxis], training=False)

    def settle(self) -> None:
        """Says that the parameters of the store will not change: answers come faster."""
        for layer in walk(self.layers):
            layer.settled = True

    def random_streams(self) -> dict[str, np.random.Generator]:
        """The generators of the layers that draw, by the layers' names."""
        return {layer.spec.name: layer.rng for layer in walk(self.layers) if layer.rng is not None}


def scale_pixels(pixels: np.ndarray, options: EngineOptions, space: Space) -> np.ndarray:
    """Pixels 0..255 -> inputs (pixel / 255 - mean) / std, of the same shape."""
    inputs = space("inputs", pixels.shape)
    kind = inputs.dtype.type
    np.copyto(inputs, pixels)
    factor = 1 / (255 * options.std)
    if factor != 1:
        inputs *= kind(factor)
    if options.mean:
        inputs -= kind(options.mean / options.std)
    return inputs


@dataclass(frozen=True, eq=False)
class LayerView:
    """outputs: what it returned, (N, C) or (N, H, W, C). gradient: d loss / d outputs of the same
    shape, or None where nothing before the layer learns."""

    name: str
    kind: str
    outputs: np.ndarray
    gradient: np.ndarray | None


@dataclass(frozen=True, eq=False)
class InsideView:
    """loss: mean over the batch. logits: (N, K), in the order of the network's own columns.
    layers: in the order of computing, those inside a residual too. weights, gradients: by name."""

    loss: float
    logits: np.ndarray
    layers: tuple[LayerView, ...]
    weights: dict[str, np.ndarray]
    gradients: dict[str, np.ndarray]


@own_threads()
def look_inside(
    network: Network,
    weights: Mapping[str, np.ndarray],
    options: EngineOptions,
    images: np.ndarray,
    labels: np.ndarray,
) -> InsideView:
    """Forward and backward of one batch, with nothing changed. images: uint8 (N, H, W); labels: (N,).

    As in training: dropout draws, batch-norm takes the batch's own statistics. float64 where
    options.precision says so. Raises ModelError where the weights do not fit the network.
    """
    dtype = np.dtype("float64" if options.precision == "float64" else "float32")
    store = ParameterStore.of(network, weights, dtype)
    running = RunningNetwork(network, store, seed=options.seed)
    seen: list[_Watched] = []
    running.layers = [_watch(layer, seen) for layer in running.layers]
    columns = move_labels(labels, options.loss, network.classes)
    logits = running.forward(scale_pixels(images, options, Space(dtype)), training=True).copy()
    loss, gradient = LOSSES[options.loss.name](options.loss)(logits, columns)
    running.backward(gradient)
    return InsideView(
        loss=loss,
        logits=logits,
        layers=tuple(watched.view() for watched in seen),
        weights={name: store.values[name].copy() for name in store.named_gradients},
        gradients={name: value.copy() for name, value in store.named_gradients.items()},
    )


def _watch(layer: Layer, seen: list[_Watched]) -> Layer:
    layer.inner = tuple(_watch(inner, seen) for inner in layer.inner)
    watched = _Watched(layer)
    seen.append(watched)
    return watched


class _Watched(Layer):
    """Does what `layer` does, and keeps copies of what went through."""

    def __init__(self, layer: Layer) -> None:
        self.layer, self.plan, self.spec, self.inner = layer, layer.plan, layer.spec, layer.inner
        self.values, self.gradients, self.rng = layer.values, layer.gradients, layer.rng
        self.outputs: np.ndarray = np.empty(0)
        self.gradient: np.ndarray | None = None

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:
        outputs = self.layer.forward(inputs, training=training)
        self.outputs = outputs.copy()
        return outputs

    def backward(self, gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray | None:
        self.gradient = gradient.copy()
        return self.layer.backward(gradient, wanted=wanted)

    def view(self) -> LayerView:
        return LayerView(self.spec.name, self.spec.kind, self.outputs, self.gradient)
