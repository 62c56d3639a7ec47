"""Strokes -> coverage: how much of each pixel a round pen covers.

Every segment is a capsule; what a pixel gets is the overlap of the pixel's width with the pen's, across
the segment, so that lines thinner than a pixel come out fainter instead of broken.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["draw_strokes", "resample"]


def draw_strokes(
    strokes: Sequence[np.ndarray],
    size: tuple[int, int],
    width: float,
    rng: np.random.Generator | None = None,
    *,
    pressure: bool = False,
    wobble: float = 0.0,
) -> np.ndarray:
    """Coverage float32 (H, W), 0..1, of strokes (n, 2) in pixels drawn with a pen `width` pixels wide.

    Pixel (row, column) covers y in [row, row + 1) and x in [column, column + 1); `size` is (H, W).
    With `rng`, `pressure` lets the width swell and thin along each stroke, and `wobble` makes the
    brush blobby: a standard deviation, as a share of the width.
    """
    canvas = np.zeros(size, dtype=np.float32)
    for stroke in strokes:
        points = np.asarray(stroke, dtype=np.float32)
        radii = np.full(len(points), width / 2, dtype=np.float32)
        if rng is not None and (pressure or wobble > 0):
            points, radii = _liven(points, width, rng, pressure, wobble)
        else:
            points, radii = _thin_out(points, radii)
        _draw_polyline(canvas, points, radii)
    return np.minimum(canvas, 1, out=canvas)  # float32's rounding goes beyond


def resample(points: np.ndarray, step: float) -> np.ndarray:
    """The same polyline with points at even distances of about `step`, both ends kept; float32 (m, 2)."""
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    count = int(np.clip(np.ceil(along[-1] / step), 1, 2000))
    places = np.linspace(0.0, along[-1], count + 1)
    return np.stack([np.interp(places, along, points[:, axis]) for axis in (0, 1)], axis=1).astype(np.float32)


def _liven(
    points: np.ndarray, width: float, rng: np.random.Generator, pressure: bool, wobble: float
) -> tuple[np.ndarray, np.ndarray]:
    points = resample(points, max(width * 0.4, 2.0))
    radii = np.full(len(points), width / 2, dtype=np.float32)
    if pressure:
        knots = rng.uniform(0.55, 1.2, 5)
        radii *= np.interp(np.linspace(0, 4, len(points)), np.arange(5), knots).astype(np.float32)
    if wobble > 0:
        jitter = rng.standard_normal((len(points), 3)).clip(-2, 2).astype(np.float32)
        points = points + jitter[:, :2] * np.float32(wobble * width)
        radii *= (1 + wobble * jitter[:, 2]).clip(0.3, 2)
    return points, radii


def _thin_out(points: np.ndarray, radii: np.ndarray, step: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """Leaves out points that did not move on by `step` pixels, and cuts long segments (small windows)."""
    if len(points) > 2:
        along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
        keep = np.diff(np.floor(along / step), prepend=-1.0) > 0
        keep[-1] = True
        points, radii = points[keep], radii[keep]
    longest = 24.0 + 4 * float(radii[0])
    gaps = np.hypot(*np.diff(points, axis=0).T)
    if not (gaps > longest).any():
        return points, radii
    pieces = [points[:1]]
    for start, end, gap in zip(points[:-1], points[1:], gaps, strict=True):
        share = np.linspace(0, 1, int(min(gap // longest, 500)) + 2, dtype=np.float32)[1:, None]
        pieces.append(start + (end - start) * share)
    points = np.concatenate(pieces)
    return points, np.full(len(points), radii[0], dtype=np.float32)


def _draw_polyline(canvas: np.ndarray, points: np.ndarray, radii: np.ndarray) -> None:
    if len(points) == 1:
        points, radii = np.repeat(points, 2, axis=0), np.repeat(radii, 2)
    reach = np.maximum(radii[:-1], radii[1:]) + 1.0
    low = np.floor(np.minimum(points[:-1], points[1:]) - reach[:, None]).astype(int)
    high = np.ceil(np.maximum(points[:-1], points[1:]) + reach[:, None]).astype(int)
    low, high = np.maximum(low, 0), np.minimum(high, canvas.shape[::-1])
    for (x0, y0), (x1, y1), a, b, ra, rb in zip(
        low.tolist(),
        high.tolist(),
        points[:-1].tolist(),
        points[1:].tolist(),
        radii[:-1].tolist(),
        radii[1:].tolist(),
        strict=True,
    ):
        if x0 < x1 and y0 < y1:
            window = canvas[y0:y1, x0:x1]
            np.maximum(window, _capsule(x0, y0, window.shape, a, b, ra, rb), out=window)


def _capsule(
    x0: int, y0: int, shape: tuple[int, ...], a: list[float], b: list[float], ra: float, rb: float
) -> np.ndarray:
    x = np.arange(shape[1], dtype=np.float32) + np.float32(x0 + 0.5 - a[0])
    y = np.arange(shape[0], dtype=np.float32)[:, None] + np.float32(y0 + 0.5 - a[1])
    dx, dy = np.float32(b[0] - a[0]), np.float32(b[1] - a[1])
    square = dx * dx + dy * dy
    along = (x * dx + y * dy) / (square if square > 0 else np.float32(1))
    along = np.minimum(np.maximum(along, 0), 1)
    distance = np.sqrt((x - along * dx) ** 2 + (y - along * dy) ** 2)
    radius = ra if ra == rb else ra + along * np.float32(rb - ra)
    covered = np.minimum(distance + 0.5, radius) - np.maximum(distance - 0.5, -radius)
    return np.maximum(covered, 0, out=covered)
