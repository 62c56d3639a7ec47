"""Convolution as matrix products (im2col), with the channels last.

The windows of a few images at a time are laid out as the rows of a matrix that stays in the
processor's cache; one product with the kernels gives all outputs of those images at once
(Chellapilla et al. 2006).
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tenfold.numpy_engine.buffers import column_sums
from tenfold.numpy_engine.layer import Layer
from tenfold.numpy_engine.products import add_up_outer, multiply_rows
from tenfold.numpy_engine.sharing import count_workers, share_out

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
        channels, high, wide = self.plan.output_shape
        outputs = self.buffers.take("outputs", (len(inputs), high, wide, channels))
        kernels = self._kernels() if self.settled is None else self.settled
        self.framed = self._take_frame(inputs, self.spec.padding, "framed")
        bias = np.tile(self.values["bias"], wide) if self.spec.bias else None
        self._correlate(inputs, self.framed, kernels, self.spec.stride, outputs, bias)
        return outputs

    def backward(self, gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray | None:
        """dW = gradient^T windows, db = sum of gradient, and dx by `pull_back`."""
        o, c, k, _ = self.values["weight"].shape
        windows = self._windows(self.framed, gradient.shape[1:3], self.spec.stride)
        parts = _parts(len(windows), windows[0].size)
        workers = count_workers(len(parts), windows.size * o)
        slopes = self.buffers.take("slopes", (workers, o, k * k * c))
        shares = self.buffers.take("shares of slopes", slopes.shape)
        slopes.fill(0)

        def add_up(worker: int, part: slice) -> None:
            rows = self._copied(windows[part], worker).reshape(-1, k * k * c)
            slopes[worker] += add_up_outer(gradient[part].reshape(-1, o), rows, shares[worker])

        share_out(parts, workers, add_up)
        slope = slopes[0] if workers == 1 else slopes.sum(axis=0)
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
        framed = self._take_frame(gradient, self.spec.kernel - 1 - self.spec.padding, "framed gradient")
        channels, height, width = self.plan.input_shape
        back = self.buffers.take("gradient", (len(gradient), height, width, channels))
        self._correlate(gradient, framed, turned, 1, back)
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

    def _correlate(
        self,
        pictures: np.ndarray,
        framed: np.ndarray,
        kernels: np.ndarray,
        step: int,
        out: np.ndarray,
        bias: np.ndarray | None = None,
    ) -> None:
        """out (N, OH, OW, O) = each window of the pictures, framed, times each kernel; bias: of a line."""
        windows = self._windows(framed, out.shape[1:3], step)
        parts = _parts(len(windows), windows[0].size)

        def multiply(worker: int, part: slice) -> None:
            _fill_frame(framed[part], pictures[part])
            rows = self._copied(windows[part], worker).reshape(-1, len(kernels))
            multiply_rows(rows, kernels, out[part].reshape(-1, kernels.shape[1]))
            if bias is not None:
                lines = out[part].reshape(-1, len(bias))
                lines += bias

        share_out(parts, count_workers(len(parts), windows.size * kernels.shape[1]), multiply)

    def _windows(self, framed: np.ndarray, size: tuple[int, ...], step: int) -> np.ndarray:
        """(N, OH, OW, K, K C), a view: every window of each picture."""
        count, (high, wide), k, channels = len(framed), size, self.spec.kernel, framed.shape[3]
        number = framed.itemsize  # not from strides: those of an axis of length 1 say nothing
        image, line, pixel = framed[0].nbytes, framed[0, 0].nbytes, channels * number
        # k pixels side by side are k * C numbers in a row
        shape = (count, high, wide, k, k * channels)
        strides = (image, step * line, step * pixel, line, number)
        return as_strided(framed, shape, strides, writeable=False)

    def _copied(self, windows: np.ndarray, worker: int) -> np.ndarray:
        """The windows as numbers of their own; the worker's next copy overwrites them."""
        count, high, wide, k, run = windows.shape
        buffers = self.buffers.of_worker(worker)
        if run < FEW_CHANNELS * k:  # such short runs are slow to copy; a column of the matrix is long
            copy = buffers.take("windows", (k, run, count, high, wide)).transpose(2, 3, 4, 0, 1)
        else:
            copy = buffers.take("windows", windows.shape)
        np.copyto(copy, windows)
        return copy

    def _take_frame(self, pictures: np.ndarray, width: int, name: str) -> np.ndarray:
        """Where the pictures go in a frame of zeros, which `_fill_frame` fills; contiguous."""
        if not width:
            return np.ascontiguousarray(pictures)
        count, high, wide, channels = pictures.shape
        return self.buffers.take(name, (count, high + 2 * width, wide + 2 * width, channels))


def _fill_frame(framed: np.ndarray, pictures: np.ndarray) -> None:
    width = (framed.shape[1] - pictures.shape[1]) // 2
    if not width:  # the pictures themselves
        return
    framed[:, :width] = framed[:, -width:] = 0
    framed[:, :, :width] = framed[:, :, -width:] = 0
    framed[:, width:-width, width:-width] = pictures


def _parts(count: int, numbers: int) -> list[slice]:
    """Slices of the batch whose windows, so many numbers an image, fit the cache."""
    images = max(1, WINDOW_NUMBERS // numbers)
    return [slice(start, min(start + images, count)) for start in range(0, count, images)]
