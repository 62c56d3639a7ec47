"""The layers of a network, each with its forward and, next to it, its backward.

A layer computes outputs y = f(x, w) from its inputs x and its parameters w: that is `forward`. Training
needs the derivatives of the loss with respect to w, and gets them by the chain rule from the last layer to
the first (back-propagation; Rumelhart, Hinton & Williams 1986). `backward` is given the gradient
g = d loss / d y, an array of y's shape. It stores d loss / d w = g * dy/dw in `gradients`, for the optimiser,
and returns d loss / d x = g * dy/dx: the g of the layer before it.

Rows of numbers are (N, C): N images, C numbers each. Pictures are (N, H, W, C), channels last; the layers
that look at pictures are in `tenfold.numpy_engine.network`.

How to read the code: `out=` says where NumPy writes a result, and `self.space(name, shape)` is memory of the
layer's own for it, which its next step overwrites. `product`, `outer_sum`, `column_sums` and `per_channel`
are ordinary arithmetic that `tenfold.numpy_engine.runtime` makes fast. A layer never writes into what it was
given.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np

from tenfold.networks.shapes import Layer as LayerPlan
from tenfold.numpy_engine.runtime.memory import ParameterStore, Space, from_parameters
from tenfold.numpy_engine.runtime.products import column_sums, outer_sum, per_channel, product

__all__ = ["BatchNorm"]


Pair = tuple[np.ndarray, np.ndarray]


class Layer(ABC):
    """One layer, built from its plan (shapes and names) on the parameters of a store.

    values, gradients: its parameters and the loss's gradients with respect to them, by short names (weight,
    bias, ...). inner: the layers inside a residual. rng: the random numbers of dropout, else None.
    settled: whether the parameters will not change again.
    """

    settled = False

    def __init__(
        self, plan: LayerPlan, store: ParameterStore, *, inner: Sequence[Layer] = (), seed: int = 0
    ) -> None:
        self.plan, self.spec, self.inner = plan, plan.spec, tuple(inner)
        self.space = Space(store.dtype)
        short = {p.name.rpartition(".")[2]: p for p in plan.parameters}
        self.values = {key: store.values[p.name] for key, p in short.items()}
        self.gradients = {key: store.named_gradients[p.name] for key, p in short.items() if p.learned}
        own_stream = [seed, *self.spec.name.encode()]
        self.rng = np.random.default_rng(own_stream) if self.spec.kind == "dropout" else None

    @abstractmethod
    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:
        """x (N, ...) -> y (N, ...). With training, keeps what `backward` will need."""

    @abstractmethod
    def backward(self, gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray | None:
        """g = d loss / d y -> d loss / d x, and fills `gradients`. After a forward with training.
        Where d loss / d x is not wanted (before the first layer) it may be left out (None)."""

    def pull_back(self, gradient: np.ndarray) -> np.ndarray:
        """d loss / d x alone, after a forward without training: `gradients` stay as they are. A layer
        without parameters has nothing else to do in `backward`."""
        return cast(np.ndarray, self.backward(gradient))

    @property
    def learns(self) -> bool:
        """Whether it has parameters to learn, itself or inside."""
        return bool(self.gradients) or any(layer.learns for layer in self.inner)


class Linear(Layer):
    """The fully connected layer: y = x W^T + b.

    x: (N, C). W: (units, C), as in PyTorch; b: (units,). y: (N, units). Each output is a weighted sum of all
    inputs, y[n, u] = b[u] + sum over c of W[u, c] x[n, c].
    """

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:
        self.inputs = inputs
        outputs = self.space("outputs", (len(inputs), *self.plan.output_shape))
        product(inputs, self.values["weight"].T, out=outputs)
        outputs += self.values["bias"]
        return outputs

    def backward(self, gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray | None:
        """dW = g^T x, db = sum of g over the batch, dx = g W."""
        outer_sum(gradient, self.inputs, out=self.gradients["weight"])
        column_sums(gradient, out=self.gradients["bias"])
        return self.pull_back(gradient) if wanted else None

    def pull_back(self, gradient: np.ndarray) -> np.ndarray:
        """dx = g W."""
        return product(gradient, self.values["weight"], out=self.space("gradient", self.inputs.shape))


class ReLU(Layer):
    """y = max(x, 0), each number by itself (Nair & Hinton 2010).

    Its derivative is 1 where x > 0, else 0 (at 0 too, as in PyTorch): dx = g where y > 0, else 0.
    """

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:
        # with two bounds, clip is faster than maximum(inputs, 0)
        self.outputs = np.clip(inputs, 0, np.inf, out=self.space("outputs", inputs.shape))
        return self.outputs

    def backward(self, gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray:
        derivative = self.space("gradient", gradient.shape)
        np.greater(self.outputs, 0, out=derivative, casting="unsafe")
        return np.multiply(derivative, gradient, out=derivative)


class Sigmoid(Layer):
    """y = 1 / (1 + exp(-x)), between 0 and 1. Its derivative is y (1 - y), at most 1/4: dx = g y (1 - y)."""

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:
        self.outputs = sigmoid(inputs)
        return self.outputs

    def backward(self, gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray:
        derivative = np.subtract(1, self.outputs, out=self.space("gradient", gradient.shape))
        derivative *= self.outputs
        return np.multiply(derivative, gradient, out=derivative)


def sigmoid(values: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), written with exp(-|x|), which cannot overflow."""
    small = np.exp(-np.abs(values))
    return np.where(values >= 0, 1, small) / (1 + small)


class Tanh(Layer):
    """y = tanh x, between -1 and 1. Its derivative is 1 - y^2: dx = g (1 - y^2)."""

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:
        self.outputs = np.tanh(inputs, out=self.space("outputs", inputs.shape))
        return self.outputs

    def backward(self, gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray:
        derivative = np.square(self.outputs, out=self.space("gradient", gradient.shape))
        np.subtract(1, derivative, out=derivative)
        return np.multiply(derivative, gradient, out=derivative)


class GELU(Layer):
    """y = x Phi(x), where Phi(x) = (1 + erf(x / sqrt 2)) / 2 is the share of a normal distribution below x: a
    ReLU with a soft corner (Hendrycks & Gimpel 2016; the exact form, PyTorch's default).

    With the density phi(x) = exp(-x^2 / 2) / sqrt(2 pi), the derivative of Phi, dx = g (Phi(x) + x phi(x)).
    """

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:
        from scipy.special import erf  # only where a network has this layer

        self.inputs, share = inputs, self.space("share", inputs.shape)
        erf(np.multiply(inputs, math.sqrt(0.5), out=share), out=share)
        share += 1
        share /= 2
        self.share = share
        return np.multiply(inputs, share, out=self.space("outputs", inputs.shape))

    def backward(self, gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray:
        derivative = np.square(self.inputs, out=self.space("gradient", gradient.shape))
        derivative /= -2
        np.exp(derivative, out=derivative)
        derivative *= self.inputs
        derivative /= math.sqrt(2 * math.pi)
        derivative += self.share
        return np.multiply(derivative, gradient, out=derivative)


class SiLU(Layer):
    """y = x s with s = 1 / (1 + exp(-x)), also called swish (Elfwing et al. 2018). Its derivative is
    s + x s (1 - s) = s + y (1 - s)."""

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:
        self.share = sigmoid(inputs)
        self.outputs = np.multiply(inputs, self.share, out=self.space("outputs", inputs.shape))
        return self.outputs

    def backward(self, gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray:
        derivative = np.subtract(1, self.share, out=self.space("gradient", gradient.shape))
        derivative *= self.outputs
        derivative += self.share
        return np.multiply(derivative, gradient, out=derivative)


class Scale(Layer):
    """y = K x, dx = K g. In front of the loss a K below 1 makes the scores smaller, and so the network less
    sure at first."""

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:
        return np.multiply(inputs, self.spec.rate, out=self.space("outputs", inputs.shape))

    def backward(self, gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray:
        return np.multiply(gradient, self.spec.rate, out=self.space("gradient", gradient.shape))


class Dropout(Layer):
    """y = x m, where each number of the mask m is 0 with probability P, else 1 / (1 - P): the mean of y is
    x (Srivastava et al. 2014, in the inverted form: after training y = x). dx = g m.

    One stream of random numbers per layer, drawn in float32 whatever the precision, so that a check in
    float64 meets the same mask.
    """

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:
        if not training or not self.spec.rate or self.rng is None:
            self.mask = None
            return inputs
        draws = self.rng.random(dtype=np.float32, out=self.space("draws", inputs.shape, np.float32))
        kept = np.greater_equal(draws, self.spec.rate, out=self.space("kept", inputs.shape, bool))
        self.mask = self.space("mask", inputs.shape)
        np.multiply(kept, self.mask.dtype.type(1 / (1 - self.spec.rate)), out=self.mask)
        return np.multiply(inputs, self.mask, out=self.space("outputs", inputs.shape))

    def backward(self, gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray:
        if self.mask is None:
            return gradient
        return np.multiply(gradient, self.mask, out=self.space("gradient", gradient.shape))


class BatchNorm(Layer):
    """Batch normalisation: each channel to mean 0 and variance 1, then a scale and a shift of its own
    (Ioffe & Szegedy 2015, algorithm 1).

    x: (N, C) or (N, H, W, C); M is the number of its rows, N or N H W. With mean and variance over the rows,
    x^ = (x - mean) / sqrt(variance + epsilon) and y = weight x^ + bias; all are (C,).

    While training, mean and (biased) variance are those of the batch, and running_mean and running_var
    (unbiased) follow them; afterwards these two are used.
    """

    EPSILON = 1e-5  # added to a variance before its root is divided by
    MOMENTUM = 0.1  # share of a batch in the running statistics

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:
        outputs = self.space("outputs", inputs.shape)
        if not training:
            scale, shift = self.scale_and_shift()
            per_channel(np.multiply, inputs, scale, out=outputs)
            return per_channel(np.add, outputs, shift, out=outputs)
        rows, count = (-1, inputs.shape[-1]), math.prod(inputs.shape[:-1])
        mean = column_sums(inputs.reshape(rows)) / count
        self.centred = per_channel(np.subtract, inputs, mean, out=self.space("centred", inputs.shape))
        variance = column_sums(np.square(self.centred, out=outputs).reshape(rows)) / count
        self.inverse = 1 / np.sqrt(variance + self.EPSILON)
        unbiased = variance * (count / max(count - 1, 1))
        for key, value in (("running_mean", mean), ("running_var", unbiased)):
            self.values[key] *= 1 - self.MOMENTUM
            self.values[key] += self.MOMENTUM * value
        per_channel(np.multiply, self.centred, self.inverse * self.values["weight"], out=outputs)
        return per_channel(np.add, outputs, self.values["bias"], out=outputs)

    def backward(self, gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray | None:
        """dweight = sum(g x^), dbias = sum(g), and because mean and variance depend on every row of x,
        dx = weight / sqrt(variance + epsilon) * (g - mean(g) - x^ mean(g x^)); all over the M rows."""
        rows, count = (-1, gradient.shape[-1]), math.prod(gradient.shape[:-1])
        back = np.multiply(gradient, self.centred, out=self.space("gradient", gradient.shape))
        along = column_sums(back.reshape(rows), out=self.gradients["weight"])
        along *= self.inverse
        column_sums(gradient.reshape(rows), out=self.gradients["bias"])
        if not wanted:
            return None
        per_channel(np.multiply, self.centred, -self.inverse * along / count, out=back)  # -x^ mean(g x^)
        back += gradient
        per_channel(np.subtract, back, self.gradients["bias"] / count, out=back)
        return per_channel(np.multiply, back, self.values["weight"] * self.inverse, out=back)

    def pull_back(self, gradient: np.ndarray) -> np.ndarray:
        """With the running statistics y = scale x + shift, so dx = scale g."""
        scale, _ = self.scale_and_shift()
        return per_channel(np.multiply, gradient, scale, out=self.space("gradient", gradient.shape))

    @from_parameters
    def scale_and_shift(self) -> Pair:
        """What it does after training."""
        v = self.values
        return self.affine(v["weight"], v["bias"], v["running_mean"], v["running_var"])

    @classmethod
    def affine(cls, weight: np.ndarray, bias: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> Pair:
        """What it does after training, as y = scale x + shift; all are (C,)."""
        scale = weight / np.sqrt(variance + cls.EPSILON)
        return scale, bias - mean * scale


class Flatten(Layer):
    """From pictures to rows of numbers, in PyTorch's order: (N, H, W, C) -> (N, C H W). dx is g, turned
    back into pictures. With one channel, or rows already, nothing is copied."""

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:
        self.shape = inputs.shape
        if inputs.ndim == 2 or inputs.shape[3] == 1:
            return inputs.reshape(len(inputs), -1)
        count, height, width, channels = inputs.shape
        outputs = self.space("outputs", (count, channels, height, width))
        np.copyto(outputs, inputs.transpose(0, 3, 1, 2))
        return outputs.reshape(count, -1)

    def backward(self, gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray:
        if len(self.shape) == 2 or self.shape[3] == 1:
            return gradient.reshape(self.shape)
        count, height, width, channels = self.shape
        back = self.space("gradient", self.shape)
        np.copyto(back, gradient.reshape(count, channels, height, width).transpose(0, 2, 3, 1))
        return back


class Columns(Layer):
    """A row of scores per column, for lines of text: (N, 1, T, PARTS K) -> (N, PARTS T, K). Nothing is
    copied."""

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:
        self.shape = inputs.shape
        parts = self.spec.units or 1
        return inputs.reshape(len(inputs), -1, inputs.shape[3] // parts)

    def backward(self, gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray:
        return gradient.reshape(self.shape)


class Residual(Layer):
    """The residual connection (He et al. 2016): y = x + f(x), f being the layers inside. dx = g + (g through
    f): the gradient has a way straight through, however deep the network is."""

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:
        change = inputs
        for layer in self.inner:
            change = layer.forward(change, training=training)
        return np.add(inputs, change, out=self.space("outputs", inputs.shape))

    def backward(self, gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray | None:
        through = backward_all(self.inner, gradient, wanted=wanted)
        if through is None or not wanted:
            return None
        return np.add(gradient, through, out=self.space("gradient", gradient.shape))

    def pull_back(self, gradient: np.ndarray) -> np.ndarray:
        through = pull_back_all(self.inner, gradient)
        return np.add(gradient, through, out=self.space("gradient", gradient.shape))


def backward_all(layers: Sequence[Layer], gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray | None:
    """Back through the layers, last to first; if the inputs' gradient is not wanted, only as far as there
    is something to learn."""
    first = 0 if wanted else next((i for i, layer in enumerate(layers) if layer.learns), len(layers))
    current: np.ndarray | None = gradient
    for index in range(len(layers) - 1, first - 1, -1):
        assert current is not None  # only the first layer may leave it out
        current = layers[index].backward(current, wanted=wanted or index > first)
    return current


def pull_back_all(layers: Sequence[Layer], gradient: np.ndarray) -> np.ndarray:
    """Back through layers that only answer."""
    for layer in reversed(layers):
        gradient = layer.pull_back(gradient)
    return gradient


def walk(layers: Sequence[Any]) -> Iterator[Any]:
    """All layers, or their plans, with those inside of others."""
    for layer in layers:
        yield layer
        yield from walk(layer.inner)


ROW_LAYERS: dict[str, type[Layer]] = {
    "flatten": Flatten, "linear": Linear, "relu": ReLU, "sigmoid": Sigmoid, "tanh": Tanh, "gelu": GELU,
    "silu": SiLU, "scale": Scale, "dropout": Dropout, "batch-norm": BatchNorm,
    "columns": Columns, "residual": Residual,
}  # fmt: skip
