"""Arrays that are kept from step to step, so that a step of training allocates nothing."""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import DTypeLike

__all__ = ["Buffers", "column_sums"]


class Buffers:
    """Named arrays, grown when needed. A smaller batch takes the front part of the same memory.

    What `take` gives holds whatever was in it before.
    """

    def __init__(self, dtype: DTypeLike) -> None:
        self.dtype = np.dtype(dtype)
        self._memory: dict[str, np.ndarray] = {}
        self._views: dict[str, np.ndarray] = {}
        self._others: dict[int, Buffers] = {}

    def of_worker(self, worker: int) -> Buffers:
        """The arrays of a thread of its own, kept here; those of worker 0 are these."""
        return self._others.setdefault(worker, Buffers(self.dtype)) if worker else self

    def take(self, name: str, shape: tuple[int, ...], dtype: DTypeLike | None = None) -> np.ndarray:
        """A contiguous array of `shape`, the same one each time it is asked for."""
        view = self._views.get(name)
        if view is not None and view.shape == shape:
            return view
        size = prod(shape)
        memory = self._memory.get(name)
        if memory is None or memory.size < size:
            memory = self._memory[name] = np.empty(size, dtype or self.dtype)
        view = self._views[name] = memory[:size].reshape(shape)
        return view


def column_sums(matrix: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Sums (C,) over the rows of (M, C), as a product with ones: BLAS sums in blocks, which is
    faster than `sum(axis=0)` and rounds less."""
    return np.matmul(np.ones(len(matrix), matrix.dtype), matrix, out=out)
