"""Changing a whole batch of images at once, as the draws of `tenfold.augmentation.draws` say.

A few images at a time, in kept arrays that fit the processor's cache; large sets on two threads,
because NumPy lets go of Python's lock while it computes.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tenfold.augmentation.draws import AugmentationDraws
from tenfold.numpy_engine.buffers import Buffers

__all__ = ["augment"]

# Pixels in a piece: 64 images of 28x28.
PIECE_PIXELS = 64 * 784
WORKERS = 2
# Pieces from which on a second thread is worth its start.
MANY_PIECES = 8


def augment(images: np.ndarray, draws: AugmentationDraws, *, buffers: Buffers | None = None) -> np.ndarray:
    """uint8 (N, H, W) -> float32 (N, H, W) in 0..255.

    In this order: stroke width, affine map and displacement in one bilinear resampling, crop,
    erasing; black outside. With `buffers`, the result is kept there and the next call overwrites it.
    """
    results = np.empty(images.shape, np.float32) if buffers is None else _take(buffers, "out", images.shape)
    step = max(1, PIECE_PIXELS // (images.shape[1] * images.shape[2]))
    parts = [slice(start, start + step) for start in range(0, len(images), step)]

    def change(share: list[slice], own: Buffers) -> None:
        for part in share:
            results[part] = _changed(images[part], _part(draws, part), own)

    if len(parts) < MANY_PIECES:
        change(parts, buffers or Buffers(np.float32))
    else:
        with ThreadPoolExecutor(WORKERS) as pool:
            shares = [parts[worker::WORKERS] for worker in range(WORKERS)]
            list(pool.map(change, shares, [Buffers(np.float32) for _ in shares]))
    return results


def _take(buffers: Buffers, name: str, shape: tuple[int, ...]) -> np.ndarray:
    return buffers.take(f"augment {name}", shape, np.float32)


def _part(draws: AugmentationDraws, part: slice) -> AugmentationDraws:
    """The draws of some of the images."""
    arrays = {f.name: getattr(draws, f.name) for f in fields(draws)}
    return AugmentationDraws(**{k: None if v is None else v[part] for k, v in arrays.items()})


def _changed(images: np.ndarray, draws: AugmentationDraws, buffers: Buffers) -> np.ndarray:
    pictures = _take(buffers, "pixels", images.shape)
    np.copyto(pictures, images)
    if draws.stroke is not None:
        pictures = _stroke(pictures, draws.stroke)
    if draws.affine is not None or draws.displacement is not None:
        pictures = _resampled(pictures, *_positions(draws, pictures.shape, buffers), buffers)
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


def _positions(
    draws: AugmentationDraws, shape: tuple[int, ...], buffers: Buffers
) -> tuple[np.ndarray, np.ndarray]:
    """Where each output pixel's value comes from: x and y, float32 (N, H W) each."""
    count, height, width = shape
    middle = np.array([(width - 1) / 2, (height - 1) / 2], np.float32)
    y, x = np.mgrid[:height, :width].reshape(2, -1).astype(np.float32)
    grid = np.stack([x - middle[0], y - middle[1], np.ones_like(x)])
    places = _take(buffers, "places", (2, count, height * width))
    for axis in (0, 1):
        if draws.affine is None:
            places[axis] = (x, y)[axis]
        else:
            rows = draws.affine[:, axis] + np.array([0, 0, middle[axis]], np.float32)
            np.matmul(rows, grid, out=places[axis])
        if draws.displacement is not None:
            places[axis] += draws.displacement[:, axis].reshape(count, -1)
    return places[0], places[1]


def _resampled(pictures: np.ndarray, x: np.ndarray, y: np.ndarray, buffers: Buffers) -> np.ndarray:
    """Bilinear, with black outside, as torch.nn.functional.grid_sample(align_corners=True).

    Right of and below a whole position the value is v + fx dx + fy (dy + fx dxy), with v there and
    its three differences. The four lie side by side in a table: one look-up fetches them all.
    """
    count, height, width = pictures.shape
    table = _differences(pictures, buffers)
    wide = width + 2
    for places, size in ((x, width), (y, height)):
        # the table starts one pixel outside the picture; farther out all is black as well
        np.clip(places, -1, size, out=places)
        places += 1
    # whole numbers up to 2^24 are exact in float32, and faster there than as integers
    column = np.floor(x, out=_take(buffers, "column", x.shape))
    row = np.floor(y, out=_take(buffers, "row", y.shape))
    x -= column
    y -= row
    row *= wide
    row += column
    entry = buffers.take("augment entry", x.shape, np.intp)
    np.copyto(entry, row, casting="unsafe")
    entry += (np.arange(count) * ((height + 2) * wide))[:, None]
    found = buffers.take("augment found", x.shape, np.complex128)
    np.take(table, entry, mode="clip", out=found)
    value, dx, dy, dxy = found.view(np.float32).reshape(count, -1, 4).transpose(2, 0, 1)
    result = np.multiply(dxy, x, out=_take(buffers, "result", x.shape))
    result += dy
    result *= y
    result += value
    x *= dx
    result += x
    return result.reshape(pictures.shape)


def _differences(pictures: np.ndarray, buffers: Buffers) -> np.ndarray:
    """complex128 (N (H+2) (W+2),), of which each is four float32: v, dx, dy, dxy at a pixel of the
    pictures in frames of black. Read as one long line, each row's frame is next to that of the
    row after it, so that nothing of another row is met."""
    count, height, width = pictures.shape
    wide = width + 2
    size = count * (height + 2) * wide
    line = _take(buffers, "line", (size + wide + 1,))
    line[size:] = 0
    framed = line[:size].reshape(count, height + 2, wide)
    framed[:, 0] = framed[:, -1] = 0
    framed[:, :, 0] = framed[:, :, -1] = 0
    framed[:, 1:-1, 1:-1] = pictures
    across = np.subtract(line[1:], line[:-1], out=_take(buffers, "across", (size + wide,)))
    table = buffers.take("augment table", (size,), np.complex128)
    value, dx, dy, dxy = table.view(np.float32).reshape(size, 4).T
    np.copyto(value, line[:size])
    np.copyto(dx, across[:size])
    np.subtract(line[wide : wide + size], line[:size], out=dy)
    np.subtract(across[wide:], across[:size], out=dxy)
    return table


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
