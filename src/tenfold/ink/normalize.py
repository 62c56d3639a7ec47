"""A picture of one thing -> the grey image of fixed size that a network was trained on."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from tenfold.ink.background import Background, find_background
from tenfold.ink.frame import SIDE, frame_ink
from tenfold.ink.lift import lift_ink
from tenfold.ink.open import open_grey, open_picture, to_grey

__all__ = ["fit_picture", "normalize_ink"]


def fit_picture(picture: Any, image_shape: tuple[int, int], *, background: Background) -> np.ndarray:
    """Any picture -> uint8 (H, W) of the training images' size and polarity.

    A picture of that size already is only turned round. Digits-like ones (light ink on a dark
    ground, 28x28) of another size go through `normalize_ink`; others are resized.
    """
    grey = open_grey(picture)
    if grey.shape != image_shape and background == "dark" and image_shape == (SIDE, SIDE):
        return normalize_ink(picture)
    if background != "any" and find_background(grey[None]) not in (background, "any"):
        grey = 255 - grey
    if grey.shape == image_shape:
        return grey
    resized = Image.fromarray(grey).resize(image_shape[::-1], Image.Resampling.BOX, reducing_gap=None)
    return np.asarray(resized)


def normalize_ink(picture: Any) -> np.ndarray:
    """One digit in a picture of any kind -> uint8 (28, 28), light ink on black; a blank is all black.

    All marks of the picture are taken for that digit: lifted from its paper, framed like MNIST's.
    """
    return frame_ink(lift_ink(to_grey(open_picture(picture).pixels)))
