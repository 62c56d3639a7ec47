"""A network that only answers: fewer layers, and convolutions with fewer multiplications.

Once its running statistics stand still, batch-norm is y = scale x + shift. Behind a layer that is
itself x = W u + b this makes y = (scale W) u + (scale b + shift): one layer, with other numbers
(Jacob et al. 2018, section 3.2). `fold_network` computes them.

In a line network, which answers for one strip at a time, a convolution does the ReLU behind it too, and
keeps the arrays and views that follow from the size of the strip; the memory that is free again after each
layer is the same for all of them, and stays in the cache.

A batch goes through the network part by part: the numbers of a part stay in the processor's cache on their
whole way, so the pictures, one byte per pixel, are all that is read from memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import prod

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import DTypeLike

from tenfold.networks.engine import EngineOptions
from tenfold.networks.shapes import Layer as LayerPlan
from tenfold.networks.shapes import Network, Parameter
from tenfold.numpy_engine.layers import BatchNorm, Layer, walk
from tenfold.numpy_engine.network import LAYERS, Convolution, RunningNetwork, scale_pixels
from tenfold.numpy_engine.runtime.memory import ParameterStore, Space
from tenfold.numpy_engine.runtime.products import (
    even_parts,
    limit_workers,
    own_threads,
    share_out,
    view_windows,
)

__all__ = ["fold_network"]

Values = dict[str, np.ndarray]
Kernels = dict[str, np.ndarray]  # by the name of a convolution: in the order of its products

CHUNK_NUMBERS = 1 << 19  # in the largest array between two layers: 512 Ki of float32 are 2 MiB
_LEAST_CHANNELS = 16  # with fewer, the transforms cost what the products save
_KEPT = 8  # sizes of pictures that a convolution keeps the arrays for
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
        if kind == "batch-norm" and kept and kept[-1].spec.kind in ("conv", "depthwise", "linear"):
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
    scale, shift = BatchNorm.affine(
        *(values[f"{norm.spec.name}.{name}"].astype(np.float64) for name in names)
    )
    values[weight.name] = values[weight.name] * scale.reshape(-1, *[1] * (len(weight.shape) - 1))
    values[bias.name] = shift + (values[bias.name] * scale if layer.spec.bias else 0)
    return replace(layer, spec=replace(layer.spec, bias=True), parameters=(weight, bias))


class AnsweringNetwork:
    """A network that only answers: its batch-norms folded, its parameters settled, no memory for learning.

    It answers with the parameters that it was made with; make another when they have changed.

    Several threads may ask at once. A large batch is shared out to as many threads as NumPy's
    matrix products would take (one where OMP_NUM_THREADS=1), four at most.
    """

    def __init__(
        self, network: Network, values: Mapping[str, np.ndarray], options: EngineOptions,
        dtype: DTypeLike = np.float32,
    ) -> None:  # fmt: skip
        self.network, weights = fold_network(network, values)
        self.options = options
        self.store = ParameterStore.of(self.network, weights, dtype)
        self.chunk = max(1, CHUNK_NUMBERS // widest_layer(self.network))
        self._kernels: Kernels = {}
        self._idle: list[_Runner] = []

    def logits(self, images: np.ndarray) -> np.ndarray:
        """uint8 (N, H, W) -> float32 (N, K), columns as the network's last layer has them; of a line
        network (N, T, K)."""
        network = self.network.at_width(images.shape[2]) if self.network.reads_lines else self.network
        answers = np.empty((len(images), *network.output_shape), np.float32)
        return self._fill(answers, lambda runner, part: runner.answer(images[part]))

    def input_gradient(self, images: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Pixels (N, H, W), and of each image the weights of its logits, of the same shape as
        `logits` has them -> d (weights . logits) / d inputs, (N, H, W) in the network's precision."""

        def differentiate(runner: _Runner, part: slice) -> np.ndarray:
            runner.answer(images[part])
            return runner.pull_back(np.ascontiguousarray(weights[part], dtype=self.store.dtype))

        return self._fill(np.empty(images.shape, self.store.dtype), differentiate)

    def features(self, images: np.ndarray) -> np.ndarray:
        """uint8 (N, H, W) -> float32 (N, D), what enters the last linear layer."""
        found = np.empty((len(images), self.network.feature_count), np.float32)
        head = self.network.head
        return self._fill(found, lambda runner, part: runner.answer(images[part], stop=head))

    def _fill(self, results: np.ndarray, compute: Callable[[_Runner, slice], np.ndarray]) -> np.ndarray:
        """Computes all parts of the results, on as many threads as it pays for."""
        parts = even_parts(len(results), 1 if self.network.reads_lines else self.chunk)
        with own_threads() as threads:
            workers = limit_workers(threads, len(parts))
            runners = [self._take_runner() for _ in range(workers)]

            def work(worker: int, part: slice) -> None:
                results[part] = compute(runners[worker], part)

            share_out(parts, workers, work)
        self._idle += runners
        return results

    def _take_runner(self) -> _Runner:
        try:
            return self._idle.pop()
        except IndexError:
            return _Runner(self.network, self.store, self.options, self._kernels)


class _Runner(RunningNetwork):
    """Layers and the memory they work in: for one thread at a time. kernels: filled where they are missing,
    so that several on one store share them."""

    def __init__(
        self, network: Network, store: ParameterStore, options: EngineOptions, kernels: Kernels
    ) -> None:
        scratch = Space(store.dtype) if network.reads_lines else None
        super().__init__(network, store, layers=_build(network.layers, store, kernels, scratch))
        self.options, self.space = options, Space(store.dtype)
        for layer in walk(self.layers):
            layer.settled = True

    def answer(self, images: np.ndarray, *, stop: int | None = None) -> np.ndarray:
        return self.forward(scale_pixels(images, self.options, self.space), training=False, stop=stop)


def widest_layer(network: Network) -> int:
    """Numbers of one image in the largest array between two layers."""
    return max(prod(network.input_shape), *(prod(layer.output_shape) for layer in walk(network.layers)))


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
            layers.append(LAYERS[kind](plan, store, inner=_build(plan.inner, store, kernels, scratch)))
    return layers


class QuickConvolution(Convolution):
    """A convolution whose weights do not change, with the ReLU behind it where `rectifies` says so."""

    def __init__(self, plan: LayerPlan, store: ParameterStore, kernels: Kernels, scratch: Space) -> None:
        super().__init__(plan, store)
        self.rectifies, self.scratch = False, scratch
        shape = self.spec.kernel, self.spec.stride, self.spec.padding
        wide = min(plan.input_shape[0], self.spec.units) >= _LEAST_CHANNELS
        self.tiles = shape == ((3, 3), (1, 1), (1, 1)) and wide and store.dtype == np.float32
        if plan.spec.name not in kernels:
            weight = self.values["weight"]
            kernels[plan.spec.name] = transform_kernels(weight) if self.tiles else self.kernel_matrix()
        self.kernels = kernels[plan.spec.name]
        self.kept: dict[tuple[int, ...], Callable[[np.ndarray], np.ndarray]] = {}

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:  # noqa: ARG002
        self.shape = inputs.shape
        self.outputs = (self.kept.get(inputs.shape) or self._prepare(inputs.shape))(inputs)
        return self.outputs

    def pull_back(self, gradient: np.ndarray) -> np.ndarray:
        if self.rectifies:
            gradient = gradient * (self.outputs > 0)
        return super().pull_back(gradient)

    def _prepare(self, shape: tuple[int, ...]) -> Callable[[np.ndarray], np.ndarray]:
        """The forward for pictures (N, H, W, C) of one size, whose arrays and views it keeps."""
        count, height, width, channels = shape
        (rows, columns), (high, wide) = self.spec.padding, self.places(shape)
        dtype = self.space.dtype
        framed = np.zeros((count, height + 2 * rows, width + 2 * columns, channels), dtype)
        middle = framed[:, rows : rows + height, columns : columns + width]
        outputs = np.empty((count, high, wide, self.spec.units), dtype)
        lines = outputs.reshape(count * high, -1)
        bias = np.tile(self.values["bias"], wide) if self.spec.bias else None
        multiply = self._product(framed, outputs)

        def run(inputs: np.ndarray) -> np.ndarray:
            np.copyto(middle, inputs)
            multiply()
            if bias is not None:
                np.add(lines, bias, out=lines)
            if self.rectifies:
                np.clip(lines, 0, np.inf, out=lines)
            return outputs

        if len(self.kept) >= _KEPT:
            self.kept.pop(next(iter(self.kept)))
        self.kept[shape] = run
        return run

    def _product(self, framed: np.ndarray, outputs: np.ndarray) -> Callable[[], None]:
        """What computes the outputs from what the frame holds then."""
        high, wide, units = outputs.shape[1:]
        if self.tiles and not high % TILE[0] and not wide % TILE[1]:
            return Winograd(self.kernels, framed, outputs, self.scratch).run
        windows = view_windows(framed, self.spec)
        copy = self.scratch("windows", windows.shape)
        matrix, flat = copy.reshape(outputs.size // units, -1), outputs.reshape(-1, units)
        kernels = self.kernel_matrix() if self.tiles else self.kernels

        def multiply() -> None:
            np.copyto(copy, windows)
            np.matmul(matrix, kernels, out=flat)

        return multiply


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
        # the six lines that four lines of outputs come from: (N, H/4, 6, (W + 2) C)
        lines_of_pixels = framed.reshape(*framed.shape[:2], -1)
        self.windows = sliding_window_view(lines_of_pixels, 6, axis=1)[:, ::4].swapaxes(2, 3)
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
