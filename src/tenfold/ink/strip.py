"""A grey picture of one line -> the strip that the line reader takes: 32 pixels high, of one contrast.

The one preprocessing of the reader: its training, Python, the server and the browser (`js/ink/strip.js`)
do the same arithmetic on whole numbers, so that all see the same strip.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

__all__ = ["COLUMN", "HEIGHT", "MARGIN", "PAPER", "WIDEST", "make_strip"]

HEIGHT = 32  # pixels
COLUMN = 8  # pixels: the width of a strip is a multiple of it
PAPER = 128  # its grey level in a strip
MARGIN = 8  # pixels of paper at either side
WIDEST = 1024  # pixels: a wider line is squeezed
_NARROWEST = 16  # pixels
_SPAN = 63  # levels from the paper to its 98th percentile of departure
_FLOOR = 5  # levels: a paler departure than this is not raised to full contrast


def make_strip(grey: np.ndarray) -> np.ndarray:
    """uint8 (h, w) -> uint8 (32, W), W a multiple of 8.

    The picture is resized with its aspect kept (Pillow's bilinear filter, which averages where it makes
    smaller), then v becomes 128 + 63 (v - m) / (s + 5), with m the median and s the 98th percentile of
    |v - m|, cut to 0..255. Paper (128) stands at both sides: 8 pixels on the left, 8 to 15 on the right.
    """
    height, width = grey.shape
    wide = int(np.clip((width * HEIGHT * 2 + height) // (2 * height), _NARROWEST, WIDEST))
    image = Image.fromarray(np.ascontiguousarray(grey))
    for size in ((wide, height), (wide, HEIGHT)):  # which axis is first is not left to Pillow's version
        image = image.resize(size, Image.Resampling.BILINEAR)
    levels = np.asarray(image).astype(np.int32)
    levels -= _rank(np.bincount(levels.ravel(), minlength=256), levels.size // 2)
    span = _rank(np.bincount(np.abs(levels).ravel(), minlength=256), levels.size * 98 // 100) + _FLOOR
    strip = np.full((HEIGHT, -(-wide // COLUMN) * COLUMN + 2 * MARGIN), PAPER, np.uint8)
    strip[:, MARGIN : MARGIN + wide] = np.clip(PAPER + (2 * _SPAN * levels + span) // (2 * span), 0, 255)
    return strip


def _rank(counts: np.ndarray, rank: int) -> int:
    """The value at this place, counted from 0, of the sorted values that `counts` counts."""
    return int(np.searchsorted(np.cumsum(counts), rank, side="right"))
