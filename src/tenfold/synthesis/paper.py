"""What lies around the ink, and what a camera or scanner makes of it: float32 grey pictures, 0..1."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

__all__ = ["draw_rules", "make_paper", "photograph"]

_FLAT = 0.25  # share of papers of one level: drawings on a screen, scans with the ground removed


def _unit(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32) / 255


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
    piece = _unit(_resize(np.ascontiguousarray(cut), (shape[1], shape[0])))
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


def draw_rules(
    picture: np.ndarray,
    rng: np.random.Generator,
    *,
    frame: float = 0.3,
    ruled: float = 0.3,
    boxes: float = 0.06,
) -> np.ndarray:
    """Rules, frames, box lines and stray corners of a form over a picture float32 (H, W)."""
    height, width = picture.shape
    image = Image.new("L", (width, height))
    draw = ImageDraw.Draw(image)
    if rng.random() < ruled:
        for _ in range(rng.integers(1, 3)):
            y = rng.uniform(0.02, 0.98) * height
            draw.line([0, y, width, y + rng.normal(0, 2)], fill=255, width=int(rng.integers(1, 3)))
    if rng.random() < frame:
        _draw_frame(draw, width, height, rng)
    if rng.random() < boxes:  # of a form, or a grid
        pitch, start = rng.uniform(0.5, 1.3) * height, rng.uniform(0, height)
        for x in np.arange(start, width, pitch):
            draw.line([x, 0, x, height], fill=255, width=int(rng.integers(1, 3)))
    lines = _unit(np.asarray(image))
    if not lines.any():
        return picture
    if rng.random() < 0.5:
        lines = _unit(np.asarray(image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1)))))
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
        picture = 1 - picture if rng.random() < 0.3 else picture
        return _bytes(picture)
    if rng.random() < 0.3:
        picture = picture * _light(picture.shape, rng)
    image = Image.fromarray(_bytes(picture))
    if rng.random() < 0.5:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.3)))
    if rng.random() < 0.3:
        image = _coarsen(image, rng.uniform(0.4, 0.9))
    grey = np.asarray(image)
    if rng.random() < 0.5:
        noise = rng.standard_normal(grey.shape, dtype=np.float32) * rng.uniform(0, 12)
        grey = np.clip(grey + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.25:
        grey = _compress(grey, int(rng.integers(25, 90)))
    if rng.random() < 0.06:
        grey = np.where(grey > np.quantile(grey, 0.5) * rng.uniform(0.55, 0.85), 255, 0).astype(np.uint8)
    return 255 - grey if rng.random() < 0.08 else grey


def _bytes(picture: np.ndarray) -> np.ndarray:
    return (np.clip(picture, 0, 1) * 255).astype(np.uint8)


def _light(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A gradient, and sometimes the edge of a shadow: factors up to 1."""
    y, x = (
        np.linspace(-1, 1, shape[0], dtype=np.float32)[:, None],
        np.linspace(-1, 1, shape[1], dtype=np.float32),
    )
    turn = rng.uniform(0, 2 * np.pi)
    along = np.cos(turn) * x + np.sin(turn) * y
    light = 1 - rng.uniform(0, 0.25) * (1 + along) / 2
    if rng.random() < 0.4:
        edge = np.clip((along - rng.uniform(-1, 1)) * rng.uniform(1, 12), 0, 1)
        light = light * (1 - rng.uniform(0.1, 0.5) * edge)
    return light


def _coarsen(image: Image.Image, ratio: float) -> Image.Image:
    small = (max(6, round(image.width * ratio)), max(6, round(image.height * ratio)))
    return image.resize(small, Image.Resampling.BOX).resize(image.size, Image.Resampling.BILINEAR)


def _compress(grey: np.ndarray, quality: int) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(grey).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))
