"""One step of a network, looked into: each layer's outputs, and the gradient with respect to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tenfold.engines.base import EngineOptions
from tenfold.networks.shapes import Network
from tenfold.numpy_engine.answering import scale_pixels
from tenfold.numpy_engine.buffers import Buffers
from tenfold.numpy_engine.layer import Layer
from tenfold.numpy_engine.losses import move_labels
from tenfold.numpy_engine.network import RunningNetwork
from tenfold.numpy_engine.registry import LOSSES
from tenfold.numpy_engine.sharing import own_threads
from tenfold.numpy_engine.store import ParameterStore

__all__ = ["InsideView", "LayerView", "look_inside"]


@dataclass(frozen=True, eq=False)
class LayerView:
    """outputs: what the layer gave on, (N, C) or (N, H, W, C). gradient: d loss / d outputs of the same
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
    logits = running.forward(scale_pixels(images, options, Buffers(dtype)), training=True).copy()
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
