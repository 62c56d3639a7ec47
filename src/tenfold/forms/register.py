"""A photo of a form -> where each place of the example lies on it.

Both become ink: how much darker each pixel is than the paper around it, which light and shadow hardly
change. Starts come from the sheet's outline and from a search over turns and sizes (correlation in the
Fourier domain); each is improved by Gauss-Newton steps on blurred ink (Lucas & Kanade 1981; with the slopes
of the example, as Baker & Matthews 2004), coarse to fine: first a homography, then a bend. What is written
in the fields does not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

from tenfold.forms.align import Level, Warp, correlate, improve, likeness, make_level, sample, shrink_ink
from tenfold.forms.outline import find_edge_outlines, find_outlines
from tenfold.forms.starts import between_corners, search_starts
from tenfold.ink.open import to_grey

__all__ = ["Example", "Registration", "measure_ink", "prepare_example", "register"]

_LONGEST = 900  # pixels in which ink is measured
_WINDOW = 17  # pixels: wider than a stroke or a rule; what is wider is paper or desk
_DARKEST, _GRAIN = 40, 0.03  # grey levels of paper at least; share of it that is its grain
_SEARCHED = 96  # pixels of the longer side, in which starts are searched for
_COARSE = ((110, 8, 6), (220, 8, 2))  # pixels of the longer side, steps, starts that go on
_FINE = ((220, 4), (420, 6), (840, 6))  # pixels, steps of the bend
_FIELD = 0.15  # of a field's sides: what is further inside does not count
_BLOCKS, _COMPARED = 7, 420  # parts of the example along its longer side that are compared; pixels of that
_EDGED = 12  # sheets that are found by their edges
_SURE = 0.7  # score from which nothing else is tried
_TEXTURE = 0.25  # of the average spread of ink in a block: one with less says nothing


@dataclass(frozen=True, eq=False)
class Example:
    """The form's example, prepared. size: its width and height in pixels. corners: float (4, 2) each, of the
    sheets that may be in it, the whole picture first."""

    levels: dict[int, Level]
    size: tuple[int, int]
    corners: tuple[np.ndarray, ...]


@dataclass(frozen=True, eq=False)
class Registration:
    """score: how much of the example's print is found again, 0 to 1. sizes: width and height of the example
    and of the photo."""

    warp: Warp
    score: float
    sizes: tuple[tuple[int, int], tuple[int, int]]

    def map(self, points: np.ndarray) -> np.ndarray:
        """float (N, 2), x and y as shares of the example's width and height -> pixels of the photo."""
        example, photo = (np.array(size, np.float64) for size in self.sizes)
        near = (np.asarray(points, np.float64) - 0.5) * example * (2 / example.max())
        return self.warp.apply(near) * (photo.max() / 2) + photo / 2


def prepare_example(pixels: np.ndarray, boxes: Sequence[tuple[float, float, float, float]]) -> Example:
    """pixels: uint8 (H, W, 3). boxes: of its fields, as shares of its width and height."""
    ink = measure_ink(pixels)
    counted = np.ones(ink.shape, np.float32)
    for left, top, right, bottom in boxes:
        dx, dy = _FIELD * (right - left), _FIELD * (bottom - top)
        x0, x1 = (round(edge * ink.shape[1]) for edge in (left + dx, right - dx))
        y0, y1 = (round(edge * ink.shape[0]) for edge in (top + dy, bottom - dy))
        counted[y0:y1, x0:x1] = 0
    sides = sorted({_SEARCHED, *(side for side, *_ in (*_COARSE, *_FINE))})
    levels = {side: make_level(ink, counted, side) for side in sides}
    return Example(levels, (pixels.shape[1], pixels.shape[0]), tuple(_sheets(pixels)))


def measure_ink(pixels: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3) -> float32 (h, w), 0 to 1, at most 900 pixels long."""
    grey = to_grey(pixels)
    scale = max(grey.shape) / _LONGEST
    if scale > 1:
        size = max(1, round(grey.shape[1] / scale)), max(1, round(grey.shape[0] / scale))
        grey = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BOX))
    paper = ndimage.grey_closing(grey, (_WINDOW, _WINDOW)).astype(np.float32)
    return np.clip((paper - grey) / np.maximum(paper, _DARKEST) - _GRAIN, 0, 1)


def _sheets(pixels: np.ndarray) -> list[np.ndarray]:
    high, wide = pixels.shape[:2]
    whole = np.array([(0, 0), (wide, 0), (wide, high), (0, high)], np.float64)
    return _relative([whole, *find_outlines(pixels)], pixels)


def _relative(outlines: Sequence[np.ndarray], pixels: np.ndarray) -> list[np.ndarray]:
    """Pixels -> from the middle of the picture, in units of half its longer side."""
    size = np.array([pixels.shape[1], pixels.shape[0]], np.float64)
    return [(corners - size / 2) * (2 / size.max()) for corners in outlines]


def register(example: Example, pixels: np.ndarray) -> Registration:
    """pixels: uint8 (H, W, 3), of the photo. Always an answer; its score tells whether it is one."""
    ink = measure_ink(pixels)
    photo = {side: shrink_ink(ink, side) for side in example.levels}
    found = _fit(example, photo, _sheet_starts(example, pixels))
    edges = _edge_starts(example, pixels) if found[0] < _SURE else []
    if edges:
        found = max(found, _fit(example, photo, edges), key=lambda each: each[0])
    if found[0] < _SURE:
        starts = search_starts(example.levels[_SEARCHED], photo[_SEARCHED])
        found = max(found, _fit(example, photo, starts), key=lambda each: each[0])
    return Registration(found[1], found[0], (example.size, (pixels.shape[1], pixels.shape[0])))


def _fit(example: Example, photo: dict[int, np.ndarray], starts: Sequence[np.ndarray]) -> tuple[float, Warp]:
    """The best score, and its warp."""
    warps = [Warp.flat(start) for start in starts]
    for side, steps, kept in _COARSE:
        level = example.levels[side]
        tried = [*warps, *(improve(level, photo[side], warp, steps, bend=False) for warp in warps)]
        warps = _best(tried, [likeness(level, photo[side], warp) for warp in tried], kept)
    fitted = []
    for warp in warps:
        for side, steps in _FINE:
            level = example.levels[side]
            bent = improve(level, photo[side], warp, steps // 2, bend=False)
            bent = improve(level, photo[side], bent, steps, bend=True)
            if likeness(level, photo[side], bent) > likeness(level, photo[side], warp):
                warp = bent
        fitted.append((_score(example, photo, warp), warp))
    return max(fitted, key=lambda each: each[0])


def _sheet_starts(example: Example, pixels: np.ndarray) -> list[np.ndarray]:
    """Each sheet of the example onto each of the photo, in four turns."""
    return _onto(example, _sheets(pixels))


def _edge_starts(example: Example, pixels: np.ndarray) -> list[np.ndarray]:
    """Likewise, onto sheets that are found by their edges."""
    return _onto(example, _relative(find_edge_outlines(pixels, _EDGED), pixels))


def _onto(example: Example, sheets: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [
        between_corners(one, np.roll(other, turn, axis=0))
        for one in example.corners[:2]
        for other in sheets
        for turn in range(4)
    ]


def _best(warps: Sequence[Warp], scores: Sequence[float], most: int) -> list[Warp]:
    """The likeliest, of those that lie at the same place one."""
    corners = np.array([(-1, -0.7), (1, -0.7), (1, 0.7), (-1, 0.7)])
    kept: list[Warp] = []
    for number in np.argsort(scores)[::-1]:
        mapped = warps[number].apply(corners)
        if all(np.abs(mapped - other.apply(corners)).max() > 0.02 for other in kept):
            kept.append(warps[number])
    return kept[:most]


def _score(example: Example, photo: dict[int, np.ndarray], warp: Warp) -> float:
    """The mean of the correlations in parts of the example where something is printed."""
    level = example.levels[_COMPARED]
    seen = sample(photo[_COMPARED], warp.apply(level.places)).reshape(level.ink.shape)
    side = -(-max(level.ink.shape) // _BLOCKS)
    found, spreads = [], []
    for top in range(0, level.ink.shape[0], side):
        for left in range(0, level.ink.shape[1], side):
            part = slice(top, top + side), slice(left, left + side)
            counted = level.counted[part].ravel()
            if counted.sum() < side * side / 8:
                continue
            found.append(correlate(level.ink[part].ravel(), seen[part].ravel(), counted))
            spreads.append(float((level.ink[part].ravel() * counted).std()))
    told = np.array(spreads) > _TEXTURE * np.mean(spreads or [0])
    return float(np.clip(np.array(found)[told], 0, 1).mean()) if told.any() else 0.0
