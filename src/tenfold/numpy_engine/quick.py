"""The layers of a line network that answers, at their quickest for one strip at a time.

A convolution does the ReLU behind it too, and keeps the arrays and views that follow from the size of the
strip; the memory that is free again after each layer is the same for all of them, and stays in the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tenfold.networks.shapes import Layer as LayerPlan
from tenfold.numpy_engine.buffers import Buffers
from tenfold.numpy_engine.conv import Convolution
from tenfold.numpy_engine.layer import Layer
from tenfold.numpy_engine.registry import build_layer
from tenfold.numpy_engine.store import ParameterStore
from tenfold.numpy_engine.winograd import TILE, Winograd, transform_kernels

__all__ = ["Kernels", "QuickConvolution", "build_quick_layers"]

# By the name of a convolution: in the order of its products.
Kernels = dict[str, np.ndarray]

# With fewer channels than this, the transforms cost what the products save.
_LEAST_CHANNELS = 16
# Sizes of pictures that a convolution keeps the arrays for.
_KEPT = 8


def build_quick_layers(
    plans: Sequence[LayerPlan], store: ParameterStore, kernels: Kernels, scratch: Buffers | None = None
) -> list[Layer]:
    """Layers that only answer. kernels: filled where they are missing, so that several networks on one
    store share them. scratch: memory that is free again after each layer."""
    scratch = scratch or Buffers(store.dtype)
    layers: list[Layer] = []
    for plan in plans:
        if plan.spec.kind == "conv":
            layers.append(QuickConvolution(plan, store, kernels, scratch))
        elif plan.spec.kind == "relu" and layers and isinstance(layers[-1], QuickConvolution):
            layers[-1].rectifies = True
        else:
            layer = build_layer(plan, store)
            layer.inner = tuple(build_quick_layers(plan.inner, store, kernels, scratch))
            layers.append(layer)
    return layers


class QuickConvolution(Convolution):
    """A convolution whose weights do not change, with the ReLU behind it where `rectifies` says so."""

    def __init__(self, plan: LayerPlan, store: ParameterStore, kernels: Kernels, scratch: Buffers) -> None:
        super().__init__(plan, store)
        self.rectifies, self.scratch = False, scratch
        self.tiles = _suits_tiles(plan) and store.dtype == np.float32
        if plan.spec.name not in kernels:
            weight = self.values["weight"]
            kernels[plan.spec.name] = transform_kernels(weight) if self.tiles else self._kernels()
        self.kernels = kernels[plan.spec.name]
        self.kept: dict[tuple[int, ...], _Place] = {}

    def settle(self) -> None:
        """It is settled from the start."""

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:  # noqa: ARG002
        place = self.kept.get(inputs.shape) or self._prepare(inputs.shape)
        self.size, self.outputs, lines = inputs.shape[1:3], place.outputs, place.lines
        np.copyto(place.middle, inputs)
        place.multiply()
        if place.bias is not None:
            lines += place.bias
        if self.rectifies:
            np.clip(lines, 0, np.inf, out=lines)
        return place.outputs

    def pull_back(self, gradient: np.ndarray) -> np.ndarray:
        if self.rectifies:
            gradient = gradient * (self.outputs > 0)
        return super().pull_back(gradient)

    def _prepare(self, shape: tuple[int, ...]) -> _Place:
        """Arrays and views for pictures (N, H, W, C)."""
        count, height, width, channels = shape
        (rows, columns), (high, wide) = self.spec.padding, self.places(shape)
        dtype = self.buffers.dtype
        self.framed = np.zeros((count, height + 2 * rows, width + 2 * columns, channels), dtype)
        outputs = np.empty((count, high, wide, self.spec.units), dtype)
        place = _Place(
            middle=self.framed[:, rows : rows + height, columns : columns + width],
            outputs=outputs,
            lines=outputs.reshape(count * high, -1),
            bias=np.tile(self.values["bias"], wide) if self.spec.bias else None,
            multiply=self._product(self.framed, outputs),
        )
        if len(self.kept) >= _KEPT:
            self.kept.pop(next(iter(self.kept)))
        self.kept[shape] = place
        return place

    def _product(self, framed: np.ndarray, outputs: np.ndarray) -> Callable[[], None]:
        """What computes the outputs from what the frame holds then."""
        high, wide, units = outputs.shape[1:]
        if self.tiles and not high % TILE[0] and not wide % TILE[1]:
            return Winograd(self.kernels, framed, outputs, self.scratch).run
        windows = self._windows((high, wide))
        copy = self.scratch.take("windows", windows.shape)
        matrix, flat = copy.reshape(outputs.size // units, -1), outputs.reshape(-1, units)
        kernels = self._kernels() if self.tiles else self.kernels

        def multiply() -> None:
            np.copyto(copy, windows)
            np.matmul(matrix, kernels, out=flat)

        return multiply


@dataclass(frozen=True, eq=False)
class _Place:
    """What a convolution keeps for pictures of one size. middle: of the frame, where the pictures go.
    lines: the outputs, (N H, W O). bias: of a line. multiply: from the frame to the outputs."""

    middle: np.ndarray
    outputs: np.ndarray
    lines: np.ndarray
    bias: np.ndarray | None
    multiply: Callable[[], None]


def _suits_tiles(plan: LayerPlan) -> bool:
    spec = plan.spec
    square = (spec.kernel, spec.stride, spec.padding) == ((3, 3), (1, 1), (1, 1))
    return square and min(plan.input_shape[0], spec.units) >= _LEAST_CHANNELS
