"""The fully connected layer."""

from __future__ import annotations

import numpy as np

from tenfold.numpy_engine.buffers import column_sums
from tenfold.numpy_engine.layer import Layer

__all__ = ["Linear"]


class Linear(Layer):
    """outputs = inputs W^T + b, with W (units, C) as in PyTorch."""

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:  # noqa: ARG002
        self.inputs = inputs
        outputs = self.buffers.take("outputs", (len(inputs), *self.plan.output_shape))
        np.matmul(inputs, self.values["weight"].T, out=outputs)
        outputs += self.values["bias"]
        return outputs

    def backward(self, gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray | None:
        """dW = gradient^T inputs, db = sum of gradient over the batch, dx = gradient W."""
        np.matmul(gradient.T, self.inputs, out=self.slopes["weight"])
        column_sums(gradient, out=self.slopes["bias"])
        if not wanted:
            return None
        return np.matmul(
            gradient, self.values["weight"], out=self.buffers.take("gradient", self.inputs.shape)
        )
