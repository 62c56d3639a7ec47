"""Pages with a ruled table of printed numbers, for tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

__all__ = ["MARKS", "draw_table"]

MARKS = (
    ("name", "7", "38"),
    ("name", "4", "265"),
    ("", "", "90"),
    ("name", "5", "16"),
)


def draw_table(
    rows: Sequence[Sequence[str]], *, cell: tuple[int, int] = (140, 70), margin: int = 60
) -> np.ndarray:
    """uint8 (H, W, 3): dark numbers in ruled cells of this width and height, on paper with a margin."""
    wide, high = cell
    size = len(rows[0]) * wide + 2 * margin, len(rows) * high + 2 * margin
    page = Image.new("L", size, 222)
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(size=high * 0.6)
    for k in range(len(rows) + 1):
        draw.line([(margin, margin + k * high), (size[0] - margin, margin + k * high)], fill=110, width=2)
    for k in range(len(rows[0]) + 1):
        draw.line([(margin + k * wide, margin), (margin + k * wide, size[1] - margin)], fill=110, width=2)
    for i, row in enumerate(rows):
        for j, text in enumerate(row):
            middle = margin + (j + 0.5) * wide, margin + (i + 0.5) * high
            draw.text(middle, text, fill=50, font=font, anchor="mm")
    grain = np.random.default_rng(0).normal(0, 2, (size[1], size[0]))
    grey = np.clip(np.asarray(page) + grain, 0, 255).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)
