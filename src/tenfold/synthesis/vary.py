"""Strips as a batch takes them: each changed a little, anew every time that it is learned from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from tenfold.ink.strip import COLUMN, HEIGHT, PAPER

__all__ = ["bend", "vary"]


def vary(strips: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Strips uint8 (32, W) -> uint8 (N, 32, W): side by side in frames of one width, moved, with another
    contrast and grain."""
    count, widest = len(strips), max(strip.shape[1] for strip in strips) + COLUMN
    images = np.full((count, HEIGHT, widest), PAPER, np.float32)
    for image, strip, down in zip(images, strips, rng.integers(-2, 3, count), strict=True):
        left = rng.integers(0, widest - strip.shape[1] + 1)
        target = image[max(0, down) : HEIGHT + min(0, down), left : left + strip.shape[1]]
        target[:] = strip[max(0, -down) : HEIGHT - max(0, down)]
    images -= PAPER
    images *= rng.uniform(0.75, 1.2, (count, 1, 1)).astype(np.float32)
    images[rng.random(count) < 0.05] *= -1
    noisy = np.flatnonzero(rng.random(count) < 0.2)
    images[noisy] += rng.standard_normal((len(noisy), HEIGHT, widest), dtype=np.float32) * rng.uniform(0, 14)
    return np.clip(np.rint(images) + PAPER, 0, 255).astype(np.uint8)


def bend(strip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """uint8 (32, W) -> uint8 (32, W'): a little wider or narrower, higher or lower, and slanted."""
    stretch, height = np.exp(rng.normal(0, (0.06, 0.04)))
    slant = rng.normal(0, 0.06)
    wide = -(-round(strip.shape[1] * float(stretch)) // COLUMN) * COLUMN
    middle = HEIGHT / 2
    change = (1 / stretch, slant, -slant * middle, 0, 1 / height, middle - middle / height)
    image = Image.fromarray(strip).transform(
        (wide, HEIGHT), Image.Transform.AFFINE, change, Image.Resampling.BILINEAR, fillcolor=PAPER
    )
    return np.asarray(image)
