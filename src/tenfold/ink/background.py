"""What lies around the ink: light paper, or a dark ground as MNIST's."""

from __future__ import annotations

from typing import Literal

import numpy as np

from tenfold.arrays import iterate_pieces

__all__ = ["Background", "find_background"]

_ENOUGH = 10_000  # images

Background = Literal["dark", "light", "any"]


def find_background(images: np.ndarray) -> Background:
    """What lies around the ink of uint8 (N, H, W): decided when nine images of ten agree. Of many, some
    ten thousand are asked, one in so many."""
    step = -(-len(images) // _ENOUGH)
    dark = asked = 0
    for piece in iterate_pieces(images):
        some = piece[::step]
        dark, asked = dark + _count_dark(some), asked + len(some)
    share = dark / asked
    return "dark" if share >= 0.9 else "light" if share <= 0.1 else "any"


def _count_dark(images: np.ndarray) -> int:
    """Images of whose border more than half is dark."""
    sides = [images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]]
    border = np.concatenate(sides, axis=1)
    return int(np.count_nonzero(2 * np.count_nonzero(border < 128, axis=1) > border.shape[1]))
