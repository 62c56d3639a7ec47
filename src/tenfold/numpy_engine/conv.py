"""Convolution as matrix products (im2col), with the channels last.

The windows of a few images at a time are laid out as the rows of a matrix that stays in the
processor's cache; one product with the kernels gives all outputs of those images at once
(Chellapilla et al. 2006).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tenfold.numpy_engine.buffers import column_sums
from tenfold.numpy_engine.layer import Layer

__all__ = ["Convolution"]

# Numbers in a matrix of windows: 512 Ki of float32 are 2 MiB.
WINDOW_NUMBERS = 1 << 19
# With fewer channels than this, the windows' matrix is laid out column by column.
FEW_CHANNELS = 4


class Convolution(Layer):
    """outputs[n, y, x, o] = b[o] + sum over i, j, c of W[o, c, i, j] * padded[n, S y + i, S x + j, c].

    W is (O, C, K, K) as in PyTorch.
    """

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:  # noqa: ARG002
        self.padded = self._pad(inputs)
        channels, high, wide = self.plan.output_shape
        outputs = self.buffers.take("outputs", (len(inputs), high, wide, channels))
        kernels = self._kernels()
        for part in self._parts(len(inputs)):
            rows = outputs[part].reshape(-1, channels)
            np.matmul(self._windows(part), kernels.T, out=rows)
        if self.spec.bias:
            lines = outputs.reshape(-1, wide * channels)
            lines += np.tile(self.values["bias"], wide)
        return outputs

    def backward(self, gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray | None:
        """dW = gradient^T windows; db = sum of gradient; each window's gradient is gradient W,
        and a pixel collects that of every window it was in (col2im)."""
        kernels = self._kernels()
        slope = self.buffers.take("slope", kernels.shape)
        slope.fill(0)
        back = self.buffers.take("padded gradient", self.padded.shape)
        back.fill(0)
        for part in self._parts(len(gradient)):
            rows = gradient[part].reshape(-1, gradient.shape[3])
            slope += rows.T @ self._windows(part)
            if wanted:
                self._spread(rows, kernels, back[part])
        self._store_slopes(slope, gradient)
        p = self.spec.padding
        height, width = self.padded.shape[1:3]
        return back[:, p : height - p, p : width - p] if wanted else None

    def _spread(self, rows: np.ndarray, kernels: np.ndarray, back: np.ndarray) -> None:
        """Adds the gradient of the windows of a few images to the pixels they were taken from."""
        k, step = self.spec.kernel, self.spec.stride
        _, high, wide = self.plan.output_shape
        windows = np.matmul(rows, kernels, out=self.buffers.take("spread", (len(rows), kernels.shape[1])))
        windows = windows.reshape(len(back), high, wide, k, k, -1)
        for i in range(k):
            for j in range(k):
                back[:, i : i + step * high : step, j : j + step * wide : step] += windows[:, :, :, i, j]

    def _store_slopes(self, slope: np.ndarray, gradient: np.ndarray) -> None:
        o, c, k, _ = self.values["weight"].shape
        np.copyto(self.slopes["weight"], slope.reshape(o, k, k, c).transpose(0, 3, 1, 2))
        if self.spec.bias:
            column_sums(gradient.reshape(-1, o), out=self.slopes["bias"])

    def _kernels(self) -> np.ndarray:
        """(O, K K C), in the order of a window's numbers."""
        weight = self.values["weight"]
        return np.ascontiguousarray(weight.transpose(0, 2, 3, 1)).reshape(len(weight), -1)

    def _parts(self, count: int) -> Iterator[slice]:
        """Slices of the batch whose windows fit the cache."""
        channels, _, _ = self.plan.input_shape
        _, high, wide = self.plan.output_shape
        step = max(1, WINDOW_NUMBERS // (high * wide * self.spec.kernel**2 * channels))
        for start in range(0, count, step):
            yield slice(start, min(start + step, count))

    def _windows(self, part: slice) -> np.ndarray:
        """(n OH OW, K K C): every window of the images of `part`, one a row."""
        pictures = self.padded[part]
        k, step = self.spec.kernel, self.spec.stride
        channels, (_, high, wide) = pictures.shape[3], self.plan.output_shape
        image, line, _, _ = pictures.strides
        number = pictures.itemsize  # the strides of an axis of length 1 say nothing
        pixel = channels * number
        shape = (len(pictures), high, wide, k, k * channels)
        # k pixels side by side are k * C numbers in a row
        source = as_strided(
            pictures, shape, (image, step * line, step * pixel, line, number), writeable=False
        )
        if channels < FEW_CHANNELS:
            turned = self.buffers.take("windows", (*shape[3:], *shape[:3])).transpose(2, 3, 4, 0, 1)
        else:
            turned = self.buffers.take("windows", shape)
        np.copyto(turned, source)
        return turned.reshape(len(pictures) * high * wide, -1)

    def _pad(self, inputs: np.ndarray) -> np.ndarray:
        """A frame of zeros around each picture, P wide."""
        p = self.spec.padding
        if not p:
            return np.ascontiguousarray(inputs)
        count, height, width, channels = inputs.shape
        padded = self.buffers.take("padded", (count, height + 2 * p, width + 2 * p, channels))
        padded[:, :p] = padded[:, -p:] = 0
        padded[:, :, :p] = padded[:, :, -p:] = 0
        padded[:, p:-p, p:-p] = inputs
        return padded
