"""Pixels that overflowed: 250 + 10 in eight bits is 4."""

from __future__ import annotations

import numpy as np

__all__ = ["share_of_wraps"]

_JUMP = 128  # grey levels: further apart than any two values on a circle of 256
_SLOPE = 8  # grey levels
_LEAST = 0.002  # such jumps per pixel


def share_of_wraps(images: np.ndarray) -> float:
    """Of the jumps by more than half the range between neighbouring pixels the share that goes against the
    slope on both sides, as where a value that grows runs over. images: uint8 (N, H, W).

    Small pictures, where slopes are as steep as jumps, have some of these by nature: below 16 pixels a
    side, a third of what is found counts.
    """
    pixels = images.astype(np.int16)
    jumps = against = 0
    for rows in (pixels, pixels.swapaxes(1, 2)):
        steps = np.diff(rows, axis=2)
        before, jump, after = steps[:, :, :-2], steps[:, :, 1:-1], steps[:, :, 2:]
        steep = np.abs(jump) > _JUMP
        sloped = (np.abs(before) > _SLOPE) & (np.abs(after) > _SLOPE)
        opposed = (np.sign(before) == -np.sign(jump)) & (np.sign(after) == -np.sign(jump))
        jumps += int(steep.sum())
        against += int((steep & sloped & opposed).sum())
    if against < _LEAST * pixels.size:
        return 0.0
    return against / jumps / (3 if min(images.shape[1:]) < 16 else 1)
