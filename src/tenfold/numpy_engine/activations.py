"""Activations: functions of each number by itself."""

from __future__ import annotations

import numpy as np

from tenfold.numpy_engine.layer import Layer

__all__ = ["ReLU", "Sigmoid", "Tanh", "sigmoid"]


class ReLU(Layer):
    """max(x, 0); its derivative is 1 where x > 0, else 0 (at 0 too, as in PyTorch)."""

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:  # noqa: ARG002
        # with two bounds, clip is faster than maximum(inputs, 0)
        self.outputs = np.clip(inputs, 0, np.inf, out=self.buffers.take("outputs", inputs.shape))
        return self.outputs

    def backward(self, gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray:  # noqa: ARG002
        derivative = self.buffers.take("gradient", gradient.shape)
        np.greater(self.outputs, 0, out=derivative, casting="unsafe")
        return np.multiply(derivative, gradient, out=derivative)


class Sigmoid(Layer):
    """1 / (1 + exp(-x)); its derivative is s (1 - s)."""

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:  # noqa: ARG002
        self.outputs = sigmoid(inputs)
        return self.outputs

    def backward(self, gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray:  # noqa: ARG002
        derivative = np.subtract(1, self.outputs, out=self.buffers.take("gradient", gradient.shape))
        derivative *= self.outputs
        return np.multiply(derivative, gradient, out=derivative)


class Tanh(Layer):
    """tanh x; its derivative is 1 - tanh^2 x."""

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:  # noqa: ARG002
        self.outputs = np.tanh(inputs, out=self.buffers.take("outputs", inputs.shape))
        return self.outputs

    def backward(self, gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray:  # noqa: ARG002
        derivative = np.square(self.outputs, out=self.buffers.take("gradient", gradient.shape))
        np.subtract(1, derivative, out=derivative)
        return np.multiply(derivative, gradient, out=derivative)


def sigmoid(values: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), written with exp(-|x|), which cannot overflow."""
    small = np.exp(-np.abs(values))
    return np.where(values >= 0, 1, small) / (1 + small)
