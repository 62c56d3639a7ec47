"""A network that only answers: fewer layers, and convolutions with fewer multiplications.

Once its running statistics stand still, batch-norm is y = scale x + shift. Behind a layer that is
itself x = W u + b this makes y = (scale W) u + (scale b + shift): one layer, with other numbers
(Jacob et al. 2018, section 3.2). `fold_network` computes them.

In a line network, which answers for one strip at a time, a convolution does the ReLU behind it too, and
keeps the arrays and views that follow from the size of the strip; the memory that is free again after each
layer is the same for all of them, and stays in the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tenfold.networks.shapes import Layer as LayerPlan
from tenfold.networks.shapes import Network, Parameter
from tenfold.numpy_engine.convolution import Convolution, MaxPool
from tenfold.numpy_engine.layers import Layer, scale_and_shift
from tenfold.numpy_engine.network import LAYERS
from tenfold.numpy_engine.runtime.memory import ParameterStore, Space
from tenfold.numpy_engine.runtime.products import largest, view_windows

__all__ = ["fold_network"]

Values = dict[str, np.ndarray]
# By the name of a convolution: in the order of its products.
Kernels = dict[str, np.ndarray]

# With fewer channels than this, the transforms cost what the products save.
_LEAST_CHANNELS = 16
# Sizes of pictures that a convolution keeps the arrays for.
_KEPT = 8
TILE = (4, 2)  # outputs of Winograd: rows, columns


def fold_network(network: Network, values: Mapping[str, np.ndarray]) -> tuple[Network, Values]:
    """A network that answers the same when it does not learn, and its parameters.

    Without dropout, and without every batch-norm that stands behind a convolution or linear layer.
    """
    folded = dict(values)
    network = replace(network, layers=_fold(network.layers, folded))
    return network, {p.name: folded[p.name] for p in network.parameters()}


def _fold(layers: Sequence[LayerPlan], values: Values) -> tuple[LayerPlan, ...]:
    """The layers that stay; `values` gets their numbers."""
    kept: list[LayerPlan] = []
    for layer in layers:
        kind = layer.spec.kind
        if kind == "dropout":
            continue
        if kind == "batch-norm" and kept and kept[-1].spec.kind in ("conv", "linear"):
            kept[-1] = _merge(kept[-1], layer, values)
        elif kind == "residual":
            kept.append(replace(layer, inner=_fold(layer.inner, values)))
        else:
            kept.append(layer)
    return tuple(kept)


def _merge(layer: LayerPlan, norm: LayerPlan, values: Values) -> LayerPlan:
    """A convolution or linear layer that does its batch-norm's work too; it has a bias then."""
    weight = layer.parameters[0]
    bias = Parameter(f"{layer.spec.name}.bias", weight.shape[:1], "bias")
    names = ("weight", "bias", "running_mean", "running_var")
    scale, shift = scale_and_shift(*(values[f"{norm.spec.name}.{name}"].astype(np.float64) for name in names))
    values[weight.name] = values[weight.name] * scale.reshape(-1, *[1] * (len(weight.shape) - 1))
    values[bias.name] = shift + (values[bias.name] * scale if layer.spec.bias else 0)
    return replace(layer, spec=replace(layer.spec, bias=True), parameters=(weight, bias))


def build_answering_layers(network: Network, store: ParameterStore, kernels: Kernels) -> list[Layer]:
    """The layers of a network that only answers. kernels: filled where they are missing, so that several
    networks on one store share them."""
    scratch = Space(store.dtype) if network.reads_lines else None
    return _build(network.layers, store, kernels, scratch)


def _build(
    plans: Sequence[LayerPlan], store: ParameterStore, kernels: Kernels, scratch: Space | None
) -> list[Layer]:
    """scratch: memory that is free again after each layer of a line network."""
    layers: list[Layer] = []
    for plan in plans:
        kind = plan.spec.kind
        if kind == "conv" and scratch is not None:
            layers.append(QuickConvolution(plan, store, kernels, scratch))
        elif kind == "relu" and layers and isinstance(layers[-1], QuickConvolution):
            layers[-1].rectifies = True
        else:
            made = _QuickMaxPool if kind == "max-pool" else LAYERS[kind]
            layers.append(made(plan, store, inner=_build(plan.inner, store, kernels, scratch)))
    return layers


class _QuickMaxPool(MaxPool):
    """Windows that tile the picture: first the largest of each column, whole lines at a time."""

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:  # noqa: ARG002
        self.inputs, self.outputs = inputs, self.take_outputs(inputs)
        outputs = self.outputs
        if not self.tiles:
            return largest(self.taps(inputs), outputs)
        count, high, wide, channels = outputs.shape
        rows, columns = self.spec.kernel
        lines = inputs.reshape(count * high, rows, -1).transpose(1, 0, 2)
        if columns == 1:
            largest(lines, outputs.reshape(lines.shape[1:]))
            return outputs
        highest = largest(lines, self.space("lines", lines.shape[1:]))
        return largest(np.moveaxis(highest.reshape(count, high, wide, columns, channels), 3, 0), outputs)


class QuickConvolution(Convolution):
    """A convolution whose weights do not change, with the ReLU behind it where `rectifies` says so."""

    def __init__(self, plan: LayerPlan, store: ParameterStore, kernels: Kernels, scratch: Space) -> None:
        super().__init__(plan, store)
        self.rectifies, self.scratch = False, scratch
        self.tiles = _suits_tiles(plan) and store.dtype == np.float32
        if plan.spec.name not in kernels:
            weight = self.values["weight"]
            kernels[plan.spec.name] = transform_kernels(weight) if self.tiles else self.kernel_matrix()
        self.kernels = kernels[plan.spec.name]
        self.kept: dict[tuple[int, ...], _Place] = {}

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:  # noqa: ARG002
        place = self.kept.get(inputs.shape) or self._prepare(inputs.shape)
        self.shape, self.outputs, lines = inputs.shape, place.outputs, place.lines
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
        dtype = self.space.dtype
        framed = np.zeros((count, height + 2 * rows, width + 2 * columns, channels), dtype)
        outputs = np.empty((count, high, wide, self.spec.units), dtype)
        place = _Place(
            middle=framed[:, rows : rows + height, columns : columns + width],
            outputs=outputs,
            lines=outputs.reshape(count * high, -1),
            bias=np.tile(self.values["bias"], wide) if self.spec.bias else None,
            multiply=self._product(framed, outputs),
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
        windows = view_windows(framed, self.spec, (high, wide))
        copy = self.scratch("windows", windows.shape)
        matrix, flat = copy.reshape(outputs.size // units, -1), outputs.reshape(-1, units)
        kernels = self.kernel_matrix() if self.tiles else self.kernels

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


# F(4, 3) of the paper, along the rows.
_B = [[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0],
      [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]]  # fmt: skip
_G = np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24
_A = [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]
# F(2, 3), along the columns, for d0 - d2 and d1 - d3 (outer), d1 + d2 and d2 - d1 (inner).
_G_COLUMNS = np.array([[2, 0, 0], [0, 0, 2], [1, 1, 1], [1, -1, 1]]) / 2


class Winograd:
    """A 3x3 convolution of stride 1 with fewer multiplications (Winograd 1980; Lavin & Gray 2016), for one
    size of pictures and fixed weights.

    A tile of 4 x 2 outputs takes 8 sums of 9 products. Here it takes 6 x 4 products per channel, a third of
    them: along an axis, with d the pixels of a window and g the kernel's numbers, the outputs are
    y = A [(G g) * (B d)], with constant matrices A, B and G; along the rows 4 outputs of 6 pixels, along the
    columns 2 outputs of 4. The results differ from those of `Convolution` by rounding.

    framed: (N, H + 2, W + 2, C), the pictures in a frame of zeros; outputs: (N, H, W, O). Both contiguous,
    H a multiple of 4 and W of 2. scratch: memory that is free again after each run.
    """

    def __init__(self, kernels: np.ndarray, framed: np.ndarray, outputs: np.ndarray, scratch: Space) -> None:
        """kernels: of `transform_kernels`."""
        count, high, wide, units = outputs.shape
        pairs, channels, lines = framed.shape[2] // 2, framed.shape[3], count * high // 4
        places = lines * wide // 2
        self.outer_kernels, self.inner_kernels = kernels[:2], kernels[2:]
        self.to_tiles, self.from_tiles = (np.array(matrix, outputs.dtype) for matrix in (_B, _A))
        self.windows = _row_windows(framed)
        rows = scratch("rows", (6, lines, pairs, 2 * channels))
        self.rows = rows.reshape(6, count, high // 4, -1).transpose(1, 2, 0, 3)
        self.before, self.behind = rows[:, :, :-1], rows[:, :, 1:]
        self.second, self.third = self.before[..., channels:], self.behind[..., :channels]
        self.outer = scratch("outer", (6, lines, pairs - 1, 2 * channels))
        self.inner = scratch("inner", (2, 6, lines, pairs - 1, channels))
        self.outer_rows = self.outer.reshape(6, places, 2, channels).transpose(2, 0, 1, 3)
        self.inner_rows = self.inner.reshape(2, 6, places, channels)
        self.products = scratch("products", (4, 6, places, units))
        self.pairs = scratch("pairs", (6, places, 2, units))
        self.lines = self.pairs.reshape(6, lines, -1).transpose(1, 0, 2)
        self.outputs = outputs.reshape(lines, 4, -1)

    def run(self) -> None:
        """From what `framed` holds now to `outputs`."""
        np.matmul(self.to_tiles, self.windows, out=self.rows)
        np.subtract(self.before, self.behind, out=self.outer)
        np.add(self.second, self.third, out=self.inner[0])
        np.subtract(self.third, self.second, out=self.inner[1])
        first, last, plus, minus = self.products
        np.matmul(self.outer_rows, self.outer_kernels, out=self.products[:2])
        np.matmul(self.inner_rows, self.inner_kernels, out=self.products[2:])
        first += plus
        np.add(first, minus, out=self.pairs[:, :, 0])
        last += minus
        np.subtract(plus, last, out=self.pairs[:, :, 1])
        np.matmul(self.from_tiles, self.lines, out=self.outputs)


def transform_kernels(weight: np.ndarray) -> np.ndarray:
    """(O, C, 3, 3) -> (4, 6, C, O): G g along the columns and the rows."""
    kernels = np.einsum("jb,ia,ocab->jico", _G_COLUMNS, _G, weight.astype(np.float64))
    return np.ascontiguousarray(kernels, weight.dtype)


def _row_windows(framed: np.ndarray) -> np.ndarray:
    """(N, H/4, 6, (W + 2) C), a view: the six lines that four lines of outputs come from."""
    count, high, wide, channels = framed.shape
    line = wide * channels * framed.itemsize
    shape = (count, (high - 2) // 4, 6, wide * channels)
    return as_strided(framed, shape, (high * line, 4 * line, line, framed.itemsize), writeable=False)
