"""Dropout (Srivastava et al. 2014), inverted: what stays grows while training, nothing changes after."""

from __future__ import annotations

import numpy as np

from tenfold.numpy_engine.layer import Layer

__all__ = ["Dropout"]


class Dropout(Layer):
    """Each number becomes 0 with probability P, else is divided by 1 - P. One stream a layer,
    drawn in float32 whatever the precision, so that a float64 check meets the same mask."""

    def random_stream(self, seed: int) -> np.random.Generator:
        return np.random.default_rng([seed, *self.spec.name.encode()])

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:
        if not training or not self.spec.rate or self.rng is None:
            self.mask = None
            return inputs
        draws = self.buffers.take("draws", inputs.shape, np.float32)
        self.rng.random(dtype=np.float32, out=draws)
        kept = np.greater_equal(draws, self.spec.rate, out=self.buffers.take("kept", inputs.shape, bool))
        self.mask = self.buffers.take("mask", inputs.shape)
        np.multiply(kept, self.mask.dtype.type(1 / (1 - self.spec.rate)), out=self.mask)
        return np.multiply(inputs, self.mask, out=self.buffers.take("outputs", inputs.shape))

    def backward(self, gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray:  # noqa: ARG002
        if self.mask is None:
            return gradient
        return np.multiply(gradient, self.mask, out=self.buffers.take("gradient", gradient.shape))
