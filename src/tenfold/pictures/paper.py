"""What is transparent in a picture becomes paper: white below dark ink, black below light ink."""

from __future__ import annotations

from typing import Literal

import numpy as np
from PIL import Image

from tenfold.arrays import iterate_pieces

__all__ = ["Background", "find_background"]

_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R 601
_CARD_FILL = 0.6  # share of its own bounding box that an opaque card covers at least
_CARD_SPREAD = 20.0  # grey levels: the least standard deviation of a card with ink on it


def lay_on_paper(layers: np.ndarray) -> Image.Image:
    """RGBa (H, W, 4), colours multiplied by alpha -> RGB. Where alpha is 0 there is only paper."""
    height, width = layers.shape[:2]
    place = _visible_part(layers[..., 3])
    colour, alpha = layers[place][..., :3].astype(np.uint16), layers[place][..., 3]
    paper = _paper(colour, alpha)
    seen = ((255 - alpha.astype(np.uint16))[..., None] * paper + 127) // 255
    laid = Image.new("RGB", (width, height), tuple(paper.tolist()))
    laid.paste(
        Image.fromarray(np.minimum(colour + seen, 255).astype(np.uint8)),
        (place[1].start or 0, place[0].start or 0),
    )
    return laid


def _visible_part(alpha: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns that hold all of what is not quite transparent; all of them where nothing is."""
    rows, columns = np.flatnonzero(alpha.any(axis=1)), np.flatnonzero(alpha.any(axis=0))
    if not len(rows):
        return slice(None), slice(None)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _paper(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """The colour, uint16 (3,), that belongs below what is transparent.

    White under dark ink, black under light ink. Where the visible is no ink but a card with ink on it
    (a window with round corners, paper cut out), the card's own colour.
    """
    weight = float(alpha.sum(dtype=np.int64))
    if not weight:
        return np.full(3, 255, dtype=np.uint16)
    luma = colour.astype(np.float32) @ _LUMA
    opaque = alpha == 255
    if _fill(opaque) > _CARD_FILL and float(luma[opaque].std()) > _CARD_SPREAD:
        return np.median(colour[opaque], axis=0).astype(np.uint16)
    is_light = 255 * float(luma.sum(dtype=np.float64)) / weight > 127.5
    return np.full(3, 0 if is_light else 255, dtype=np.uint16)


def _fill(mask: np.ndarray) -> float:
    """The share of its bounding box that a mask covers."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return 0.0
    box = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return float(box.mean())


# What lies around the ink: light paper, or a dark ground as MNIST's.

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
