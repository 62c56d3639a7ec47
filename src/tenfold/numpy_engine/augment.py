"""Changing a whole batch of images at once, as the draws of `tenfold.augmentation.draws` say.

A few images at a time, whose arrays stay in the processor's cache; two threads, because NumPy lets
go of Python's lock while it computes.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tenfold.augmentation.draws import AugmentationDraws

__all__ = ["augment"]

# Pixels in a piece: 64 images of 28x28.
PIECE_PIXELS = 64 * 784
WORKERS = 2


def augment(images: np.ndarray, draws: AugmentationDraws) -> np.ndarray:
    """uint8 (N, H, W) -> float32 (N, H, W) in 0..255.

    In this order: stroke width, affine map and displacement in one bilinear resampling, crop,
    erasing; black outside.
    """
    results = np.empty(images.shape, np.float32)
    step = max(1, PIECE_PIXELS // (images.shape[1] * images.shape[2]))
    parts = [slice(start, start + step) for start in range(0, len(images), step)]

    def change(part: slice) -> None:
        results[part] = _changed(images[part], _part(draws, part))

    if len(parts) < 2 * WORKERS:
        for part in parts:
            change(part)
    else:
        with ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(change, parts))
    return results


def _part(draws: AugmentationDraws, part: slice) -> AugmentationDraws:
    """The draws of some of the images."""
    arrays = {f.name: getattr(draws, f.name) for f in fields(draws)}
    return AugmentationDraws(**{k: None if v is None else v[part] for k, v in arrays.items()})


def _changed(images: np.ndarray, draws: AugmentationDraws) -> np.ndarray:
    pictures = images.astype(np.float32)
    if draws.stroke is not None:
        pictures = _stroke(pictures, draws.stroke)
    if draws.affine is not None or draws.displacement is not None:
        pictures = _resampled(pictures, *_positions(draws, pictures.shape))
    if draws.crop is not None:
        pictures = _cropped(pictures, draws.crop)
    if draws.erase is not None:
        _erase(pictures, draws.erase)
    return pictures


def _stroke(pictures: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """Blends in the grown (width > 0) or shrunk picture; beyond a whole pixel, a second time."""
    first = _blend(pictures, np.clip(widths, -1, 1))
    if np.abs(widths).max(initial=0) <= 1:
        return first
    return _blend(first, np.sign(widths) * np.maximum(np.abs(widths) - 1, 0))


def _blend(pictures: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """(1 - |s|) picture + |s| grown or shrunk picture, s being one width a picture.

    The middle of the cross counts too, so the difference has the sign of s."""
    signs = np.where(widths < 0, -1, 1).astype(np.float32)[:, None, None]
    signed = pictures * signs  # shrinking is growing of the negative
    return pictures + (_cross_maximum(signed) * signs - pictures) * np.abs(widths)[:, None, None]


def _cross_maximum(pictures: np.ndarray) -> np.ndarray:
    """The largest of each pixel and its four neighbours inside the picture."""
    grown = pictures.copy()
    for here, there in ((np.s_[:, 1:], np.s_[:, :-1]), (np.s_[:, :, 1:], np.s_[:, :, :-1])):
        np.maximum(grown[here], pictures[there], out=grown[here])
        np.maximum(grown[there], pictures[here], out=grown[there])
    return grown


def _positions(draws: AugmentationDraws, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Where each output pixel's value comes from: x and y, float32 (N, H W) each."""
    count, height, width = shape
    middle = np.array([(width - 1) / 2, (height - 1) / 2], np.float32)[:, None]
    y, x = np.mgrid[:height, :width].reshape(2, -1).astype(np.float32)
    grid = np.stack([x - middle[0], y - middle[1], np.ones_like(x)])
    if draws.affine is None:
        positions = np.broadcast_to(grid[:2] + middle, (count, 2, height * width))
    else:
        affine = draws.affine.copy()
        affine[:, :, 2:] += middle
        positions = (affine.reshape(-1, 3) @ grid).reshape(count, 2, -1)
    if draws.displacement is not None:
        positions = positions + draws.displacement.reshape(count, 2, -1)
    return positions[:, 0], positions[:, 1]


def _resampled(pictures: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Bilinear, with black outside, as torch.nn.functional.grid_sample(align_corners=True).

    Around a whole position the value is v + fx dx + fy (dy + fx dxy) with v and its three
    differences. The four lie side by side in a table, so that one look-up fetches them all.
    """
    count, height, width = pictures.shape
    table = _differences(pictures)
    # the table starts one pixel outside the picture; farther out everything is black as well
    x = np.clip(x, -1, width) + 1
    y = np.clip(y, -1, height) + 1
    column, row = x.astype(np.int32), y.astype(np.int32)  # positive, so this rounds down
    x -= column
    y -= row
    row *= width + 2
    row += column
    row += (np.arange(count, dtype=np.int32) * ((height + 2) * (width + 2)))[:, None]
    near = np.take(table, row, mode="clip").view(np.float32).reshape(count, -1, 4)
    value, dx, dy, dxy = near.transpose(2, 0, 1)
    result = dxy * x
    result += dy
    result *= y
    result += value
    result += dx * x
    return result.reshape(pictures.shape)


def _differences(pictures: np.ndarray) -> np.ndarray:
    """complex128 (N (H+2) (W+2),), of which each is four float32: v, dx, dy, dxy at a pixel of the
    picture in a frame of black."""
    count, height, width = pictures.shape
    framed = np.zeros((count, height + 3, width + 3), np.float32)
    framed[:, 1:-2, 1:-2] = pictures
    table = np.empty((count, height + 2, width + 2, 4), np.float32)
    table[..., 0] = framed[:, :-1, :-1]
    across = framed[:, :, 1:] - framed[:, :, :-1]
    table[..., 1] = across[:, :-1]
    table[..., 2] = framed[:, 1:, :-1] - framed[:, :-1, :-1]
    table[..., 3] = across[:, 1:] - across[:, :-1]
    return table.view(np.complex128).reshape(-1)


def _cropped(pictures: np.ndarray, crop: np.ndarray) -> np.ndarray:
    """output[y, x] = picture[y + dy, x + dx], black outside."""
    count, height, width = pictures.shape
    # a shift beyond the picture's size shows only black, as one by its size does
    down, right = np.clip(crop[:, 0], -height, height), np.clip(crop[:, 1], -width, width)
    p, q = int(np.abs(down).max(initial=0)), int(np.abs(right).max(initial=0))
    framed = np.zeros((count, height + 2 * p, width + 2 * q), pictures.dtype)
    framed[:, p : p + height, q : q + width] = pictures
    windows = sliding_window_view(framed, (height, width), axis=(1, 2))
    return windows[np.arange(count), p + down, q + right]


def _erase(pictures: np.ndarray, rectangles: np.ndarray) -> None:
    """Blackens y0 <= y < y1, x0 <= x < x1 of each picture."""
    _, height, width = pictures.shape
    y0, x0, y1, x1 = rectangles.T[:, :, None]
    rows, columns = np.arange(height), np.arange(width)
    inside = ((y0 <= rows) & (rows < y1))[:, :, None] & ((x0 <= columns) & (columns < x1))[:, None, :]
    pictures[inside] = 0
