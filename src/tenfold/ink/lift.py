"""The ink of one thing in a picture, for networks that know images of light ink on a dark ground."""

from __future__ import annotations

import numpy as np

from tenfold.ink.lines import find_writing
from tenfold.ink.regions import grow_labels

__all__ = ["lift_ink"]

_PAPER, _INK = 0.2, 0.8  # of full ink: what becomes 0 and what becomes 1


def lift_ink(grey: np.ndarray) -> np.ndarray:
    """uint8 (H, W), ink of either polarity on any paper -> float32 (h, w), 0 paper to 1 full ink.

    Rules, frames, specks and the edges of a sheet are left out. h and w are H and W, or less of pictures of
    more than 800 pixels.
    """
    departure, labels, kept, _ = find_writing(grey)
    if not len(kept):
        return np.zeros(departure.levels.shape, np.float32)
    strength = (departure.levels / np.float32(departure.full) - _PAPER) / (_INK - _PAPER)
    own = np.isin(
        grow_labels(np.where(np.isin(labels, kept), labels, 0)), kept
    )  # its soft edge belongs to it
    return np.where(own, np.clip(strength, 0, 1), 0).astype(np.float32)
