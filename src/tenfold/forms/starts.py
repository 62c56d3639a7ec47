"""First guesses of where an example lies on a photo: turned, larger or smaller, moved; by correlation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import fft

from tenfold.forms.align import Level, places_of, sample

__all__ = ["between_corners", "search_starts"]

_TURNS = tuple(quarter + skew for quarter in (0, 90, 180, 270) for skew in (-15, -7.5, 0, 7.5, 15))
_SIZES = (0.4, 0.46, 0.53, 0.61, 0.7, 0.8, 0.92, 1.05, 1.2)  # of the example on the photo, longer sides
_MOST = 16  # guesses


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
    return [matrix for _, matrix in found[:_MOST]]


def _best_place(
    drawn: np.ndarray,
    counted: np.ndarray,
    seen: Sequence[np.ndarray],
    shape: tuple[int, ...],
    matrix: np.ndarray,
) -> tuple[float, np.ndarray]:
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
