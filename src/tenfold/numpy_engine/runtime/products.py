"""The arithmetic of the layers, at its fastest: matrix products, sums, and products with windows of pictures,
shared out to threads part by part.

OpenBLAS's own threads share out one product at a time: where each is small, as those of a few images'
windows are, they wait for each other in busy loops more than they compute; where something else runs on a
core, a small product takes a hundred times as long. So products take one thread for a while (`own_threads`),
and each thread of ours takes whole parts of the work (`share_out`). NumPy releases the GIL while it computes.

The package threadpoolctl sets the number of threads too, but (3.8) it obeys only the first thread that
changes it, as long as that one lives, and its `limit` takes more than twice as long as `own_threads`.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import cache
from math import ceil
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.linalg import _umath_linalg

from tenfold.networks.layers import LayerSpec
from tenfold.numpy_engine.runtime.memory import Space

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor


# what OpenBLAS calls its functions in NumPy's wheels, in older ones, and in distributions
_NAMES = ("scipy_openblas_{}64_", "openblas_{}64_", "openblas_{}")
# kernels of OpenBLAS (by AVX-512) that multiply small matrices without copying them first
_IN_PLACE = ("SkylakeX", "Cooperlake", "SapphireRapids")
MOST_WORKERS = 4
LEAST_WORK = 6_000_000  # multiplications that a worker should have at least: to begin takes time, too
# OpenBLAS first copies both matrices into an order of its own; where one of them is narrow, as in a layer
# of few units, that costs as much as the product. On processors with AVX-512 it leaves the copy out for
# products below 100^3 multiplications (and right below that bound it is uneven), and one call of NumPy does
# a stack of those. On several of OpenBLAS's own threads the whole product is shared out instead.
PIECE = 900_000  # multiplications
LEAST_SUMMED = 48  # rows in a piece: to sum the pieces of fewer would cost more than it saves
WINDOW_NUMBERS = 1 << 19  # in a matrix of windows: 512 Ki of float32 are 2 MiB, which stay in the cache
FEW_CHANNELS = 4  # with fewer than this, the windows' matrix is laid out column by column


class _Blas(NamedTuple):
    """Where another library than OpenBLAS does the products, nothing is switched, and kernels is ""."""

    get: Callable[[], int] = lambda: 1
    set: Callable[[int], object] = lambda _: None
    kernels: str = ""  # the family of processors that its kernels are for


@cache
def _blas() -> _Blas:
    try:
        library = ctypes.CDLL(_umath_linalg.__file__)
    except OSError:
        return _Blas()
    for name in _NAMES:
        try:
            family = library[name.format("get_corename")]
            family.restype = ctypes.c_char_p
            get, put = (library[name.format(f"{verb}_num_threads")] for verb in ("get", "set"))
            return _Blas(get, put, family().decode())
        except AttributeError:
            continue
    return _Blas()


def blas_threads() -> int:
    """Threads that matrix products use now; 1 where that is not known."""
    return max(1, int(_blas().get()))


def describe_blas() -> str:
    """Whose matrix products NumPy uses, such as "OpenBLAS, SkylakeX kernels": speeds depend on it."""
    kernels = _blas().kernels
    return f"OpenBLAS, {kernels} kernels" if kernels else "unknown"


_lock = Lock()
_inside = 0  # how many are in `own_threads` at this moment, in all threads
_before = 1  # threads when the first of them came in
_allowed: ContextVar[int] = ContextVar("threads that work may be shared out to", default=1)


@contextmanager
def own_threads() -> Iterator[int]:
    """Inside, matrix products take one thread, and work may be shared out to as many as they had outside;
    yields that number.

    BLAS's number belongs to the whole process: the last to leave puts it back. OpenBLAS wants no change
    of it during a product on several threads, so do not train in one thread and answer in another."""
    global _inside, _before
    with _lock:
        if not _inside:
            _before = blas_threads()
            if _before > 1:
                _blas().set(1)
        _inside += 1
    token = _allowed.set(_before)
    try:
        yield _before
    finally:
        _allowed.reset(token)
        with _lock:
            _inside -= 1
            if not _inside and _before > 1:
                _blas().set(_before)


def most_threads() -> int:
    """Threads that a training takes at most: as many as NumPy's matrix products would, four at most."""
    return limit_workers(blas_threads(), MOST_WORKERS)


def limit_workers(threads: int, parts: int) -> int:
    """How many workers there are to be for so many parts, where the machine has `threads` for them."""
    return max(1, min(threads, MOST_WORKERS, parts))


def count_workers(parts: int, multiplications: int) -> int:
    """How many threads `share_out` should take, for at most so many parts and so many multiplications;
    1 outside `own_threads`, and where the work is itself a share."""
    return limit_workers(_allowed.get(), min(parts, multiplications // LEAST_WORK))


def even_parts(count: int, most: int, workers: int = 1) -> list[slice]:
    """Slices of 0..count of about the same length, none longer than `most`; as many for each worker."""
    turns = max(1, ceil(count / (most * workers)))
    length = max(1, ceil(count / (turns * workers)))
    return [slice(start, start + length) for start in range(0, count, length)]


def share_out(parts: Sequence[slice], workers: int, work: Callable[[int, slice], object]) -> None:
    """work(worker, part) for every part; worker w takes parts w, w + workers, ... in this order, so that
    the same number of workers gives the same bits, whichever thread it is that works as w. Raises what a
    worker raised.

    On a busy machine a thread may have to wait for a core. The caller does not wait for it: what no thread
    has begun when the caller is done with its own parts, the caller does itself.
    """

    def do(worker: int) -> None:
        token = _allowed.set(1)
        try:
            for part in parts[worker::workers]:
                work(worker, part)
        finally:
            _allowed.reset(token)

    others = {worker: _pool().submit(copy_context().run, do, worker) for worker in range(1, workers)}
    try:
        do(0)
        for worker, future in others.items():
            if future.cancel():  # no thread had a core for it so far
                do(worker)
    finally:  # nobody works on after this
        raised = [future.exception() for future in others.values() if not future.cancel()]
    for error in raised:
        if error is not None:
            raise error


@cache
def _pool() -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor  # not for who asks for one image

    return ThreadPoolExecutor(MOST_WORKERS - 1, thread_name_prefix="tenfold")


if hasattr(os, "register_at_fork"):  # a child has none of its parent's threads
    os.register_at_fork(after_in_child=_pool.cache_clear)


def product(rows: np.ndarray, matrix: np.ndarray, out: np.ndarray) -> np.ndarray:
    """rows (M, K) times matrix (K, N), into the contiguous (M, N). In pieces that OpenBLAS multiplies where
    they lie; a large one on several threads, each with rows of its own."""
    workers = count_workers(len(rows), len(rows) * matrix.size)
    if workers > 1:
        parts = even_parts(len(rows), len(rows), workers)
        share_out(parts, workers, lambda _, part: product(rows[part], matrix, out[part]))
        return out
    length = _piece(len(rows), matrix.size)
    whole = len(rows) - len(rows) % length if length else 0
    if whole:
        stack = out[:whole].reshape(-1, length, out.shape[1])
        np.matmul(rows[:whole].reshape(-1, length, rows.shape[1]), matrix, out=stack)
    if whole < len(rows):
        np.matmul(rows[whole:], matrix, out=out[whole:])
    return out


def outer_sum(left: np.ndarray, right: np.ndarray, out: np.ndarray) -> np.ndarray:
    """left (M, N)^T times right (M, K), into (N, K): the sum of the rows' outer products. As `product`; each
    thread has columns of its own."""
    workers = count_workers(out.shape[1], len(left) * out.size)
    if workers > 1:
        parts = even_parts(out.shape[1], out.shape[1], workers)
        share_out(parts, workers, lambda _, part: outer_sum(left, right[:, part], out[:, part]))
        return out
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
    return length if length < rows and _blas().kernels in _IN_PLACE and blas_threads() == 1 else 0


def column_sums(matrix: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Sums (C,) over the rows of (M, C), as a product with ones: BLAS sums in blocks, which is
    faster than `sum(axis=0)` and rounds less."""
    return np.matmul(np.ones(len(matrix), matrix.dtype), matrix, out=out)


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


def largest_in_tiles(
    pictures: np.ndarray, tile: tuple[int, int], space: Space, out: np.ndarray
) -> np.ndarray:
    """The largest of each tile of K x L pixels of (N, H, W, C), into (N, H/K, W/L, C): first of each column,
    whole lines at a time."""
    count, high, wide, channels = out.shape
    lines = pictures.reshape(count * high, tile[0], -1).transpose(1, 0, 2)
    if tile[1] == 1:
        largest(lines, out.reshape(lines.shape[1:]))
        return out
    columns = largest(lines, space("lines", lines.shape[1:]))
    return largest(np.moveaxis(columns.reshape(count, high, wide, tile[1], channels), 3, 0), out)


def view_windows(framed: np.ndarray, spec: LayerSpec) -> np.ndarray:
    """(N, OH, OW, K, L C), a view: the KxL window at each of the (OH, OW) places of pictures (N, H, W, C)."""
    (k, length), (down, along), channels = spec.kernel, spec.stride, framed.shape[3]
    # L pixels side by side are L * C numbers in a row
    windows = sliding_window_view(framed.reshape(*framed.shape[:2], -1), (k, length * channels), axis=(1, 2))
    return windows[:, ::down, :: along * channels]


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
        windows = view_windows(self.framed, self.spec)
        workers = count_workers(len(windows), windows.size * channels)

        def multiply(worker: int, part: slice) -> None:
            _fill_frame(self.framed[part], pictures[part])
            rows = self._copied(windows[part], worker).reshape(-1, len(kernels))
            product(rows, kernels, out[part].reshape(-1, channels))
            if line is not None:
                lines = out[part].reshape(-1, len(line))
                lines += line

        share_out(_parts(windows, workers), workers, multiply)
        return out

    def transposed_times(self, gradient: np.ndarray) -> np.ndarray:
        """gradient^T X: (N OH OW, O)^T times (N OH OW, K L C), (O, K L C)."""
        units = gradient.shape[3]
        windows = view_windows(self.framed, self.spec)
        length = windows.shape[3] * windows.shape[4]
        workers = count_workers(len(windows), windows.size * units)
        sums = self.space("sums over windows", (workers, units, length))
        terms = self.space("terms of the sums", sums.shape)
        sums.fill(0)

        def add_up(worker: int, part: slice) -> None:
            rows = self._copied(windows[part], worker).reshape(-1, length)
            sums[worker] += outer_sum(gradient[part].reshape(-1, units), rows, terms[worker])

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
                product(rows, kernels[i, j], terms.reshape(-1, channels))
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
