"""Ink from paper or canvas: any polarity and colour, under even or uneven light.

The paper is found first: where one colour covers most of the border or of the picture (a drawing on a
screen) it is that colour, else (a photo) see `uneven`. Ink is then what departs from the paper towards
the ink's own colour, 0 for paper and 1 for full ink.
"""

from __future__ import annotations

import numpy as np

from tenfold.ink.strength import Ink, along_ink_colour, planes

__all__ = ["lift_ink"]

_FLAT = 0.5  # share of the border, or of the picture, that one colour must cover
_FLAT_SMALL = 0.3  # in a picture so small that strokes take much of it
_SMALL = 64  # pixels: the longer side of such a picture
_SAMPLE = 30_000  # pixels of a picture that are looked at for its paper's colour
_SAME = 2.0  # levels of 0..255: colours this near are one; the grain of a photo goes farther


def lift_ink(pixels: np.ndarray) -> Ink:
    """uint8 (H, W, 3) -> its ink."""
    paper = _find_flat_paper(pixels)
    if paper is not None:
        return _lift_from_flat(pixels, paper)
    from tenfold.ink.uneven import lift_from_uneven  # SciPy, which a drawing need not wait for

    return lift_from_uneven(pixels)


def _find_flat_paper(pixels: np.ndarray) -> np.ndarray | None:
    """float32 (3,): the one colour of the paper, or None where light or grain change it."""
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    whole = pixels.reshape(-1, 3)
    needed = _FLAT_SMALL if max(pixels.shape) <= _SMALL else _FLAT
    for sample in (border, whole[:: 1 + len(whole) // _SAMPLE]):
        codes = (sample.astype(np.int32) >> 2) @ np.array([4096, 64, 1])
        commonest = np.bincount(codes, minlength=1).argmax()
        colour = np.median(sample[codes == commonest], axis=0).astype(np.float32)
        if (np.abs(sample - colour).max(axis=1) <= _SAME).mean() >= needed:
            return colour
    return None


def _lift_from_flat(pixels: np.ndarray, paper: np.ndarray) -> Ink:
    departures = [plane - level for plane, level in zip(planes(pixels), paper, strict=True)]
    departure = np.stack(departures) / 255
    strength, contrast = along_ink_colour(departure, noise=0.004)
    light = bool(departure[:, strength > 0.5].mean() > 0) if contrast else False
    strength = np.clip((strength - 0.1) / 0.8, 0, 1)
    return Ink(strength, contrast, light, flat=True)
