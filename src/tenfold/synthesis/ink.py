"""Text -> a layer of ink: glyphs of one hand set side by side, as a pen or a printer would leave them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from tenfold.synthesis.sources import Glyph, Hand, Strokes

__all__ = [
    "Pen", "draw_glyph", "draw_print", "draw_scribble", "draw_text", "random_pen", "slope_ink", "soften_ink",
]  # fmt: skip

_FINE = 3  # strokes are drawn this many times larger, and averaged
_SLASHED = 0.05  # share of zeros
_CROSSED = 0.12  # share of sevens that are crossed
_STYLED = {"0": 0.1, "1": 0.3, "5": 0.25, "9": 0.3}  # shares that are drawn by rule, in other styles
_LINKED = 0.3  # share of rows of zeros that are written in one go
_WIDEST_GLYPH = 2.2  # of its height


@dataclass(frozen=True)
class Pen:
    """What stays the same along one line. width: of the stroke, a share of the digits' height.
    slant: pixels to the right per pixel up. stretch: width of digits over their natural width.
    gap: between digits, a share of their height; below 0 they touch."""

    width: float
    slant: float
    stretch: float
    gap: float
    gap_spread: float


def random_pen(rng: np.random.Generator) -> Pen:
    """A ballpoint, a pencil or a marker, in an upright or leaning hand."""
    width = rng.uniform(0.14, 0.24) if rng.random() < 0.15 else rng.uniform(0.045, 0.14)
    gap = rng.uniform(0.3, 0.9) if rng.random() < 0.1 else float(np.clip(rng.normal(0.08, 0.14), -0.2, 0.5))
    return Pen(
        width, rng.normal(0.06, 0.19), float(np.exp(rng.normal(0, 0.15))), gap, rng.uniform(0.01, 0.09)
    )


def draw_glyph(glyph: Glyph, height: float, pen: Pen, rng: np.random.Generator) -> np.ndarray:
    """uint8 (h, w) of ink, about `height` pixels high."""
    if isinstance(glyph, np.ndarray):
        return _draw_raster(glyph, height, pen, rng)
    return _draw_strokes(glyph, height, pen, rng)


def _draw_raster(glyph: np.ndarray, height: float, pen: Pen, rng: np.random.Generator) -> np.ndarray:
    rows, columns = glyph.shape
    ratio = height / max(rows, 0.5 * columns)
    wide = max(2, round(min(columns * ratio * pen.stretch * rng.uniform(0.9, 1.1), _WIDEST_GLYPH * height)))
    high = max(3, round(rows * ratio))
    image = Image.fromarray(glyph)
    if ratio < 0.6:
        image = image.reduce(2)
        rows, columns = image.height, image.width
    move = rng.normal(0, 0.035, 8) * np.tile([columns, rows], 4)
    corners = np.array([0, 0, 0, rows, columns, rows, columns, 0]) + move
    return np.asarray(
        image.transform((wide, high), Image.Transform.QUAD, corners.tolist(), Image.Resampling.BILINEAR)
    )


def _draw_strokes(strokes: Strokes, height: float, pen: Pen, rng: np.random.Generator) -> np.ndarray:
    points = np.concatenate(strokes)
    low, span = points.min(axis=0), np.ptp(points, axis=0)
    ratio = height / max(float(span[1]), 0.5 * float(span[0]), 1e-6)
    turn = rng.normal(0, 0.05)
    change = np.array([[pen.stretch * rng.uniform(0.9, 1.1), rng.normal(0, 0.05)], [turn, 1]]) * ratio
    shaped = [(stroke - low) @ change.T + rng.normal(0, 0.008 * height, stroke.shape) for stroke in strokes]
    return _ink_strokes(shaped, max(1.0, pen.width * height), _WIDEST_GLYPH * height + 8)


def _ink_strokes(strokes: Sequence[np.ndarray], width: float, most: float) -> np.ndarray:
    """Strokes in pixels -> uint8 (h, w) that holds them, round pens of this width."""
    points = np.concatenate(strokes)
    room = width / 2 + 1
    low = points.min(axis=0) - room
    wide, high = np.minimum(np.ptp(points, axis=0) + 2 * room, most).astype(int) + 1
    image = Image.new("L", (int(wide) * _FINE, int(high) * _FINE))
    draw, thick = ImageDraw.Draw(image), max(1, round(width * _FINE))
    for stroke in strokes:
        fine = ((stroke - low) * _FINE).round()
        if len(fine) > 1:
            draw.line(fine.ravel().tolist(), fill=255, width=thick, joint="curve" if thick > 9 else None)
        for x, y in (fine[0], fine[-1]):
            draw.ellipse([x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2], fill=255)
    return np.asarray(image.reduce(_FINE))


def draw_text(
    text: str, hand: Hand, height: float, pen: Pen, rng: np.random.Generator
) -> tuple[np.ndarray, float]:
    """Digits and signs by hand -> uint8 (h, w) of ink, and the pixels from its top to the digits' top."""
    placed: list[tuple[np.ndarray, float, float]] = []
    x, drift = 0.0, rng.normal(0, 0.02)
    text_end = len(text) - 1
    place = 0
    while place < len(text):
        char = text[place]
        zeros = len(text[place:]) - len(text[place:].lstrip("0"))
        if zeros >= 2 and rng.random() < _LINKED:
            ink, top, advance = *_linked_zeros(zeros, height, pen, rng), 0.0
            place += zeros - 1
        elif char in hand.glyphs:
            choices = hand.glyphs[char]
            high = height * rng.uniform(0.82, 1.1)
            styled = rng.random() < _STYLED.get(char, 0)
            glyph = _STYLES[char](rng) if styled else choices[rng.integers(len(choices))]
            ink = draw_glyph(glyph, high, pen, rng)
            if char == "0" and rng.random() < _SLASHED:
                ink = _slash_through(ink, pen, rng)
            if char == "7" and rng.random() < _CROSSED:
                ink = _cross(ink, pen, rng)
            top = (height - ink.shape[0]) * rng.uniform(0.3, 0.8)
            advance = 0.0
        else:
            ink, top, advance = _draw_sign(char, height, pen, rng, last=place == text_end)
        placed.append((ink, x + advance, top + drift * x + rng.normal(0, 0.03) * height))
        x += ink.shape[1] + 2 * advance + height * (pen.gap + rng.normal(0, pen.gap_spread))
        place += 1
    return _lay(placed)


def draw_scribble(height: float, pen: Pen, rng: np.random.Generator) -> np.ndarray:
    """uint8 (h, w): a line that turns at random, as one crosses out or tries a pen."""
    corners = int(rng.integers(5, 22))
    along = np.linspace(0, height * rng.uniform(0.4, 3), corners)
    zigzag = np.where(np.arange(corners) % 2, 0.0, height) if rng.random() < 0.4 else 0.5 * height
    x = along + rng.normal(0, 0.25 * height, corners)
    y = zigzag + rng.normal(0, 0.25 * height, corners)
    fine = np.linspace(0, corners - 1, 6 * corners)
    line = np.stack([np.interp(fine, np.arange(corners), each) for each in (x, y)], axis=1)
    if rng.random() < 0.6:  # rounded corners
        kernel = np.ones(7) / 7
        line = np.stack([np.convolve(each, kernel, "valid") for each in line.T], axis=1)
    return _ink_strokes([line], max(1.0, pen.width * height), 5 * height)


def _slash_through(ink: np.ndarray, pen: Pen, rng: np.random.Generator) -> np.ndarray:
    """A zero as some write it, with a slash."""
    high, wide = ink.shape
    room = int(0.25 * max(high, wide))
    image = Image.fromarray(np.pad(ink, room))
    low, side = rng.uniform(-0.2, 0.3) * high, rng.uniform(-0.25, 0.2) * wide
    ends = [room + side, room + high - low, room + wide - side, room + low]
    ImageDraw.Draw(image).line(ends, fill=255, width=max(1, round(pen.width * high)))
    return np.asarray(image)


def _cross(ink: np.ndarray, pen: Pen, rng: np.random.Generator) -> np.ndarray:
    """A seven with a bar through its stem."""
    high, wide = ink.shape
    room = int(0.2 * wide) + 2
    image = Image.fromarray(np.pad(ink, ((0, 0), (room, room))))
    y, middle, half = (
        high * rng.uniform(0.4, 0.65),
        wide * rng.uniform(0.4, 0.6),
        wide * rng.uniform(0.25, 0.5),
    )
    ends = [room + middle - half, y, room + middle + half, y - high * rng.uniform(-0.05, 0.15)]
    ImageDraw.Draw(image).line(ends, fill=255, width=max(1, round(pen.width * high)))
    return np.asarray(image)


def _flagged_one(rng: np.random.Generator) -> Strokes:
    """A one with an upstroke, short or as long as the stem, and sometimes a foot."""
    long, far, lean = rng.uniform(0.15, 1), rng.uniform(0.12, 0.6), rng.normal(0, 0.08)
    bend = rng.normal(0, 0.06)
    flag = [-far, long, -far / 2 + bend, long / 2 + bend, 0, 0]
    strokes = [_stroke(*flag, lean / 2 + rng.normal(0, 0.03), 0.5, lean, 1)]
    if rng.random() < 0.15:
        foot = rng.uniform(0.1, 0.35)
        strokes.append(_stroke(lean - foot, 1, lean + foot, 1 + rng.normal(0, 0.04)))
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


_STYLES = {"0": _open_zero, "1": _flagged_one, "5": _rising_five, "9": _leaning_nine}


def _lay(placed: Sequence[tuple[np.ndarray, float, float]]) -> tuple[np.ndarray, float]:
    left, top = min(x for _, x, _ in placed), min(y for _, _, y in placed)
    wide = max(x + ink.shape[1] for ink, x, _ in placed) - left
    high = max(y + ink.shape[0] for ink, _, y in placed) - top
    layer = np.zeros((int(high) + 2, int(wide) + 2), np.uint8)
    for ink, x, y in placed:
        row, column = int(y - top), int(x - left)
        part = layer[row : row + ink.shape[0], column : column + ink.shape[1]]
        np.maximum(part, ink, out=part)
    return layer, -top


def _draw_sign(
    char: str, height: float, pen: Pen, rng: np.random.Generator, *, last: bool
) -> tuple[np.ndarray, float, float]:
    """Ink of a sign, its top below the digits' top, and room on its sides, in pixels."""
    size = height * rng.uniform(0.35, 0.65)
    if char == "-" and last and rng.random() < 0.5:
        size = height * rng.uniform(0.6, 2.2)
    strokes, middle = _SIGN_SHAPES[char](rng)
    shaped = [
        stroke * np.array([size, height]) + rng.normal(0, 0.015 * height, stroke.shape) for stroke in strokes
    ]
    width = max(1.0, pen.width * height * rng.uniform(0.9, 1.5 if char in ".:÷" else 1.1))
    ink = _ink_strokes(shaped, width, 3 * height)
    top = height * middle - ink.shape[0] / 2 + rng.normal(0, 0.04) * height
    return ink, top, height * rng.uniform(0, 0.14)


def _stroke(*points: float) -> np.ndarray:
    return np.array(points, dtype=np.float64).reshape(-1, 2)


def _point(rng: np.random.Generator) -> tuple[list[np.ndarray], float]:
    move = rng.normal(0, 0.03, 2)
    return [_stroke(0, 0, *move)], rng.uniform(0.8, 1.05) if rng.random() < 0.85 else rng.uniform(0.45, 0.8)


def _comma(rng: np.random.Generator) -> tuple[list[np.ndarray], float]:
    long, lean = rng.uniform(0.12, 0.4), rng.uniform(-0.1, 0.35)
    return [_stroke(lean, 0, lean + rng.uniform(0, 0.08), long / 3, 0, long)], rng.uniform(0.92, 1.12)


def _dash(rng: np.random.Generator) -> tuple[list[np.ndarray], float]:
    bend = rng.normal(0, 0.04, 2)
    return [_stroke(0, bend[0], 0.5, 0, 1, bend[1])], rng.uniform(0.35, 0.75)


def _slash(rng: np.random.Generator) -> tuple[list[np.ndarray], float]:
    return [_stroke(rng.uniform(0.3, 1.1), 0, rng.uniform(-0.1, 0.1), rng.uniform(0.95, 1.3))], rng.uniform(
        0.45, 0.6
    )


def _colon(rng: np.random.Generator) -> tuple[list[np.ndarray], float]:
    apart = rng.uniform(0.3, 0.6)
    return [
        _stroke(0, 0, *rng.normal(0, 0.02, 2)),
        _stroke(0, apart, *(np.array([0, apart]) + rng.normal(0, 0.02, 2))),
    ], 0.6


def _plus(rng: np.random.Generator) -> tuple[list[np.ndarray], float]:
    half = rng.uniform(0.2, 0.32)
    return [
        _stroke(0, 0, 1, rng.normal(0, 0.05)),
        _stroke(0.5, -half, 0.5 + rng.normal(0, 0.05), half),
    ], rng.uniform(0.45, 0.6)


def _times(rng: np.random.Generator) -> tuple[list[np.ndarray], float]:
    half = rng.uniform(0.18, 0.32)
    return [_stroke(0, -half, 1, half), _stroke(1, -half, rng.normal(0, 0.05), half)], rng.uniform(0.5, 0.65)


def _divided(rng: np.random.Generator) -> tuple[list[np.ndarray], float]:
    half, dot = rng.uniform(0.18, 0.3), rng.normal(0, 0.02, 4)
    return [
        _stroke(0, 0, 1, rng.normal(0, 0.04)),
        _stroke(0.5, -half, 0.5 + dot[0], -half + dot[1]),
        _stroke(0.5, half, 0.5 + dot[2], half + dot[3]),
    ], rng.uniform(0.45, 0.6)


def _equals(rng: np.random.Generator) -> tuple[list[np.ndarray], float]:
    apart, lean = rng.uniform(0.1, 0.28), rng.normal(0, 0.06, 3)
    return [_stroke(0, 0, 1, lean[0]), _stroke(lean[1], apart, 1 + lean[2], apart + lean[0])], rng.uniform(
        0.4, 0.75
    )


_SIGN_SHAPES = {
    ".": _point, ",": _comma, "-": _dash, "/": _slash, ":": _colon,
    "+": _plus, "×": _times, "÷": _divided, "=": _equals,
}  # fmt: skip


def _linked_zeros(count: int, height: float, pen: Pen, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Zeros in one go, each left at its top for the next, as on cheques."""
    angles = np.linspace(0, 2 * np.pi, 14)
    high, wide = height * rng.uniform(0.55, 1), height * rng.uniform(0.45, 0.9)
    apart, loop = wide * rng.uniform(0.95, 1.5), rng.uniform(0.05, 0.2) * height
    line = []
    for number in range(count):
        centre = np.array([number * apart, high / 2])
        line.append(
            centre
            + np.stack([-np.sin(angles) * wide / 2, -np.cos(angles) * high / 2], axis=1)
            * rng.uniform(0.85, 1.05)
        )
        if number < count - 1:
            line.append(np.array([[number * apart + apart * 0.5, loop * rng.uniform(-0.5, 1)]]))
    ink = _ink_strokes(
        [np.concatenate(line) + rng.normal(0, 0.01 * height, (sum(map(len, line)), 2))],
        max(1.0, pen.width * height),
        40 * height,
    )
    return ink, (height - ink.shape[0]) * rng.uniform(0.3, 1)


def draw_print(text: str, font: Path, height: float) -> tuple[np.ndarray, float]:
    """Printed text -> uint8 (h, w) of ink whose digits are about `height` pixels high, and 0."""
    face = _font(font, max(8, round(height * 1.35)))
    left, top, right, bottom = face.getbbox(text)
    image = Image.new("L", (max(1, int(right - left) + 2), max(1, int(bottom - top) + 2)))
    ImageDraw.Draw(image).text((1 - left, 1 - top), text, fill=255, font=face)
    return np.asarray(image), 0.0


@lru_cache(maxsize=512)
def _font(path: Path, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size)


def slope_ink(layer: np.ndarray, slant: float, slope: float) -> np.ndarray:
    """Slants the layer (pixels to the right per pixel up) and lets its line rise or fall."""
    high, wide = layer.shape
    side, rise = abs(slant) * high, abs(slope) * wide
    size = (int(wide + side) + 1, int(high + rise) + 1)
    coefficients = (1, slant, -side if slant > 0 else 0, slope, 1, 0 if slope < 0 else -rise)
    return np.asarray(
        Image.fromarray(layer).transform(
            size, Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR
        )
    )


def soften_ink(layer: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """float32 0..1: strokes a little thicker or thinner, softer or harder than they were drawn."""
    if rng.random() < 0.4:
        return layer.astype(np.float32) / 255
    blurred = Image.fromarray(layer).filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 1.1)))
    edge, hardness = rng.uniform(0.12, 0.5), rng.uniform(1.3, 3)
    return np.clip((np.asarray(blurred, np.float32) / 255 - edge) * hardness + 0.4, 0, 1)
