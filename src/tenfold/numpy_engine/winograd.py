"""Convolutions of 3x3 with fewer multiplications (Winograd 1980; Lavin & Gray 2016), for answers only.

A tile of 4 x 2 outputs takes 8 sums of 9 products. Here it takes 6 x 4 products per channel, a third of
them: along an axis, with d the pixels of a window and g the kernel's numbers, the outputs are
y = A [(G g) * (B d)], with constant matrices A, B and G; along the rows 4 outputs of 6 pixels, along the
columns 2 outputs of 4. The results differ from those of `Convolution` by rounding.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tenfold.numpy_engine.buffers import Buffers

__all__ = ["TILE", "Winograd", "transform_kernels"]

TILE = (4, 2)  # outputs: rows, columns

# F(4, 3) of the paper, along the rows.
_B = [[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0],
      [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]]  # fmt: skip
_G = np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24
_A = [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]
# F(2, 3), along the columns, for d0 - d2 and d1 - d3 (outer), d1 + d2 and d2 - d1 (inner).
_G_COLUMNS = np.array([[2, 0, 0], [0, 0, 2], [1, 1, 1], [1, -1, 1]]) / 2


class Winograd:
    """A 3x3 convolution of stride 1, for one size of pictures and fixed weights.

    framed: (N, H + 2, W + 2, C), the pictures in a frame of zeros; outputs: (N, H, W, O). Both contiguous,
    H a multiple of 4 and W of 2. scratch: memory that is free again after each run.
    """

    def __init__(
        self, kernels: np.ndarray, framed: np.ndarray, outputs: np.ndarray, scratch: Buffers
    ) -> None:
        """kernels: of `transform_kernels`."""
        count, high, wide, units = outputs.shape
        pairs, channels, lines = framed.shape[2] // 2, framed.shape[3], count * high // 4
        places = lines * wide // 2
        self.outer_kernels, self.inner_kernels = kernels[:2], kernels[2:]
        self.to_tiles, self.from_tiles = (np.array(matrix, outputs.dtype) for matrix in (_B, _A))
        self.windows = _row_windows(framed)
        rows = scratch.take("rows", (6, lines, pairs, 2 * channels))
        self.rows = rows.reshape(6, count, high // 4, -1).transpose(1, 2, 0, 3)
        self.before, self.behind = rows[:, :, :-1], rows[:, :, 1:]
        self.second, self.third = self.before[..., channels:], self.behind[..., :channels]
        self.outer = scratch.take("outer", (6, lines, pairs - 1, 2 * channels))
        self.inner = scratch.take("inner", (2, 6, lines, pairs - 1, channels))
        self.outer_rows = self.outer.reshape(6, places, 2, channels).transpose(2, 0, 1, 3)
        self.inner_rows = self.inner.reshape(2, 6, places, channels)
        self.products = scratch.take("products", (4, 6, places, units))
        self.pairs = scratch.take("pairs", (6, places, 2, units))
        self.lines = self.pairs.reshape(6, lines, -1).transpose(1, 0, 2)
        self.outputs = outputs.reshape(lines, 4, -1)

    def run(self) -> None:
        """From what `framed` holds now to `outputs`."""
        np.matmul(self.to_tiles, self.windows, out=self.rows)
        np.subtract(self.before, self.behind, out=self.outer)
        np.add(self.second, self.third, out=self.inner[0])
        np.subtract(self.third, self.second, out=self.inner[1])
        first, last, plus, minus = self.products
        np.matmul(self.outer_rows, self.outer_kernels, out=self.products[:2])
        np.matmul(self.inner_rows, self.inner_kernels, out=self.products[2:])
        first += plus
        np.add(first, minus, out=self.pairs[:, :, 0])
        last += minus
        np.subtract(plus, last, out=self.pairs[:, :, 1])
        np.matmul(self.from_tiles, self.lines, out=self.outputs)


def transform_kernels(weight: np.ndarray) -> np.ndarray:
    """(O, C, 3, 3) -> (4, 6, C, O): G g along the columns and the rows."""
    kernels = np.einsum("jb,ia,ocab->jico", _G_COLUMNS, _G, weight.astype(np.float64))
    return np.ascontiguousarray(kernels, weight.dtype)


def _row_windows(framed: np.ndarray) -> np.ndarray:
    """(N, H/4, 6, (W + 2) C), a view: the six lines that four lines of outputs come from."""
    count, high, wide, channels = framed.shape
    line = wide * channels * framed.itemsize
    shape = (count, (high - 2) // 4, 6, wide * channels)
    return as_strided(framed, shape, (high * line, 4 * line, line, framed.itemsize), writeable=False)
