"""The lines of a picture, each as the boxes that it is to be read in."""

from __future__ import annotations

import numpy as np

from tenfold.pictures.lines import Box, find_ink, find_lines

__all__ = ["find_views", "looks_ruled"]

_WHOLE = 0.4  # of the picture's height: a line as high as that is read in the whole picture, too
_LOW = 100  # pixels: a picture of less height holds one line
_SAMPLED, _RULED = 16, 13  # rows and columns looked at, and of these that rules cross


def looks_ruled(grey: np.ndarray) -> bool:
    """uint8 (H, W) -> whether most rows and most columns cross three things or more, as rules do all over a
    table, and digits only where they stand."""
    ink = find_ink(grey)
    for mask in (ink, ink.T):
        size = len(mask)
        places = np.linspace(size // 10, size - 1 - size // 10, _SAMPLED).astype(int)
        crossed = np.diff(mask[places].view(np.int8), axis=1, prepend=0) == 1
        if int((crossed.sum(axis=1) >= 3).sum()) < _RULED:
            return False
    return True


def find_views(grey: np.ndarray) -> list[list[Box]]:
    """The lines of a picture, each as the boxes that it is to be read in.

    A line that fills much of the picture's height is the only one: what else was found are parts of a frame
    or of a neighbour. It is read in the whole picture, by itself and, where the two differ, with half of the
    margin around it. A low picture holds one line, a picture of dots none.
    """
    height, width = grey.shape
    whole = (0, 0, width, height)
    lines = find_lines(grey)
    if lines is None:
        return []
    tallest = max(lines, key=lambda box: box[3] - box[1], default=whole)
    fills = tallest[3] - tallest[1] >= _WHOLE * height
    if not fills and height >= _LOW:
        return [[line] for line in lines]
    if not fills or tallest == whole:
        return [[whole]]
    x0, y0, x1, y1 = tallest
    return [[whole, tallest, (x0 // 2, y0 // 2, (x1 + width) // 2, (y1 + height) // 2)]]
