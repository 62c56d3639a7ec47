"""The map of an explanation, drawn over the ink: orange supports it, blue contradicts it.

Readers who confuse red with green, or blue with yellow, tell the two apart as well.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

__all__ = ["AGAINST", "FOR", "lay_over"]

FOR, AGAINST = (255, 106, 19), (64, 150, 255)
_FAINT = 0.25  # of the colour, where there is no ink


def lay_over(
    image: np.ndarray, values: np.ndarray, side: int, *, least: float = 0.0, everywhere: bool = False
) -> Image.Image:
    """uint8 (H, W), light ink on black, and its map (H, W) -> RGB, its longer side `side` pixels.

    The strongest value has the full colour, and no value below `least` has. everywhere: paper is
    coloured as fully as ink is.
    """
    largest = max(float(np.abs(values).max(initial=0)), least) or 1.0
    share = np.clip(values / largest, -1, 1).astype(np.float32)
    height, width = image.shape
    size = (round(side * width / max(image.shape)), round(side * height / max(image.shape)))
    smooth = Image.fromarray(share).resize(size, Image.Resampling.BICUBIC)
    strength = np.clip(np.asarray(smooth), -1, 1)[..., None]
    ink = Image.fromarray(image).resize(size, Image.Resampling.NEAREST)
    grey = np.asarray(ink, np.float32)[..., None] / 255
    colour = np.where(strength > 0, FOR, AGAINST).astype(np.float32)
    cover = np.abs(strength) ** 0.7 * (1 if everywhere else _FAINT + (1 - _FAINT) * grey)
    mixed = (16 + 150 * grey) * (1 - cover) + colour * cover
    return Image.fromarray(np.clip(mixed, 0, 255).astype(np.uint8))
