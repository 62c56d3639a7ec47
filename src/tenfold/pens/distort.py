"""Other hands: the same digit as other people, or the same person on another day, would draw it.

All of it works on the strokes' points, where a bent line stays as wide and as sharp as a straight one
(vector counterpart of the elastic distortions of Simard et al. 2003).
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from tenfold.pens.draw import resample
from tenfold.pens.strokes import Drawing, box, normalise

__all__ = ["vary", "with_habits"]

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
