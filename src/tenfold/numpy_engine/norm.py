"""Batch normalisation (Ioffe & Szegedy 2015), as in PyTorch."""

from __future__ import annotations

import math

import numpy as np

from tenfold.numpy_engine.buffers import column_sums
from tenfold.numpy_engine.layer import Layer

__all__ = ["BatchNorm", "scale_and_shift"]

EPSILON = 1e-5
MOMENTUM = 0.1


class BatchNorm(Layer):
    """Each channel to mean 0 and variance 1 over the batch (and the picture), then * weight + bias.

    While training the batch's own (biased) variance counts, and running_mean, running_var
    (unbiased) follow it; afterwards these two are used. Eq. numbers are the paper's, algorithm 1.
    """

    settled: tuple[np.ndarray, np.ndarray] | None = None

    def settle(self) -> None:
        self.settled = self._scale_and_shift()

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:
        rows = inputs.reshape(-1, inputs.shape[-1])
        outputs = self.buffers.take("outputs", inputs.shape)
        if not training:
            scale, shift = self.settled or self._scale_and_shift()
            _per_channel(np.multiply, inputs, scale, out=outputs)
            return _per_channel(np.add, outputs, shift, out=outputs)
        flat, v = outputs.reshape(rows.shape), self.values
        mean = column_sums(rows, out=self._vector("mean")) / rows.dtype.type(len(rows))
        self.centred = _per_channel(np.subtract, inputs, mean, out=self.buffers.take("centred", inputs.shape))
        np.square(self.centred, out=outputs)
        variance = column_sums(flat, out=self._vector("variance")) / rows.dtype.type(len(rows))
        self.inverse = 1 / np.sqrt(variance + EPSILON)
        self._follow(mean, variance, len(rows))
        _per_channel(np.multiply, self.centred, self.inverse * v["weight"], out=outputs)
        return _per_channel(np.add, outputs, v["bias"], out=outputs)

    def backward(self, gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray | None:
        """With x^ = centred * inverse and M rows:
        dx = weight * inverse * (g - mean(g) - x^ mean(g x^)), all means over the M rows."""
        count = math.prod(gradient.shape[:-1])
        rows = (count, gradient.shape[-1])
        back = self.buffers.take("gradient", gradient.shape)
        np.multiply(gradient, self.centred, out=back)
        along = column_sums(back.reshape(rows), out=self.gradients["weight"])
        along *= self.inverse
        column_sums(gradient.reshape(rows), out=self.gradients["bias"])
        if not wanted:
            return None
        scale = self.values["weight"] * self.inverse
        # dx = scale g - (scale inverse along / M) centred - scale sum(g) / M
        _per_channel(np.multiply, self.centred, -self.inverse * along / count, out=back)
        back += gradient
        _per_channel(np.subtract, back, self.gradients["bias"] / count, out=back)
        return _per_channel(np.multiply, back, scale, out=back)

    def pull_back(self, gradient: np.ndarray) -> np.ndarray:
        """With running statistics the outputs are scale inputs + shift."""
        scale, _ = self.settled or self._scale_and_shift()
        return _per_channel(np.multiply, gradient, scale, out=self.buffers.take("gradient", gradient.shape))

    def _scale_and_shift(self) -> tuple[np.ndarray, np.ndarray]:
        v = self.values
        return scale_and_shift(v["weight"], v["bias"], v["running_mean"], v["running_var"])

    def _follow(self, mean: np.ndarray, variance: np.ndarray, count: int) -> None:
        unbiased = variance * (count / max(count - 1, 1))
        for key, value in (("running_mean", mean), ("running_var", unbiased)):
            self.values[key] *= 1 - MOMENTUM
            self.values[key] += MOMENTUM * value

    def _vector(self, name: str) -> np.ndarray:
        return self.buffers.take(name, (self.plan.input_shape[0],))


def scale_and_shift(
    weight: np.ndarray, bias: np.ndarray, mean: np.ndarray, variance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What batch-norm does after training, as outputs = scale inputs + shift; all are (C,)."""
    scale = weight / np.sqrt(variance + EPSILON)
    return scale, bias - mean * scale


def _per_channel(
    operation: np.ufunc, pictures: np.ndarray, vector: np.ndarray, *, out: np.ndarray
) -> np.ndarray:
    """operation(pictures, vector) with one number a channel. The vector is repeated over a whole
    row of pixels first, because NumPy's inner loop is slow when it is only C long."""
    vector = vector.astype(pictures.dtype, copy=False)
    if pictures.ndim == 2:
        return operation(pictures, vector, out=out)
    count, height, width, channels = pictures.shape
    lines = (count * height, width * channels)
    operation(pictures.reshape(lines), np.tile(vector, width), out=out.reshape(lines))
    return out
