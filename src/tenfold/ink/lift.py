"""Ink from paper or canvas: any polarity and colour, under uneven light.

The paper is found first. Where one colour covers most of the picture or of its border (a drawing on a
screen) it is that colour; else (a photo) it is what remains when everything narrower than a window is
taken away: a grey closing under dark ink, a grey opening under light ink (Serra 1982), each colour by
itself, so that shadows and lamps stay with the paper. Ink is then what departs from the paper towards
the ink's own colour, 0 for paper and 1 for full ink; faint ruled lines stay below the threshold that
the ink itself sets (hysteresis, Canny 1986).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

__all__ = ["Ink", "lift_ink"]

_FLAT = 0.5  # share of the border, or of the picture, that one colour must cover
_SAME = 6.0  # levels of 0..255: colours this near are one
_LEAST_CONTRAST = 0.05  # ink paler than this share of the paper is none
_LEAST_SNR = 6.0  # ink must stand out of the paper's grain by this many standard deviations


@dataclass(frozen=True, eq=False)
class Ink:
    """What was lifted.

    strength: float32 (H, W), 0 paper to 1 full ink. contrast: of ink against paper, 0..1.
    light: ink is lighter than the paper. flat: the paper is of one colour (a drawing).
    """

    strength: np.ndarray
    contrast: float
    light: bool
    flat: bool

    @property
    def blank(self) -> bool:
        return not self.strength.any()


def lift_ink(pixels: np.ndarray) -> Ink:
    """uint8 (H, W, 3) -> its ink."""
    paper = _find_flat_paper(pixels)
    if paper is not None:
        return _lift_from_flat(pixels, paper)
    return _lift_from_uneven(pixels)


def _find_flat_paper(pixels: np.ndarray) -> np.ndarray | None:
    """float32 (3,): the one colour of the paper, or None where light or grain change it."""
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    for sample, needed in ((border, _FLAT), (pixels.reshape(-1, 3), _FLAT)):
        codes = (sample.astype(np.int32) >> 2) @ np.array([4096, 64, 1])
        commonest = np.bincount(codes, minlength=1).argmax()
        colour = np.median(sample[codes == commonest], axis=0).astype(np.float32)
        near = np.abs(sample - colour).max(axis=1) <= _SAME
        if near.mean() >= needed and _one_level(sample[near]):
            return colour
    return None


def _one_level(near: np.ndarray) -> bool:
    """Whether these colours are really one (a drawing, JPEG blocks apart), not the grain of a photo."""
    return float(near.std(axis=0).max()) < 1.0


def _lift_from_flat(pixels: np.ndarray, paper: np.ndarray) -> Ink:
    departure = pixels.astype(np.float32) - paper
    strength, contrast = _along_ink_colour(departure / 255, noise=0.004)
    light = bool(departure[strength > 0.5].mean() > 0) if contrast else False
    strength = np.clip((strength - 0.1) / 0.8, 0, 1)
    return Ink(strength, contrast, light, flat=True)


def _lift_from_uneven(pixels: np.ndarray) -> Ink:
    height, width = pixels.shape[:2]
    side = float(np.sqrt(height * width))
    smooth = ndimage.gaussian_filter(
        pixels.astype(np.float32), (s := float(np.clip(side * 0.0015, 0.4, 1.5)), s, 0)
    )
    light = _is_light_ink(smooth.mean(axis=2), side)
    if light:
        smooth = 255 - smooth
    window = int(np.clip(side * 0.08, 5, 160)) | 1
    paper = ndimage.grey_closing(smooth, size=(window, window, 1), mode="nearest")
    paper = ndimage.uniform_filter(paper, (window // 3 | 1, window // 3 | 1, 1), mode="nearest")
    departure = 1 - smooth / np.maximum(paper, 1)
    departure -= np.median(departure[::3, ::3], axis=(0, 1))
    noise = 1.4826 * float(np.median(np.abs(departure[::3, ::3])))
    strength, contrast = _along_ink_colour(departure, noise=noise)
    return Ink(_hysteresis(strength, noise / max(contrast, 1e-6)), contrast, light, flat=False)


def _is_light_ink(grey: np.ndarray, side: float) -> bool:
    """Ink is the smaller part, and departs far: the skewness of grey against its surroundings."""
    departure = grey - ndimage.uniform_filter(grey, int(side * 0.2) | 1, mode="nearest")
    return float(np.mean(departure**3)) > 0


def _along_ink_colour(departure: np.ndarray, *, noise: float) -> tuple[np.ndarray, float]:
    """float32 (H, W, 3) -> strength (H, W) along the colour of the strongest departure, its size."""
    size = np.sqrt((departure**2).sum(axis=2))
    top = float(np.quantile(size, 0.995)) if size.size > 2000 else float(np.sort(size.ravel())[-4:].mean())
    if top < max(_LEAST_CONTRAST, _LEAST_SNR * noise):
        top = float(size.max())
        if top < max(2 * _LEAST_CONTRAST, 2 * _LEAST_SNR * noise):
            return np.zeros(size.shape, np.float32), 0.0
    colour = departure[size >= 0.8 * top].mean(axis=0)
    strength = departure @ (colour / float(colour @ colour))
    return strength.astype(np.float32), float(np.sqrt(colour @ colour / 3))


def _hysteresis(strength: np.ndarray, noise: float) -> np.ndarray:
    """Marks stronger than `low` that somewhere reach `high`; soft edges kept."""
    low, high = max(0.3, 3 * noise), 0.6
    labels, count = ndimage.label(strength > low, structure=np.ones((3, 3)))
    if not count:
        return np.zeros_like(strength)
    peaks = ndimage.maximum(strength, labels, np.arange(count + 1))
    peaks[0] = 0
    near = ndimage.maximum_filter((peaks >= high)[labels], 3)
    return np.where(near, np.clip((strength - 0.2) / 0.6, 0, 1), 0).astype(np.float32)
