"""Draws -> where in the picture each pixel of the result comes from: one matrix product for both engines.

Affine map and crop are one step: the crop moves the places at which the affine map is asked. What it
brings in from beyond the picture is black whatever the map says, so those places are sent far away.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tenfold.augmentation.draws import AugmentationDraws

__all__ = ["Sources", "find_sources"]

_FAR = 1e6  # pixels; added to a position it lies outside of any picture


class Sources(NamedTuple):
    """rows @ grid + displacement is the position x, y in the picture, 0 at the first pixel's centre.

    rows: float32 (2, N, K); grid: float32 (K, H W), shared and not to be changed;
    displacement: float32 (2, N, H, W) or None.
    """

    rows: np.ndarray
    grid: np.ndarray
    displacement: np.ndarray | None


def find_sources(draws: AugmentationDraws, shape: tuple[int, ...]) -> Sources | None:
    """For pictures of shape (N, H, W); None where nothing moves."""
    affine, displacement, crop = draws.affine, draws.displacement, draws.crop
    if affine is None and displacement is None and crop is None:
        return None
    count, height, width = shape
    reach = (0, 0) if crop is None else tuple(int(far) for far in np.abs(crop).max(axis=0, initial=0))
    borders = min(reach[0], height), min(reach[1], width)
    grid = _grid(height, width, *borders)
    rows = np.zeros((2, count, len(grid)), np.float32)
    rows[:, :, :3] = np.eye(2, 3)[:, None] if affine is None else affine.transpose(1, 0, 2)
    if crop is not None:
        rows[:, :, 2] += rows[:, :, 0] * crop[:, 1] + rows[:, :, 1] * crop[:, 0]
        rows[0, :, 3:] = _beyond(crop, borders)
    rows[:, :, 2] += np.array([[(width - 1) / 2], [(height - 1) / 2]], np.float32)
    if displacement is not None:
        displacement = displacement.transpose(1, 0, 2, 3)
        displacement = displacement if crop is None else _cropped(displacement, crop)
    return Sources(rows, grid, displacement)


@cache
def _grid(height: int, width: int, down: int, across: int) -> np.ndarray:
    """float32 (3 + 2 down + 2 across, H W): x and y from the picture's middle, ones; then 1 in the
    first, second, ... row of pixels, in the last, the last but one, ..., and likewise in columns."""
    y, x = np.mgrid[:height, :width].reshape(2, -1)
    near = [(y == k) for k in range(down)] + [(y == height - 1 - k) for k in range(down)]
    near += [(x == k) for k in range(across)] + [(x == width - 1 - k) for k in range(across)]
    return np.stack([x - (width - 1) / 2, y - (height - 1) / 2, np.ones(len(x)), *near]).astype(np.float32)


def _beyond(crop: np.ndarray, borders: tuple[int, int]) -> np.ndarray:
    """(N, 2 down + 2 across): _FAR for each row and column near a border that comes from beyond it."""
    moves = zip(crop.T[:, :, None], map(np.arange, borders), strict=True)
    return _FAR * np.concatenate([side > k for move, k in moves for side in (-move, move)], axis=1)


def _cropped(fields: np.ndarray, crop: np.ndarray) -> np.ndarray:
    """(2, N, H, W): output[y, x] = field[y + dy, x + dx], 0 outside."""
    height, width = fields.shape[2:]
    # a move beyond the field's size shows only zeros, as one by its size does
    down, right = np.clip(crop, [-height, -width], [height, width]).T
    p, q = int(np.abs(down).max(initial=0)), int(np.abs(right).max(initial=0))
    framed = np.pad(fields, ((0, 0), (0, 0), (p, p), (q, q)))
    windows = sliding_window_view(framed, (height, width), axis=(2, 3))
    return windows[:, np.arange(len(crop)), p + down, q + right]
