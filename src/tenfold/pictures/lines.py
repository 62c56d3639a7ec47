"""A grey picture -> the boxes of its lines of writing, from the top, and a strip for the reader of each.

Nothing is erased here: a box only says where the reader should look. How far each pixel departs from the
paper around it is measured by a grey closing (Serra 1982); what departs, hangs together and is neither a
rule nor the edge of a sheet is a piece of writing; pieces side by side are a line. `make_strip` is the one
preprocessing of the reader, in training, too. All arithmetic is on whole numbers, so that the browser
(`js/ink/lines.js`, `js/ink/strip.js`) finds the same boxes and sees the same strips.

Connected regions and distances are the same as SciPy's label, find_objects and distance_transform_edt in two
dimensions: importing scipy.ndimage takes longer than reading a digit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

__all__ = ["Box", "Strip", "find_lines", "find_views", "holds_frame", "looks_ruled", "make_strip"]

Box = tuple[int, int, int, int]  # x0, y0, x1, y1 in pixels, the last two outside

_LEAST_DEPARTURE = 14  # grey levels of full ink: less is nothing
_LONG = 8  # times as long as thick: a rule
_WHOLE = 0.4  # of the picture's height: a line as high as that is read in the whole picture, too
_SAMPLED, _RULED = 16, 13  # rows and columns looked at, and of these that rules cross
_FRAME = 5  # a table's rules hang together over more than the page's size divided by this, both ways
_SPAN = 63  # levels from the paper to its 98th percentile of departure
_FLOOR = 5  # levels: a paler departure than this is not raised to full contrast


class Strip:
    """What the strips that the reader sees have in common, in pixels and grey levels."""

    HEIGHT = 32
    MULTIPLE = 8  # of which the width is one
    COLUMN_WIDTH = 2  # the network says of each column what ends there
    PAPER = 128  # grey level
    MARGIN = 8  # of paper at either side
    WIDEST = 1024  # a wider line is squeezed


@dataclass(frozen=True, eq=False)
class Departure:
    """How far each pixel is from its paper. levels: int32 (h, w), 0 paper. full: of full ink.
    light: ink is lighter than paper. factor: picture pixels per pixel here."""

    levels: np.ndarray
    full: int
    light: bool
    factor: int

    @property
    def ink(self) -> np.ndarray:
        """bool (h, w): what stands out from the paper and its grain."""
        counts, rank = np.bincount(self.levels.ravel(), minlength=256), self.levels.size // 2
        if self.full < max(_LEAST_DEPARTURE, 4 * _rank(counts, rank)):
            return np.zeros(self.levels.shape, bool)
        return self.levels * 10 > self.full * 3


def measure_departure(grey: np.ndarray) -> Departure:
    """uint8 (H, W) -> how far its pixels depart from the paper, in a picture of at most 800 pixels."""
    factor = -(-max(grey.shape) // 800)  # pixels: larger pictures are reduced before lines are looked for
    small = np.asarray(Image.fromarray(grey).reduce(factor)) if factor > 1 else grey
    light = _is_light_ink(small)
    if light:
        small = 255 - small
    side = (small.shape[0] + small.shape[1]) // 2
    window = max(5, side // 4) | 1  # of the closing: wider than a stroke
    paper = close_grey(small, window)
    levels = (paper - small).astype(np.int32)  # the paper is never darker
    return Departure(levels, _full_ink(levels), light=light, factor=factor)


def _is_light_ink(small: np.ndarray) -> bool:
    """Ink is the smaller part and departs far: the third moment of grey against its surroundings."""
    half = max(3, (small.shape[0] + small.shape[1]) // 2 // 3) // 2  # which tell light ink from dark
    departure = small - _sums_around(small, half) // _sums_around(np.ones_like(small), half)
    inner = departure[tuple(slice(size // 8, size - size // 8) for size in small.shape)]
    return int((inner * inner * inner).sum(dtype=np.int64)) > 0


def _sums_around(values: np.ndarray, half: int) -> np.ndarray:
    """int32 (H, W): the sum of the square around each pixel, cut at the edges."""
    for axis in (0, 1):
        running = np.insert(values.cumsum(axis, dtype=np.int32), 0, 0, axis)  # at most 800 x 800 x 255
        place = np.arange(values.shape[axis])
        low, high = np.maximum(place - half, 0), np.minimum(place + half + 1, len(place))
        values = running.take(high, axis) - running.take(low, axis)
    return values


def slide(both: np.ufunc, values: np.ndarray, window: int, axis: int, mode: Any = "edge") -> np.ndarray:
    """Each pixel combined with the odd window around it on this axis, by windows that double. mode: of
    `np.pad`, what lies beyond the picture."""
    padding = [(0, 0), (0, 0)]
    padding[axis] = window // 2, window // 2
    found, width = np.pad(values, padding, mode=mode), 1
    while width < window:
        step = min(width, window - width)
        one, other = (found[:-step], found[step:]) if axis == 0 else (found[:, :-step], found[:, step:])
        found, width = both(one, other), width + step
    return found


def largest_around(values: np.ndarray, window: int) -> np.ndarray:
    """The maximum of the square around each pixel, cut at the edges; window: its odd side."""
    return slide(np.maximum, slide(np.maximum, values, window, 0), window, 1)


def close_grey(grey: np.ndarray, window: int) -> np.ndarray:
    """As `scipy.ndimage.grey_closing` with a square of an odd side: the paper without its dark ink."""
    high = largest_around(grey, window)
    return slide(np.minimum, slide(np.minimum, high, window, 0), window, 1)


def _full_ink(levels: np.ndarray) -> int:
    """What the strongest half a per cent departs by; of little ink, the strongest 16 pixels, or one."""
    above = np.cumsum(np.bincount(levels.ravel(), minlength=256)[::-1])
    full = 0
    for wanted in (levels.size // 200, 16, 1):
        full = 255 - int(np.searchsorted(above, min(max(1, wanted), levels.size)))
        if full >= _LEAST_DEPARTURE:
            break
    return full


def find_lines(grey: np.ndarray) -> list[Box] | None:
    """uint8 (H, W) -> the boxes of its lines, each with a margin; [] where no writing is found,
    None where there are only dots."""
    departure, labels, numbers, pieces = find_writing(grey)
    counts = np.bincount(labels.ravel())
    if pieces and all(_is_dot(box, int(counts[number])) for number, box in zip(numbers, pieces)):
        return None
    height, width = grey.shape
    lines = []
    for x0, y0, x1, y1 in _join_lines(pieces):
        margin, factor = (y1 - y0) // 4 + 2, departure.factor  # around a line, its height divided by this
        low = max(0, factor * (x0 - margin)), max(0, factor * (y0 - margin))
        lines.append((*low, min(width, factor * (x1 + margin)), min(height, factor * (y1 + margin))))
    return lines


def find_writing(grey: np.ndarray) -> tuple[Departure, np.ndarray, np.ndarray, list[Box]]:
    """uint8 (H, W) -> its departure, the labels int32 (h, w) of regions in it, which of them are pieces of
    writing, and the boxes of these, in pixels of the departure."""
    departure = measure_departure(grey)
    labels, count = label_regions(departure.ink)
    places = filter(None, find_boxes(labels, count))  # each label is somewhere
    boxes = [(number, (x.start, y.start, x.stop, y.stop)) for number, (y, x) in enumerate(places, start=1)]
    boxes.sort(key=lambda each: -_size(each[1]))
    height, width = labels.shape
    kept = [each for each in boxes[:600] if not _is_rule(each[1], width, height)]
    kept = [each for each in kept if _size(each[1]) * 8 > _size(kept[0][1])]  # less is a speck
    return departure, labels, np.array([number for number, _ in kept], np.int32), [box for _, box in kept]


def _size(box: Box) -> int:
    return max(box[2] - box[0], box[3] - box[1])


def _is_dot(box: Box, count: int) -> bool:
    """About as wide as high, and full: a disc fills 0.79 of the square around it."""
    wide, high = box[2] - box[0], box[3] - box[1]
    return 10 * min(wide, high) >= 7 * max(wide, high) and 100 * count >= 70 * wide * high


def _is_rule(box: Box, width: int, height: int) -> bool:
    """A rule, a frame, or the edge of the sheet: it runs along or around the picture."""
    wide, high = box[2] - box[0], box[3] - box[1]
    across, down = 10 * wide >= 9 * width, 10 * high >= 9 * height
    touched = (box[0] <= 1) + (box[1] <= 1) + (box[2] >= width - 1) + (box[3] >= height - 1)
    thin = max(wide, high) > _LONG * min(wide, high)
    along = (across and _LONG * high < wide) or (down and _LONG * wide < high)
    return bool(touched and thin) or along or (touched >= 3 and across and down)


def _join_lines(pieces: Sequence[Box]) -> list[Box]:
    """Pieces whose middles lie within the height of the tallest piece of a line are one line."""
    lines: list[list[Box]] = []
    for piece in sorted(pieces, key=lambda box: (box[1] - box[3], box[1], box[0])):
        middle = piece[1] + piece[3]
        line = next((line for line in lines if 2 * line[0][1] <= middle <= 2 * line[0][3]), [])
        if not line:
            lines.append(line)
        line.append(piece)
    joined = _merge_overlapping([_around(line) for line in lines])
    tallest = max((box[3] - box[1] for box in joined), default=0)
    joined = [box for box in joined if 4 * (box[3] - box[1]) > tallest]
    return sorted(joined, key=lambda box: box[1] + box[3])


def _merge_overlapping(boxes: Sequence[Box]) -> list[Box]:
    """Lines of which one covers a third of the other's height are one: dots, commas, parts of a frame."""
    merged: list[Box] = []
    for box in sorted(boxes, key=lambda box: (box[1], box[0])):
        last = merged[-1] if merged else (0, 0, 0, 0)
        shared = min(last[3], box[3]) - max(last[1], box[1])
        if merged and 3 * shared > min(last[3] - last[1], box[3] - box[1]):
            merged[-1] = _around([last, box])
        else:
            merged.append(box)
    return merged


def _around(boxes: Sequence[Box]) -> Box:
    x0, y0 = min(box[0] for box in boxes), min(box[1] for box in boxes)
    return x0, y0, max(box[2] for box in boxes), max(box[3] for box in boxes)


def looks_ruled(grey: np.ndarray) -> bool:
    """uint8 (H, W) -> whether most rows and most columns cross three things or more, as rules do all over a
    table, and digits only where they stand."""
    ink = measure_departure(grey).ink
    for mask in (ink, ink.T):
        size = len(mask)
        places = np.linspace(size // 10, size - 1 - size // 10, _SAMPLED).astype(int)
        crossed = np.diff(mask[places].view(np.int8), axis=1, prepend=0) == 1
        if int((crossed.sum(axis=1) >= 3).sum()) < _RULED:
            return False
    return True


def find_views(grey: np.ndarray) -> list[list[Box]]:
    """The lines of a picture, each as the boxes that it is to be read in. A line that fills much of the
    picture's height is the only one: what else was found are parts of a frame or of a neighbour. It is read
    in the whole picture, by itself and, where the two differ, with half of the margin around it. A low
    picture holds one line, a picture of dots none."""
    height, width = grey.shape
    whole = (0, 0, width, height)
    lines = find_lines(grey)
    if lines is None:
        return []
    tallest = max(lines, key=lambda box: box[3] - box[1], default=whole)
    fills = tallest[3] - tallest[1] >= _WHOLE * height
    if not fills and height >= 100:  # pixels: a picture of less height holds one line
        return [[line] for line in lines]
    if not fills or tallest == whole:
        return [[whole]]
    x0, y0, x1, y1 = tallest
    return [[whole, tallest, (x0 // 2, y0 // 2, (x1 + width) // 2, (y1 + height) // 2)]]


def holds_frame(grey: np.ndarray) -> bool:
    """uint8 (H, W) -> whether some of its ink hangs together far across and down, as the rules of a table."""
    ink = measure_departure(grey).ink
    height, width = ink.shape
    return any(
        _FRAME * (rows.stop - rows.start) > height and _FRAME * (columns.stop - columns.start) > width
        for rows, columns in filter(None, find_boxes(*label_regions(ink)))
    )


def make_strip(grey: np.ndarray, box: Box | None = None) -> np.ndarray:
    """uint8 (h, w), or the part of it in a box, -> uint8 (32, W), W a multiple of 8. The picture is resized
    with its aspect kept (Pillow's bilinear filter, which averages where it makes smaller), then v becomes 128
    + 63 (v - m) / (s + 5), with m the median and s the 98th percentile of |v - m|, cut to 0..255. Paper (128)
    stands at both sides: 8 pixels on the left, 8 to 15 on the right."""
    if box is not None:
        grey = grey[box[1] : box[3], box[0] : box[2]]
    height, width = grey.shape
    wide = int(np.clip((width * Strip.HEIGHT * 2 + height) // (2 * height), 16, Strip.WIDEST))
    image = Image.fromarray(np.ascontiguousarray(grey))
    for size in ((wide, height), (wide, Strip.HEIGHT)):  # which axis is first is not left to Pillow's version
        image = image.resize(size, Image.Resampling.BILINEAR)
    levels = np.asarray(image).astype(np.int32)
    levels -= _rank(np.bincount(levels.ravel(), minlength=256), levels.size // 2)
    span = _rank(np.bincount(np.abs(levels).ravel(), minlength=256), levels.size * 98 // 100) + _FLOOR
    size = Strip.HEIGHT, -(-wide // Strip.MULTIPLE) * Strip.MULTIPLE + 2 * Strip.MARGIN
    strip, levels = np.full(size, Strip.PAPER, np.uint8), (2 * _SPAN * levels + span) // (2 * span)
    strip[:, Strip.MARGIN : Strip.MARGIN + wide] = np.clip(Strip.PAPER + levels, 0, 255)
    return strip


def _rank(counts: np.ndarray, rank: int) -> int:
    """The value at this place, counted from 0, of the sorted values that `counts` counts."""
    return int(np.searchsorted(np.cumsum(counts), rank, side="right"))


def label_regions(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """bool (H, W) -> int32 (H, W) with 1, 2, ... on regions joined by sides or corners, and how many. In the
    order of each region's first pixel, row by row. Rosenfeld & Pfaltz 1966, over runs of pixels instead of
    single ones."""
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
    while not np.array_equal(first := root[one], second := root[other]):
        np.minimum.at(root, np.maximum(first, second), np.minimum(first, second))
        while not np.array_equal(root, higher := root[root]):
            root = higher
    return root


def find_boxes(labels: np.ndarray, count: int) -> list[tuple[slice, slice] | None]:
    """The rows and columns that labels 1 to `count` lie within; None for one that is nowhere."""
    rows, columns = np.nonzero(labels)
    which = labels[rows, columns]
    box = np.empty((4, count + 1), np.int64)
    box[:2], box[2:] = max(labels.shape), -1
    for index, place in enumerate((rows, columns)):
        np.minimum.at(box[index], which, place)
        np.maximum.at(box[2 + index], which, place)
    edges = box[:, 1:].T.tolist()
    return [None if y1 < 0 else (slice(y0, y1 + 1), slice(x0, x1 + 1)) for y0, x0, y1, x1 in edges]


def distance_to_outside(mask: np.ndarray, exact_to: float = np.inf) -> np.ndarray:
    """bool (H, W) -> float32 (H, W): from each pixel's middle to that of the nearest False, in pixels. inf
    where there is no False at all. Distances beyond `exact_to` may come out larger than they are, but never
    within it, and are found sooner. Down the columns first, then along the rows (Saito & Toriwaki 1994), from
    near to far until farther ones can no longer be the nearest."""
    place = np.arange(len(mask), dtype=np.float32)[:, None]
    above = np.maximum.accumulate(np.where(mask, np.float32(-np.inf), place), axis=0)
    below = np.minimum.accumulate(np.where(mask, np.float32(np.inf), place)[::-1], axis=0)[::-1]
    squares = np.minimum(place - above, below - place) ** 2
    nearest, width = squares.copy(), mask.shape[1]
    for step in range(1, width):
        if step > exact_to or step * step >= nearest.max(initial=0):
            break
        far = np.float32(step * step)
        np.minimum(nearest[:, step:], squares[:, :-step] + far, out=nearest[:, step:])
        np.minimum(nearest[:, :-step], squares[:, step:] + far, out=nearest[:, :-step])
    return np.sqrt(nearest, out=nearest)
