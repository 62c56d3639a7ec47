"""Ruled lines in a grey picture: masks of what runs along or down it, darker than what lies around."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage

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


# A page photographed from the side, or that bends, made flat: its ruled lines become straight.
#
# Every curve that should be a row is u(x, y) = constant with u = y + a cubic polynomial, every column
# v(x, y) = constant likewise. Along a piece of a rule with slope s, du/dx + s du/dy = 0: linear equations for
# the polynomial's coefficients, solved by least squares that tolerate pieces which belong to no rule.

_POWERS = ((1, 0), (1, 1), (2, 0), (1, 2), (2, 1), (3, 0))  # of along and across
_CALM = (1e-6, 1e-3, 1e-3, 1e-2, 1e-2, 1e-2)  # how strongly each is held to 0
_TURNS, _COARSE, _FINE = 15, 0.05, 0.02  # of reweighting; slopes that count as near
_FEWEST = 6  # pieces
STEP = 8  # pixels between the places that are mapped; between them, linear
_PATCH = 32  # pixels: the flat picture is made in squares of this side
_BEYOND = 1.3  # of the picture's size, at most: the flat one
_FOLDED, _TURNED = 0.3, 0.8  # least growth of u along y, most along x; v likewise
_FAR = 2.0  # sizes from the centre: nothing is looked for beyond
_INVERTED = 12  # steps of the fixed-point iteration


def find_pieces(mask: np.ndarray, axis: int, least: int) -> np.ndarray:
    """float (N, 4): x, y of the middle, slope, weight of each piece of a rule; axis: 1 along the rows, 0
    down the columns, where the slope is that of x over y. The weight is its length, times the rule's."""
    labels, _ = ndimage.label(mask, np.ones((3, 3), bool))
    pieces = []
    for number, place in enumerate(ndimage.find_objects(labels), start=1):
        extent = place[axis].stop - place[axis].start
        if extent < least:
            continue
        both = np.nonzero(labels[place] == number)
        along, across = (both[i] + float(place[i].start) for i in (axis, 1 - axis))
        step = max(least, extent // max(1, extent // (3 * least)))
        for low in np.arange(along.min(), along.max() - least + 2, step):
            part = (along >= low) & (along < low + step)
            own, beside = along[part], across[part]
            if len(own) < least or np.ptp(own) < 0.8 * least:
                continue
            middle = own.mean(), beside.mean()
            centred = own - middle[0]
            slope = centred @ (beside - middle[1]) / (centred @ centred)
            weight = np.ptp(centred) * extent / least  # strokes of digits, which lie flatter, are short
            pieces.append((*(middle if axis else middle[::-1]), slope, weight))
    return np.array(pieces).reshape(-1, 4)


@dataclass(frozen=True, eq=False)
class Flattening:
    """rows, columns: the coefficients of u and v, in units of `size` pixels from `centre` (x, y)."""

    rows: np.ndarray
    columns: np.ndarray
    centre: tuple[float, float]
    size: float

    def is_sound(self, shape: tuple[int, int]) -> bool:
        """Whether no part of a picture of this shape is folded, or turned by much."""
        y, x = np.meshgrid(*(np.linspace(-0.5, 0.5, 17) * side / self.size for side in shape), indexing="ij")
        u, v = y + _bend(self.rows, x, y), x + _bend(self.columns, y, x)
        steps = [side / self.size / 16 for side in shape]
        (u_y, u_x), (v_y, v_x) = np.gradient(u, *steps), np.gradient(v, *steps)
        turned = max(np.abs(u_x).max(), np.abs(v_y).max())
        return bool(min(u_y.min(), v_x.min()) > _FOLDED and turned < _TURNED)

    def map_back(self, shape: tuple[int, int]) -> np.ndarray:
        """For a picture of this shape (h, w): float32 (2, H / 8, W / 8), the y and x of every eighth pixel of
        the flat one, in its own pixels."""
        height, width = shape
        edge_y, edge_x = np.meshgrid(np.linspace(0, height, 9), np.linspace(0, width, 9), indexing="ij")
        y, x = (edge_y - self.centre[1]) / self.size, (edge_x - self.centre[0]) / self.size
        u, v = y + _bend(self.rows, x, y), x + _bend(self.columns, y, x)
        spans = []
        for values, most in ((u, height), (v, width)):
            edge = _BEYOND * most / 2 / self.size
            low, high = max(values.min(), -edge), min(values.max(), edge)
            spans.append(np.arange(low, high + STEP / self.size, STEP / self.size))
        u, v = np.meshgrid(*spans, indexing="ij")
        x, y = v, u
        for _ in range(_INVERTED):
            x, y = (
                np.clip(v - _bend(self.columns, y, x), -_FAR, _FAR),
                np.clip(u - _bend(self.rows, x, y), -_FAR, _FAR),
            )
        return np.stack([y * self.size + self.centre[1], x * self.size + self.centre[0]]).astype(np.float32)

    def apply(self, grey: np.ndarray, back: np.ndarray, scale: float) -> np.ndarray:
        """The flat picture of uint8 (H, W), whose pixels are 1 / scale of those that `back` counts in."""
        height, width = (int(STEP * scale * (size - 1)) for size in back.shape[1:])
        rows, columns = (np.append(np.arange(0, size, _PATCH), size) for size in (height, width))
        places = [(edges - 0.5) / (STEP * scale) for edges in (rows, columns)]  # Pillow counts from an edge
        y, x = (
            np.clip(scale * _between(part, *places) + 0.5, 1, side - 1)
            for part, side in zip(back, grey.shape, strict=True)
        )
        corners = np.stack([x, y], axis=-1)
        quads = np.concatenate([corners[:-1, :-1], corners[1:, :-1], corners[1:, 1:], corners[:-1, 1:]], -1)
        mesh = [
            ((columns[j], rows[i], columns[j + 1], rows[i + 1]), tuple(quads[i, j]))
            for i, j in np.ndindex(quads.shape[:2])
        ]
        flat = Image.fromarray(grey).transform(
            (width, height), Image.Transform.MESH, mesh, Image.Resampling.BILINEAR
        )
        return np.asarray(flat)


def _between(part: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Linear in both directions: a row, then a column of the grid at a time."""
    low = np.minimum(rows.astype(np.intp), len(part) - 2)
    share = (rows - low)[:, None]
    part = part[low] * (1 - share) + part[low + 1] * share
    low = np.minimum(columns.astype(np.intp), part.shape[1] - 2)
    share = columns - low
    return part[:, low] * (1 - share) + part[:, low + 1] * share


def fit_flattening(along: np.ndarray, down: np.ndarray, shape: tuple[int, int]) -> Flattening | None:
    """along, down: pieces as `find_pieces` gives them, of a picture of this shape. None where they are few,
    or where they show no page."""
    if min(len(along), len(down)) < _FEWEST:
        return None
    centre, size = (shape[1] / 2, shape[0] / 2), max(shape) / 2
    x, y = ((along[:, i] - centre[i]) / size for i in (0, 1))
    rows = _fit(x, y, along[:, 2], along[:, 3])
    x, y = ((down[:, i] - centre[i]) / size for i in (0, 1))
    found = Flattening(rows, _fit(y, x, down[:, 2], down[:, 3]), centre, size)
    return found if found.is_sound(shape) else None


def _fit(along: np.ndarray, across: np.ndarray, slopes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    terms = [
        i * along ** (i - 1) * across**j + slopes * j * along**i * across ** max(j - 1, 0) for i, j in _POWERS
    ]
    matrix = np.stack(terms, axis=1)
    calm = np.diag(_CALM) * weights.sum() / 100
    found = np.zeros(len(_POWERS))
    found[0] = -_weighted_median(slopes, weights)
    for turn in range(_TURNS):
        near = _COARSE if turn < _TURNS // 3 else _FINE
        trusted = weights / (1 + ((matrix @ found + slopes) / near) ** 2)
        found = np.linalg.solve(matrix.T @ (matrix * trusted[:, None]) + calm, -matrix.T @ (trusted * slopes))
    return found


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    order = np.argsort(values)
    summed = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(summed, summed[-1] / 2)])


def _bend(coefficients: np.ndarray, along: np.ndarray, across: np.ndarray) -> np.ndarray:
    total = np.zeros(np.broadcast(along, across).shape)
    for coefficient, (i, j) in zip(coefficients, _POWERS, strict=True):
        total += coefficient * along**i * across**j
    return total


_SAMPLED, _RULED = 16, 13  # rows and columns looked at, and of these that rules cross
