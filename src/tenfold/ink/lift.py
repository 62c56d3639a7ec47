"""Ink from paper or canvas: any polarity and colour, under even or uneven light.

The paper is found first: where one colour covers most of the border or of the picture (a drawing on a
screen) it is that colour, else (a photo) see `uneven`. Ink is then what departs from the paper towards
the ink's own colour, 0 for paper and 1 for full ink.
"""

from __future__ import annotations

import numpy as np

from tenfold.ink.strength import Ink, along_ink_colour, planes

__all__ = ["lift_ink"]

# Least share that one colour must cover (of the border, or of the picture), and largest share of colours
# near it: the edges of strokes in a drawing, shades and grain in a photo. Strokes take much of small ones.
_PICTURE, _SMALL_PICTURE = (0.5, 0.1), (0.3, 0.3)
_SMALL = 64  # pixels: the longer side of such a small picture
_SAMPLE = 30_000  # pixels of a picture that are looked at for its paper's colour
_SAME, _NEAR = 2.0, 24.0  # levels of 0..255: colours this near are one, or nearly


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
    whole = whole[:: 1 + len(whole) // _SAMPLE]
    covered, shaded = _SMALL_PICTURE if max(pixels.shape) <= _SMALL else _PICTURE
    for sample in (border, whole):
        colour = _commonest(sample)
        away = np.abs(whole - colour).max(axis=1)
        near = ((away > _SAME) & (away <= _NEAR)).mean()
        if (np.abs(sample - colour).max(axis=1) <= _SAME).mean() >= covered and near <= shaded:
            return colour
    return None


def _commonest(colours: np.ndarray) -> np.ndarray:
    codes = (colours.astype(np.int32) >> 2) @ np.array([4096, 64, 1])
    return np.median(colours[codes == np.bincount(codes).argmax()], axis=0).astype(np.float32)


def _lift_from_flat(pixels: np.ndarray, paper: np.ndarray) -> Ink:
    strength = np.zeros(pixels.shape[:2], np.float32)
    place = _find_other(pixels, np.rint(paper).astype(np.uint8))
    departures = [plane - level for plane, level in zip(planes(pixels[place]), paper, strict=True)]
    departure = np.stack(departures) / 255
    part, contrast = along_ink_colour(departure, noise=0.004)
    light = contrast > 0 and float(departure[:, part >= 0.8 * part.max()].mean()) > 0
    strength[place] = np.clip((part - 0.1) / 0.8, 0, 1)
    return Ink(strength, contrast, light, flat=True)


def _find_other(pixels: np.ndarray, paper: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns that hold all pixels of another colour; all of them where there are none."""
    height, width, _ = pixels.shape
    flat, level = pixels.reshape(height, 3 * width), np.tile(paper, width)  # a last axis of three is slow
    other = np.maximum(flat, level) - np.minimum(flat, level) > _SAME
    rows = np.flatnonzero(other.any(axis=1))
    columns = np.flatnonzero(other.any(axis=0).reshape(width, 3).any(axis=1))
    if not len(rows):
        return slice(None), slice(None)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
