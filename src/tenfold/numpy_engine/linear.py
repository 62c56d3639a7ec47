"""The fully connected layer.

Large products are shared out to threads of ours; small ones take one. OpenBLAS would share out small ones
too, and where something else runs on a core its threads wait for each other a hundred times as long as
they compute.
"""

from __future__ import annotations

import numpy as np

from tenfold.numpy_engine.buffers import column_sums
from tenfold.numpy_engine.layer import Layer
from tenfold.numpy_engine.products import add_up_outer, multiply_rows
from tenfold.numpy_engine.sharing import count_workers, even_parts, share_out

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
        _multiply_rows(inputs, weight.T, outputs)
        outputs += self.values["bias"]
        return outputs

    def backward(self, gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray | None:
        """dW = gradient^T inputs, db = sum of gradient over the batch, dx = gradient W."""
        weight_gradient = _add_up_outer(gradient, self.inputs, self.gradients["weight"])
        if self.factor != 1:
            weight_gradient *= weight_gradient.dtype.type(self.factor)
        column_sums(gradient, out=self.gradients["bias"])
        return self.pull_back(gradient) if wanted else None

    def pull_back(self, gradient: np.ndarray) -> np.ndarray:
        back = self.buffers.take("gradient", self.inputs.shape)
        _multiply_rows(gradient, self.values["weight"], back)
        if self.factor != 1:
            back *= back.dtype.type(self.factor)
        return back


def _multiply_rows(rows: np.ndarray, matrix: np.ndarray, out: np.ndarray) -> None:
    """`multiply_rows`, each thread with rows of its own."""
    workers = count_workers(len(rows), len(rows) * matrix.size)
    if workers == 1:
        multiply_rows(rows, matrix, out)
        return

    def multiply(_worker: int, part: slice) -> None:
        multiply_rows(rows[part], matrix, out[part])

    share_out(even_parts(len(rows), len(rows), workers), workers, multiply)


def _add_up_outer(left: np.ndarray, right: np.ndarray, out: np.ndarray) -> np.ndarray:
    """`add_up_outer`, each thread with columns of its own."""
    workers = count_workers(out.shape[1], len(left) * out.size)
    if workers == 1:
        return add_up_outer(left, right, out)

    def add_up(_worker: int, part: slice) -> None:
        add_up_outer(left, right[:, part], out[:, part])

    share_out(even_parts(out.shape[1], out.shape[1], workers), workers, add_up)
    return out
