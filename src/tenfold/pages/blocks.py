"""Pictures as lines of text for a terminal: half blocks, two pixels per character."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from rich.text import Text

__all__ = ["colour_blocks", "half_blocks"]

_HALVES = " ▀▄█"  # upper half lit: 1, lower half lit: 2


def half_blocks(image: np.ndarray, *, grey: bool) -> list[Text]:
    """uint8 (H, W) -> ceil(H / 2) lines of W characters.

    grey: each half in its own grey, for terminals with enough colours. Otherwise a half is lit that is
    brighter than the middle between the picture's darkest and its brightest pixel.
    """
    from rich.text import Text

    padded = np.pad(image, ((0, len(image) % 2), (0, 0)), constant_values=image.min(initial=255))
    if grey:
        return colour_blocks(np.repeat(padded[..., None], 3, axis=2))
    middle = (int(image.min()) + int(image.max())) / 2
    lit = (padded[::2] > middle) + 2 * (padded[1::2] > middle)
    return [Text("".join(_HALVES[value] for value in line)) for line in lit.tolist()]


def colour_blocks(pixels: np.ndarray) -> list[Text]:
    """uint8 RGB (H, W, 3) -> ceil(H / 2) lines of W characters, each half in its own colour; black below."""
    from rich.text import Text

    lines = []
    padded = np.pad(pixels, ((0, len(pixels) % 2), (0, 0), (0, 0)))
    for upper, lower in zip(padded[::2].tolist(), padded[1::2].tolist(), strict=True):
        line = Text()
        for top, bottom in zip(upper, lower, strict=True):
            line.append("▀", style=f"rgb({_rgb(top)}) on rgb({_rgb(bottom)})")
        lines.append(line)
    return lines


def _rgb(colour: list[int]) -> str:
    return ",".join(map(str, colour))
