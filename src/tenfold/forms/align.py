"""Ink of two pictures aligned with each other: a homography, then a smooth bend, by Gauss-Newton steps.

Coordinates: from the middle of a picture, in units of half its longer side. A place x of the example lies at
H(x + bend(x)) on the photo.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from PIL import Image
from scipy import fft, ndimage

_BLUR = 1.2  # pixels of a level
_PALE = 0.02  # ink of a pixel: what is less is the paper's grain
_DARKEST = 40  # grey level of paper, at least
_DEGREE = 3  # of the bend, in x and in y
_STIFF = (1e-3, 1e-2)  # how strongly the homography and the bend are held back in a step
_TOLD = 0.05  # of the steepest slope: pixels with less say nothing
_MOST = 15_000  # pixels that are looked at: of more, one in so many
_ROBUST = 2.0  # mean departures: a pixel that departs by as much counts half


@dataclass(frozen=True, eq=False)
class Warp:
    """matrix: float (3, 3). bend: float (2, 16), of x and of y, for products of Legendre polynomials."""

    matrix: np.ndarray
    bend: np.ndarray = field(default_factory=lambda: np.zeros((2, (_DEGREE + 1) ** 2)))

    def apply(self, points: np.ndarray) -> np.ndarray:
        """float (N, 2) -> float (N, 2)."""
        if self.bend.any():
            points = points + _bends(points) @ self.bend.T
        mapped = points @ self.matrix[:, :2].T + self.matrix[:, 2]
        return mapped[:, :2] / np.maximum(mapped[:, 2:], 1e-3)


@dataclass(frozen=True, eq=False)
class Level:
    """One size of the example. ink: float32 (h, w). counted: float32 (h, w), how much each pixel counts."""

    ink: np.ndarray
    counted: np.ndarray

    @cached_property
    def places(self) -> np.ndarray:
        """float32 (h w, 2): x and y of each pixel."""
        return places_of(self.ink.shape)

    @cached_property
    def told(self) -> np.ndarray:
        """Indices of the pixels whose slope says where they belong."""
        steep = np.hypot(*self._slopes) * self.counted
        told = np.flatnonzero(steep.ravel() > _TOLD * steep.max())
        return told[:: -(-len(told) // _MOST) or 1]

    @cached_property
    def _slopes(self) -> tuple[np.ndarray, np.ndarray]:
        """Along x and along y, per unit."""
        down, along = np.gradient(self.ink)
        return along * (max(self.ink.shape) / 2), down * (max(self.ink.shape) / 2)

    @cached_property
    def turns(self) -> np.ndarray:
        """float32 (N, 8): how a told pixel's ink changes with each part of a homography."""
        x, y = self.places[self.told].T
        gx, gy = (slope.ravel()[self.told] for slope in self._slopes)
        both = gx * x + gy * y
        return np.stack([gx * x, gx * y, gx, gy * x, gy * y, gy, both * x, both * y], axis=1)

    @cached_property
    def bends(self) -> np.ndarray:
        """float32 (N, 32): likewise, with each part of a bend."""
        basis = _bends(self.places[self.told])
        gx, gy = (slope.ravel()[self.told][:, None] for slope in self._slopes)
        return np.concatenate([gx * basis, gy * basis], axis=1)


def make_level(ink: np.ndarray, counted: np.ndarray, side: int) -> Level:
    """The example's ink and what counts of it, float32 (H, W), at this length of the longer side."""
    return Level(shrink_ink(ink, side), ndimage.minimum_filter(_resize(counted, side), 3))


def shrink_ink(ink: np.ndarray, side: int) -> np.ndarray:
    """float32 (H, W) -> float32 (h, w), blurred; thick strokes weigh little more than thin print."""
    return ndimage.gaussian_filter(np.sqrt(_resize(ink, side) + _PALE) - np.float32(_PALE**0.5), _BLUR)


def _resize(values: np.ndarray, side: int) -> np.ndarray:
    ratio = side / max(values.shape)
    size = max(2, round(values.shape[1] * ratio)), max(2, round(values.shape[0] * ratio))
    kind = Image.Resampling.BOX if ratio < 1 else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(values.astype(np.float32)).resize(size, kind))


def places_of(shape: tuple[int, ...]) -> np.ndarray:
    """float32 (h w, 2): x and y of each pixel's middle."""
    half = max(shape) / 2
    y, x = ((np.arange(size) + 0.5 - size / 2) / half for size in shape[:2])
    return np.stack([np.tile(x, shape[0]), np.repeat(y, shape[1])], axis=1).astype(np.float32)


def sample(ink: np.ndarray, places: np.ndarray) -> np.ndarray:
    """float32 (N,): ink at float (N, 2); nothing lies outside of the picture."""
    half = max(ink.shape) / 2
    at = [places[:, 1 - axis] * half + ink.shape[axis] / 2 - 0.5 for axis in (0, 1)]
    return ndimage.map_coordinates(ink, at, order=1, mode="constant")


def improve(level: Level, photo: np.ndarray, warp: Warp, steps: int, *, bend: bool) -> Warp:
    """Gauss-Newton steps that make the photo's ink, float32 (h, w), like the example's. bend: of the bend,
    else of the homography."""
    told = level.told
    if len(told) < 40:
        return warp
    change = level.bends if bend else level.turns
    ink, counted = level.ink.ravel()[told], level.counted.ravel()[told]
    columns = np.concatenate([change, ink[:, None], np.ones((len(told), 1), np.float32)], axis=1)
    places = level.places[told]
    for _ in range(steps):
        seen = sample(photo, warp.apply(places))
        move = _solve(columns, seen, counted, ink, _STIFF[bend])
        if move is None:
            break
        if bend:
            warp = Warp(warp.matrix, warp.bend + np.clip(move, -0.05, 0.05).reshape(2, -1))
        else:
            a, b, c, d, e, f, g, h = np.clip(move, -0.3, 0.3)
            matrix = warp.matrix @ np.array([[1 + a, b, c], [d, 1 + e, f], [-g, -h, 1]])
            warp = Warp(matrix / matrix[2, 2], warp.bend)
        if np.abs(move).max() < 2e-5:
            break
    return warp


def _solve(
    columns: np.ndarray, seen: np.ndarray, counted: np.ndarray, ink: np.ndarray, stiff: float
) -> np.ndarray | None:
    """The move after which the photo's ink is `gain` times the example's, more or less; None where it is
    rather its opposite."""
    own = ink - (ink @ counted) / counted.sum()
    gain = float((own * counted) @ seen / ((own * counted) @ own + 1e-9))
    departure = np.abs(seen - seen.mean() - gain * (ink - ink.mean()))
    usual = float(departure @ counted / counted.sum()) + 1e-6
    trusted = counted / (1 + (departure / (_ROBUST * usual)) ** 2)
    weighted = columns * trusted[:, None]
    matrix = (weighted.T @ columns).astype(np.float64)
    held = stiff * np.diag(matrix).copy()
    held[-2:] = 1e-6
    found = np.linalg.solve(matrix + np.diag(held + 1e-9), (weighted.T @ seen).astype(np.float64))
    return -found[:-2] / found[-2] if found[-2] > 0.05 * max(gain, 1e-3) and gain > 0 else None


def _bends(points: np.ndarray) -> np.ndarray:
    """float (N, 16): products of the Legendre polynomials of x and of y, up to the third."""
    x = np.clip(points, -1.1, 1.1)
    terms = np.stack([np.ones_like(x), x, (3 * x * x - 1) / 2, (5 * x * x - 3) * x / 2], axis=1)
    across, down = terms[:, :, 0], terms[:, :, 1]
    return (across[:, :, None] * down[:, None, :]).reshape(len(points), -1)


def likeness(level: Level, photo: np.ndarray, warp: Warp) -> float:
    """Correlation of the inks where it counts, -1 to 1."""
    some = slice(None, None, -(-level.ink.size // (3 * _MOST)))
    seen = sample(photo, warp.apply(level.places[some]))
    return correlate(level.ink.ravel()[some], seen, level.counted.ravel()[some])


def correlate(one: np.ndarray, other: np.ndarray, counted: np.ndarray) -> float:
    """Pearson's, weighted."""
    total = float(counted.sum()) + 1e-9
    one, other = one - (one @ counted) / total, other - (other @ counted) / total
    both = float((one * one) @ counted) * float((other * other) @ counted)
    return float((one * other) @ counted) / np.sqrt(both + 1e-12)


# First guesses of where an example lies on a photo: turned, larger or smaller, moved; by correlation.

_TURNS = tuple(quarter + skew for quarter in (0, 90, 180, 270) for skew in (-15, -7.5, 0, 7.5, 15))
_SIZES = (0.4, 0.46, 0.53, 0.61, 0.7, 0.8, 0.92, 1.05, 1.2)  # of the example on the photo, longer sides
_MOST_STARTS = 16  # guesses


def search_starts(level: Level, photo: np.ndarray) -> list[np.ndarray]:
    """Matrices float (3, 3), the likeliest first. photo: float32 (h, w), ink as the level's."""
    side = max(photo.shape)
    size = fft.next_fast_len(int(2.1 * side), real=True)
    seen = [fft.rfft2(each, (size, size)) for each in (photo, photo * photo)]
    square = places_of((size, size)) * (size / side)
    found = []
    for turn in np.deg2rad(_TURNS):
        matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        for zoom in _SIZES:
            back = square @ matrix / zoom
            drawn, counted = (sample(each, back).reshape(size, size) for each in (level.ink, level.counted))
            found.append(_best_place(drawn, counted, seen, photo.shape, zoom * matrix))
    found.sort(key=lambda each: -each[0])
    return [matrix for _, matrix in found[:_MOST_STARTS]]


def _best_place(
    drawn: np.ndarray, counted: np.ndarray, seen: Sequence[np.ndarray], shape: tuple[int, ...],
    matrix: np.ndarray,
) -> tuple[float, np.ndarray]:  # fmt: skip
    """The correlation at the best of all shifts, and the matrix with that shift."""
    size, total = len(drawn), float(counted.sum()) + 1e-6
    own = counted * (drawn - float((drawn * counted).sum()) / total)
    area = fft.rfft2(counted).conj()
    both = fft.irfft2(fft.rfft2(own).conj() * seen[0], (size, size))
    sums, squares = (fft.irfft2(area * each, (size, size)) for each in seen)
    spread = np.maximum(squares - sums * sums / total, 1e-6)
    score = both / np.sqrt(spread * (float((own * own).sum()) + 1e-9))
    highest = divmod(int(score.argmax()), size)
    row, column = (place - size if place > size // 2 else place for place in highest)
    half = max(shape) / 2
    start = np.eye(3)
    start[:2, :2] = matrix
    start[:2, 2] = (column + (size - shape[1]) / 2) / half, (row + (size - shape[0]) / 2) / half
    return float(score.max()), start


def between_corners(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Corners float (4, 2) of each -> the homography float (3, 3) that maps one onto the other."""
    rows = []
    for (x, y), (u, v) in zip(one, other, strict=True):
        rows += [(x, y, 1, 0, 0, 0, -u * x, -u * y), (0, 0, 0, x, y, 1, -v * x, -v * y)]
    try:
        found = np.linalg.solve(np.array(rows, np.float64), np.asarray(other, np.float64).ravel())
    except np.linalg.LinAlgError:
        return np.eye(3)
    return np.append(found, 1.0).reshape(3, 3)


def measure_darkness(grey: np.ndarray, window: int) -> np.ndarray:
    """uint8 (h, w) -> float32 (h, w): how much darker than the paper around, 0 to 1. window: pixels, wider
    than a stroke or a rule; what is wider is paper or desk."""
    paper = ndimage.grey_closing(grey, (window, window)).astype(np.float32)
    return (paper - grey) / np.maximum(paper, _DARKEST)
