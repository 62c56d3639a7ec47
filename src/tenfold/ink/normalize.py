"""Any picture -> the grey image of fixed size that a network was trained on.

`fit_picture` serves every classifier of small images: it opens, turns the polarity round where
needed, and resizes. `normalize_ink` does what MNIST's makers did to a digit (LeCun et al. 1998):
aspect kept into 20x20, then the centre of mass to the centre of 28x28.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from PIL import Image

from tenfold.ink.open import open_grey

__all__ = ["Background", "find_background", "fit_picture", "normalize_ink"]

Background = Literal["dark", "light", "any"]

_BOX, _SIDE = 20, 28  # pixels: MNIST's box for the digit, and its picture
_INK = 0.2  # ink fainter than this share of the darkest is taken for paper


def find_background(images: np.ndarray) -> Background:
    """What lies around the ink of uint8 (N, H, W): decided when nine images of ten agree."""
    dark = float(np.mean(_border_medians(images) < 128))
    return "dark" if dark >= 0.9 else "light" if dark <= 0.1 else "any"


def _border_medians(images: np.ndarray) -> np.ndarray:
    border = [images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]]
    return np.median(np.concatenate(border, axis=1), axis=1)


def fit_picture(picture: Any, image_shape: tuple[int, int], *, background: Background) -> np.ndarray:
    """Any picture -> uint8 (H, W) of the training images' size and polarity.

    A picture of that size already is only turned round. Digits-like ones (light ink on a dark
    ground, 28x28) of another size go through `normalize_ink`; others are resized.
    """
    grey = open_grey(picture)
    if background != "any" and find_background(grey[None]) not in (background, "any"):
        grey = 255 - grey
    if grey.shape == image_shape:
        return grey
    if background == "dark" and image_shape == (_SIDE, _SIDE):
        return normalize_ink(grey)
    resized = Image.fromarray(grey).resize(image_shape[::-1], Image.Resampling.BOX, reducing_gap=None)
    return np.asarray(resized)


def normalize_ink(picture: Any) -> np.ndarray:
    """One digit in a picture of any size and polarity -> uint8 (28, 28), white ink on black."""
    grey = open_grey(picture)
    if _border_medians(grey[None])[0] >= 128:
        grey = 255 - grey
    ink = grey.astype(np.float32) - np.median(_border_pixels(grey))
    ink = np.clip(ink / max(float(ink.max()), 1.0), 0, 1)
    rows, columns = np.nonzero(ink > _INK)
    if not len(rows):
        return np.zeros((_SIDE, _SIDE), dtype=np.uint8)
    cut = ink[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    return _centre(_into_box(cut))


def _border_pixels(grey: np.ndarray) -> np.ndarray:
    return np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])


def _into_box(ink: np.ndarray) -> np.ndarray:
    """Resized, anti-aliased, so that its longer side is 20 pixels."""
    height, width = ink.shape
    ratio = _BOX / max(height, width)
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    return np.asarray(Image.fromarray(ink).resize(size, Image.Resampling.LANCZOS))


def _centre(ink: np.ndarray) -> np.ndarray:
    """Laid into 28x28 with its centre of mass at the centre."""
    canvas = np.zeros((_SIDE, _SIDE), dtype=np.float32)
    top, left = (_SIDE - ink.shape[0]) // 2, (_SIDE - ink.shape[1]) // 2
    canvas[top : top + ink.shape[0], left : left + ink.shape[1]] = np.clip(ink, 0, 1)
    mass = canvas.sum()
    grid = np.arange(_SIDE)
    offset = [
        _SIDE / 2 - float((canvas.sum(axis=1) * (grid + 0.5)).sum() / mass),
        _SIDE / 2 - float((canvas.sum(axis=0) * (grid + 0.5)).sum() / mass),
    ]
    from scipy.ndimage import shift

    moved = shift(canvas, np.rint(offset), order=0)
    return np.rint(moved / max(float(moved.max()), 1e-6) * 255).astype(np.uint8)
