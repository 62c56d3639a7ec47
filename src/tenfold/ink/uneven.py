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

from tenfold.ink.strength import Ink, along_ink_colour, planes

__all__ = ["lift_from_uneven"]

_LEAST_NEGATIVE = 100.0  # of 255: how dark a board must be for chalk to be measured against it
_PAPER_SIDE = 300.0  # pixels: the paper is found on a picture reduced to about this side


def lift_from_uneven(pixels: np.ndarray) -> Ink:
    side = float(np.sqrt(pixels.shape[0] * pixels.shape[1]))
    small = Image.fromarray(pixels).reduce(max(1, round(side / _PAPER_SIDE)))
    light = _is_light_ink(np.asarray(small.convert("L"), np.float32))
    colours = planes(255 - pixels if light else pixels)
    smooth = [ndimage.gaussian_filter(plane, float(np.clip(side * 0.0015, 0.4, 1.5))) for plane in colours]
    paper = _find_uneven_paper(255 - np.asarray(small) if light else np.asarray(small), colours[0].shape)
    least = _LEAST_NEGATIVE if light else 1.0
    departure = np.stack([1 - a / np.maximum(b, least) for a, b in zip(smooth, paper, strict=True)])
    departure -= np.median(departure[:, ::3, ::3], axis=(1, 2), keepdims=True)
    noise = _grain(departure[:, ::2, ::2])
    strength, contrast = along_ink_colour(departure, noise=noise)
    return Ink(_hysteresis(strength, noise / max(contrast, 1e-6)), contrast, light, flat=False)


def _grain(departure: np.ndarray) -> float:
    """Standard deviation of the paper's grain (from the median deviation), where it is coarsest: in the shade."""
    tiles = [
        tile for rows in np.array_split(departure, 6, axis=1) for tile in np.array_split(rows, 6, axis=2)
    ]
    return 1.4826 * float(np.quantile([np.median(np.abs(tile)) for tile in tiles if tile.size], 0.9))


def _is_light_ink(grey: np.ndarray) -> bool:
    """Ink is the smaller part, and departs far: the skewness of grey against its surroundings."""
    window = int(0.2 * np.sqrt(grey.size)) | 1
    departure = grey - ndimage.uniform_filter(grey, window, mode="nearest")
    return float(np.mean(departure * departure * departure)) > 0


def _find_uneven_paper(small: np.ndarray, shape: tuple[int, int]) -> list[np.ndarray]:
    """uint8 (h, w, 3) of a reduced picture under dark ink -> its paper, three planes of `shape`."""
    window = int(max(5, 0.08 * np.sqrt(small.shape[0] * small.shape[1]))) | 1
    found = []
    for plane in planes(small):
        closed = ndimage.grey_closing(plane, size=(window, window), mode="nearest")
        level = ndimage.uniform_filter(closed, window // 3 | 1, mode="nearest")
        image = Image.fromarray(level).resize(shape[::-1], Image.Resampling.BILINEAR)
        found.append(np.asarray(image))
    return found


def _hysteresis(strength: np.ndarray, noise: float) -> np.ndarray:
    """Marks stronger than `low` that somewhere reach `high`; soft edges kept."""
    low, high = max(0.3, 3 * noise), 0.6
    labels, count = ndimage.label(strength > low, structure=np.ones((3, 3)))
    if not count:
        return np.zeros_like(strength)
    kept = np.zeros(count + 1, dtype=bool)
    kept[labels[strength >= high]] = True
    kept[0] = False
    near = ndimage.binary_dilation(kept[labels], np.ones((3, 3)))
    return np.where(near, np.clip((strength - 0.2) / 0.6, 0, 1), 0).astype(np.float32)
