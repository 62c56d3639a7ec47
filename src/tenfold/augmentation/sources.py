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

    rows: float32 (2, N, K), of which y has zeros from the fourth on; displacement: float32 (2, N, H, W)
    or None; grid: float32 (K, H W), shared by all callers and not to be changed.
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
        rows[0, :, 3:] = _beyond(crop, *borders)
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


@cache
def _borders(down: int, across: int) -> tuple[np.ndarray, np.ndarray]:
    """int64 (2, M), (M,): crop @ first > second where a row or column of `_grid` comes from beyond."""
    sides = [(-1, 0)] * down + [(1, 0)] * down + [(0, -1)] * across + [(0, 1)] * across
    numbers = np.concatenate([np.arange(down)] * 2 + [np.arange(across)] * 2)
    return np.array(sides, np.int64).reshape(-1, 2).T, numbers


def _beyond(crop: np.ndarray, down: int, across: int) -> np.ndarray:
    """(N, 2 down + 2 across): _FAR for each row and column near a border that comes from beyond it."""
    sides, numbers = _borders(down, across)
    return np.multiply(crop @ sides > numbers, np.float32(_FAR))


def _cropped(fields: np.ndarray, crop: np.ndarray) -> np.ndarray:
    """(2, N, H, W): output[y, x] = field[y + dy, x + dx]; anything where that is beyond the field.

    All fields as one line, in which each is read from a few numbers before or behind its start.
    """
    _, count, height, width = fields.shape
    size = height * width
    moves = np.clip(crop, [-height, -width], [height, width]) @ [width, 1]
    slack = int(np.abs(moves).max(initial=0))
    line = np.zeros(fields.size + 2 * slack, np.float32)
    line[slack : slack + fields.size].reshape(fields.shape)[...] = fields
    starts = slack + moves + size * np.arange(2 * count).reshape(2, count)
    return sliding_window_view(line, size)[starts].reshape(fields.shape)
