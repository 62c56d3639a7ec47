"""A picture of one thing -> the grey image of fixed size that a network was trained on.

MNIST's makers (LeCun et al. 1998) fitted each digit, aspect kept, into 20x20 pixels with anti-aliased
greys and laid its centre of mass on the centre of 28x28. `frame_ink` does the same, after the strokes were
brought to one width, because a hair line and a marker are the same digit.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from PIL import Image

from tenfold.arrays import COLOURS, iterate_pieces
from tenfold.pictures.lines import distance_to_outside, find_writing, largest_around
from tenfold.pictures.open import find_bounds, open_grey, open_picture, open_plain

__all__ = ["SIDE", "Background", "find_background", "fit_picture", "normalize_ink", "resize_image"]

BOX, SIDE = 20, 28  # pixels: MNIST's box for the digit, and its picture
STROKE = (1.9, 3.0)  # pixels of 28: strokes are brought into this range
_CENTRE = 14.5  # pixels from the border: MNIST's centres of mass lie on the middle of pixel 14
_FINE = 4  # the work is done on pixels this many times finer
_EDGE = 0.5  # strength at which ink begins
_PAPER, _INK = 0.2, 0.8  # of full ink: what becomes 0 and what becomes 1
_AGREED = 0.99  # of them

Background = Literal["dark", "light", "any"]


def stroke_width(strength: np.ndarray) -> float:
    """Mean width in pixels of the strokes in float (H, W) 0..1; 0 without ink. A stroke of length L and width
    w has the area L w and the outline 2 L; the outline of a soft mask is its total variation."""
    padded = np.pad(strength, 1)
    down, right = np.diff(padded, axis=0)[:, :-1], np.diff(padded, axis=1)[:-1]
    outline = float(np.sqrt(down**2 + right**2).sum())
    return 2 * float(strength.sum()) / outline if outline else 0.0


def frame_ink(strength: np.ndarray) -> np.ndarray:
    """float32 (H, W) 0..1, the ink of one mark -> uint8 (28, 28), light ink on black."""
    cut = _cut_out(strength)
    if cut is None:
        return np.zeros((SIDE, SIDE), np.uint8)
    fine = _fit(cut, BOX * _FINE)
    inside = np.pad(fine, 3 * _FINE) >= _EDGE
    outer = 0.5 - distance_to_outside(~inside, 3 * _FINE)
    distance = np.where(inside, distance_to_outside(inside) - 0.5, outer)  # to the edge, positive inside
    width = stroke_width(inside.astype(np.float32)) / _FINE
    distance += (float(np.clip(width, *STROKE)) - width) * _FINE / 2
    soft = _cut_out(np.clip(0.5 + distance / _FINE, 0, 1), 0.01)  # an edge as soft as one pixel of 28
    return _lay_centred(_fit(cut if soft is None else soft, BOX * _FINE))


def _cut_out(strength: np.ndarray, least: float = _EDGE / 2) -> np.ndarray | None:
    inked = strength > least
    return strength[find_bounds(inked)] if inked.any() else None


def _fit(ink: np.ndarray, box: int) -> np.ndarray:
    """Resized, anti-aliased, so that the longer side is `box` pixels; the shorter at least one."""
    ratio = box / max(ink.shape)
    size = (max(1, round(ink.shape[1] * ratio)), max(1, round(ink.shape[0] * ratio)))
    method = Image.Resampling.BOX if ratio < 0.5 else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(np.ascontiguousarray(ink, np.float32)).resize(size, method))


def _lay_centred(fine: np.ndarray) -> np.ndarray:
    """Into 28x28 with the centre of mass at MNIST's centre, as far as it stays inside."""
    side = SIDE * _FINE
    canvas = np.zeros((side, side), np.float32)
    corner = []
    for axis in (0, 1):
        mass = fine.sum(axis=1 - axis)
        centre = float((mass * (np.arange(len(mass)) + 0.5)).sum() / mass.sum())
        corner.append(int(np.clip(round(_CENTRE * _FINE - centre), 0, side - len(mass))))
    canvas[corner[0] : corner[0] + fine.shape[0], corner[1] : corner[1] + fine.shape[1]] = fine
    small = canvas.reshape(SIDE, _FINE, SIDE, _FINE).mean(axis=(1, 3))
    return np.rint(np.clip(small / max(float(small.max()), 1e-6), 0, 1) * 255).astype(np.uint8)


def lift_ink(grey: np.ndarray) -> np.ndarray:
    """uint8 (H, W), ink of either polarity on any paper -> float32 (h, w), 0 paper to 1 full ink. Rules,
    frames, specks and the edges of a sheet are left out. h and w are H and W, or less of pictures of more
    than 800 pixels."""
    departure, labels, kept, _ = find_writing(grey)
    if not len(kept):
        return np.zeros(departure.levels.shape, np.float32)
    strength = (departure.levels / np.float32(departure.full) - _PAPER) / (_INK - _PAPER)
    written = np.where(np.isin(labels, kept), labels, 0)
    own = largest_around(written, 3) > 0  # its soft edge belongs to it
    return np.where(own, np.clip(strength, 0, 1), 0).astype(np.float32)


def fit_picture(
    picture: Any, image_shape: tuple[int, ...], background: Background, fit: Literal["pad", "crop"] = "pad"
) -> np.ndarray:
    """Any picture -> uint8 (H, W), or in colour (H, W, 3), of the training images' size and polarity.

    A picture of that size already is only turned round. Digits-like ones (light ink on a dark ground, 28x28)
    of another size go through `normalize_ink`; others keep their aspect, see `resize_image`.
    """
    if background == "dark" and image_shape == (SIDE, SIDE):
        opened = open_picture(picture)
        grey = opened.grey
        if opened.size != (SIDE, SIDE):
            return frame_ink(lift_ink(grey))
    else:
        grey = open_grey(picture) if len(image_shape) == 2 else open_plain(picture)
    if grey.ndim < len(image_shape):
        grey = np.repeat(grey[..., None], COLOURS, axis=2)
    if background != "any" and find_background(grey[None]) not in (background, "any"):
        grey = 255 - grey
    return resize_image(grey, (image_shape[0], image_shape[1]), fit)


def resize_image(image: np.ndarray, size: tuple[int, int], fit: Literal["pad", "crop"] = "pad") -> np.ndarray:
    """uint8 (H, W) or (H, W, 3) -> the same of `size`, (height, width), its aspect kept, with anti-aliasing.

    fit: "pad" shows all of it on a ground of the median colour of its border; "crop" cuts the middle out.
    """
    if image.shape[:2] == tuple(size):
        return image
    height, width = image.shape[:2]
    choose = min if fit == "pad" else max
    ratio = choose(size[0] / height, size[1] / width)
    inner = max(1, round(height * ratio)), max(1, round(width * ratio))
    resized = Image.fromarray(np.ascontiguousarray(image)).resize(inner[::-1], Image.Resampling.BILINEAR)
    pixels = np.asarray(resized)
    top, left = (abs(whole - part) // 2 for whole, part in zip(size, inner, strict=True))
    if fit == "crop":
        return np.ascontiguousarray(pixels[top : top + size[0], left : left + size[1]])
    if inner == tuple(size):
        return pixels
    border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    laid = np.empty((*size, *image.shape[2:]), np.uint8)
    laid[:] = np.rint(np.median(border, axis=0))
    laid[top : top + inner[0], left : left + inner[1]] = pixels
    return laid


def normalize_ink(picture: Any) -> np.ndarray:
    """One digit in a picture of any kind -> uint8 (28, 28), light ink on black; a blank is all black.

    All marks of the picture are taken for that digit: lifted from its paper, framed like MNIST's.
    """
    return frame_ink(lift_ink(open_picture(picture).grey))


def find_background(images: np.ndarray) -> Background:
    """What lies around the ink of uint8 (N, H, W); "any" in colour. Decided when 99 images of 100 agree, for
    a picture of the other kind is turned round, which must not happen to what was trained on as it is. Of
    many, some ten thousand are asked, one in so many."""
    if images.ndim == 4:
        return "any"
    step = -(-len(images) // 10_000)  # images that say what lies around the ink
    dark: list[np.ndarray] = []
    for piece in iterate_pieces(images):
        some = piece[::step]
        border = np.concatenate([some[:, 0], some[:, -1], some[:, :, 0], some[:, :, -1]], axis=1)
        dark.append(2 * np.count_nonzero(border < 128, axis=1) > border.shape[1])
    share = float(np.concatenate(dark).mean())
    return "dark" if share >= _AGREED else "light" if share <= 1 - _AGREED else "any"
