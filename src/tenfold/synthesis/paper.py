"""What lies around the ink, and what a camera or scanner makes of it: float32 grey pictures, 0..1."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from tenfold.synthesis.sources import Strokes

_FLAT = 0.25  # share of papers of one level: drawings on a screen, scans with the ground removed


def _resize(grey: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BICUBIC))


def _smooth(rng: np.random.Generator, shape: tuple[int, int], grain: float) -> np.ndarray:
    """float32 of about unit deviation, that changes over `grain` pixels."""
    coarse = rng.standard_normal((int(shape[0] / grain) + 2, int(shape[1] / grain) + 2), dtype=np.float32)
    return _resize(coarse, (shape[1], shape[0]))


def make_paper(shape: tuple[int, int], papers: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """float32 (H, W) 0..1: flat, textured, ruled or printed with a pattern, unevenly lit."""
    level = 1 - abs(rng.normal(0, 0.25)) if rng.random() < 0.6 else rng.uniform(0.35, 1)
    paper = np.full(shape, max(0.3, level), np.float32)
    if rng.random() < _FLAT:
        return paper
    if papers and rng.random() < 0.4:
        paper *= _cut_texture(papers[int(rng.integers(len(papers)))], shape, rng)
    if rng.random() < 0.5:
        paper += _smooth(rng, shape, rng.uniform(15, 60)) * rng.uniform(0, 0.07)
    if rng.random() < 0.5:
        paper += _smooth(rng, shape, rng.uniform(1.5, 6)) * rng.uniform(0, 0.05)
    if rng.random() < 0.33:
        paper *= _guilloche(shape, rng)
    return paper


def _cut_texture(texture: np.ndarray, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A place of a texture, about 1 on average."""
    height, width = texture.shape
    zoom = rng.uniform(0.6, 1.8)
    high, wide = min(height, max(4, int(shape[0] / zoom))), min(width, max(4, int(shape[1] / zoom)))
    top, left = rng.integers(height - high + 1), rng.integers(width - wide + 1)
    cut = texture[top : top + high, left : left + wide]
    if rng.random() < 0.5:
        cut = cut[:, ::-1]
    piece = _resize(np.ascontiguousarray(cut), (shape[1], shape[0])).astype(np.float32) / 255
    return 1 + (piece / max(0.1, float(np.median(piece))) - 1) * rng.uniform(0.5, 1.3)


def _guilloche(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Fine printed waves, as on cheques, tickets and notes: a factor 0..1."""
    y, x = np.arange(shape[0], dtype=np.float32)[:, None], np.arange(shape[1], dtype=np.float32)
    dark = np.zeros(shape, np.float32)
    for _ in range(rng.integers(1, 4)):
        turn, pitch = rng.uniform(0, np.pi), rng.uniform(0.25, 1.6)
        along, across = np.cos(turn) * x + np.sin(turn) * y, np.sin(turn) * x - np.cos(turn) * y
        wave = along + rng.uniform(0, 5) * np.sin(across * rng.uniform(0.03, 0.4) + rng.uniform(0, 6))
        power = int(rng.integers(1, 9))
        dark += rng.uniform(0.02, 0.17) * np.maximum(0, np.cos(wave * pitch)) ** power
    return 1 - dark


def draw_rules(picture: np.ndarray, rng: np.random.Generator, *, boxes: float = 0.06) -> np.ndarray:
    """Rules, frames, box lines and stray corners of a form over a picture float32 (H, W)."""
    height, width = picture.shape
    image = Image.new("L", (width, height))
    draw = ImageDraw.Draw(image)
    if rng.random() < 0.3:
        for _ in range(rng.integers(1, 3)):
            y = rng.uniform(0.02, 0.98) * height
            draw.line([0, y, width, y + rng.normal(0, 2)], fill=255, width=int(rng.integers(1, 3)))
    if rng.random() < 0.3:
        _draw_frame(draw, width, height, rng)
    if rng.random() < boxes:  # of a form, or a grid
        pitch, start = rng.uniform(0.5, 1.3) * height, rng.uniform(0, height)
        for x in np.arange(start, width, pitch):
            draw.line([x, 0, x, height], fill=255, width=int(rng.integers(1, 3)))
    if not np.asarray(image).any():
        return picture
    if rng.random() < 0.5:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1)))
    lines = np.asarray(image, np.float32) / 255
    dark = rng.uniform(0.1, 0.95) if rng.random() < 0.5 else rng.uniform(0.1, 0.4)
    return picture * (1 - lines * dark)


def _draw_frame(draw: ImageDraw.ImageDraw, width: int, height: int, rng: np.random.Generator) -> None:
    """Edges of a cell, each there or not, whole or broken; sometimes thick as a scan's black margin."""
    thick = int(rng.integers(3, 8)) if rng.random() < 0.15 else int(rng.integers(1, 4))
    lean = rng.normal(0, 1.5, 4)
    for side in range(4):
        if rng.random() < 0.45:
            continue
        inset = abs(rng.normal(0, 0.06)) * (height if side < 2 else min(width, 2 * height))
        start, end = (0.0, 1.0) if rng.random() < 0.7 else np.sort(rng.random(2))
        if side < 2:
            y = inset if side == 0 else height - 1 - inset
            draw.line([start * width, y, end * width, y + lean[side]], fill=255, width=thick)
        else:
            x = inset if side == 2 else width - 1 - inset
            draw.line([x, start * height, x + lean[side], end * height], fill=255, width=thick)


def photograph(picture: np.ndarray, rng: np.random.Generator, *, clean: bool = False) -> np.ndarray:
    """float32 (H, W) -> uint8 (H, W): uneven light, blur, few pixels, grain, JPEG, or black and white.
    clean: a drawing on a screen, which has none of these."""
    if clean:
        return _bytes(1 - picture if rng.random() < 0.3 else picture)
    if rng.random() < 0.3:
        picture = picture * _light(picture.shape, rng)
    image = Image.fromarray(_bytes(picture))
    if rng.random() < 0.5:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.3)))
    if rng.random() < 0.3:
        ratio = rng.uniform(0.4, 0.9)
        small = (max(6, round(image.width * ratio)), max(6, round(image.height * ratio)))
        image = image.resize(small, Image.Resampling.BOX).resize(image.size, Image.Resampling.BILINEAR)
    grey = np.asarray(image)
    if rng.random() < 0.5:
        noise = rng.standard_normal(grey.shape, dtype=np.float32) * rng.uniform(0, 12)
        grey = np.clip(grey + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.25:
        grey = np.asarray(compress(Image.fromarray(grey), int(rng.integers(25, 90))))
    if rng.random() < 0.06:
        grey = np.where(grey > np.quantile(grey, 0.5) * rng.uniform(0.55, 0.85), 255, 0).astype(np.uint8)
    return 255 - grey if rng.random() < 0.08 else grey


def _bytes(picture: np.ndarray) -> np.ndarray:
    return (np.clip(picture, 0, 1) * 255).astype(np.uint8)


def _light(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A gradient, and sometimes the edge of a shadow: factors up to 1."""
    y, x = (np.linspace(-1, 1, size, dtype=np.float32) for size in shape)
    turn = rng.uniform(0, 2 * np.pi)
    along = np.cos(turn) * x + np.sin(turn) * y[:, None]
    light = 1 - rng.uniform(0, 0.25) * (1 + along) / 2
    if rng.random() < 0.4:
        edge = np.clip((along - rng.uniform(-1, 1)) * rng.uniform(1, 12), 0, 1)
        light = light * (1 - rng.uniform(0.1, 0.5) * edge)
    return light


def compress(image: Image.Image, quality: int) -> Image.Image:
    """The picture after a round trip through JPEG."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return Image.open(stream)


# Digits in other styles and signs, drawn by rule: strokes float (P, 2) about one unit high, x and y down.


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


def sign_strokes(sign: str, rng: np.random.Generator) -> tuple[list[np.ndarray], float]:
    """Strokes of a sign, and how far below the digits' top their middle is."""
    near, draw = rng.normal, rng.uniform
    match sign:
        case ".":
            dot = polyline(0, 0, *near(0, 0.03, 2))
            return [dot], draw(0.8, 1.05) if rng.random() < 0.85 else draw(0.45, 0.8)
        case ",":
            long, lean = draw(0.12, 0.4), draw(-0.1, 0.35)
            return [polyline(lean, 0, lean + draw(0, 0.08), long / 3, 0, long)], draw(0.92, 1.12)
        case "-":
            left, right = near(0, 0.04, 2)
            return [polyline(0, left, 0.5, 0, 1, right)], draw(0.35, 0.75)
        case "/":
            return [polyline(draw(0.3, 1.1), 0, draw(-0.1, 0.1), draw(0.95, 1.3))], draw(0.45, 0.6)
        case ":":
            apart, upper = draw(0.3, 0.6), polyline(0, 0, *near(0, 0.02, 2))
            return [upper, polyline(0, apart, *(np.array([0, apart]) + near(0, 0.02, 2)))], 0.6
        case "+":
            half, across = draw(0.2, 0.32), polyline(0, 0, 1, near(0, 0.05))
            return [across, polyline(0.5, -half, 0.5 + near(0, 0.05), half)], draw(0.45, 0.6)
        case "×":
            half = draw(0.18, 0.32)
            return [polyline(0, -half, 1, half), polyline(1, -half, near(0, 0.05), half)], draw(0.5, 0.65)
        case "÷":
            half, (x, y, u, v) = draw(0.18, 0.3), near(0, 0.02, 4)
            dots = [polyline(0.5, -half, 0.5 + x, -half + y), polyline(0.5, half, 0.5 + u, half + v)]
            return [polyline(0, 0, 1, near(0, 0.04)), *dots], draw(0.45, 0.6)
        case _:  # "="
            apart, (end, start, turn) = draw(0.1, 0.28), near(0, 0.06, 3)
            lower = polyline(start, apart, 1 + turn, apart + end)
            return [polyline(0, 0, 1, end), lower], draw(0.4, 0.75)
