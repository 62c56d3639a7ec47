"""Bars and numbers as lines of text, and the pictures for them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

__all__ = ["bar", "number_lines", "shrink", "skyline", "stretch"]

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_STEPS = " ▁▂▃▄▅▆▇█"


def shrink(image: np.ndarray, side: int) -> np.ndarray:
    """uint8 (H, W) -> at most `side` pixels high and wide, each the mean of what it covers."""
    factor = max(*image.shape, side) / side
    size = [max(1, round(length / factor)) for length in image.shape]
    if size == list(image.shape):
        return image
    return np.asarray(Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.BOX))


def stretch(values: np.ndarray) -> np.ndarray:
    """float (H, W) of 0 and more -> uint8, the largest 255."""
    return np.rint(values * (255 / max(float(values.max()), 1e-9))).astype(np.uint8)


def bar(share: float, width: int) -> str:
    """A bar of share * width characters, to an eighth of one; at least an eighth where there is anything."""
    eighths = max(round(share * width * 8), share > 0)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def skyline(values: np.ndarray, columns: int) -> str:
    """One line of columns, their heights the logarithms of values (N,) summed to `columns` numbers."""
    sums = np.add.reduceat(values, np.arange(columns) * len(values) // columns)
    heights = np.log1p(sums) / np.log1p(max(int(sums.max()), 1))
    return "".join(_STEPS[int(np.ceil(8 * height))] for height in heights)


def number_lines(image: np.ndarray, width: int) -> list[str]:
    """uint8 (H, W) -> its pixels as numbers, rows and columns numbered, 0 as a dot so that the shape shows.

    Where a row does not fit into `width` characters it goes on below: in as many tables as are needed.
    """
    cell, margin = 4, len(str(len(image) - 1)) + 1
    fit = max(1, (width - margin) // cell)
    lines: list[str] = []
    for left in range(0, image.shape[1], fit):
        part = image[:, left : left + fit]
        lines += [""] * bool(lines)
        lines.append(" " * margin + _cells(range(left, left + part.shape[1])))
        for number, row in enumerate(part.tolist()):
            lines.append(f"{number:>{margin - 1}} " + _cells([value or "·" for value in row]))
    return lines


def _cells(values: Sequence[object] | range) -> str:
    return "".join(f"{value:>4}" for value in values)
