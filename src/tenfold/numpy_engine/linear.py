"""The fully connected layer."""

from __future__ import annotations

import numpy as np

from tenfold.numpy_engine.buffers import column_sums
from tenfold.numpy_engine.layer import Layer
from tenfold.numpy_engine.products import add_up_outer, multiply_rows

__all__ = ["Linear"]


class Linear(Layer):
    """outputs = inputs W^T + b, with W (units, C) as in PyTorch.

    factor: what a first layer multiplies its inputs by; with W it is less work than with a large batch.
    """

    factor = 1.0

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:  # noqa: ARG002
        self.inputs = inputs
        outputs = self.buffers.take("outputs", (len(inputs), *self.plan.output_shape))
        weight = self.values["weight"]
        if self.factor != 1:
            weight = weight * weight.dtype.type(self.factor)
        multiply_rows(inputs, weight.T, outputs)
        outputs += self.values["bias"]
        return outputs

    def backward(self, gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray | None:
        """dW = gradient^T inputs, db = sum of gradient over the batch, dx = gradient W."""
        slope = add_up_outer(gradient, self.inputs, self.slopes["weight"])
        if self.factor != 1:
            slope *= slope.dtype.type(self.factor)
        column_sums(gradient, out=self.slopes["bias"])
        return self.pull_back(gradient) if wanted else None

    def pull_back(self, gradient: np.ndarray) -> np.ndarray:
        back = self.buffers.take("gradient", self.inputs.shape)
        multiply_rows(gradient, self.values["weight"], back)
        if self.factor != 1:
            back *= back.dtype.type(self.factor)
        return back
