"""What lies around the ink: light paper, or a dark ground as MNIST's."""

from __future__ import annotations

from typing import Literal

import numpy as np

from tenfold.arrays import iterate_pieces

__all__ = ["Background", "find_background"]

_ENOUGH = 10_000  # images
_AGREED = 0.99  # of them

Background = Literal["dark", "light", "any"]


def find_background(images: np.ndarray) -> Background:
    """What lies around the ink of uint8 (N, H, W): decided when 99 images of 100 agree, for a picture of
    the other kind is turned round, which must not happen to what was trained on as it is. Of many, some ten
    thousand are asked, one in so many."""
    step = -(-len(images) // _ENOUGH)
    dark = asked = 0
    for piece in iterate_pieces(images):
        some = piece[::step]
        dark, asked = dark + _count_dark(some), asked + len(some)
    share = dark / asked
    return "dark" if share >= _AGREED else "light" if share <= 1 - _AGREED else "any"


def _count_dark(images: np.ndarray) -> int:
    """Images of whose border more than half is dark."""
    sides = [images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]]
    border = np.concatenate(sides, axis=1)
    return int(np.count_nonzero(2 * np.count_nonzero(border < 128, axis=1) > border.shape[1]))
