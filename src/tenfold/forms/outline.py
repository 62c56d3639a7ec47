"""Where sheets of paper may lie in a picture: quadrilaterals around what is light and has no colour, and
quadrilaterals of straight edges."""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import ndimage

from tenfold.forms.edges import find_area, find_quadrilaterals

__all__ = ["find_edge_outlines", "find_outlines"]

_LONGEST = 240  # pixels in which they are looked for
_LEVELS = (-0.12, 0.0, 0.12)  # around Otsu's threshold, of the picture's span: shadows, light desks
_LEAST, _FULL = 0.12, 0.97  # of the picture: less is not the sheet, more is all of it
_FILLED = 0.8  # of the quadrilateral that is paper
_DIRECTIONS = 72  # in which the outline's corners are looked for


def find_outlines(pixels: np.ndarray) -> list[np.ndarray]:
    """uint8 (H, W, 3) -> quadrilaterals float (4, 2): x and y of their corners in pixels, clockwise from the
    upper left one. None where the sheet fills the picture."""
    grey, ratio = _without_writing(pixels)
    span = float(np.ptp(grey))
    middle = _otsu(grey)
    found: list[np.ndarray] = []
    for level in _LEVELS:
        corners = _largest(grey > middle + level * span)
        if corners is not None and all(np.abs(corners - other).max() > 4 for other in found):
            found.append(corners)
    return [corners * ratio for corners in found]


def find_edge_outlines(pixels: np.ndarray, most: int) -> list[np.ndarray]:
    """As `find_outlines`, by straight edges, the likeliest first: what a shadow does not hide."""
    grey, ratio = _without_writing(pixels)
    return [_from_upper_left(corners + 0.5) * ratio for corners in find_quadrilaterals(grey, most)]


def _without_writing(pixels: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    """float32 (h, w), at most 240 pixels long, and pixels of the picture per pixel of it, along x and y."""
    scale = max(1.0, max(pixels.shape[:2]) / _LONGEST)
    size = max(1, round(pixels.shape[1] / scale)), max(1, round(pixels.shape[0] / scale))
    small = np.asarray(Image.fromarray(pixels.min(axis=2)).resize(size, Image.Resampling.BOX))
    grey = ndimage.grey_closing(small, (7, 7)).astype(np.float32)
    return grey, (pixels.shape[1] / size[0], pixels.shape[0] / size[1])


def _otsu(grey: np.ndarray) -> float:
    """The level that splits the grey values into the two most different halves (Otsu 1979)."""
    counts = np.bincount(grey.astype(np.intp).ravel(), minlength=256).astype(np.float64)
    below, sums = np.cumsum(counts), np.cumsum(counts * np.arange(256))
    above = below[-1] - below
    with np.errstate(invalid="ignore", divide="ignore"):
        apart = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    return float(np.nan_to_num(apart).argmax()) + 0.5


def _largest(mask: np.ndarray) -> np.ndarray | None:
    labels, count = ndimage.label(ndimage.binary_opening(mask, np.ones((3, 3), bool)))
    if not count:
        return None
    own = labels == 1 + int(np.bincount(labels.ravel())[1:].argmax())
    own = ndimage.binary_fill_holes(own)
    share = float(own.mean())
    if not _LEAST <= share <= _FULL:
        return None
    y, x = np.nonzero(own ^ ndimage.binary_erosion(own, border_value=0))
    corners = _widest_quadrilateral(np.stack([x + 0.5, y + 0.5], axis=1))
    area = find_area(corners)
    return _from_upper_left(corners) if area > 0 and own.sum() >= _FILLED * area else None


def _widest_quadrilateral(points: np.ndarray) -> np.ndarray:
    """float (N, 2) -> four of the outermost, in order around, with the largest area."""
    angles = np.arange(_DIRECTIONS) * (2 * np.pi / _DIRECTIONS)
    far = points @ np.stack([np.cos(angles), np.sin(angles)])
    hull = points[far.argmax(axis=0)]
    start, end = np.triu_indices(_DIRECTIONS, 2)
    along = hull[end] - hull[start]
    away = hull[None] - hull[start][:, None]
    side = along[:, :1] * away[:, :, 1] - along[:, 1:] * away[:, :, 0]
    best = int((side.max(axis=1) - side.min(axis=1)).argmax())
    one, other = side[best].argmax(), side[best].argmin()
    return np.array([hull[i] for i in sorted({int(start[best]), int(end[best]), int(one), int(other)})])


def _from_upper_left(corners: np.ndarray) -> np.ndarray:
    """Angles grow clockwise where y points down."""
    return np.roll(corners, -int(corners.sum(axis=1).argmin()), axis=0)
