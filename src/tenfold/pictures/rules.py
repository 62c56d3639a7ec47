"""Ruled lines in a grey picture, and a page photographed from the side, or that bends, made flat by them.

Masks show what runs along or down the picture, darker than what lies around. Every curve that should be a
row is u(x, y) = constant with u = y + a cubic polynomial, every column v(x, y) = constant likewise. Along a
piece of a rule with slope s, du/dx + s du/dy = 0: linear equations for the polynomial's coefficients, solved
by least squares that tolerate pieces which belong to no rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image
from scipy import ndimage

from tenfold.pictures.lines import close_grey, slide

_WINDOW = 17  # pixels: wider than a rule or a stroke, in a picture of at most 1000
_AROUND = 41  # pixels: of the surroundings whose mean darkness a rule exceeds
_BLOB = 9  # pixels: what is as thick as that is not a rule

_POWERS = ((1, 0), (1, 1), (2, 0), (1, 2), (2, 1), (3, 0))  # of along and across
_TURNS, _COARSE, _FINE = 15, 0.05, 0.02  # of reweighting; slopes that count as near
STEP = 8  # pixels between the places that are mapped; between them, linear
_PATCH = 32  # pixels: the flat picture is made in squares of this side
_FOLDED, _TURNED = 0.3, 0.8  # least growth of u along y, most along x; v likewise
_FAR = 2.0  # sizes from the centre: nothing is looked for beyond

_Both = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class Rules:
    """darkness: float32 (h, w), of each pixel against its paper, 0 to 1. around: its local mean. length:
    pixels of the shortest run."""

    darkness: np.ndarray
    around: np.ndarray
    length: int

    def find(self, least: float = 0.02, factor: float = 2.0) -> _Both:
        """Two masks bool (h, w): of runs along the rows, and of runs down the columns, without thick parts. A
        run leans by a pixel in `length` at most. It is darker, on average, than `least` and `factor` times
        its surroundings."""
        inked = self.darkness > np.maximum(0.06, 2 * self.around)
        thin = ~grow_square(shrink(shrink(inked, _BLOB, 0), _BLOB, 1), _BLOB)
        runs = [open_runs(self._dark_along(axis, least, factor), self.length, axis) for axis in (1, 0)]
        return runs[0] & thin, runs[1] & thin

    def weak(self, axis: int, run: int) -> np.ndarray:
        """bool (h, w): weaker runs, along the rows (axis 1) or down the columns (0), but of `run` pixels."""
        return open_runs(self._weak[axis], max(run, self.length), axis)

    @cached_property
    def _weak(self) -> _Both:
        return self._dark_along(0, 0.012, 1.2), self._dark_along(1, 0.012, 1.2)

    def _dark_along(self, axis: int, least: float, factor: float) -> np.ndarray:
        mean = ndimage.uniform_filter1d(self.darkness, self.length, axis=axis)
        return grow(mean > least + factor * self.around, 3, 1 - axis)


def measure_darkness(grey: np.ndarray) -> Rules:
    """uint8 (h, w), at most about 1000 pixels long."""
    paper = ndimage.uniform_filter(close_grey(grey, _WINDOW).astype(np.float32), _WINDOW)
    darkness = np.clip((paper - grey) / np.maximum(paper, 40), 0, 1)  # levels at least
    return Rules(darkness, ndimage.uniform_filter(darkness, _AROUND), max(15, max(grey.shape) // 50))


def grow(mask: np.ndarray, length: int, axis: int) -> np.ndarray:
    """bool (h, w): True where any of `length` pixels (made odd) along the axis around is."""
    return slide(np.logical_or, mask, length | 1, axis, "constant")


def shrink(mask: np.ndarray, length: int, axis: int) -> np.ndarray:
    """As `grow`, where all of them are; outside of the picture there is nothing."""
    return slide(np.logical_and, mask, length | 1, axis, "constant")


def grow_square(mask: np.ndarray, side: int) -> np.ndarray:
    return grow(grow(mask, side, 0), side, 1)


def open_runs(mask: np.ndarray, length: int, axis: int) -> np.ndarray:
    """Only what is at least `length` pixels long in this direction."""
    return grow(shrink(mask, length, axis), length, axis)


def close_runs(mask: np.ndarray, gap: int, axis: int) -> np.ndarray:
    """Gaps of up to `gap` pixels in this direction are filled."""
    return shrink(grow(np.pad(mask, gap), gap, axis), gap, axis)[gap:-gap, gap:-gap]


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

    def _bends(self, y: np.ndarray, x: np.ndarray) -> _Both:
        """What u is more than y, and v more than x."""
        return _bend(self.rows, x, y), _bend(self.columns, y, x)

    def is_sound(self, shape: tuple[int, int]) -> bool:
        """Whether no part of a picture of this shape is folded, or turned by much."""
        y, x = np.meshgrid(*(np.linspace(-0.5, 0.5, 17) * side / self.size for side in shape), indexing="ij")
        bends, steps = self._bends(y, x), [side / self.size / 16 for side in shape]
        (u_y, u_x), (v_y, v_x) = np.gradient(y + bends[0], *steps), np.gradient(x + bends[1], *steps)
        turned = max(np.abs(u_x).max(), np.abs(v_y).max())
        return bool(min(u_y.min(), v_x.min()) > _FOLDED and turned < _TURNED)

    def map_back(self, shape: tuple[int, int]) -> np.ndarray:
        """For a picture of this shape (h, w): float32 (2, H / 8, W / 8), the y and x of every eighth pixel of
        the flat one, in its own pixels."""
        y, x = np.meshgrid(*(np.linspace(0, side, 9) for side in shape), indexing="ij")
        y, x = (y - self.centre[1]) / self.size, (x - self.centre[0]) / self.size
        spans = []
        for values, bend, most in zip((y, x), self._bends(y, x), shape, strict=True):
            edge, flat = 1.3 * most / 2 / self.size, values + bend  # of the picture's size, at most
            low, high = max(flat.min(), -edge), min(flat.max(), edge)
            spans.append(np.arange(low, high + STEP / self.size, STEP / self.size))
        u, v = y, x = np.meshgrid(*spans, indexing="ij")
        for _ in range(12):  # steps of the fixed-point iteration
            down, along = self._bends(y, x)
            y, x = np.clip(u - down, -_FAR, _FAR), np.clip(v - along, -_FAR, _FAR)
        return np.stack([y * self.size + self.centre[1], x * self.size + self.centre[0]]).astype(np.float32)

    def apply(self, grey: np.ndarray, back: np.ndarray, scale: float) -> np.ndarray:
        """The flat picture of uint8 (H, W), whose pixels are 1 / scale of those that `back` counts in."""
        height, width = (int(STEP * scale * (size - 1)) for size in back.shape[1:])
        rows, columns = (np.append(np.arange(0, size, _PATCH), size) for size in (height, width))
        down, along = ((edges - 0.5) / (STEP * scale) for edges in (rows, columns))  # from an edge
        y, x = (
            np.clip(scale * part + 0.5, 1, side - 1)
            for part, side in zip(interpolate(back, down[:, None], along[None]), grey.shape, strict=True)
        )
        corners = np.stack([x, y], axis=-1)
        quads = np.concatenate([corners[:-1, :-1], corners[1:, :-1], corners[1:, 1:], corners[:-1, 1:]], -1)
        mesh = [
            ((columns[j], rows[i], columns[j + 1], rows[i + 1]), tuple(quads[i, j]))
            for i, j in np.ndindex(quads.shape[:2])
        ]
        size, kind = (width, height), Image.Transform.MESH
        return np.asarray(Image.fromarray(grey).transform(size, kind, mesh, Image.Resampling.BILINEAR))


def interpolate(fields: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """(2, h, w) at these rows and columns, linear in both directions."""
    i, j = (np.minimum(at.astype(np.intp), size - 2) for at, size in zip((y, x), fields.shape[1:]))
    down, along = y - i, x - j
    left = fields[:, i, j] * (1 - down) + fields[:, i + 1, j] * down
    right = fields[:, i, j + 1] * (1 - down) + fields[:, i + 1, j + 1] * down
    return np.asarray(left * (1 - along) + right * along)


def fit_flattening(along: np.ndarray, down: np.ndarray, shape: tuple[int, int]) -> Flattening | None:
    """along, down: pieces as `find_pieces` gives them, of a picture of this shape. None where they are few,
    or where they show no page."""
    if min(len(along), len(down)) < 6:  # pieces
        return None
    centre, size = (shape[1] / 2, shape[0] / 2), max(shape) / 2
    (x, y), (x_down, y_down) = ((each[:, :2] - centre).T / size for each in (along, down))
    rows = _fit(x, y, along[:, 2], along[:, 3])
    columns = _fit(y_down, x_down, down[:, 2], down[:, 3])
    found = Flattening(rows, columns, centre, size)
    return found if found.is_sound(shape) else None


def _fit(along: np.ndarray, across: np.ndarray, slopes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    terms = [
        i * along ** (i - 1) * across**j + slopes * j * along**i * across ** max(j - 1, 0) for i, j in _POWERS
    ]
    matrix = np.stack(terms, axis=1)
    calm = np.diag((1e-6, 1e-3, 1e-3, 1e-2, 1e-2, 1e-2)) * weights.sum() / 100  # each is held to 0
    order = np.argsort(slopes)
    summed = np.cumsum(weights[order])
    found = np.zeros(len(_POWERS))
    found[0] = -slopes[order][np.searchsorted(summed, summed[-1] / 2)]  # the weighted median
    for turn in range(_TURNS):
        near = _COARSE if turn < _TURNS // 3 else _FINE
        trusted = weights / (1 + ((matrix @ found + slopes) / near) ** 2)
        found = np.linalg.solve(matrix.T @ (matrix * trusted[:, None]) + calm, -matrix.T @ (trusted * slopes))
    return found


def _bend(coefficients: np.ndarray, along: np.ndarray, across: np.ndarray) -> np.ndarray:
    terms = (weight * along**i * across**j for weight, (i, j) in zip(coefficients, _POWERS, strict=True))
    return np.asarray(sum(terms, np.zeros(np.broadcast(along, across).shape)))
