"""A photo of a form -> where each place of the example lies on it.

Both become ink: how much darker each pixel is than the paper around it, which light and shadow hardly
change. Starts come from the sheet's outline and from a search over turns and sizes (correlation in the
Fourier domain); each is improved by Gauss-Newton steps on blurred ink (Lucas & Kanade 1981; with the slopes
of the example, as Baker & Matthews 2004), coarse to fine: first a homography, then a bend. What is written
in the fields does not count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from PIL import Image
from scipy import ndimage

from tenfold.forms import align
from tenfold.forms.template import Share

# Where sheets of paper may lie in a picture, by their edges: quadrilaterals of long straight lines.
#
# A shadow across the sheet changes its grey, not its edges. Lines are found by a Hough transform in which
# each edge pixel votes for the direction of its own slope (Ballard 1981).

_EDGES = 0.08  # share of pixels that are edges
_TURN = 2.0  # degrees of a bin, and pixels of the other one
_LINES = 14  # that are combined
_PARALLEL, _ACROSS = 32.0, 50.0  # degrees between opposite sides at most, and between neighbours at least
_OUTSIDE = 0.12  # of the picture's sides: corners may lie as far outside of it
_LEAST = 0.1  # of the picture that a sheet covers
_NEAR = 2.0  # pixels from a side to the edge pixels that support it
_SUPPORTED = 0.35  # of a side, at least


def find_quadrilaterals(grey: np.ndarray, most: int) -> list[np.ndarray]:
    """float32 (h, w), some 240 pixels long -> float (4, 2) each: x and y of corners, in order around; those
    whose sides are best supported by edges first."""
    smooth = ndimage.gaussian_filter(grey, 1.0)
    down, along = np.gradient(smooth)
    steep = np.hypot(down, along)
    y, x = np.nonzero(steep > max(1.0, float(np.quantile(steep, 1 - _EDGES))))
    if len(x) < 40:
        return []
    angles = np.arctan2(down[y, x], along[y, x]) % np.pi
    lines = _find_lines(x, y, angles, grey.shape)
    away = np.ones(grey.shape, bool)
    away[y, x] = False
    near = ndimage.distance_transform_edt(away) <= _NEAR
    found = []
    for corners in _combine(lines, grey.shape):
        sides = zip(corners, np.roll(corners, -1, axis=0))
        found.append((min(_support(near, *side) for side in sides), corners))
    found.sort(key=lambda each: -each[0])
    return [corners for support, corners in found if support > _SUPPORTED][:most]


def _find_lines(
    x: np.ndarray, y: np.ndarray, angles: np.ndarray, shape: tuple[int, ...]
) -> list[tuple[float, float]]:
    """(angle of the normal, distance from the origin) of the lines with the most votes."""
    turns = round(180 / _TURN)
    reach = int(np.hypot(shape[0], shape[1])) + 1
    votes = np.zeros((turns, 2 * reach // int(_TURN) + 2))
    for off in (-2, -1, 0, 1, 2):
        turn = np.rint(angles / np.pi * turns).astype(int) + off
        normal = turn * (np.pi / turns)
        far = x * np.cos(normal) + y * np.sin(normal)
        far = np.where((turn < 0) | (turn >= turns), -far, far)
        np.add.at(votes, (turn % turns, np.rint((far + reach) / _TURN).astype(int)), 1)
    votes = ndimage.gaussian_filter(votes, 0.7)
    lines = []
    for _ in range(_LINES):
        turn, place = np.unravel_index(votes.argmax(), votes.shape)
        if votes[turn, place] < 8:
            break
        lines.append((float(turn * np.pi / turns), float(place * _TURN - reach)))
        votes[max(0, turn - 4) : turn + 5, max(0, place - 3) : place + 4] = 0
    return lines


def _combine(lines: list[tuple[float, float]], shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """Corners of each quadrilateral of two pairs of lines that may be a sheet, in order around."""
    pairs = [pair for pair in combinations(lines, 2) if _apart(pair[0][0], pair[1][0]) < _PARALLEL]
    low = -_OUTSIDE * np.array([shape[1], shape[0]])
    high = (1 + _OUTSIDE) * np.array([shape[1], shape[0]])
    for one, other in combinations(pairs, 2):
        if min(_apart(a[0], b[0]) for a in one for b in other) < _ACROSS:
            continue
        corners = np.array([_cross(one[i], other[j]) for i, j in ((0, 0), (0, 1), (1, 1), (1, 0))])
        if (corners < low).any() or (corners > high).any():
            continue
        sides = np.roll(corners, -1, axis=0) - corners
        after = np.roll(sides, -1, axis=0)
        turns = sides[:, 0] * after[:, 1] - sides[:, 1] * after[:, 0]
        if find_area(corners) > _LEAST * shape[0] * shape[1] and (np.sign(turns) == np.sign(turns[0])).all():
            yield corners if turns[0] > 0 else corners[::-1]


def find_area(corners: np.ndarray) -> float:
    """Of a polygon, float (N, 2), in order around; 0 where it has fewer than four corners."""
    if len(corners) < 4:
        return 0.0
    x, y = corners.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def _apart(one: float, other: float) -> float:
    """Degrees between two directions of lines, 0 to 90."""
    apart = abs(np.degrees(one - other)) % 180
    return float(min(apart, 180 - apart))


def _cross(one: tuple[float, float], other: tuple[float, float]) -> np.ndarray:
    normals = np.array([(np.cos(each[0]), np.sin(each[0])) for each in (one, other)])
    return np.linalg.solve(normals, np.array([one[1], other[1]]))


def _support(near: np.ndarray, one: np.ndarray, other: np.ndarray) -> float:
    """The share of a side, inside of the picture, along which edge pixels lie."""
    count = max(8, int(np.hypot(*(other - one).tolist()) / 2))
    points = np.rint(one + np.linspace(0, 1, count)[:, None] * (other - one)).astype(int)
    inside = ((points >= 0) & (points < near.shape[::-1])).all(axis=1)
    x, y = points[inside].T
    return float(near[y, x].mean()) if inside.sum() >= count / 2 else 0.0


_LONGEST_OUTLINE = 240  # pixels in which they are looked for
_LEVELS = (-0.12, 0.0, 0.12)  # around Otsu's threshold, of the picture's span: shadows, light desks
_LEAST_OUTLINE, _FULL = 0.12, 0.97  # of the picture: less is not the sheet, more is all of it
_FILLED = 0.8  # of the quadrilateral that is paper
_DIRECTIONS = 72  # in which the outline's corners are looked for


def find_outlines(pixels: np.ndarray) -> list[np.ndarray]:
    """uint8 (H, W, 3) -> quadrilaterals float (4, 2): x and y of their corners in pixels, clockwise from the
    upper left one. None where the sheet fills the picture."""
    grey, ratio = _without_writing(pixels)
    span, middle = float(np.ptp(grey)), _otsu(grey)
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
    scale = max(1.0, max(pixels.shape[:2]) / _LONGEST_OUTLINE)
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
    own = ndimage.binary_fill_holes(labels == 1 + int(np.bincount(labels.ravel())[1:].argmax()))
    if not _LEAST_OUTLINE <= float(own.mean()) <= _FULL:
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


_LONGEST = 900  # pixels in which ink is measured
_WINDOW = 17  # pixels around each, for the paper
_GRAIN = 0.03  # share of the paper that is its grain
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

    levels: dict[int, align.Level]
    size: tuple[int, int]
    corners: tuple[np.ndarray, ...]


@dataclass(frozen=True, eq=False)
class Registration:
    """score: how much of the example's print is found again, 0 to 1. sizes: width and height of the example
    and of the photo."""

    warp: align.Warp
    score: float
    sizes: tuple[tuple[int, int], tuple[int, int]]

    def map(self, points: np.ndarray) -> np.ndarray:
        """float (N, 2), x and y as shares of the example's width and height -> pixels of the photo."""
        example, photo = (np.array(size, np.float64) for size in self.sizes)
        near = (np.asarray(points, np.float64) - 0.5) * example * (2 / example.max())
        return self.warp.apply(near) * (photo.max() / 2) + photo / 2

    def corners(self, box: Share) -> np.ndarray:
        """float (4, 2), pixels of the photo: where the corners of a box lie, from its upper left one."""
        left, top, right, bottom = box
        return self.map(np.array([(left, top), (right, top), (right, bottom), (left, bottom)]))


def prepare_example(pixels: np.ndarray, boxes: Sequence[Share]) -> Example:
    """pixels: uint8 (H, W, 3). boxes: of its fields, as shares of its width and height."""
    ink = measure_ink(pixels)
    counted = np.ones(ink.shape, np.float32)
    for left, top, right, bottom in boxes:
        dx, dy = _FIELD * (right - left), _FIELD * (bottom - top)
        x0, x1 = (round(edge * ink.shape[1]) for edge in (left + dx, right - dx))
        y0, y1 = (round(edge * ink.shape[0]) for edge in (top + dy, bottom - dy))
        counted[y0:y1, x0:x1] = 0
    sides = sorted({_SEARCHED, *(side for side, *_ in (*_COARSE, *_FINE))})
    levels = {side: align.make_level(ink, counted, side) for side in sides}
    return Example(levels, (pixels.shape[1], pixels.shape[0]), tuple(_sheets(pixels)))


def measure_ink(pixels: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3) -> float32 (h, w), 0 to 1, at most 900 pixels long."""
    grey = np.asarray(Image.fromarray(pixels).convert("L"))
    scale = max(grey.shape) / _LONGEST
    if scale > 1:
        size = max(1, round(grey.shape[1] / scale)), max(1, round(grey.shape[0] / scale))
        grey = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BOX))
    return np.clip(align.measure_darkness(grey, _WINDOW) - _GRAIN, 0, 1)


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
    photo = {side: align.shrink_ink(ink, side) for side in example.levels}
    found = _fit(example, photo, _onto(example, _sheets(pixels)))
    for search in (
        lambda: _onto(example, _relative(find_edge_outlines(pixels, _EDGED), pixels)),
        lambda: align.search_starts(example.levels[_SEARCHED], photo[_SEARCHED]),
    ):
        if found[0] < _SURE and (starts := search()):
            found = max(found, _fit(example, photo, starts), key=lambda each: each[0])
    return Registration(found[1], found[0], (example.size, (pixels.shape[1], pixels.shape[0])))


def _fit(
    example: Example, photo: dict[int, np.ndarray], starts: Sequence[np.ndarray]
) -> tuple[float, align.Warp]:
    """The best score, and its warp."""
    warps = [align.Warp(start) for start in starts]
    for side, steps, kept in _COARSE:
        level = example.levels[side]
        tried = [*warps, *(align.improve(level, photo[side], warp, steps, bend=False) for warp in warps)]
        warps = _best(tried, [align.likeness(level, photo[side], warp) for warp in tried], kept)
    fitted = []
    for warp in warps:
        for side, steps in _FINE:
            level = example.levels[side]
            bent = align.improve(level, photo[side], warp, steps // 2, bend=False)
            bent = align.improve(level, photo[side], bent, steps, bend=True)
            if align.likeness(level, photo[side], bent) > align.likeness(level, photo[side], warp):
                warp = bent
        fitted.append((_score(example, photo, warp), warp))
    return max(fitted, key=lambda each: each[0])


def _onto(example: Example, sheets: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Matrices that take each sheet of the example onto each of the photo, in four turns."""
    return [
        align.between_corners(one, np.roll(other, turn, axis=0))
        for one in example.corners[:2]
        for other in sheets
        for turn in range(4)
    ]


def _best(warps: Sequence[align.Warp], scores: Sequence[float], most: int) -> list[align.Warp]:
    """The likeliest, of those that lie at the same place one."""
    corners = np.array([(-1, -0.7), (1, -0.7), (1, 0.7), (-1, 0.7)])
    kept: list[align.Warp] = []
    for number in np.argsort(scores)[::-1]:
        mapped = warps[number].apply(corners)
        if all(np.abs(mapped - other.apply(corners)).max() > 0.02 for other in kept):
            kept.append(warps[number])
    return kept[:most]


def _score(example: Example, photo: dict[int, np.ndarray], warp: align.Warp) -> float:
    """The mean of the correlations in parts of the example where something is printed."""
    level = example.levels[_COMPARED]
    seen = align.sample(photo[_COMPARED], warp.apply(level.places)).reshape(level.ink.shape)
    side = -(-max(level.ink.shape) // _BLOCKS)
    found, spreads = [], []
    for top in range(0, level.ink.shape[0], side):
        for left in range(0, level.ink.shape[1], side):
            part = slice(top, top + side), slice(left, left + side)
            counted = level.counted[part].ravel()
            if counted.sum() < side * side / 8:
                continue
            found.append(align.correlate(level.ink[part].ravel(), seen[part].ravel(), counted))
            spreads.append(float((level.ink[part].ravel() * counted).std()))
    told = np.array(spreads) > _TEXTURE * np.mean(spreads or [0])
    return float(np.clip(np.array(found)[told], 0, 1).mean()) if told.any() else 0.0
