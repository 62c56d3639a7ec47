"""Digits in other styles and signs, drawn by rule: strokes float (P, 2) about one unit high, x and y down."""

from __future__ import annotations

import numpy as np

from tenfold.synthesis.sources import Strokes

__all__ = ["SIGNS", "STYLES", "polyline"]


def polyline(*points: float) -> np.ndarray:
    return np.array(points, dtype=np.float64).reshape(-1, 2)


def _flagged_one(rng: np.random.Generator) -> Strokes:
    """A one with an upstroke, short or as long as the stem, and sometimes a foot."""
    long, far, lean = rng.uniform(0.15, 1), rng.uniform(0.12, 0.6), rng.normal(0, 0.08)
    bend = rng.normal(0, 0.06)
    flag = [-far, long, -far / 2 + bend, long / 2 + bend, 0, 0]
    strokes = [polyline(*flag, lean / 2 + rng.normal(0, 0.03), 0.5, lean, 1)]
    if rng.random() < 0.22:
        foot = rng.uniform(0.1, 0.4)
        strokes.append(polyline(lean - foot, 1, lean + foot, 1 + rng.normal(0, 0.04)))
    return tuple(strokes)


def _open_zero(rng: np.random.Generator) -> Strokes:
    """A zero that is not closed, or ends in a tail to the next digit."""
    turns, start = rng.uniform(0.85, 1.15), rng.uniform(-0.7, 0.5)
    angles = np.linspace(start, start - 2 * np.pi * turns, 18)
    wide = rng.uniform(0.3, 0.5)
    line = np.stack([wide * np.sin(angles), -0.5 * np.cos(angles)], axis=1)
    if rng.random() < 0.4:
        tail = line[-1] + np.array([rng.uniform(0.15, 0.6), rng.uniform(-0.15, 0.1)])
        line = np.concatenate([line, tail[None]])
    return (line,)


def _rising_five(rng: np.random.Generator) -> Strokes:
    """A five with a narrow bowl, its flag long, loose or part of the line: like an S, an r or a root."""
    bowl, waist, neck = rng.uniform(0.15, 0.6), rng.uniform(0.3, 0.5), rng.uniform(0.0, 0.15)
    left, end = rng.uniform(0.05, 0.3), rng.uniform(-0.25, 0.15)
    angles = np.linspace(-0.5 * np.pi, rng.uniform(0.35, 0.6) * np.pi, 9)
    middle, half = 0.5 * (waist + 1), 0.5 * (1 - waist)
    curve = np.stack([left + bowl * np.cos(angles), middle + half * np.sin(angles)], axis=1)
    down = np.array([[left + neck, rng.uniform(0, 0.12)], [left, waist]])
    body = np.concatenate([down, curve, [[end, 1.0]]])
    far, rise = rng.uniform(0.35, 1.0), rng.uniform(-0.25, 0.12)
    flag = np.array([[left + neck + far, rise], [left + neck, rng.uniform(0, 0.1)]])
    if rng.random() < 0.4:
        return (np.concatenate([flag, body]),)
    return body, flag + rng.normal(0, 0.05, 2)


def _leaning_nine(rng: np.random.Generator) -> Strokes:
    """A nine with a small head and a straight or bent stem that leans: like a P, a rho or a g."""
    wide, high, start = rng.uniform(0.15, 0.38), rng.uniform(0.13, 0.28), rng.uniform(-0.2, 0.9)
    angles = np.linspace(start, start - rng.uniform(1.75, 2.15) * np.pi, 15)
    head = np.stack([wide * np.cos(angles), high + high * np.sin(angles) * rng.uniform(0.8, 1)], axis=1)
    foot, bend = rng.uniform(-0.5, 0.25), rng.normal(0, 0.07)
    top = [wide * rng.uniform(0.6, 1.05), high * rng.uniform(0.2, 1)]
    stem = np.array([top, [(top[0] + foot) / 2 + bend, 0.6], [foot, 1.0]])
    if rng.random() < 0.25:  # its end turns up
        stem = np.concatenate([stem, [[foot - rng.uniform(0.1, 0.35), rng.uniform(0.85, 0.97)]]])
    return (np.concatenate([head, stem]),) if rng.random() < 0.7 else (head, stem)


STYLES = {"0": _open_zero, "1": _flagged_one, "5": _rising_five, "9": _leaning_nine}


def _point(rng: np.random.Generator) -> tuple[list[np.ndarray], float]:
    move = rng.normal(0, 0.03, 2)
    return [polyline(0, 0, *move)], rng.uniform(0.8, 1.05) if rng.random() < 0.85 else rng.uniform(0.45, 0.8)


def _comma(rng: np.random.Generator) -> tuple[list[np.ndarray], float]:
    long, lean = rng.uniform(0.12, 0.4), rng.uniform(-0.1, 0.35)
    return [polyline(lean, 0, lean + rng.uniform(0, 0.08), long / 3, 0, long)], rng.uniform(0.92, 1.12)


def _dash(rng: np.random.Generator) -> tuple[list[np.ndarray], float]:
    bend = rng.normal(0, 0.04, 2)
    return [polyline(0, bend[0], 0.5, 0, 1, bend[1])], rng.uniform(0.35, 0.75)


def _slash(rng: np.random.Generator) -> tuple[list[np.ndarray], float]:
    return [polyline(rng.uniform(0.3, 1.1), 0, rng.uniform(-0.1, 0.1), rng.uniform(0.95, 1.3))], rng.uniform(
        0.45, 0.6
    )


def _colon(rng: np.random.Generator) -> tuple[list[np.ndarray], float]:
    apart = rng.uniform(0.3, 0.6)
    return [
        polyline(0, 0, *rng.normal(0, 0.02, 2)),
        polyline(0, apart, *(np.array([0, apart]) + rng.normal(0, 0.02, 2))),
    ], 0.6


def _plus(rng: np.random.Generator) -> tuple[list[np.ndarray], float]:
    half = rng.uniform(0.2, 0.32)
    return [
        polyline(0, 0, 1, rng.normal(0, 0.05)),
        polyline(0.5, -half, 0.5 + rng.normal(0, 0.05), half),
    ], rng.uniform(0.45, 0.6)


def _times(rng: np.random.Generator) -> tuple[list[np.ndarray], float]:
    half = rng.uniform(0.18, 0.32)
    return [polyline(0, -half, 1, half), polyline(1, -half, rng.normal(0, 0.05), half)], rng.uniform(
        0.5, 0.65
    )


def _divided(rng: np.random.Generator) -> tuple[list[np.ndarray], float]:
    half, dot = rng.uniform(0.18, 0.3), rng.normal(0, 0.02, 4)
    return [
        polyline(0, 0, 1, rng.normal(0, 0.04)),
        polyline(0.5, -half, 0.5 + dot[0], -half + dot[1]),
        polyline(0.5, half, 0.5 + dot[2], half + dot[3]),
    ], rng.uniform(0.45, 0.6)


def _equals(rng: np.random.Generator) -> tuple[list[np.ndarray], float]:
    apart, lean = rng.uniform(0.1, 0.28), rng.normal(0, 0.06, 3)
    return [polyline(0, 0, 1, lean[0]), polyline(lean[1], apart, 1 + lean[2], apart + lean[0])], rng.uniform(
        0.4, 0.75
    )


SIGNS = {
    ".": _point, ",": _comma, "-": _dash, "/": _slash, ":": _colon,
    "+": _plus, "×": _times, "÷": _divided, "=": _equals,
}  # fmt: skip
