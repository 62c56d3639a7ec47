"""Text -> a layer of ink: glyphs of one hand set side by side, as a pen or a printer would leave them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from tenfold.synthesis.paper import STYLES, polyline, sign_strokes
from tenfold.synthesis.sources import Glyph, Hand, Strokes

_FINE = 3  # strokes are drawn this many times larger, and averaged
_SLASHED = 0.05  # share of zeros
_CROSSED = 0.12  # share of sevens that are crossed
_STYLED = {"0": 0.12, "1": 0.35, "5": 0.2, "9": 0.3}  # shares that are drawn by rule, in other styles
_LINKED = 0.4  # share of rows of zeros that are written in one go
_JOINED = 0.12  # share of lines in which neighbours are joined by a stroke
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
    gap = rng.uniform(0.3, 0.9) if rng.random() < 0.1 else float(np.clip(rng.normal(0.06, 0.14), -0.22, 0.5))
    slant, stretch = rng.normal(0.06, 0.19), float(np.exp(rng.normal(0, 0.15)))
    return Pen(width, slant, stretch, gap, rng.uniform(0.01, 0.09))


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
    # four parts, each from a quadrilateral of the source whose corners have moved a little
    grid = np.stack(np.meshgrid([0, 0.5, 1], [0, 0.5, 1]), axis=-1) + rng.normal(0, 0.04, (3, 3, 2))
    grid *= image.size
    x, y = (0, wide // 2, wide), (0, high // 2, high)
    mesh = []
    for i, j in np.ndindex(2, 2):
        corners = (*grid[i, j], *grid[i + 1, j], *grid[i + 1, j + 1], *grid[i, j + 1])
        mesh.append(((x[j], y[i], x[j + 1], y[i + 1]), corners))
    moved = image.transform((wide, high), Image.Transform.MESH, mesh, Image.Resampling.BILINEAR)
    return np.asarray(moved)


def _draw_strokes(strokes: Strokes, height: float, pen: Pen, rng: np.random.Generator) -> np.ndarray:
    points = np.concatenate(strokes)
    low, span = points.min(axis=0), np.ptp(points, axis=0)
    ratio = height / max(float(span[1]), 0.5 * float(span[0]), 1e-6)
    turn = rng.normal(0, 0.05)
    change = np.array([[pen.stretch * rng.uniform(0.9, 1.1), rng.normal(0, 0.05)], [turn, 1]]) * ratio
    shaped = [(stroke - low) @ change.T + rng.normal(0, 0.008 * height, stroke.shape) for stroke in strokes]
    # bent by two smooth waves over the glyph, as another hand would write it
    far = rng.normal(0, 0.03 * height, (2, 2))
    waves, phases = rng.normal(0, 3 / height, (2, 2)), rng.uniform(0, 2 * np.pi, 2)
    shaped = [stroke + np.sin(stroke @ waves + phases) @ far for stroke in shaped]
    return _ink_strokes(shaped, max(1.0, pen.width * height), _WIDEST_GLYPH * height + 8)


def _ink_strokes(strokes: Sequence[np.ndarray], width: float, most: float) -> np.ndarray:
    """Strokes in pixels -> uint8 (h, w) that holds them, round pens of this width."""
    points = np.concatenate(strokes)
    margin = width / 2 + 1
    low = points.min(axis=0) - margin
    wide, high = np.minimum(np.ptp(points, axis=0) + 2 * margin, most).astype(int) + 1
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
    place, x, drift = 0, 0.0, rng.normal(0, 0.02)
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
            glyph = STYLES[char](rng) if styled else choices[rng.integers(len(choices))]
            ink = draw_glyph(glyph, high, pen, rng)
            if char == "0" and rng.random() < _SLASHED:
                ink = _slash_through(ink, pen, rng)
            if char == "7" and rng.random() < _CROSSED:
                ink = _cross(ink, pen, rng)
            top, advance = (height - ink.shape[0]) * rng.uniform(0.3, 0.8), 0.0
        else:
            ink, top, advance = _draw_sign(char, height, pen, rng, last=place == len(text) - 1)
        placed.append((ink, x + advance, top + drift * x + rng.normal(0, 0.03) * height))
        x += ink.shape[1] + 2 * advance + height * (pen.gap + rng.normal(0, pen.gap_spread))
        place += 1
    if rng.random() < _JOINED:
        placed += _joins(placed, height, pen, rng)
    return _lay(placed)


def _joins(
    placed: Sequence[tuple[np.ndarray, float, float]], height: float, pen: Pen, rng: np.random.Generator
) -> list[tuple[np.ndarray, float, float]]:
    """Strokes from one glyph's right side to the next one's left side, where the pen was not lifted."""
    joins = []
    for left, right in pairwise(placed):
        if rng.random() < 0.5 and min(left[0].shape[0], right[0].shape[0]) > 0.5 * height:
            start, end = _side(left, -1, rng), _side(right, 0, rng)
            line = polyline(*start, *((start + end) / 2 + rng.normal(0, 0.06 * height, 2)), *end)
            ink = _ink_strokes([line], max(1.0, pen.width * height * rng.uniform(0.6, 1)), 2 * height)
            x, y = line.min(axis=0) - max(1.0, pen.width * height) / 2 - 1
            joins.append((ink, x, y))
    return joins


def _side(placed: tuple[np.ndarray, float, float], end: int, rng: np.random.Generator) -> np.ndarray:
    """A place (x, y) on the right (-1) or left (0) outline of a glyph."""
    ink, x, y = placed
    rows = np.flatnonzero((ink > 128).any(axis=1))
    if not len(rows):
        return np.array([x, y])
    row = rows[rng.integers(len(rows))]
    return np.array([x + np.flatnonzero(ink[row] > 128)[end], y + row])


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
    margin = int(0.25 * max(high, wide))
    image = Image.fromarray(np.pad(ink, margin))
    low, side = rng.uniform(-0.2, 0.3) * high, rng.uniform(-0.25, 0.2) * wide
    ends = [margin + side, margin + high - low, margin + wide - side, margin + low]
    ImageDraw.Draw(image).line(ends, fill=255, width=max(1, round(pen.width * high)))
    return np.asarray(image)


def _cross(ink: np.ndarray, pen: Pen, rng: np.random.Generator) -> np.ndarray:
    """A seven with a bar through its stem."""
    high, wide = ink.shape
    margin = int(0.2 * wide) + 2
    image = Image.fromarray(np.pad(ink, ((0, 0), (margin, margin))))
    y, middle = high * rng.uniform(0.4, 0.65), wide * rng.uniform(0.4, 0.6)
    half = wide * rng.uniform(0.25, 0.5)
    ends = [margin + middle - half, y, margin + middle + half, y - high * rng.uniform(-0.05, 0.15)]
    ImageDraw.Draw(image).line(ends, fill=255, width=max(1, round(pen.width * high)))
    return np.asarray(image)


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
    """Ink of a sign, its top below the digits' top, and margin on its sides, in pixels."""
    size = height * rng.uniform(0.35, 0.65)
    if char == "-" and last and rng.random() < 0.5:
        size = height * rng.uniform(0.6, 2.2)
    strokes, middle = sign_strokes(char, rng)
    scale, noise = np.array([size, height]), 0.015 * height
    shaped = [stroke * scale + rng.normal(0, noise, stroke.shape) for stroke in strokes]
    width = max(1.0, pen.width * height * rng.uniform(0.9, 1.5 if char in ".:÷" else 1.1))
    ink = _ink_strokes(shaped, width, 3 * height)
    top = height * middle - ink.shape[0] / 2 + rng.normal(0, 0.04) * height
    return ink, top, height * rng.uniform(0, 0.14)


def _linked_zeros(count: int, height: float, pen: Pen, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Zeros in one go, each left at its top for the next, as on cheques."""
    angles = np.linspace(0, 2 * np.pi, 14)
    high, wide = height * rng.uniform(0.55, 1), height * rng.uniform(0.45, 0.9)
    apart, loop = wide * rng.uniform(0.95, 1.5), rng.uniform(0.05, 0.2) * height
    line = []
    for number in range(count):
        centre = np.array([number * apart, high / 2])
        zero = np.stack([-np.sin(angles) * wide / 2, -np.cos(angles) * high / 2], axis=1)
        line.append(centre + zero * rng.uniform(0.85, 1.05))
        if number < count - 1:
            line.append(np.array([[number * apart + apart * 0.5, loop * rng.uniform(-0.5, 1)]]))
    shaken = np.concatenate(line) + rng.normal(0, 0.01 * height, (sum(map(len, line)), 2))
    ink = _ink_strokes([shaken], max(1.0, pen.width * height), 40 * height)
    return ink, (height - ink.shape[0]) * rng.uniform(0.3, 1)


def draw_print(text: str, font: Path, height: float) -> np.ndarray:
    """Printed text -> uint8 (h, w) of ink whose digits are about `height` pixels high."""
    face = _font(font, max(8, round(height * 1.35)))
    left, top, right, bottom = face.getbbox(text)
    image = Image.new("L", (max(1, int(right - left) + 2), max(1, int(bottom - top) + 2)))
    ImageDraw.Draw(image).text((1 - left, 1 - top), text, fill=255, font=face)
    return np.asarray(image)


@lru_cache(maxsize=512)
def _font(path: Path, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size)


def slope_ink(layer: np.ndarray, slant: float, slope: float) -> np.ndarray:
    """Slants the layer (pixels to the right per pixel up) and lets its line rise or fall."""
    high, wide = layer.shape
    side, rise = abs(slant) * high, abs(slope) * wide
    size = (int(wide + side) + 1, int(high + rise) + 1)
    coefficients = (1, slant, -side if slant > 0 else 0, slope, 1, 0 if slope < 0 else -rise)
    image = Image.fromarray(layer)
    return np.asarray(image.transform(size, Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR))


def soften_ink(layer: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """float32 0..1: strokes a little thicker or thinner, softer or harder than they were drawn."""
    if rng.random() < 0.4:
        return layer.astype(np.float32) / 255
    blurred = Image.fromarray(layer).filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 1.1)))
    edge, hardness = rng.uniform(0.12, 0.5), rng.uniform(1.3, 3)
    return np.clip((np.asarray(blurred, np.float32) / 255 - edge) * hardness + 0.4, 0, 1)
