"""The arithmetic of the layers, at its fastest: matrix products, sums, and products with windows of pictures.

Each function computes what its name says; what makes it fast is inside. Products are cut into pieces that
OpenBLAS multiplies where they lie, and large ones are shared out to threads of ours, each with rows (or
columns) of its own; see `tenfold.numpy_engine.runtime.threads` for why not to OpenBLAS's.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tenfold.networks.layers import LayerSpec
from tenfold.numpy_engine.runtime.memory import Space
from tenfold.numpy_engine.runtime.threads import (
    blas_threads,
    count_workers,
    even_parts,
    multiplies_in_place,
    share_out,
)

# OpenBLAS first copies both matrices into an order of its own; where one of them is narrow, as in a layer
# of few units, that costs as much as the product. On processors with AVX-512 it leaves the copy out for
# products below 100^3 multiplications (and right below that bound it is uneven), and one call of NumPy does
# a stack of those. On several of OpenBLAS's own threads the whole product is shared out instead.
PIECE = 900_000  # multiplications
# Fewer rows in a piece than this: summing the pieces would cost more than it saves.
LEAST_SUMMED = 48
# Numbers in a matrix of windows: 512 Ki of float32 are 2 MiB, which stay in the processor's cache.
WINDOW_NUMBERS = 1 << 19
# With fewer channels than this, the windows' matrix is laid out column by column.
FEW_CHANNELS = 4


def product(rows: np.ndarray, matrix: np.ndarray, out: np.ndarray) -> np.ndarray:
    """rows (M, K) times matrix (K, N), into the contiguous (M, N)."""
    workers = count_workers(len(rows), len(rows) * matrix.size)
    if workers == 1:
        return multiply_rows(rows, matrix, out)

    def multiply(_worker: int, part: slice) -> None:
        multiply_rows(rows[part], matrix, out[part])

    share_out(even_parts(len(rows), len(rows), workers), workers, multiply)
    return out


def outer_sum(left: np.ndarray, right: np.ndarray, out: np.ndarray) -> np.ndarray:
    """left (M, N)^T times right (M, K), into (N, K): the sum of the rows' outer products."""
    workers = count_workers(out.shape[1], len(left) * out.size)
    if workers == 1:
        return add_up_outer(left, right, out)

    def add_up(_worker: int, part: slice) -> None:
        add_up_outer(left, right[:, part], out[:, part])

    share_out(even_parts(out.shape[1], out.shape[1], workers), workers, add_up)
    return out


def multiply_rows(rows: np.ndarray, matrix: np.ndarray, out: np.ndarray) -> np.ndarray:
    """`product`, in this thread alone."""
    length = _piece(len(rows), matrix.size)
    whole = len(rows) - len(rows) % length if length else 0
    if whole:
        stack = out[:whole].reshape(-1, length, out.shape[1])
        np.matmul(rows[:whole].reshape(-1, length, rows.shape[1]), matrix, out=stack)
    if whole < len(rows):
        np.matmul(rows[whole:], matrix, out=out[whole:])
    return out


def add_up_outer(left: np.ndarray, right: np.ndarray, out: np.ndarray) -> np.ndarray:
    """`outer_sum`, in this thread alone."""
    length = _piece(len(left), out.size)
    if length < LEAST_SUMMED:
        return np.matmul(left.T, right, out=out)
    whole = len(left) - len(left) % length
    stacks = [part[:whole].reshape(-1, length, part.shape[1]) for part in (left, right)]
    np.matmul(stacks[0].transpose(0, 2, 1), stacks[1]).sum(axis=0, out=out)
    if whole < len(left):
        out += left[whole:].T @ right[whole:]
    return out


def _piece(rows: int, numbers: int) -> int:
    """Rows of a piece, times a matrix of so many numbers; 0 where the product is better left whole."""
    length = PIECE // max(1, numbers) & ~3  # in fours, as the kernels have it
    return length if length < rows and multiplies_in_place() and blas_threads() == 1 else 0


def column_sums(matrix: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Sums (C,) over the rows of (M, C), as a product with ones: BLAS sums in blocks, which is
    faster than `sum(axis=0)` and rounds less."""
    return np.matmul(np.ones(len(matrix), matrix.dtype), matrix, out=out)


def column_means(matrix: np.ndarray) -> np.ndarray:
    """Means (C,) over the rows of (M, C)."""
    means: np.ndarray = column_sums(matrix) / matrix.dtype.type(len(matrix))
    return means


def per_channel(
    operation: np.ufunc, pictures: np.ndarray, vector: np.ndarray, *, out: np.ndarray
) -> np.ndarray:
    """operation(pictures, vector) with one number per channel. The vector is repeated over a whole
    row of pixels first, because NumPy's inner loop is slow when it is only C long."""
    vector = vector.astype(pictures.dtype, copy=False)
    if pictures.ndim == 2:
        return operation(pictures, vector, out=out)
    count, height, width, channels = pictures.shape
    lines = (count * height, width * channels)
    operation(pictures.reshape(lines), np.tile(vector, width), out=out.reshape(lines))
    return out


def largest(arrays: Iterable[np.ndarray], out: np.ndarray) -> np.ndarray:
    """The largest of the arrays at each place."""
    others = iter(arrays)
    first = next(others)
    np.maximum(first, next(others, first), out=out)
    for array in others:
        np.maximum(out, array, out=out)
    return out


def view_windows(framed: np.ndarray, spec: LayerSpec, places: tuple[int, ...]) -> np.ndarray:
    """(N, OH, OW, K, L C), a view: the KxL window at each of the (OH, OW) places of pictures (N, H, W, C)."""
    count, (high, wide), channels = len(framed), places, framed.shape[3]
    number = framed.itemsize  # not from strides: those of an axis of length 1 say nothing
    image, line, pixel = framed[0].nbytes, framed[0, 0].nbytes, channels * number
    # L pixels side by side are L * C numbers in a row
    shape = (count, high, wide, spec.kernel[0], spec.kernel[1] * channels)
    strides = (image, spec.stride[0] * line, spec.stride[1] * pixel, line, number)
    return as_strided(framed, shape, strides, writeable=False)


class Windows:
    """The KxL windows of a batch of pictures, in a frame of zeros as wide as the padding: a matrix X with
    a row of K L C numbers for each window, N OH OW of them (im2col; Chellapilla et al. 2006).

    The windows of a few pictures at a time are laid out in memory that stays in the processor's cache; large
    batches are shared out to threads.
    """

    def __init__(self, spec: LayerSpec, space: Space) -> None:
        self.spec, self.space = spec, space

    def times(
        self, pictures: np.ndarray, kernels: np.ndarray, bias: np.ndarray | None, out: np.ndarray
    ) -> np.ndarray:
        """X kernels + bias: (N OH OW, K L C) times (K L C, O), into (N, OH, OW, O). Keeps the pictures (N, H,
        W, C) for `transposed_times`."""
        channels = out.shape[3]
        self.framed = self._frame(pictures)
        line = None if bias is None else np.tile(bias, out.shape[2])
        windows = view_windows(self.framed, self.spec, out.shape[1:3])
        workers = count_workers(len(windows), windows.size * channels)

        def multiply(worker: int, part: slice) -> None:
            _fill_frame(self.framed[part], pictures[part])
            rows = self._copied(windows[part], worker).reshape(-1, len(kernels))
            multiply_rows(rows, kernels, out[part].reshape(-1, channels))
            if line is not None:
                lines = out[part].reshape(-1, len(line))
                lines += line

        share_out(_parts(windows, workers), workers, multiply)
        return out

    def transposed_times(self, gradient: np.ndarray) -> np.ndarray:
        """gradient^T X: (N OH OW, O)^T times (N OH OW, K L C), (O, K L C)."""
        units = gradient.shape[3]
        windows = view_windows(self.framed, self.spec, gradient.shape[1:3])
        length = windows.shape[3] * windows.shape[4]
        workers = count_workers(len(windows), windows.size * units)
        sums = self.space("sums over windows", (workers, units, length))
        terms = self.space("terms of the sums", sums.shape)
        sums.fill(0)

        def add_up(worker: int, part: slice) -> None:
            rows = self._copied(windows[part], worker).reshape(-1, length)
            sums[worker] += add_up_outer(gradient[part].reshape(-1, units), rows, terms[worker])

        share_out(_parts(windows, workers), workers, add_up)
        return sums[0] if workers == 1 else sums.sum(axis=0)

    def spread(self, gradient: np.ndarray, kernels: np.ndarray, out: np.ndarray) -> np.ndarray:
        """gradient kernels^T, each number added to the pixel of `out` (N, H, W, C) that it belongs to.

        gradient: (N, OH, OW, O). kernels: (K, L, O, C), one product for each place in the window.
        """
        count, high, wide, units = gradient.shape
        height, width, channels = out.shape[1:]
        workers = count_workers(count, gradient.size * kernels[..., 0, :].size)

        def add(worker: int, part: slice) -> None:
            rows, pixels = gradient[part].reshape(-1, units), out[part]
            terms = self.space.of_worker(worker)("product", (len(pixels), high, wide, channels))
            pixels.fill(0)
            for i, j in np.ndindex(kernels.shape[:2]):
                multiply_rows(rows, kernels[i, j], terms.reshape(-1, channels))
                (ys, to_ys), (xs, to_xs) = self._met(0, i, high, height), self._met(1, j, wide, width)
                pixels[:, to_ys, to_xs] += terms[:, ys, xs]

        share_out(_parts(gradient if units > channels else out, workers), workers, add)
        return out

    def _met(self, axis: int, place: int, outputs: int, pixels: int) -> tuple[slice, slice]:
        """Along one axis: the outputs whose window has a pixel (not the frame) at `place`; those pixels."""
        step, offset = self.spec.stride[axis], place - self.spec.padding[axis]
        # output o meets pixel step * o + offset
        first, last = max(0, -(offset // step)), min(outputs - 1, (pixels - 1 - offset) // step)
        count, start = max(0, last + 1 - first), step * first + offset
        return slice(first, first + count), slice(start, start + step * count, step)

    def _copied(self, windows: np.ndarray, worker: int) -> np.ndarray:
        """The windows as numbers of their own; the worker's next copy overwrites them."""
        count, high, wide, k, run = windows.shape
        space = self.space.of_worker(worker)
        if run < FEW_CHANNELS * self.spec.kernel[1]:
            # such short runs are slow to copy; a column of the matrix is long
            copy = space("windows", (k, run, count, high, wide)).transpose(2, 3, 4, 0, 1)
        else:
            copy = space("windows", windows.shape)
        np.copyto(copy, windows)
        return copy

    def _frame(self, pictures: np.ndarray) -> np.ndarray:
        """Where the pictures go in a frame of zeros, which `_fill_frame` fills; contiguous."""
        count, high, wide, channels = pictures.shape
        rows, columns = self.spec.padding
        if not rows and not columns:
            return np.ascontiguousarray(pictures)
        return self.space("framed", (count, high + 2 * rows, wide + 2 * columns, channels))


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
