"""Connected regions of a mask, and distances to its edge, in NumPy.

The same as SciPy's label, find_objects and distance_transform_edt for pictures in two dimensions:
importing scipy.ndimage takes longer than reading a digit from a cold start otherwise would.
"""

from __future__ import annotations

import numpy as np

__all__ = ["distance_to_outside", "find_boxes", "grow_labels", "label_regions"]


def label_regions(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """bool (H, W) -> int32 (H, W) with 1, 2, ... on regions joined by sides or corners, and how many.

    In the order of each region's first pixel, row by row. Rosenfeld & Pfaltz 1966, over runs of
    pixels instead of single ones.
    """
    height, width = mask.shape
    framed = np.zeros(height * (width + 1) + 1, np.int8)  # a column of False ends every row's runs
    framed[1:].reshape(height, width + 1)[:, :width] = mask
    change = np.diff(framed, append=np.int8(0))
    starts, ends = np.flatnonzero(change == 1), np.flatnonzero(change == -1)
    roots = _roots(len(starts), *_touching(starts, ends, width + 1))
    first, numbers = np.unique(roots, return_inverse=True)
    labels = np.zeros(mask.shape, np.int32)
    labels[mask] = np.repeat(numbers.astype(np.int32) + 1, ends - starts)
    return labels, len(first)


def _touching(starts: np.ndarray, ends: np.ndarray, row: int) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of runs, one per row (so many numbers) below the other, that share a side or corner."""
    low = np.searchsorted(ends, starts + row)
    counts = np.maximum(np.searchsorted(starts, ends + row, side="right") - low, 0)
    above = np.repeat(np.arange(len(starts)), counts)
    before = np.cumsum(counts) - counts
    return above, np.arange(len(above)) + np.repeat(low - before, counts)


def _roots(count: int, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """For each of `count` things the least of those it is joined with, the pairs (one, other) being."""
    root = np.arange(count)
    while True:
        first, second = root[one], root[other]
        if np.array_equal(first, second):
            return root
        np.minimum.at(root, np.maximum(first, second), np.minimum(first, second))
        while not np.array_equal(root, higher := root[root]):
            root = higher


def grow_labels(labels: np.ndarray) -> np.ndarray:
    """int (H, W): each pixel the largest label of the 3x3 around it."""
    grown = labels.copy()
    for axis in (0, 1):
        lines, source = np.moveaxis(grown, axis, 0), np.moveaxis(grown.copy(), axis, 0)
        np.maximum(lines[1:], source[:-1], out=lines[1:])
        np.maximum(lines[:-1], source[1:], out=lines[:-1])
    return grown


def find_boxes(labels: np.ndarray, count: int) -> list[tuple[slice, slice] | None]:
    """The rows and columns that labels 1 to `count` lie within; None for one that is nowhere."""
    rows, columns = np.nonzero(labels)
    which = labels[rows, columns]
    box = np.empty((4, count + 1), np.int64)
    box[:2], box[2:] = max(labels.shape), -1
    for index, place in enumerate((rows, columns)):
        np.minimum.at(box[index], which, place)
        np.maximum.at(box[2 + index], which, place)
    return [
        None if y1 < 0 else (slice(y0, y1 + 1), slice(x0, x1 + 1)) for y0, x0, y1, x1 in box[:, 1:].T.tolist()
    ]


def distance_to_outside(mask: np.ndarray, exact_to: float = np.inf) -> np.ndarray:
    """bool (H, W) -> float32 (H, W): from each pixel's middle to that of the nearest False, in pixels.

    inf where there is no False at all. Distances beyond `exact_to` may come out larger than they are,
    but never within it, and are found sooner. Down the columns first, then along the rows (Saito & Toriwaki
    1994), from near to far until farther ones can no longer be the nearest.
    """
    down = _distance_in_columns(mask)
    squares = down * down
    nearest, width = squares.copy(), mask.shape[1]
    for step in range(1, width):
        if step > exact_to or step * step >= nearest.max(initial=0):
            break
        far = np.float32(step * step)
        np.minimum(nearest[:, step:], squares[:, :-step] + far, out=nearest[:, step:])
        np.minimum(nearest[:, :-step], squares[:, step:] + far, out=nearest[:, :-step])
    return np.sqrt(nearest, out=nearest)


def _distance_in_columns(mask: np.ndarray) -> np.ndarray:
    """float32 (H, W): rows to the nearest False of the same column, inf where it has none."""
    place = np.arange(len(mask), dtype=np.float32)[:, None]
    above = np.maximum.accumulate(np.where(mask, np.float32(-np.inf), place), axis=0)
    below = np.minimum.accumulate(np.where(mask, np.float32(np.inf), place)[::-1], axis=0)[::-1]
    return np.minimum(place - above, below - place)
