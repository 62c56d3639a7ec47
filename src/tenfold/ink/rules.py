"""Ruled lines in a grey picture: masks of what runs along or down it, darker than what lies around."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

__all__ = ["Rules", "close_runs", "grow_square", "measure_darkness", "open_runs"]

_WINDOW = 17  # pixels: wider than a rule or a stroke, in a picture of at most 1000
_AROUND = 41  # pixels: of the surroundings whose mean darkness a rule exceeds
_BLOB = 9  # pixels: what is as thick as that is no rule
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
    paper = ndimage.grey_closing(grey, (_WINDOW, _WINDOW)).astype(np.float32)
    paper = ndimage.uniform_filter(paper, _WINDOW)
    darkness = np.clip((paper - grey) / np.maximum(paper, _DARKEST), 0, 1)
    length = max(15, max(grey.shape) // 50)
    return Rules(darkness, ndimage.uniform_filter(darkness, _AROUND), length)


def grow(mask: np.ndarray, length: int, axis: int) -> np.ndarray:
    """bool (h, w): True where any of `length` pixels (made odd) along the axis around is.

    The same as SciPy's maximum_filter1d, and several times as fast, in reaches that double.
    """
    return _any_around(mask, length // 2, axis, outside=False)


def shrink(mask: np.ndarray, length: int, axis: int) -> np.ndarray:
    """As `grow`, where all of them are; outside of the picture there is nothing."""
    return ~_any_around(~mask, length // 2, axis, outside=True)


def _any_around(mask: np.ndarray, half: int, axis: int, *, outside: bool) -> np.ndarray:
    lines = mask if axis == 0 else mask.T
    wide = np.full_like(lines, outside, shape=(len(lines) + 2 * half, lines.shape[1]))
    wide[half : half + len(lines)] = lines
    reach, length = 1, 2 * half + 1  # wide[i] is True where any of so many lines from i on was
    while 2 * reach <= length:
        wide = wide[:-reach] | wide[reach:]
        reach *= 2
    rest = length - reach
    found = wide[:-rest] | wide[rest:] if rest else wide
    return found if axis == 0 else found.T


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
