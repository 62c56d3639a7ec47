"""Ruled lines in a grey picture: masks of what runs along or down it, darker than what lies around."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import ndimage

__all__ = ["Rules", "close_runs", "grow_square", "measure_darkness", "open_runs"]

_WINDOW = 17  # pixels: wider than a rule or a stroke, in a picture of at most 1000
_AROUND = 41  # pixels: of the surroundings whose mean darkness a rule exceeds
_BLOB = 9  # pixels: what is as thick as that is not a rule
_DARKEST = 40  # levels of the paper at least, that darkness is a share of


@dataclass(frozen=True, eq=False)
class Rules:
    """darkness: float32 (h, w), of each pixel against its paper, 0 to 1. around: its local mean. length:
    pixels of the shortest run."""

    darkness: np.ndarray
    around: np.ndarray
    length: int

    def find(self, least: float = 0.02, factor: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
        """Two masks bool (h, w): of runs along the rows, and of runs down the columns, without thick parts. A
        run leans by a pixel in `length` at most. It is darker, on average, than `least` and `factor` times
        its surroundings."""
        thin = ~open_square(self.darkness > np.maximum(0.06, 2 * self.around), _BLOB)
        along, down = (
            open_runs(self._dark_along(axis, least, factor), self.length, axis) & thin for axis in (1, 0)
        )
        return along, down

    def weak(self, axis: int, run: int) -> np.ndarray:
        """bool (h, w): weaker runs, along the rows (axis 1) or down the columns (0), but of `run` pixels."""
        return open_runs(self._weak[axis], max(run, self.length), axis)

    @cached_property
    def _weak(self) -> tuple[np.ndarray, np.ndarray]:
        return self._dark_along(0, 0.012, 1.2), self._dark_along(1, 0.012, 1.2)

    def _dark_along(self, axis: int, least: float, factor: float) -> np.ndarray:
        mean = ndimage.uniform_filter1d(self.darkness, self.length, axis=axis)
        return grow(mean > least + factor * self.around, 3, 1 - axis)


def measure_darkness(grey: np.ndarray) -> Rules:
    """uint8 (h, w), at most about 1000 pixels long."""
    paper = ndimage.uniform_filter(_close(grey, _WINDOW).astype(np.float32), _WINDOW)
    darkness = np.clip((paper - grey) / np.maximum(paper, _DARKEST), 0, 1)
    length = max(15, max(grey.shape) // 50)
    return Rules(darkness, ndimage.uniform_filter(darkness, _AROUND), length)


def grow(mask: np.ndarray, length: int, axis: int) -> np.ndarray:
    """bool (h, w): True where any of `length` pixels (made odd) along the axis around is."""
    return _combine(np.logical_or, mask, length | 1, axis, "constant")


def shrink(mask: np.ndarray, length: int, axis: int) -> np.ndarray:
    """As `grow`, where all of them are; outside of the picture there is nothing."""
    return _combine(np.logical_and, mask, length | 1, axis, "constant")


def _close(grey: np.ndarray, side: int) -> np.ndarray:
    """As `ndimage.grey_closing` with a square of an odd side."""
    for both in (np.maximum, np.minimum):
        for axis in (0, 1):
            grey = _combine(both, grey, side, axis, "edge")
    return grey


def _combine(both: np.ufunc, values: np.ndarray, length: int, axis: int, beyond: Any) -> np.ndarray:
    """Each pixel with the `length` around it, an odd number, by windows that double. beyond: the mode of
    `np.pad`."""
    padding = [(0, 0), (0, 0)]
    padding[axis] = length // 2, length // 2
    found, width = np.pad(values, padding, mode=beyond), 1
    while width < length:
        step = min(width, length - width)
        one, other = (found[:-step], found[step:]) if axis == 0 else (found[:, :-step], found[:, step:])
        found, width = both(one, other), width + step
    return found


def open_runs(mask: np.ndarray, length: int, axis: int) -> np.ndarray:
    """Only what is at least `length` pixels long in this direction."""
    return grow(shrink(mask, length, axis), length, axis)


def close_runs(mask: np.ndarray, gap: int, axis: int) -> np.ndarray:
    """Gaps of up to `gap` pixels in this direction are filled."""
    wide = np.pad(mask, gap)
    return shrink(grow(wide, gap, axis), gap, axis)[gap:-gap, gap:-gap]


def grow_square(mask: np.ndarray, side: int) -> np.ndarray:
    """As `grow`, in both directions."""
    return grow(grow(mask, side, 0), side, 1)


def open_square(mask: np.ndarray, side: int) -> np.ndarray:
    """Only what holds a square of this side."""
    return grow_square(shrink(shrink(mask, side, 0), side, 1), side)
