"""Ink from paper under uneven light: a photo.

The paper is what remains when everything narrower than a window is taken away: a grey closing (Serra
1982) under dark ink, each colour by itself, so that shadows and lamps stay with the paper; light ink is
lifted from the negative. Faint ruled lines stay below the threshold that the ink itself sets (hysteresis,
Canny 1986).
"""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import ndimage

from tenfold.ink.frame import stroke_width
from tenfold.ink.ruling import remove_ruling
from tenfold.ink.strength import Ink, along_ink_colour, planes

__all__ = ["lift_from_uneven"]

_LOW, _HIGH = 0.3, 0.6  # of full ink: what belongs to a mark, and what a mark must somewhere reach
_WINDOWS = (0.08, 0.2)  # of the picture's side: wider than a stroke; the second for markers
_THICK = 0.6  # of the window: strokes as thick as that may be taken for paper where they meet
_SURROUNDINGS = 0.3  # of the picture's side: what a pixel is compared with to tell light ink from dark
_LEAST_NEGATIVE = 100.0  # of 255: how dark a board must be for chalk to be measured against it
_PAPER_SIDE = 300.0  # pixels: the paper is found on a picture reduced to about this side
_FULL_OF_INK = 2.5  # times the usual grain: a tile that seems coarser is full of ink
_MARGIN = 0.12  # of a side: what lies beside the sheet reaches no deeper into the picture
_ALONG = 0.25  # of a side: and runs at least so far along its edge


def lift_from_uneven(pixels: np.ndarray) -> Ink:
    """uint8 (H, W, 3) -> its ink; a wider window is tried where a stroke may fill the narrow one."""
    side = float(np.sqrt(pixels.shape[0] * pixels.shape[1]))
    small = np.asarray(Image.fromarray(pixels).reduce(max(1, round(side / _PAPER_SIDE))))
    light = _is_light_ink(small)
    if light:
        pixels, small = 255 - pixels, 255 - small
    smoothing = float(np.clip(side * 0.0015, 0.4, 1.5))
    smooth = [ndimage.gaussian_filter(plane, smoothing) for plane in planes(pixels)]
    for window in _WINDOWS:
        ink = _lift(smooth, small, window, light=light)
        if not ink.blank and stroke_width(ink.strength) < _THICK * window * side:
            break
    return ink


def _lift(smooth: list[np.ndarray], small: np.ndarray, window: float, *, light: bool) -> Ink:
    """Ink darker than its paper; `light`: these are negatives."""
    darkest = _LEAST_NEGATIVE if light else 1.0
    paper = _find_paper(small, window)
    beside = _find_beside(small, paper, darkest)
    shape = smooth[0].shape
    departure = np.stack(
        [
            1 - plane / np.maximum(_enlarge(level, shape), darkest)
            for plane, level in zip(smooth, paper, strict=True)
        ]
    )
    departure -= np.median(departure[:, ::3, ::3], axis=(1, 2), keepdims=True)
    if beside.any():
        departure[:, _enlarge(beside.astype(np.float32), shape) > 0] = 0
    noise = _grain(departure[:, ::2, ::2])
    strength, contrast = along_ink_colour(departure, noise=noise)
    least = max(_LOW, 3 * noise / max(contrast, 1e-6))
    return Ink(_hysteresis(remove_ruling(strength, least), least), contrast, light, flat=False)


def _is_light_ink(small: np.ndarray) -> bool:
    """Ink is the smaller part, and departs far: the skewness of grey against its surroundings.

    The outermost eighth is not asked: there the sheet may end.
    """
    grey = small.astype(np.float32).mean(axis=2)
    window = int(_SURROUNDINGS * np.sqrt(grey.size)) | 1
    departure = grey - ndimage.uniform_filter(grey, window, mode="nearest")
    inner = departure[tuple(slice(size // 8, size - size // 8) for size in grey.shape)]
    return float(np.mean(inner * inner * inner)) > 0


def _find_paper(small: np.ndarray, window: float) -> list[np.ndarray]:
    """uint8 (h, w, 3) of a reduced picture under dark ink -> its paper, three planes (h, w)."""
    size = int(max(5, window * np.sqrt(small.shape[0] * small.shape[1]))) | 1
    closed = [ndimage.grey_closing(plane, size=size, mode="nearest") for plane in planes(small)]
    return [ndimage.uniform_filter(plane, size // 3 | 1, mode="nearest") for plane in closed]


def _find_beside(small: np.ndarray, paper: list[np.ndarray], least: float) -> np.ndarray:
    """bool (h, w): dark strips and wedges along the picture's edges, where the sheet has ended."""
    dark = np.max(
        [1 - plane / np.maximum(level, least) for plane, level in zip(planes(small), paper, strict=True)],
        axis=0,
    )
    mask = dark > 0.15
    beside = np.zeros(mask.shape, dtype=bool)
    for turn in range(4):  # each edge in turn is the first row
        turned = np.rot90(mask, turn)
        depth, length = max(2, round(_MARGIN * turned.shape[0])), turned.shape[1]
        labels, count = ndimage.label(turned[:depth])
        along = np.array([np.count_nonzero(labels[0] == number) for number in range(count + 1)])
        deeper = np.array([np.count_nonzero(labels[-1] == number) for number in range(count + 1)])
        strip = (along >= _ALONG * length) & (deeper <= 0.3 * along)
        strip[0] = False
        np.rot90(beside, turn)[:depth] |= strip[labels]
    return ndimage.binary_dilation(beside, iterations=2) if beside.any() else beside


def _enlarge(plane: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    return np.asarray(Image.fromarray(plane).resize(shape[::-1], Image.Resampling.BILINEAR))


def _grain(departure: np.ndarray) -> float:
    """Standard deviation of the paper's grain, from the median deviation, where it is coarsest."""
    tiles = [
        tile for rows in np.array_split(departure, 6, axis=1) for tile in np.array_split(rows, 6, axis=2)
    ]
    grains = [np.median(np.abs(tile)) for tile in tiles if tile.size]
    coarsest = min(np.quantile(grains, 0.9), _FULL_OF_INK * np.median(grains))
    return 1.4826 * float(coarsest)


def _hysteresis(strength: np.ndarray, low: float) -> np.ndarray:
    """Marks stronger than `low` that somewhere reach `_HIGH`; soft edges kept."""
    labels, count = ndimage.label(strength > low, structure=np.ones((3, 3)))
    if not count:
        return np.zeros_like(strength)
    kept = np.zeros(count + 1, dtype=bool)
    kept[labels[strength >= _HIGH]] = True
    kept[0] = False
    near = ndimage.binary_dilation(kept[labels], np.ones((3, 3)))
    return np.where(near, np.clip((strength - 0.2) / 0.6, 0, 1), 0).astype(np.float32)
