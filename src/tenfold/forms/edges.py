"""Where sheets of paper may lie in a picture, by their edges: quadrilaterals of long straight lines.

A shadow across the sheet changes its grey, not its edges. Lines are found by a Hough transform in which each
edge pixel votes for the direction of its own slope (Ballard 1981).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from scipy import ndimage

__all__ = ["find_area", "find_quadrilaterals"]

_EDGES = 0.08  # share of pixels that are edges
_TURN = 2.0  # degrees of a bin, and pixels of the other one
_LINES = 14  # that are combined
_PARALLEL, _ACROSS = 32.0, 50.0  # degrees between opposite sides at most, and between neighbours at least
_OUTSIDE = 0.12  # of the picture's sides: corners may lie as far outside of it
_LEAST = 0.1  # of the picture that a sheet covers
_NEAR = 2.0  # pixels from a side to the edge pixels that support it
_SUPPORTED = 0.35  # of a side, at least


def find_quadrilaterals(grey: np.ndarray, most: int) -> list[np.ndarray]:
    """float32 (h, w), some 240 pixels long -> float (4, 2) each: x and y of corners, in order around; those
    whose sides are best supported by edges first."""
    smooth = ndimage.gaussian_filter(grey, 1.0)
    down, along = np.gradient(smooth)
    steep = np.hypot(down, along)
    y, x = np.nonzero(steep > max(1.0, float(np.quantile(steep, 1 - _EDGES))))
    if len(x) < 40:
        return []
    angles = np.arctan2(down[y, x], along[y, x]) % np.pi
    lines = _find_lines(x, y, angles, grey.shape)
    near = ndimage.distance_transform_edt(~_mark(x, y, grey.shape)) <= _NEAR
    found = []
    for corners in _combine(lines, grey.shape):
        support = min(_support(near, one, other) for one, other in zip(corners, np.roll(corners, -1, axis=0)))
        if support > _SUPPORTED:
            found.append((support, corners))
    found.sort(key=lambda each: -each[0])
    return [corners for _, corners in found[:most]]


def _mark(x: np.ndarray, y: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[y, x] = True
    return mask


def _find_lines(
    x: np.ndarray, y: np.ndarray, angles: np.ndarray, shape: tuple[int, ...]
) -> list[tuple[float, float]]:
    """(angle of the normal, distance from the origin) of the lines with the most votes."""
    turns = round(180 / _TURN)
    reach = int(np.hypot(shape[0], shape[1])) + 1
    votes = np.zeros((turns, 2 * reach // int(_TURN) + 2))
    own = np.rint(angles / np.pi * turns).astype(int)
    for off in (-2, -1, 0, 1, 2):
        turn = own + off
        normal = turn * (np.pi / turns)
        far = x * np.cos(normal) + y * np.sin(normal)
        far = np.where((turn < 0) | (turn >= turns), -far, far)
        np.add.at(votes, (turn % turns, np.rint((far + reach) / _TURN).astype(int)), 1)
    votes = ndimage.gaussian_filter(votes, 0.7)
    lines = []
    for _ in range(_LINES):
        turn, place = np.unravel_index(votes.argmax(), votes.shape)
        if votes[turn, place] < 8:
            break
        lines.append((float(turn * np.pi / turns), float(place * _TURN - reach)))
        votes[max(0, turn - 4) : turn + 5, max(0, place - 3) : place + 4] = 0
    return lines


def _combine(lines: list[tuple[float, float]], shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """Corners of each quadrilateral of two pairs of lines that may be a sheet, in order around."""
    pairs = [pair for pair in combinations(lines, 2) if _apart(pair[0][0], pair[1][0]) < _PARALLEL]
    low = -_OUTSIDE * np.array([shape[1], shape[0]])
    high = (1 + _OUTSIDE) * np.array([shape[1], shape[0]])
    for one, other in combinations(pairs, 2):
        if min(_apart(a[0], b[0]) for a in one for b in other) < _ACROSS:
            continue
        corners = np.array([_cross(one[i], other[j]) for i, j in ((0, 0), (0, 1), (1, 1), (1, 0))])
        if (corners < low).any() or (corners > high).any():
            continue
        sides = np.roll(corners, -1, axis=0) - corners
        after = np.roll(sides, -1, axis=0)
        turns = sides[:, 0] * after[:, 1] - sides[:, 1] * after[:, 0]
        if find_area(corners) > _LEAST * shape[0] * shape[1] and (np.sign(turns) == np.sign(turns[0])).all():
            yield corners if turns[0] > 0 else corners[::-1]


def find_area(corners: np.ndarray) -> float:
    """Of a polygon, float (N, 2), in order around; 0 where it has fewer than four corners."""
    if len(corners) < 4:
        return 0.0
    x, y = corners.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def _apart(one: float, other: float) -> float:
    """Degrees between two directions of lines, 0 to 90."""
    apart = abs(np.degrees(one - other)) % 180
    return float(min(apart, 180 - apart))


def _cross(one: tuple[float, float], other: tuple[float, float]) -> np.ndarray:
    normals = np.array([(np.cos(each[0]), np.sin(each[0])) for each in (one, other)])
    return np.linalg.solve(normals, np.array([one[1], other[1]]))


def _support(near: np.ndarray, one: np.ndarray, other: np.ndarray) -> float:
    """The share of a side, inside of the picture, along which edge pixels lie."""
    count = max(8, int(np.hypot(*(other - one).tolist()) / 2))
    points = np.rint(one + np.linspace(0, 1, count)[:, None] * (other - one)).astype(int)
    inside = ((points >= 0) & (points < near.shape[::-1])).all(axis=1)
    x, y = points[inside].T
    return float(near[y, x].mean()) if inside.sum() >= count / 2 else 0.0
