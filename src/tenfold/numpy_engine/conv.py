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
from tenfold.numpy_engine.sharing import count_workers, even_parts, share_out

__all__ = ["Convolution"]

# Numbers in a matrix of windows: 512 Ki of float32 are 2 MiB.
WINDOW_NUMBERS = 1 << 19
# With fewer channels than this, the windows' matrix is laid out column by column.
FEW_CHANNELS = 4


class Convolution(Layer):
    """outputs[n, y, x, o] = b[o] + sum over i, j, c of W[o, c, i, j] * framed[n, S y + i, S x + j, c],
    where framed is the input in a frame of zeros, as wide as the padding. W is (O, C, K, L) as in PyTorch.
    """

    settled: np.ndarray | None = None

    def settle(self) -> None:
        self.settled = self._kernels()

    def forward(self, inputs: np.ndarray, *, training: bool) -> np.ndarray:  # noqa: ARG002
        high, wide = self.places(inputs.shape)
        channels = self.spec.units
        outputs = self.buffers.take("outputs", (len(inputs), high, wide, channels))
        kernels = self._kernels() if self.settled is None else self.settled
        self.size = inputs.shape[1:3]
        self.framed = self._take_frame(inputs)
        bias = np.tile(self.values["bias"], wide) if self.spec.bias else None
        windows = self._windows((high, wide))
        workers = count_workers(len(windows), windows.size * channels)
        parts = _parts(windows, workers)

        def multiply(worker: int, part: slice) -> None:
            _fill_frame(self.framed[part], inputs[part])
            rows = self._copied(windows[part], worker).reshape(-1, len(kernels))
            multiply_rows(rows, kernels, outputs[part].reshape(-1, channels))
            if bias is not None:
                lines = outputs[part].reshape(-1, len(bias))
                lines += bias

        share_out(parts, workers, multiply)
        return outputs

    def backward(self, gradient: np.ndarray, *, wanted: bool = True) -> np.ndarray | None:
        """dW = gradient^T windows, db = sum of gradient, and dx by `pull_back`."""
        o, c, rows_of_kernel, columns_of_kernel = self.values["weight"].shape
        length = rows_of_kernel * columns_of_kernel * c
        windows = self._windows(gradient.shape[1:3])
        workers = count_workers(len(windows), windows.size * o)
        parts = _parts(windows, workers)
        gradients = self.buffers.take("weight gradients", (workers, o, length))
        shares = self.buffers.take("shares of gradients", gradients.shape)
        gradients.fill(0)

        def add_up(worker: int, part: slice) -> None:
            rows = self._copied(windows[part], worker).reshape(-1, length)
            gradients[worker] += add_up_outer(gradient[part].reshape(-1, o), rows, shares[worker])

        share_out(parts, workers, add_up)
        weight_gradient = gradients[0] if workers == 1 else gradients.sum(axis=0)
        np.copyto(
            self.gradients["weight"], weight_gradient.reshape(o, *self.spec.kernel, c).transpose(0, 3, 1, 2)
        )
        if self.spec.bias:
            column_sums(gradient.reshape(-1, o), out=self.gradients["bias"])
        return self.pull_back(gradient) if wanted else None

    def pull_back(self, gradient: np.ndarray) -> np.ndarray:
        """dx: the gradient of an output, times the kernels' numbers at (i, j), goes to the pixel that lies
        at (i, j) in its window. A product for each of these places, added where it belongs."""
        count, high, wide, units = gradient.shape
        channels, (height, width) = self.plan.input_shape[0], self.size
        places = np.ascontiguousarray(self.values["weight"].transpose(2, 3, 0, 1))  # (K, L, O, C)
        back = self.buffers.take("gradient", (count, height, width, channels))
        workers = count_workers(count, gradient.size * places[..., 0, :].size)
        parts = _parts(gradient if units > channels else back, workers)

        def spread(worker: int, part: slice) -> None:
            rows, pixels = gradient[part].reshape(-1, units), back[part]
            product = self.buffers.of_worker(worker).take("product", (len(pixels), high, wide, channels))
            pixels.fill(0)
            for i, j in np.ndindex(places.shape[:2]):
                multiply_rows(rows, places[i, j], product.reshape(-1, channels))
                (ys, to_ys), (xs, to_xs) = self._met(0, i, high, height), self._met(1, j, wide, width)
                pixels[:, to_ys, to_xs] += product[:, ys, xs]

        share_out(parts, workers, spread)
        return back

    def _met(self, axis: int, place: int, outputs: int, pixels: int) -> tuple[slice, slice]:
        """Along one axis: the outputs whose window has a pixel (not the frame) at `place`; those pixels."""
        step, offset = (
            self.spec.stride[axis],
            place - self.spec.padding[axis],
        )  # output o meets pixel step * o + offset
        first, last = max(0, -(offset // step)), min(outputs - 1, (pixels - 1 - offset) // step)
        count, start = max(0, last + 1 - first), step * first + offset
        return slice(first, first + count), slice(start, start + step * count, step)

    def _kernels(self) -> np.ndarray:
        """(K L C, O), contiguous, a kernel's numbers in the order of a window's."""
        weight = self.values["weight"]
        return weight.transpose(2, 3, 1, 0).reshape(-1, len(weight))

    def _windows(self, size: tuple[int, ...]) -> np.ndarray:
        """(N, OH, OW, K, L C), a view: every window of each framed picture."""
        framed, step, (rows, columns) = self.framed, self.spec.stride, self.spec.kernel
        count, (high, wide), channels = len(framed), size, framed.shape[3]
        number = framed.itemsize  # not from strides: those of an axis of length 1 say nothing
        image, line, pixel = framed[0].nbytes, framed[0, 0].nbytes, channels * number
        # L pixels side by side are L * C numbers in a row
        shape = (count, high, wide, rows, columns * channels)
        strides = (image, step[0] * line, step[1] * pixel, line, number)
        return as_strided(framed, shape, strides, writeable=False)

    def _copied(self, windows: np.ndarray, worker: int) -> np.ndarray:
        """The windows as numbers of their own; the worker's next copy overwrites them."""
        count, high, wide, k, run = windows.shape
        buffers = self.buffers.of_worker(worker)
        if (
            run < FEW_CHANNELS * self.spec.kernel[1]
        ):  # such short runs are slow to copy; a column of the matrix is long
            copy = buffers.take("windows", (k, run, count, high, wide)).transpose(2, 3, 4, 0, 1)
        else:
            copy = buffers.take("windows", windows.shape)
        np.copyto(copy, windows)
        return copy

    def _take_frame(self, pictures: np.ndarray) -> np.ndarray:
        """Where the pictures go in a frame of zeros, which `_fill_frame` fills; contiguous."""
        count, high, wide, channels = pictures.shape
        rows, columns = self.spec.padding
        if not rows and not columns:
            return np.ascontiguousarray(pictures)
        return self.buffers.take("framed", (count, high + 2 * rows, wide + 2 * columns, channels))


def _fill_frame(framed: np.ndarray, pictures: np.ndarray) -> None:
    rows, columns = ((framed.shape[axis] - pictures.shape[axis]) // 2 for axis in (1, 2))
    if not rows and not columns:  # the pictures themselves
        return
    high, wide = framed.shape[1] - rows, framed.shape[2] - columns
    framed[:, :rows] = framed[:, high:] = 0
    framed[:, :, :columns] = framed[:, :, wide:] = 0
    framed[:, rows:high, columns:wide] = pictures


def _parts(arrays: np.ndarray, workers: int) -> list[slice]:
    """Slices of the batch whose arrays fit the cache."""
    return even_parts(len(arrays), max(1, WINDOW_NUMBERS // arrays[0].size), workers)
