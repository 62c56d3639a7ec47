"""What every layer of the NumPy engine is: a forward and the backward that belongs to it.

Vectors travel as (N, C), pictures as (N, H, W, C): with the channels last, a convolution is one
matrix product whose result needs no turning round. Only `flatten` turns to PyTorch's (C, H, W).
A layer never writes into what it was given; what it returns it may overwrite in its next step.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import cast

import numpy as np

from tenfold.networks.shapes import Layer as LayerPlan
from tenfold.networks.shapes import count_places
from tenfold.numpy_engine.buffers import Buffers
from tenfold.numpy_engine.store import ParameterStore

__all__ = ["Layer", "backward_all", "forward_all", "pull_back_all"]


class Layer(ABC):
    """One layer, built from its plan.

    values, gradients: its parameters and their gradients under short names (weight, bias, ...).
    inner: the layers inside a residual. rng: the random stream of dropout, else None.
    """

    def __init__(
        self, plan: LayerPlan, store: ParameterStore, *, inner: Sequence[Layer] = (), seed: int = 0
    ) -> None:
        self.plan, self.spec, self.inner = plan, plan.spec, tuple(inner)
        self.buffers = Buffers(store.dtype)
        self.values = {_short(p.name): store.values[p.name] for p in plan.parameters}
        self.gradients = {_short(p.name): store.named_gradients[p.name] for p in plan.parameters if p.learned}
        self.rng = self.random_stream(seed)

    @property
    def learns(self) -> bool:
        """Whether it has parameters to learn, itself or inside."""
        return bool(self.gradients) or any(layer.learns for layer in self.inner)

    def random_stream(self, seed: int) -> np.random.Generator | None:  # noqa: ARG002
        """The generator of a layer that draws; most do not."""
        return None

    def settle(self) -> None:  # noqa: B027
        """Says that the parameters will not change: what follows from them alone is worth
        keeping. For layers that only answer; most have nothing to keep."""

    def places(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Rows and columns that a layer with a window has for pictures (N, H, W, C), of any size."""
        return count_places(self.spec, shape[1], axis=0), count_places(self.spec, shape[2], axis=1)

    @abstractmethod
    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:
        """(N, ...) -> (N, ...). With training, keeps what `backward` will need."""

    @abstractmethod
    def backward(self, gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray | None:
        """d loss / d outputs -> d loss / d inputs, and fills `gradients`. After a forward with
        training. Where the inputs' gradient is not wanted it may be left out (None)."""

    def pull_back(self, gradient: np.ndarray) -> np.ndarray:
        """d / d outputs -> d / d inputs of a layer that only answers: after a forward without
        training, and `gradients` stay as they are. Layers without parameters do it as `backward`."""
        return cast(np.ndarray, self.backward(gradient))


def forward_all(layers: Sequence[Layer], inputs: np.ndarray, *, training: bool) -> np.ndarray:
    for layer in layers:
        inputs = layer.forward(inputs, training=training)
    return inputs


def backward_all(layers: Sequence[Layer], gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray | None:
    """Back through the layers; if the inputs' gradient is not wanted, only as far as there is
    something to learn."""
    first = 0 if wanted else next((i for i, layer in enumerate(layers) if layer.learns), len(layers))
    current: np.ndarray | None = gradient
    for index in range(len(layers) - 1, first - 1, -1):
        assert current is not None  # only the first layer may leave it out
        current = layers[index].backward(current, wanted=wanted or index > first)
    return current


def pull_back_all(layers: Sequence[Layer], gradient: np.ndarray) -> np.ndarray:
    for layer in reversed(layers):
        gradient = layer.pull_back(gradient)
    return gradient


def _short(name: str) -> str:
    return name.rpartition(".")[2]
