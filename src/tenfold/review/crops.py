"""What a person is shown of a picture: a line or a cell, upright, and one line to the reader."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image

from tenfold.errors import DataError
from tenfold.ink.lines import Box
from tenfold.ink.open import open_grey, to_grey
from tenfold.ink.pdf import PdfPage
from tenfold.ink.views import find_views
from tenfold.reader.reading import Reading

__all__ = ["cut_cell", "cut_line", "open_crops"]

_MARGINS = (0.4, 0.2, 0.0)  # of a line's height, on each side: the first with which no neighbour is seen
_INSETS = (0.03, 0.06, 0.1)  # of a cell's sides: likewise, for its rules
_LONGEST = 1600  # pixels of a crop's longer side


def open_crops(reading: Reading, source: str | PdfPage) -> tuple[np.ndarray, float] | None:
    """uint8 (H, W) to cut from, and the original's pixels for each of its own; None where the picture cannot
    be opened again."""
    if reading.picture is not None:
        return to_grey(reading.picture.pixels), reading.picture.scale
    try:
        return open_grey(source), 1.0
    except DataError:
        return None


def cut_line(crops: tuple[np.ndarray, float], box: Box, turned: int) -> np.ndarray:
    """box: in the original's pixels. turned: degrees counter-clockwise after which it is upright."""
    return _first_of_one_line(_line_crops(crops, box, turned))


def cut_cell(crops: tuple[np.ndarray, float], corners: tuple[tuple[int, int], ...]) -> np.ndarray:
    """corners: of the cell, in the original's pixels, from the one that is its upper left clockwise."""
    return _first_of_one_line(_cell_crops(crops, corners))


def _first_of_one_line(cuts: Iterator[np.ndarray]) -> np.ndarray:
    """The first in which one line is found, else the first."""
    first = None
    for cut in cuts:
        cut = _small(cut)
        if len(find_views(cut)) == 1:
            return cut
        first = cut if first is None else first
    if first is None:
        raise ValueError("nothing to choose from")
    return first


def _line_crops(crops: tuple[np.ndarray, float], box: Box, turned: int) -> Iterator[np.ndarray]:
    grey, scale = crops
    x0, y0, x1, y1 = (edge / scale for edge in box)
    for share in _MARGINS:
        margin = share * min(x1 - x0, y1 - y0)
        left, top = max(0, round(x0 - margin)), max(0, round(y0 - margin))
        cut = grey[top : max(top + 1, round(y1 + margin)), left : max(left + 1, round(x1 + margin))]
        if not cut.size:  # a box outside: the picture is another one by now
            cut = np.full((32, 32), 255, np.uint8)
        yield np.ascontiguousarray(np.rot90(cut, turned // 90))


def _cell_crops(
    crops: tuple[np.ndarray, float], corners: tuple[tuple[int, int], ...]
) -> Iterator[np.ndarray]:
    """Each is upright and rectangular, however the cell lies in the picture."""
    grey, scale = crops
    upper, right, lower, left = np.array(corners, float) / scale
    for inset in _INSETS:
        low, high = inset, 1 - inset
        quad = [
            _between(upper, right, lower, left, across, down)
            for across, down in ((low, low), (low, high), (high, high), (high, low))
        ]
        size = _length(quad[0], quad[3], quad[1], quad[2]), _length(quad[0], quad[1], quad[3], quad[2])
        flat = [float(value) for corner in quad for value in corner]
        image = Image.fromarray(grey).transform(
            size, Image.Transform.QUAD, flat, Image.Resampling.BILINEAR, fillcolor=255
        )
        yield np.asarray(image)


def _between(
    upper: np.ndarray, right: np.ndarray, lower: np.ndarray, left: np.ndarray, across: float, down: float
) -> np.ndarray:
    top, bottom = upper + across * (right - upper), left + across * (lower - left)
    return np.asarray(top + down * (bottom - top))


def _length(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> int:
    """Pixels: the longer one of a side from a to b and its opposite from c to d."""
    longer = max(float(np.hypot(*(b - a))), float(np.hypot(*(d - c))))
    return int(min(_LONGEST, max(1, round(longer))))


def _small(cut: np.ndarray) -> np.ndarray:
    if max(cut.shape) <= _LONGEST:
        return cut
    image = Image.fromarray(cut)
    image.thumbnail((_LONGEST, _LONGEST), Image.Resampling.LANCZOS)
    return np.asarray(image)
