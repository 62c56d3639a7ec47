"""Changing a whole batch of images at once, as the draws of `tenfold.augmentation` say.

A few images at a time, in kept arrays that fit the processor's cache; large batches on as many threads
as NumPy's matrix products would take, because NumPy releases the GIL while it computes.
"""

from __future__ import annotations

import numpy as np

from tenfold.augmentation import AugmentationDraws, Sources, find_sources
from tenfold.numpy_engine.runtime.memory import Space
from tenfold.numpy_engine.runtime.threads import limit_workers, one_blas_thread, share_out

__all__ = ["augment"]

# Pixels in a piece: 256 images of 28x28. Smaller pieces fit a nearer cache, but threads meet more often.
PIECE_PIXELS = 256 * 784
PIECES_A_WORKER = 2  # fewer are not worth a thread's start


def augment(images: np.ndarray, draws: AugmentationDraws, *, space: Space | None = None) -> np.ndarray:
    """uint8 (N, H, W) -> float32 (N, H, W) in 0..255.

    In this order: stroke width, affine map and displacement in one bilinear resampling, crop,
    erasing; black outside. With `space`, the result is kept there and the next call overwrites it.
    """
    results = np.empty(images.shape, np.float32) if space is None else _take(space, "out", images.shape)
    step = max(1, PIECE_PIXELS // (images.shape[1] * images.shape[2]))
    parts = [slice(start, start + step) for start in range(0, len(images), step)]

    kept = space or Space(np.float32)

    def change(worker: int, part: slice) -> None:
        _change(images[part], draws.part(part), results[part], kept.of_worker(worker))

    with one_blas_thread() as threads:
        share_out(parts, limit_workers(threads, len(parts) // PIECES_A_WORKER), change)
    return results


def _take(space: Space, name: str, shape: tuple[int, ...]) -> np.ndarray:
    return space(f"augment {name}", shape, np.float32)


def _change(images: np.ndarray, draws: AugmentationDraws, results: np.ndarray, space: Space) -> None:
    count, height, width = images.shape
    size = count * (height + 2) * (width + 2)
    # The pictures in frames of one black pixel, all as one line: a row's frame is next to that of the
    # following row, and each pixel has a neighbour on the right, below, and below on the right.
    line = _take(space, "line", (size + width + 3,))
    line.fill(0)
    framed = line[:size].reshape(count, height + 2, width + 2)
    if draws.stroke is None:
        np.copyto(framed[:, 1:-1, 1:-1], images)
    else:
        _change_strokes(images, draws.stroke, framed, space)
    sources = find_sources(draws, images.shape)
    if sources is None:
        np.copyto(results, framed[:, 1:-1, 1:-1])
    else:
        _resample(line, _positions(sources, images.shape, space), results, space)
    if draws.erase is not None:
        _erase(results, draws.erase)


def _change_strokes(images: np.ndarray, widths: np.ndarray, framed: np.ndarray, space: Space) -> None:
    """framed = (1 - |s|) picture + |s| grown (s > 0) or shrunk picture, s being one width a picture.

    Beyond a whole pixel, the picture that has grown once takes the place of the picture.
    """
    flips = np.where(widths < 0, 255, 0).astype(np.uint8)[:, None, None]
    shares = np.abs(widths)
    before = np.zeros(framed.shape, np.uint8)
    np.bitwise_xor(images, flips, out=before[:, 1:-1, 1:-1])  # shrinking is growing of the negative
    after = _grown(before)
    twice = shares > 1
    if twice.any():
        before[twice] = after[twice]
        after[twice] = _grown(after[twice])
        shares = shares - twice
    for pictures in (before, after):
        pictures ^= flips
        _blacken_frames(pictures)
    np.copyto(framed, before)
    change = _take(space, "change", framed.shape)
    np.copyto(change, after)
    change -= framed
    change *= shares[:, None, None]
    framed += change


def _grown(framed: np.ndarray) -> np.ndarray:
    """The largest of each pixel and its four neighbours; uint8, in black frames."""
    line = framed.reshape(-1)
    grown = line.copy()
    for step in (1, framed.shape[2]):
        np.maximum(grown[step:], line[:-step], out=grown[step:])
        np.maximum(grown[:-step], line[step:], out=grown[:-step])
    pictures = grown.reshape(framed.shape)
    _blacken_frames(pictures)
    return pictures


def _blacken_frames(framed: np.ndarray) -> None:
    framed[:, 0] = framed[:, -1] = 0
    framed[:, :, 0] = framed[:, :, -1] = 0


def _positions(sources: Sources, shape: tuple[int, ...], space: Space) -> np.ndarray:
    """Where each output pixel's value comes from in the framed picture: x and y, float32 (2, N, H W)."""
    count, height, width = shape
    places = _take(space, "places", (2, count, height * width))
    # what lies beyond a crop is sent away along x: y needs the first three terms only
    for axis, (terms, size) in enumerate(((len(sources.grid), width), (3, height))):
        rows = sources.rows[axis, :, :terms]
        rows[:, 2] += 1  # the frame
        np.matmul(rows, sources.grid[:terms], out=places[axis])
        if sources.displacement is not None:
            moved = places[axis].reshape(shape)
            moved += sources.displacement[axis]
        np.clip(places[axis], 0, size + 1, out=places[axis])  # outside of the frame all is black as well
    return places


def _resample(line: np.ndarray, places: np.ndarray, results: np.ndarray, space: Space) -> None:
    """Bilinear, with black outside, as torch.nn.functional.grid_sample(align_corners=True)."""
    count, height, width = results.shape
    wide = width + 2
    # whole numbers up to 2^24 are exact in float32, and faster there than as integers
    whole = np.floor(places, out=_take(space, "whole", places.shape))
    places -= whole
    (x, y), (entry, row) = places, whole
    row *= wide
    entry += row
    entry += (np.arange(count, dtype=np.float32) * ((height + 2) * wide))[:, None]
    narrow = space("augment narrow", x.shape, np.int32)
    index = space("augment index", x.shape, np.intp)
    np.copyto(narrow, entry, casting="unsafe")
    np.copyto(index, narrow)  # in two steps, each of which has a fast loop
    corners = _take(space, "corners", (4, *x.shape))
    for corner, start in zip(corners, (0, 1, wide, wide + 1), strict=True):
        np.take(line[start:], index, mode="wrap", out=corner)
    here, right, below, diagonal = corners
    for left, other in ((here, right), (below, diagonal)):
        other -= left
        other *= x
        left += other
    below -= here
    below *= y
    np.add(here, below, out=results.reshape(count, -1))


def _erase(pictures: np.ndarray, rectangles: np.ndarray) -> None:
    """Blackens y0 <= y < y1, x0 <= x < x1 of each picture."""
    _, height, width = pictures.shape
    y0, x0, y1, x1 = rectangles.T[:, :, None]
    rows, columns = np.arange(height), np.arange(width)
    inside = ((y0 <= rows) & (rows < y1))[:, :, None] & ((x0 <= columns) & (columns < x1))[:, None, :]
    pictures[inside] = 0
