"""From pictures to rows of numbers, in PyTorch's order; and to a row of scores per column."""

from __future__ import annotations

import numpy as np

from tenfold.numpy_engine.layer import Layer

__all__ = ["Columns", "Flatten"]


class Columns(Layer):
    """(N, 1, T, PARTS K) -> (N, PARTS T, K). Nothing is copied."""

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:  # noqa: ARG002
        self.shape = inputs.shape
        parts = self.spec.units or 1
        return inputs.reshape(len(inputs), -1, inputs.shape[3] // parts)

    def backward(self, gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray:  # noqa: ARG002
        return gradient.reshape(self.shape)


class Flatten(Layer):
    """(N, H, W, C) -> (N, C H W). With one channel, or none left, nothing is copied."""

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:  # noqa: ARG002
        self.shape = inputs.shape
        if inputs.ndim == 2 or inputs.shape[3] == 1:
            return inputs.reshape(len(inputs), -1)
        count, height, width, channels = inputs.shape
        outputs = self.buffers.take("outputs", (count, channels, height, width))
        np.copyto(outputs, inputs.transpose(0, 3, 1, 2))
        return outputs.reshape(count, -1)

    def backward(self, gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray:  # noqa: ARG002
        if len(self.shape) == 2 or self.shape[3] == 1:
            return gradient.reshape(self.shape)
        count, height, width, channels = self.shape
        back = self.buffers.take("gradient", self.shape)
        np.copyto(back, gradient.reshape(count, channels, height, width).transpose(0, 2, 3, 1))
        return back
