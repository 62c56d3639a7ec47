"""What both ways of lifting end in: how strong the ink is at each pixel, along its own colour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Ink", "along_ink_colour", "planes"]

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


def planes(pixels: np.ndarray) -> list[np.ndarray]:
    """uint8 (H, W, 3) -> three float32 (H, W)."""
    return [pixels[..., channel].astype(np.float32) for channel in range(3)]


def along_ink_colour(departure: np.ndarray, *, noise: float) -> tuple[np.ndarray, float]:
    """float32 (3, H, W) -> strength (H, W) along the colour of the strongest departure, its size."""
    size = np.sqrt(np.einsum("chw,chw->hw", departure, departure))
    top = _top(size)
    if top < max(_LEAST_CONTRAST, _LEAST_SNR * noise):
        top = float(size.max())
        if top < max(2 * _LEAST_CONTRAST, 2 * _LEAST_SNR * noise):
            return np.zeros(size.shape, np.float32), 0.0
    colour = departure[:, size >= 0.8 * top].mean(axis=1)
    square = np.sum(colour * colour)  # no BLAS: its last bits depend on the processor
    strength = np.einsum("c,chw->hw", colour / square, departure)
    return strength, float(np.sqrt(square / 3))


def _top(size: np.ndarray) -> float:
    """What the strongest half a per cent departs by; of a small picture, its four strongest pixels."""
    if size.size < 4000:
        return float(np.sort(size.ravel())[-4:].mean())
    step = 1 + size.size // 60_000
    values = size.ravel()[::step]
    place = int(0.995 * len(values)) - len(values)
    strong = values[values > 0.25 * values.max()]  # most are paper, and need no sorting
    if len(strong) < -place:
        strong = values
    return float(np.partition(strong, place)[place])
