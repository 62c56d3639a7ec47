"""Other hands: the same digit as other people, or the same person on another day, would draw it.

All of it works on the strokes' points, where a bent line stays as wide and as sharp as a straight one
(vector counterpart of the elastic distortions of Simard et al. 2003).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import gaussian_filter1d

from tenfold.synthesis.glyphs import Drawing, box, normalise

# Strokes -> coverage: how much of each pixel a round pen covers.
#
# Every segment is a capsule; what a pixel gets is the overlap of the pixel's width with the pen's, across
# the segment, so that lines thinner than a pixel come out fainter instead of broken.


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


_DEGREE = np.pi / 180


def vary(drawing: Drawing, rng: np.random.Generator, *, strength: float = 1.0) -> Drawing:
    """The same class drawn another way: as many strokes, normalised, finite.

    `strength` scales all of it: 0 changes nothing but normalises, 1 covers what people do.
    """
    strokes = [stroke.astype(np.float64) for stroke in normalise(drawing).strokes]
    if strength > 0:
        if rng.random() < 0.5:
            strokes = [_end_otherwise(stroke, rng, strength) for stroke in strokes]
        if len(strokes) > 1:
            strokes = [_move_stroke(stroke, rng, strength) for stroke in strokes]
        strokes = [_redraw(stroke, how) for how in [_manner(rng)] for stroke in strokes]
        strokes = _warp(strokes, rng, strength)
        strokes = _lean(strokes, rng, strength)
        strokes = _tremble(strokes, rng, strength)
    floats = tuple(stroke.astype(np.float32) for stroke in strokes)
    return normalise(Drawing(floats, drawing.label, drawing.writer))


def with_habits(drawing: Drawing, rng: np.random.Generator, *, strength: float = 1.0) -> Drawing:
    """Some of the habits by which people draw the same digit: a slash through 0, a bar across 7 or a
    serif at its hat, a flag or a foot on 1. The class never changes. Normalised.
    """
    drawing = normalise(drawing)
    strokes = list(drawing.strokes)
    add = _HABITS.get(drawing.label)
    if add is not None:
        strokes = add(strokes, rng, 0.35 * strength)
    return normalise(
        Drawing(tuple(stroke.astype(np.float32) for stroke in strokes), drawing.label, drawing.writer)
    )


def _end_otherwise(stroke: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Trims or overshoots both ends, each at random, and sometimes hooks the start."""
    if len(stroke) < 2 or not np.ptp(stroke, axis=0).any():
        return stroke
    points = resample(stroke, 0.02).astype(np.float64)
    for _ in range(2):
        points = _end(points[::-1], rng.normal(0, 0.035) * strength)
    if rng.random() < 0.2:
        hook = rng.uniform(0.015, 0.07) * strength
        turn = rng.uniform(0, 2 * np.pi)
        points = np.concatenate([points[:1] + hook * np.array([[np.cos(turn), np.sin(turn)]]), points])
    return points


def _end(points: np.ndarray, change: float) -> np.ndarray:
    """Points 0.02 apart, lengthened by `change` at the end, or shortened (by a tenth at most)."""
    if change < 0:
        return points[: max(len(points) - int(-change / 0.02), len(points) - len(points) // 10, 2)]
    heading = points[-1] - points[max(len(points) - 4, 0)]
    heading /= max(float(np.hypot(*heading)), 1e-9)
    return np.concatenate([points, points[-1:] + heading * change])


def _move_stroke(stroke: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    centre = stroke.mean(axis=0)
    scale = np.exp(rng.normal(0, 0.06, 2) * strength)
    moved = ((stroke - centre) * scale) @ _rotation(rng.normal(0, 4) * strength)
    return moved + centre + rng.normal(0, 0.022, 2) * strength


def _rotation(degrees: float) -> np.ndarray:
    cosine, sine = np.cos(degrees * _DEGREE), np.sin(degrees * _DEGREE)
    return np.array([[cosine, sine], [-sine, cosine]])


def _manner(rng: np.random.Generator) -> tuple[str, float]:
    """How the hand or the tablet draws: as recorded, smooth, in few straight pieces, on a coarse grid."""
    manner = str(rng.choice(["as is", "smooth", "pieces", "grid"], p=[0.42, 0.36, 0.12, 0.1]))
    return manner, {
        "smooth": rng.uniform(0.8, 3.0),
        "pieces": rng.uniform(0.06, 0.2),
        "grid": rng.uniform(0.02, 0.075),
    }.get(manner, 0.0)


def _redraw(stroke: np.ndarray, how: tuple[str, float]) -> np.ndarray:
    manner, amount = how
    if len(stroke) < 3 or manner == "as is":
        return stroke
    if manner == "smooth":
        return gaussian_filter1d(resample(stroke, 0.02).astype(np.float64), amount, axis=0, mode="nearest")
    if manner == "pieces":
        return resample(stroke, amount).astype(np.float64)
    return np.rint(resample(stroke, amount / 3).astype(np.float64) / amount) * amount


def _warp(strokes: list[np.ndarray], rng: np.random.Generator, strength: float) -> list[np.ndarray]:
    """A smooth displacement field: a few plane waves, one to three quarters of a wave a drawing."""
    waves = 3
    numbers = rng.uniform(-0.9, 0.9, (waves, 2)) * 2 * np.pi
    phases = rng.uniform(0, 2 * np.pi, waves)
    pushes = rng.normal(0, 0.028, (waves, 2)) * strength
    return [stroke + np.sin(stroke @ numbers.T + phases) @ pushes for stroke in strokes]


def _lean(strokes: list[np.ndarray], rng: np.random.Generator, strength: float) -> list[np.ndarray]:
    """Aspect, slant and rotation as one matrix."""
    low, high = box(tuple(strokes))
    widest = 0.35 if high[0] - low[0] < high[1] - low[1] else 0.0  # what is wide already is not widened
    aspect = np.exp(np.clip(rng.normal(0, 0.18), -0.35, widest) * strength)
    slant = np.clip(rng.normal(0.04, 0.17), -0.35, 0.45) * strength
    turn = np.clip(rng.normal(0, 5), -12, 12) * strength
    matrix = np.array([[aspect, 0], [-slant, 1]]) @ _rotation(turn)
    return [stroke @ matrix for stroke in strokes]


def _tremble(strokes: list[np.ndarray], rng: np.random.Generator, strength: float) -> list[np.ndarray]:
    """An unsteady hand, for one drawing in three."""
    if rng.random() > 0.35:
        return strokes
    amount, reach = rng.uniform(0.003, 0.012) * strength, rng.uniform(0.8, 3.0)
    shaken = []
    for stroke in strokes:
        points = resample(stroke, 0.02).astype(np.float64) if len(stroke) > 2 else stroke
        noise = gaussian_filter1d(rng.standard_normal(points.shape), reach, axis=0, mode="nearest")
        shaken.append(points + noise * amount * np.sqrt(2 * reach * np.sqrt(np.pi)))
    return shaken


def _slash_zero(strokes: list[np.ndarray], rng: np.random.Generator, chance: float) -> list[np.ndarray]:
    if len(strokes) > 1 or rng.random() > chance:
        return strokes
    low, high = box(tuple(strokes))
    centre = (low + high) / 2 + rng.normal(0, 0.03, 2)
    half = (high - low) / 2 * rng.uniform(0.55, 1.9) * rng.uniform(0.8, 1.2, 2)
    half[0] = max(half[0], 0.2 * half[1])
    bend = rng.normal(0, 0.02, 2)
    line = np.array([centre + half * (1, -1), centre + bend, centre + half * (-1, 1)])
    return [*strokes, _either_way(line, rng)]


def _cross_seven(strokes: list[np.ndarray], rng: np.random.Generator, chance: float) -> list[np.ndarray]:
    points = resample(strokes[0], 0.02)
    if len(strokes) == 1 and rng.random() < 0.5 * chance:
        serif = points[:1] + np.array([[rng.normal(0, 0.03), rng.uniform(0.05, 0.22)]])
        strokes = [np.concatenate([serif, strokes[0]])]
    if len(strokes) > 1 or rng.random() > chance:
        return strokes
    height = rng.uniform(0.4, 0.65) * points[:, 1].max()
    near = points[np.abs(points[:, 1] - height).argsort()[:3]].mean(axis=0)
    half = rng.uniform(0.1, 0.32, 2)
    tilt = np.clip(rng.normal(0, 0.2), -0.5, 0.5) * half.mean()
    bar = np.array([[near[0] - half[0], height + tilt], [near[0] + half[1], height - tilt]])
    return [*strokes, _either_way(bar, rng)]


def _dress_one(strokes: list[np.ndarray], rng: np.random.Generator, chance: float) -> list[np.ndarray]:
    """A flag and a foot, for a one that is a single upright line."""
    low, high = box(tuple(strokes))
    if len(strokes) > 1 or high[0] - low[0] > 0.3 or high[1] < 0.9:
        return strokes
    stroke = strokes[0] if strokes[0][0, 1] < strokes[0][-1, 1] else strokes[0][::-1]
    dressed = [stroke]
    if rng.random() < 2 * chance:
        across = rng.uniform(0.1, 0.6)
        down = min(across * rng.uniform(0.4, 1.9), 0.95)  # from a tick to one nearly down to the line
        tip = np.array([-across, down])
        flag = stroke[:1] + np.stack([tip, tip / 2 + rng.normal(0, 0.04, 2)])
        if rng.random() < 0.2:  # not quite reaching the stem
            dressed.append(np.concatenate([flag, stroke[:1] + rng.normal(0, 0.03, 2)]))
        else:
            dressed = [np.concatenate([flag, stroke])]
    if rng.random() < 0.6 * chance:
        half, tilt = rng.uniform(0.1, 0.35, 2), rng.normal(0, 0.025)
        foot = stroke[-1] + np.array([[-half[0], tilt], [half[1], -tilt]])
        dressed.append(_either_way(foot, rng))
    return dressed


def _either_way(line: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return line if rng.random() < 0.5 else line[::-1]


_HABITS = {"0": _slash_zero, "1": _dress_one, "7": _cross_seven}
