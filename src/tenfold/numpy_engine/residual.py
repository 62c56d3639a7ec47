"""The residual connection (He et al. 2016): outputs = inputs + inner(inputs)."""

from __future__ import annotations

import numpy as np

from tenfold.numpy_engine.layer import Layer, backward_all, forward_all, pull_back_all

__all__ = ["Residual"]


class Residual(Layer):
    """Adds the inner layers' outputs to their inputs, so gradients have a way straight through."""

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:
        change = forward_all(self.inner, inputs, training=training)
        return np.add(inputs, change, out=self.buffers.take("outputs", inputs.shape))

    def backward(self, gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray | None:
        through = backward_all(self.inner, gradient, wanted=wanted)
        if through is None or not wanted:
            return None
        return np.add(gradient, through, out=self.buffers.take("gradient", gradient.shape))

    def pull_back(self, gradient: np.ndarray) -> np.ndarray:
        through = pull_back_all(self.inner, gradient)
        return np.add(gradient, through, out=self.buffers.take("gradient", gradient.shape))
