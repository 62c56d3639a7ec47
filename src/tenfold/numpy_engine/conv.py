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
from tenfold.numpy_engine.products import add_up_outer, multiply_rows

__all__ = ["Convolution"]

# Numbers in a matrix of windows: 512 Ki of float32 are 2 MiB.
WINDOW_NUMBERS = 1 << 19
# With fewer channels than this, the windows' matrix is laid out column by column.
FEW_CHANNELS = 4


class Convolution(Layer):
    """outputs[n, y, x, o] = b[o] + sum over i, j, c of W[o, c, i, j] * framed[n, S y + i, S x + j, c],
    where framed is the input in a frame of zeros, P wide. W is (O, C, K, K) as in PyTorch.
    """

    settled: np.ndarray | None = None

    def settle(self) -> None:
        self.settled = self._kernels()

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:  # noqa: ARG002
        self.framed = self._frame(inputs, self.spec.padding, "framed")
        channels, high, wide = self.plan.output_shape
        outputs = self.buffers.take("outputs", (len(inputs), high, wide, channels))
        kernels = self._kernels() if self.settled is None else self.settled
        self._correlate(self.framed, kernels, self.spec.stride, outputs)
        if self.spec.bias:
            lines = outputs.reshape(-1, wide * channels)
            lines += np.tile(self.values["bias"], wide)
        return outputs

    def backward(self, gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray | None:
        """dW = gradient^T windows, db = sum of gradient, and dx by `pull_back`."""
        o, c, k, _ = self.values["weight"].shape
        slope = self.buffers.take("slope", (o, k * k * c))
        share = self.buffers.take("share of the slope", slope.shape)
        slope.fill(0)
        for part, windows in self._windows(self.framed, gradient.shape[1:3], self.spec.stride):
            slope += add_up_outer(gradient[part].reshape(-1, o), windows, share)
        np.copyto(self.slopes["weight"], slope.reshape(o, k, k, c).transpose(0, 3, 1, 2))
        if self.spec.bias:
            column_sums(gradient.reshape(-1, o), out=self.slopes["bias"])
        return self.pull_back(gradient) if wanted else None

    def pull_back(self, gradient: np.ndarray) -> np.ndarray:
        if self.spec.stride == 1 and self.spec.padding < self.spec.kernel:
            return self._backward_as_convolution(gradient)
        return self._backward_by_spreading(gradient)

    def _backward_as_convolution(self, gradient: np.ndarray) -> np.ndarray:
        """With stride 1, dx is itself a convolution: of the outputs' gradient in a frame K - 1 - P
        wide, with the kernels turned by half a turn and their two kinds of channels exchanged."""
        weight = self.values["weight"]
        turned = weight[:, :, ::-1, ::-1].transpose(2, 3, 0, 1).reshape(-1, weight.shape[1])
        framed = self._frame(gradient, self.spec.kernel - 1 - self.spec.padding, "framed gradient")
        channels, height, width = self.plan.input_shape
        back = self.buffers.take("gradient", (len(gradient), height, width, channels))
        self._correlate(framed, turned, 1, back)
        return back

    def _backward_by_spreading(self, gradient: np.ndarray) -> np.ndarray:
        """In general each window's gradient is gradient W, and a pixel collects that of every
        window it was in (col2im)."""
        k, step, p = self.spec.kernel, self.spec.stride, self.spec.padding
        count, high, wide, channels = gradient.shape
        kernels = self._kernels()
        back = self.buffers.take("framed gradient", self.framed.shape)
        back.fill(0)
        for part in _parts(count, high * wide * len(kernels)):
            windows = gradient[part].reshape(-1, channels) @ kernels.T
            windows = windows.reshape(-1, high, wide, k, k, back.shape[3])
            for i in range(k):
                for j in range(k):
                    pixels = back[part, i : i + step * high : step, j : j + step * wide : step]
                    pixels += windows[:, :, :, i, j]
        return back[:, p : back.shape[1] - p, p : back.shape[2] - p]

    def _kernels(self) -> np.ndarray:
        """(K K C, O), contiguous, a kernel's numbers in the order of a window's."""
        weight = self.values["weight"]
        return weight.transpose(2, 3, 1, 0).reshape(-1, len(weight))

    def _correlate(self, framed: np.ndarray, kernels: np.ndarray, step: int, out: np.ndarray) -> None:
        """out (N, OH, OW, O) = each window times each kernel."""
        for part, windows in self._windows(framed, out.shape[1:3], step):
            multiply_rows(windows, kernels, out[part].reshape(-1, kernels.shape[1]))

    def _windows(
        self, framed: np.ndarray, size: tuple[int, ...], step: int
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """Some images of the batch, and (n OH OW, K K C): every window of theirs, one a row."""
        count, (high, wide), k, channels = len(framed), size, self.spec.kernel, framed.shape[3]
        number = framed.itemsize  # not from strides: those of an axis of length 1 say nothing
        image, line, pixel = framed[0].nbytes, framed[0, 0].nbytes, channels * number
        # k pixels side by side are k * C numbers in a row
        shape = (count, high, wide, k, k * channels)
        strides = (image, step * line, step * pixel, line, number)
        source = as_strided(framed, shape, strides, writeable=False)
        for part in _parts(count, high * wide * k * k * channels):
            yield part, self._copied(source[part]).reshape(-1, k * k * channels)

    def _copied(self, windows: np.ndarray) -> np.ndarray:
        """The windows as numbers of their own; the next copy overwrites them."""
        count, high, wide, k, run = windows.shape
        if run < FEW_CHANNELS * k:  # such short runs are slow to copy; a column of the matrix is long
            copy = self.buffers.take("windows", (k, run, count, high, wide)).transpose(2, 3, 4, 0, 1)
        else:
            copy = self.buffers.take("windows", windows.shape)
        np.copyto(copy, windows)
        return copy

    def _frame(self, pictures: np.ndarray, width: int, name: str) -> np.ndarray:
        """The pictures in a frame of zeros, contiguous."""
        if not width:
            return np.ascontiguousarray(pictures)
        count, high, wide, channels = pictures.shape
        framed = self.buffers.take(name, (count, high + 2 * width, wide + 2 * width, channels))
        framed[:, :width] = framed[:, -width:] = 0
        framed[:, :, :width] = framed[:, :, -width:] = 0
        framed[:, width:-width, width:-width] = pictures
        return framed


def _parts(count: int, numbers: int) -> Iterator[slice]:
    """Slices of the batch whose windows, so many numbers an image, fit the cache."""
    images = max(1, WINDOW_NUMBERS // numbers)
    for start in range(0, count, images):
        yield slice(start, min(start + images, count))
