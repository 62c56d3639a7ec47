"""The layers that look at pictures (N, H, W, C), and the network, which calls its layers one after the other.

A window of K x L pixels moves over the picture in steps of S pixels; at each of its OH x OW places it gives
one output per channel. Pixel (i, j) of the window at place (y, x) is pixel (S y + i, S x + j) of the picture.
So the forward gathers pixels from windows, and the backward spreads gradients to the pixels they came from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import numpy as np

from tenfold.arguments import describe_value
from tenfold.errors import UsageError
from tenfold.networks.engine import EngineOptions
from tenfold.networks.own import make_part, takes
from tenfold.networks.shapes import Layer as LayerPlan
from tenfold.networks.shapes import Network
from tenfold.numpy_engine.layers import ROW_LAYERS, Layer, backward_all, pull_back_all, walk
from tenfold.numpy_engine.runtime.memory import ParameterStore, Space, from_parameters
from tenfold.numpy_engine.runtime.products import Windows, column_sums, largest, largest_in_tiles, per_channel

__all__ = ["LayerNorm"]


class _Windowed(Layer):
    def places(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """(OH, OW) for pictures (N, H, W, C), of any size."""
        return self.spec.count_places(shape[1], axis=0), self.spec.count_places(shape[2], axis=1)

    def taps(self, framed: np.ndarray) -> Iterator[np.ndarray]:
        """For each (i, j) in the window, row by row: (N, OH, OW, C), that pixel of every window, as views of
        the pictures in their frame."""
        (rows, columns), (down, along) = self.spec.kernel, self.spec.stride
        last_y, last_x = framed.shape[1] - rows + 1, framed.shape[2] - columns + 1
        for i in range(rows):
            for j in range(columns):
                yield framed[:, i : i + last_y : down, j : j + last_x : along]


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


class Depthwise(_Windowed):
    """A convolution in which every channel has one kernel and sees no other channel (Howard et al. 2017):
    outputs[n, y, x, c] = b[c] + sum over i, j of W[c, i, j] * inputs[n, S y + i, S x + j, c].

    inputs: (N, H, W, C), in a frame of zeros as wide as the padding. W: (C, 1, K, L), as in PyTorch with
    groups=C; b: (C,). outputs: (N, OH, OW, C). No matrix product: each tap of the windows counts by itself.
    """

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:
        (rows, columns), (count, height, width, channels) = self.spec.padding, inputs.shape
        self.shape, self.framed = inputs.shape, inputs
        if rows or columns:
            self.framed = self.space("framed", (count, height + 2 * rows, width + 2 * columns, channels))
            self.framed.fill(0)
            self.framed[self.inside] = inputs
        outputs = self.space("outputs", (count, *self.places(inputs.shape), channels))
        outputs[...] = self.values.get("bias", 0)
        term = self.space("term", outputs.shape)
        for tap, weight in zip(self.taps(self.framed), self.by_tap(), strict=True):
            outputs += np.multiply(tap, weight, out=term)
        return outputs

    def backward(self, gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray | None:
        """dW[c, i, j] = sum of g times that pixel of every window, db = sum of g; dx by `pull_back`."""
        channels, term = gradient.shape[3], self.space("term", gradient.shape)
        sums = [
            column_sums(np.multiply(tap, gradient, out=term).reshape(-1, channels))
            for tap in self.taps(self.framed)
        ]
        self.gradients["weight"][...] = np.stack(sums, axis=1).reshape(channels, 1, *self.spec.kernel)
        if self.spec.bias:
            column_sums(gradient.reshape(-1, channels), out=self.gradients["bias"])
        return self.pull_back(gradient) if wanted else None

    def pull_back(self, gradient: np.ndarray) -> np.ndarray:
        """dx: each tap of the inputs' gradient gets g times its weight."""
        back, term = self.space("gradient", self.framed.shape), self.space("term", gradient.shape)
        back.fill(0)
        for target, weight in zip(self.taps(back), self.by_tap(), strict=True):
            target += np.multiply(gradient, weight, out=term)
        return np.ascontiguousarray(back[self.inside])

    @property
    def inside(self) -> tuple[slice, ...]:
        """The pictures in their frame."""
        (rows, columns), (_, height, width, _) = self.spec.padding, self.shape
        return slice(None), slice(rows, rows + height), slice(columns, columns + width)

    @from_parameters
    def by_tap(self) -> np.ndarray:
        """W as (K L, C)."""
        weight = self.values["weight"]
        return np.ascontiguousarray(weight.reshape(len(weight), -1).T)


class _Pool(_Windowed):
    """What both share: outputs and gradients that go by the K*L taps of a window."""

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


class GlobalAveragePool(Layer):
    """y = the mean of each channel over the whole picture (Lin et al. 2014): (N, H, W, C) -> (N, C), for
    pictures of any size. Each of its H W numbers gets g / (H W)."""

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:
        self.shape = inputs.shape
        return inputs.mean(axis=(1, 2), out=self.space("outputs", (len(inputs), inputs.shape[3])))

    def backward(self, gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray:
        back = self.space("gradient", self.shape)
        back[...] = (gradient / prod(self.shape[1:3]))[:, None, None]
        return back


class LayerNorm(Layer):
    """Layer normalisation: the C numbers of a row, or of a pixel, to mean 0 and variance 1, then a scale and
    a shift per channel (Ba et al. 2016; per pixel as in ConvNeXt, Liu et al. 2022).

    x: (N, C) or (N, H, W, C). With mean and variance over the C numbers, x^ = (x - mean) / sqrt(variance +
    epsilon) and y = weight x^ + bias. No image sees another, so training and answering are the same.
    """

    EPSILON = 1e-5

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:
        channels = inputs.shape[-1]
        normal = self.space("normal", inputs.shape)
        mean = inputs.reshape(-1, channels).mean(axis=1).reshape(*inputs.shape[:-1], 1)
        np.subtract(inputs, mean, out=normal)
        variance = np.einsum("...c,...c->...", normal, normal)[..., None] / channels
        self.inverse = 1 / np.sqrt(variance + self.EPSILON)
        normal *= self.inverse
        self.normal, outputs = normal, self.space("outputs", inputs.shape)
        per_channel(np.multiply, normal, self.values["weight"], out=outputs)
        return per_channel(np.add, outputs, self.values["bias"], out=outputs)

    def backward(self, gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray | None:
        """dweight = sum(g x^) and dbias = sum(g), over images and pixels; dx by `pull_back`."""
        rows = (-1, gradient.shape[-1])
        along = np.multiply(gradient, self.normal, out=self.space("along", gradient.shape))
        column_sums(along.reshape(rows), out=self.gradients["weight"])
        column_sums(gradient.reshape(rows), out=self.gradients["bias"])
        return self.pull_back(gradient) if wanted else None

    def pull_back(self, gradient: np.ndarray) -> np.ndarray:
        """As in batch-norm, with h = weight g and means over the C numbers:
        dx = (h - mean(h) - x^ mean(h x^)) / sqrt(variance + epsilon)."""
        channels, back = gradient.shape[-1], self.space("gradient", gradient.shape)
        per_channel(np.multiply, gradient, self.values["weight"], out=back)
        shared = np.einsum("...c,...c->...", back, self.normal)[..., None] / channels
        back -= back.mean(axis=-1, keepdims=True)
        back -= np.multiply(self.normal, shared, out=self.space("along", gradient.shape))
        back *= self.inverse
        return back


class PixelUnshuffle(Layer):
    """Pictures get smaller and deeper, and lose nothing (Shi et al. 2016, reversed): (N, H, W, C) ->
    (N, H/K, W/K, C K K). Pixel (i, j) of a KxK block of channel c goes to channel c K K + i K + j, as in
    torch.nn.PixelUnshuffle; dx is g with every number back in its place. Rows and columns that are left over
    are cut off."""

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:
        self.shape, (k, _) = inputs.shape, self.spec.kernel
        inputs = inputs[:, : self.shape[1] // k * k, : self.shape[2] // k * k]
        count, height, width, channels = inputs.shape
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
        pixels = back.reshape(count, height * k, width * k, -1)
        if pixels.shape == self.shape:
            return pixels
        whole = self.space("whole", self.shape)
        whole.fill(0)
        whole[:, : height * k, : width * k] = pixels
        return whole


class Own(Layer):
    """A user's layer: an object with forward(inputs) and backward(gradient), which returns d loss / d inputs.

    Where it learns, it has `parameters`, a dictionary of arrays, and backward fills its `gradients` under the
    same names. The optimiser changes the arrays of `parameters` in place.
    """

    def __init__(
        self, plan: LayerPlan, store: ParameterStore, *, inner: Sequence[Layer] = (), seed: int = 0
    ) -> None:
        super().__init__(plan, store, inner=inner, seed=seed)
        self.part = make_part(self.spec, plan.input_shape)
        self.told = takes(self.part.forward, "training")
        if self.values:
            self.part.parameters = dict(self.values)

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:
        self.shape = inputs.shape
        options = {"training": training} if self.told else {}
        return np.asarray(self.part.forward(inputs, **options), inputs.dtype)

    def backward(self, gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray:
        back = self.pull_back(gradient)
        for name, target in self.gradients.items():
            value: Any = getattr(self.part, "gradients", {}).get(name)
            if np.shape(value) != target.shape:
                found = f"own {self.spec.own}: gradients[{name!r}] is {describe_value(value)}"
                raise UsageError(found, expected=f"an array of shape {target.shape}, filled by backward")
            np.copyto(target, value)
        return back

    def pull_back(self, gradient: np.ndarray) -> np.ndarray:
        back = self.part.backward(gradient)
        if np.shape(back) != self.shape:
            found = f"own {self.spec.own}: backward returned {describe_value(back)}"
            raise UsageError(found, expected=f"d loss / d inputs, of shape {self.shape}")
        return np.asarray(back, gradient.dtype)


LAYERS: dict[str, type[Layer]] = ROW_LAYERS | {
    "conv": Convolution, "depthwise": Depthwise, "max-pool": MaxPool, "average-pool": AveragePool,
    "global-average-pool": GlobalAveragePool, "layer-norm": LayerNorm, "pixel-unshuffle": PixelUnshuffle,
    "own": Own,
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
        """float (N, H, W) or (N, H, W, 3) -> logits (N, K), or (N, T, K) of a line network, which the next
        forward overwrites. With `stop`, what the first `stop` layers return."""
        outputs = inputs if inputs.ndim == 4 else inputs[..., np.newaxis]
        for layer in self.layers[:stop]:
            outputs = layer.forward(outputs, training=training)
        return outputs

    def backward(self, gradient: np.ndarray) -> None:
        """d loss / d logits -> the store's gradients."""
        backward_all(self.layers, gradient, wanted=False)

    def pull_back(self, gradient: np.ndarray) -> np.ndarray:
        """After a forward without training: d / d logits -> d / d inputs, of their shape, which the
        next one overwrites; the store's gradients stay as they are."""
        pulled = pull_back_all(self.layers, gradient)
        return pulled[..., 0] if pulled.shape[-1] == 1 else pulled

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
