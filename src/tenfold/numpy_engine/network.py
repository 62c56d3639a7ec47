"""A network that runs: its layers in order, on the parameters of a store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tenfold.networks.shapes import Network
from tenfold.numpy_engine.layer import Layer, backward_all, forward_all, pull_back_all
from tenfold.numpy_engine.registry import build_layer
from tenfold.numpy_engine.store import ParameterStore

__all__ = ["RunningNetwork"]


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
        for layer in _walk(self.layers):
            layer.settle()

    def random_streams(self) -> dict[str, np.random.Generator]:
        """The generators of the layers that draw, by the layers' names."""
        return {layer.spec.name: layer.rng for layer in _walk(self.layers) if layer.rng is not None}


def _walk(layers: Sequence[Layer]) -> Iterator[Layer]:
    for layer in layers:
        yield layer
        yield from _walk(layer.inner)
