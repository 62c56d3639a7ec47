"""The layers that look at pictures (N, H, W, C), and the network, which calls its layers one after the other.

A window of K x L pixels moves over the picture in steps of S pixels; at each of its OH x OW places it gives
one output per channel. Pixel (i, j) of the window at place (y, x) is pixel (S y + i, S x + j) of the picture.
So the forward gathers pixels from windows, and the backward spreads gradients to the pixels they came from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

import numpy as np

from tenfold.networks.engine import EngineOptions
from tenfold.networks.shapes import Layer as LayerPlan
from tenfold.networks.shapes import Network
from tenfold.numpy_engine.layers import ROW_LAYERS, Layer, backward_all, pull_back_all, walk
from tenfold.numpy_engine.runtime.memory import ParameterStore, Space, from_parameters
from tenfold.numpy_engine.runtime.products import Windows, column_sums, largest, largest_in_tiles


class _Windowed(Layer):
    def places(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """(OH, OW) for pictures (N, H, W, C), of any size."""
        return self.spec.count_places(shape[1], axis=0), self.spec.count_places(shape[2], axis=1)


class Convolution(_Windowed):
    """The same weighted sum over every window of the picture (LeCun et al. 1998):
    outputs[n, y, x, o] = b[o] + sum over i, j, c of W[o, c, i, j] * inputs[n, S y + i, S x + j, c].

    inputs: (N, H, W, C), in a frame of zeros as wide as the padding. W: (O, C, K, L), as in PyTorch; b: (O,).
    outputs: (N, OH, OW, O). With the windows as the rows of a matrix X (N OH OW, K L C), and the kernels as
    the columns of another, this is a linear layer, X W^T + b (Chellapilla et al. 2006).
    """

    def __init__(
        self, plan: LayerPlan, store: ParameterStore, *, inner: Sequence[Layer] = (), seed: int = 0
    ) -> None:
        super().__init__(plan, store, inner=inner, seed=seed)
        self.windows = Windows(self.spec, self.space)

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:
        self.shape = inputs.shape
        outputs = self.space("outputs", (len(inputs), *self.places(inputs.shape), self.spec.units))
        return self.windows.times(inputs, self.kernel_matrix(), self.values.get("bias"), out=outputs)

    def backward(self, gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray | None:
        """dW = g^T X, db = sum of g over images and places, and dx by `pull_back`."""
        outputs, channels = self.values["weight"].shape[:2]
        matrix = self.windows.transposed_times(gradient)  # (O, K L C)
        by_place = matrix.reshape(outputs, *self.spec.kernel, channels)
        np.copyto(self.gradients["weight"], by_place.transpose(0, 3, 1, 2))
        if self.spec.bias:
            column_sums(gradient.reshape(-1, outputs), out=self.gradients["bias"])
        return self.pull_back(gradient) if wanted else None

    def pull_back(self, gradient: np.ndarray) -> np.ndarray:
        """dx at a pixel: the sum over o, and over all (y, x, i, j) with the pixel at (S y + i, S x + j), of
        g[n, y, x, o] * W[o, c, i, j]."""
        kernels = np.ascontiguousarray(self.values["weight"].transpose(2, 3, 0, 1))  # (K, L, O, C)
        return self.windows.spread(gradient, kernels, out=self.space("gradient", self.shape))

    @from_parameters
    def kernel_matrix(self) -> np.ndarray:
        """W as the matrix (K L C, O), contiguous, a kernel's numbers in the order of a window's."""
        weight = self.values["weight"]
        return weight.transpose(2, 3, 1, 0).reshape(-1, len(weight))


class _Pool(_Windowed):
    """What both share: the K*L taps of a window, each as a view of the whole batch."""

    def taps(self, pictures: np.ndarray) -> Iterator[np.ndarray]:
        """For each (i, j) in the window, row by row: (N, OH, OW, C), that pixel of every window."""
        high, wide = self.places(pictures.shape)
        down, along = self.spec.stride
        for i in range(self.spec.kernel[0]):
            for j in range(self.spec.kernel[1]):
                yield pictures[:, i : i + down * high : down, j : j + along * wide : along]

    def take_outputs(self, inputs: np.ndarray) -> np.ndarray:
        self.shape = inputs.shape
        return self.space("outputs", (len(inputs), *self.places(inputs.shape), inputs.shape[3]))

    def take_gradient(self) -> np.ndarray:
        """Where the inputs' gradient goes. Windows that tile the picture write every pixel once."""
        back = self.space("gradient", self.shape)
        if not self.tiles:
            back.fill(0)
        return back

    def give(self, target: np.ndarray, gradient: np.ndarray, factor: np.ndarray | float) -> None:
        """Adds gradient * factor to a tap of the inputs' gradient."""
        if self.tiles:
            np.multiply(gradient, factor, out=target)
        else:
            target += gradient * factor

    @property
    def tiles(self) -> bool:
        """Whether the windows cover every pixel exactly once."""
        spec, (_, height, width, _) = self.spec, self.shape
        return spec.stride == spec.kernel and not height % spec.kernel[0] and not width % spec.kernel[1]


class MaxPool(_Pool):
    """y = the largest number of each window, channel by channel. Moving any other number changes nothing:
    g goes to the largest (to the first of several, as in PyTorch), and 0 to the others."""

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:
        self.inputs, self.outputs = inputs, self.take_outputs(inputs)
        if self.tiles:
            return largest_in_tiles(inputs, self.spec.kernel, self.space, out=self.outputs)
        return largest(self.taps(inputs), out=self.outputs)

    def backward(self, gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray:
        back = self.take_gradient()
        chosen = self.space("chosen", gradient.shape, bool)
        free = self.space("free", gradient.shape, bool)
        free.fill(True)  # windows whose largest was not met yet
        for tap, target in zip(self.taps(self.inputs), self.taps(back), strict=True):
            np.equal(tap, self.outputs, out=chosen)
            chosen &= free
            free ^= chosen
            self.give(target, gradient, chosen)
        return back


class AveragePool(_Pool):
    """y = the mean of each window, channel by channel. Each of its K L numbers counts for 1 / (K L) of it,
    and gets as much of g."""

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:
        outputs = self.take_outputs(inputs)
        first, *others = self.taps(inputs)
        np.copyto(outputs, first)
        for tap in others:
            outputs += tap
        outputs *= 1 / prod(self.spec.kernel)
        return outputs

    def backward(self, gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray:
        back = self.take_gradient()
        for target in self.taps(back):
            self.give(target, gradient, 1 / prod(self.spec.kernel))
        return back


class PixelUnshuffle(Layer):
    """Pictures get smaller and deeper, and lose nothing (Shi et al. 2016, reversed): (N, H, W, C) ->
    (N, H/K, W/K, C K K). Pixel (i, j) of a KxK block of channel c goes to channel c K K + i K + j, as in
    torch.nn.PixelUnshuffle; dx is g with every number back in its place."""

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:
        count, height, width, channels = inputs.shape
        k, _ = self.spec.kernel
        blocks = inputs.reshape(count, height // k, k, width // k, k, channels)
        outputs = self.space("outputs", (count, height // k, width // k, channels, k, k))
        for i in range(k):  # NumPy copies runs of k pixels more slowly than planes of single ones
            for j in range(k):
                outputs[..., i, j] = blocks[:, :, i, :, j]
        return outputs.reshape(count, height // k, width // k, -1)

    def backward(self, gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray:
        count, height, width, deep = gradient.shape
        k, _ = self.spec.kernel
        back = self.space("gradient", (count, height, k, width, k, deep // (k * k)))
        np.copyto(back, gradient.reshape(count, height, width, -1, k, k).transpose(0, 1, 4, 2, 5, 3))
        return back.reshape(count, height * k, width * k, -1)


LAYERS: dict[str, type[Layer]] = ROW_LAYERS | {
    "conv": Convolution, "max-pool": MaxPool, "average-pool": AveragePool, "pixel-unshuffle": PixelUnshuffle
}  # fmt: skip


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

    def forward(self, inputs: np.ndarray, *, training: bool, stop: int | None = None) -> np.ndarray:
        """float (N, H, W) -> logits (N, K), or (N, T, K) of a line network, which the next forward
        overwrites. With `stop`, what the first `stop` layers return."""
        outputs = inputs[..., np.newaxis]
        for layer in self.layers[:stop]:
            outputs = layer.forward(outputs, training=training)
        return outputs

    def backward(self, gradient: np.ndarray) -> None:
        """d loss / d logits -> the store's gradients."""
        backward_all(self.layers, gradient, wanted=False)

    def pull_back(self, gradient: np.ndarray) -> np.ndarray:
        """After a forward without training: d / d logits -> d / d inputs (N, H, W), which the
        next one overwrites; the store's gradients stay as they are."""
        return pull_back_all(self.layers, gradient)[..., 0]

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
