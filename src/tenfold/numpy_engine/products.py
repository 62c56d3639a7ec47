"""Matrix products in pieces that OpenBLAS multiplies where they lie.

OpenBLAS first copies both matrices into an order of its own; where one of them is narrow, as in a
layer of few units, that costs as much as the product. On processors with AVX-512 it leaves it out for
products below 100^3 multiplications, and one call of NumPy does a stack of those.
On several of OpenBLAS's own threads the whole product is shared out instead.
"""

from __future__ import annotations

import numpy as np

from tenfold.numpy_engine.blas import blas_threads, multiplies_in_place

__all__ = ["add_up_outer", "multiply_rows"]

# Multiplications of a piece. OpenBLAS's own bound is 100^3, and right below it, it is uneven.
PIECE = 900_000
# Fewer rows in a piece than this: summing the pieces would cost more than it saves.
LEAST_SUMMED = 48


def multiply_rows(rows: np.ndarray, matrix: np.ndarray, out: np.ndarray) -> np.ndarray:
    """(M, K) times (K, N) into the contiguous (M, N)."""
    length = _piece(len(rows), matrix.size)
    whole = len(rows) - len(rows) % length if length else 0
    if whole:
        stack = out[:whole].reshape(-1, length, out.shape[1])
        np.matmul(rows[:whole].reshape(-1, length, rows.shape[1]), matrix, out=stack)
    if whole < len(rows):
        np.matmul(rows[whole:], matrix, out=out[whole:])
    return out


def add_up_outer(left: np.ndarray, right: np.ndarray, out: np.ndarray) -> np.ndarray:
    """(M, N)^T times (M, K) into (N, K): the sum of the rows' outer products."""
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
