"""A picture of a ruled table, form or sudoku -> where its rows and columns are, on a flat picture of it.

Pieces of rules show how the page is turned, tilted and bent (`tenfold.pictures.rules`); of what hangs
together on the flat page the part with the most crossings is the table. Its rules are then looked for again,
across its whole width and height: faint ones, those that a regular table lacks, and open sides.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from PIL import Image
from scipy import ndimage

from tenfold.pictures.rules import (
    STEP,
    Flattening,
    Rules,
    close_runs,
    find_pieces,
    fit_flattening,
    grow_square,
    interpolate,
    measure_darkness,
    open_runs,
)

__all__ = ["Grid"]

Both = tuple[np.ndarray, np.ndarray]  # of what runs along, and of what runs down
Place = tuple[slice, slice]

_SKEWS, _CLEARLY = (0, -4, 4, -8, 8, -12, 12), 1.2  # degrees; times as much is level after another turn
_STRONG, _RELATIVE, _FAINT = 0.5, 0.7, 0.2  # of a rule's length that is seen
_DARK, _SOLID = 0.4, 0.8  # of a rule's usual darkness, and the share of its length that is as dark
_NEAR = 0.12  # of a gap: where a rule is expected
_REACHED = 0.4  # of the crossing rules that go on between two rules of a table
_OPEN = (0.5, 1.15)  # of a gap: how far rules go on where a side is open


@dataclass(frozen=True, eq=False)
class Grid:
    """flat: uint8 (h, w). rows, columns: float, the rules' places on it, from the top and from the left, one
    more than there are rows or columns of cells. back, scale: where the flat picture's pixels come from."""

    flat: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    back: np.ndarray
    scale: float

    @staticmethod
    def find(grey: np.ndarray) -> Grid | None:
        """uint8 (H, W) -> its largest ruled table of at least 2 x 2 cells, or None."""
        scale = max(1.0, max(grey.shape) / 1000)  # pixels in which rules are looked for
        small = _shrink(grey, scale)
        pieces = chosen = _find_pieces(small)
        for margin in (0.35, 0.15):  # around a table, of its size: rules in there say how the page lies
            flattening = fit_flattening(*chosen, small.shape)
            if flattening is None:
                return None
            back = flattening.map_back(small.shape)
            part = _find_table(measure_darkness(flattening.apply(small, back, 1.0)))
            if part is None:
                return None
            chosen = _pieces_within(pieces, back, part[2], margin, small.shape)
        flattening = fit_flattening(*chosen, small.shape)
        return None if flattening is None else _read_grid(grey, flattening, small.shape, scale)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of cells."""
        return len(self.rows) - 1, len(self.columns) - 1

    def cell(self, row: int, column: int, inset: float) -> tuple[int, int, int, int]:
        """x0, y0, x1, y1 on the flat picture; inset: left out at each side, as a share of the cell."""
        edges = []
        for lines, at in ((self.columns, column), (self.rows, row)):
            margin = inset * (lines[at + 1] - lines[at])
            edges.append((max(0, int(lines[at] + margin)), int(lines[at + 1] - margin) + 1))
        (x0, x1), (y0, y1) = edges
        return x0, y0, x1, y1

    def to_picture(self, points: np.ndarray) -> np.ndarray:
        """float (N, 2), x and y on the flat picture -> x and y in the picture that was looked at."""
        step = self.flat.shape[0] / (self.back.shape[1] - 1)
        y, x = np.clip(np.asarray(points)[:, ::-1] / step, 0, np.array(self.back.shape[1:]) - 1).T
        return interpolate(self.back, y, x)[::-1].T * self.scale


def _find_pieces(small: np.ndarray) -> Both:
    """Of rules along and down, found in the picture turned so that most of them are level."""
    turn = _find_skew(small)
    rules = measure_darkness(_turn(small, turn))
    along, down = rules.find()
    angle, middle = np.radians(turn), np.array(small.shape[::-1]) / 2
    back = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    found = []
    for mask, axis, sign in ((along, 1, 1), (down, 0, -1)):
        pieces = find_pieces(mask, axis, rules.length)
        pieces[:, :2] = (pieces[:, :2] - middle) @ back + middle
        pieces[:, 2] = np.tan(np.arctan(pieces[:, 2]) + sign * angle)
        found.append(pieces)
    return found[0], found[1]


def _find_skew(small: np.ndarray) -> int:
    """Degrees counter-clockwise by which the picture is turned so that most of its rules are level."""
    tiny = _shrink(small, 2)
    lengths = []
    for turn in _SKEWS:
        rules = measure_darkness(_turn(tiny, turn))
        runs = (open_runs(mask, 3 * rules.length, axis) for mask, axis in zip(rules.find(), (1, 0)))
        lengths.append(sum(int(run.sum()) for run in runs))
    best = int(np.argmax(lengths))
    return _SKEWS[best] if lengths[best] > _CLEARLY * lengths[0] else _SKEWS[0]


def _turn(grey: np.ndarray, degrees: int) -> np.ndarray:
    turned = Image.fromarray(grey).rotate(degrees, Image.Resampling.BILINEAR, fillcolor=int(np.median(grey)))
    return np.asarray(turned)


def _read_grid(grey: np.ndarray, flattening: Flattening, shape: tuple[int, int], scale: float) -> Grid | None:
    back = flattening.map_back(shape)
    flat = flattening.apply(grey, back, scale)
    rules = measure_darkness(_shrink(flat, scale))
    part = _find_table(rules)
    if part is None:
        return None
    rows, columns = _first_rules(*part)
    if min(len(rows), len(columns)) < 2:
        return None
    rows, columns = _settle(rules, rows, columns)
    if min(len(rows), len(columns)) < 3:
        return None
    return Grid(flat, (rows + 0.5) * scale, (columns + 0.5) * scale, back, scale)


def _shrink(grey: np.ndarray, scale: float) -> np.ndarray:
    size = round(grey.shape[1] / scale), round(grey.shape[0] / scale)
    return np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BOX))


def _find_table(rules: Rules) -> tuple[np.ndarray, np.ndarray, Place] | None:
    """Of the connected rules, those with the most crossings: along, down, and where."""
    closed = (close_runs(mask, 15, axis) for mask, axis in zip(rules.find(), (1, 0), strict=True))
    along, down = (open_runs(mask, 3 * rules.length, axis) for mask, axis in zip(closed, (1, 0), strict=True))
    labels, _ = ndimage.label(grow_square(along | down, 5))
    places = dict(enumerate(ndimage.find_objects(labels), start=1))
    crossings = {}
    for number, place in places.items():
        own = labels[place] == number
        both = [grow_square(mask[place] & own, 5) for mask in (along, down)]
        crossings[number] = ndimage.label(both[0] & both[1])[1]
    best = max(crossings, key=crossings.__getitem__, default=0)
    if crossings.get(best, 0) < 4:  # of a table at least
        return None
    place = places[best]
    own = labels[place] == best
    return along[place] & own, down[place] & own, place


def _pieces_within(
    pieces: Both, back: np.ndarray, place: Place, margin: float, shape: tuple[int, int]
) -> Both:
    spans = []
    for axis, part in enumerate(place):
        more = margin * (part.stop - part.start)
        low, high = int((part.start - more) / STEP), int((part.stop + more) / STEP) + 2
        spans.append(slice(max(0, low), min(back.shape[1 + axis], high)))
    places = np.clip(back[:, spans[0], spans[1]] / STEP, 0, None).astype(np.intp)
    within = np.zeros([size // STEP + 2 for size in shape], bool)
    within[np.minimum(places[0], len(within) - 1), np.minimum(places[1], within.shape[1] - 1)] = True
    within = grow_square(within, 3)
    one, other = (part[within[tuple((part[:, 1::-1] / STEP).astype(np.intp).T)]] for part in pieces)
    return one, other


def _first_rules(along: np.ndarray, down: np.ndarray, place: Place) -> Both:
    rows, columns = (_peaks(profile, 0.15 * profile.max(), 8) for profile in (along.sum(1), down.sum(0)))
    crossed = grow_square(along, 7) & grow_square(down, 7)
    while len(rows) and len(columns):
        crossings = crossed[np.ix_(rows.astype(int), columns.astype(int))]
        keep_rows = crossings.sum(1) >= max(2, _REACHED * len(columns))
        keep_columns = crossings.sum(0) >= max(2, _REACHED * len(rows))
        if keep_rows.all() and keep_columns.all():
            break
        rows, columns = rows[keep_rows], columns[keep_columns]
    return rows + place[0].start, columns + place[1].start


def _peaks(profile: np.ndarray, least: float, apart: float) -> np.ndarray:
    """Middles of the stretches above `least`; of those that are too near, the highest."""
    if not profile.size or profile.max() <= 0:
        return np.empty(0)
    labels, _ = ndimage.label(profile >= least)
    found: list[tuple[float, float]] = []
    for (place,) in ndimage.find_objects(labels):
        part = profile[place]
        peak = float(np.arange(place.start, place.stop) @ part / part.sum()), float(part.max())
        if not found or peak[0] - found[-1][0] >= apart:
            found.append(peak)
        elif peak[1] > found[-1][1]:
            found[-1] = peak
    return np.array([middle for middle, _ in found])


def _settle(rules: Rules, rows: np.ndarray, columns: np.ndarray) -> Both:
    turned = replace(rules, darkness=rules.darkness.T)
    for _ in range(4):  # of looking for rules again
        before = len(rows), len(columns)
        along = rules.weak(1, int(0.75 * np.median(np.diff(columns))))
        down = rules.weak(0, int(0.75 * np.median(np.diff(rows))))
        rows = _Rows(along, down, columns, rules).find(rows)
        columns = _Rows(down.T, along.T, rows, turned).find(columns)
        if (len(rows), len(columns)) == before:
            break
    of_rows, of_columns = _Rows(along, down, columns, rules), _Rows(down.T, along.T, rows, turned)
    return of_rows.with_open_ends(rows), of_columns.with_open_ends(columns)


class _Rows:
    """The rules of one direction. own, across: bool (h, w), evidence of these, and of those that cross them
    at `others`. rules: of the picture, turned as these are."""

    def __init__(self, own: np.ndarray, across: np.ndarray, others: np.ndarray, rules: Rules) -> None:
        self.across, self.others = across, others
        self.blur = rules.length  # pixels: evidence goes on by half of it at both ends of a rule
        width = slice(int(max(0, others[0])), int(others[-1]) + 1)
        self.seen = ndimage.maximum_filter1d(own[:, width].mean(axis=1), 3)
        self.darkness = rules.darkness[:, width]

    def find(self, known: np.ndarray) -> np.ndarray:
        """From those that are known, those that there are."""
        gap = float(np.median(np.diff(known)))
        low, high = int(max(0, known[0] - 1.4 * gap)), int(min(len(self.seen), known[-1] + 1.4 * gap))
        lines = low + _peaks(self.seen[low:high], _STRONG, max(6, 0.3 * gap))
        if len(lines) >= 2:
            shares = self._share(lines)
            lines = lines[shares >= _RELATIVE * np.percentile(shares, 90)]
        if len(lines) < 2:
            return known
        return self._extend(self._trim(self._fill(self._drop_strokes(lines))))

    def _share(self, lines: np.ndarray) -> np.ndarray:
        return self.seen[np.rint(lines).astype(int).clip(0, len(self.seen) - 1)]

    def _look(self, place: float, gap: float) -> float | None:
        low = int(max(0, place - _NEAR * gap))
        near = self.seen[low : int(max(0, place + _NEAR * gap)) + 1]
        return low + float(near.argmax()) if near.size and near.max() >= _FAINT else None

    def _fill(self, lines: np.ndarray) -> np.ndarray:
        """Gaps that are whole multiples of the usual one."""
        usual = float(np.median(np.diff(lines)))
        extra: list[float | None] = []
        for low, high in pairwise(lines):
            times = round((high - low) / usual)
            if times > 1 and abs((high - low) / usual - times) < 0.2 * times:
                extra += [self._look(low + (high - low) * k / times, usual) for k in range(1, times)]
        return np.sort(np.concatenate([lines, [place for place in extra if place is not None]]))

    def _is_solid(self, line: float) -> bool:
        """Whether it is dark nearly all along, and not only where characters stand side by side."""
        low = max(0, round(line) - 1)
        dark = self.darkness[low : low + 3].max(axis=0, initial=0)
        return bool(np.mean(dark > _DARK * np.percentile(dark, 75)) >= _SOLID)

    def _drop_strokes(self, lines: np.ndarray) -> np.ndarray:
        """Without strokes of characters side by side, which look like a weak rule within a usual gap."""
        shares = self._share(lines)
        solid = np.array([self._is_solid(line) for line in lines])
        strong = lines[(shares >= 0.9 * shares.max()) & solid]  # of the best seen rule's share
        if len(strong) < 3:
            return lines
        most = 1.3 * _pitch(strong)
        after = np.searchsorted(strong, lines, side="right").clip(1, len(strong) - 1)
        low, high = strong[after - 1], strong[after]
        within = (low < lines) & (lines < high) & (high - low < most)
        return lines[~within]

    def _reached(self, low: float, high: float) -> bool:
        part = self.across[int(low) + 2 : max(int(high) - 1, int(low) + 3)]
        seen = [cut.any(axis=1).mean() >= _STRONG for cut in self._cuts(part)]
        return bool(np.mean(seen) >= _REACHED)

    def _cuts(self, part: np.ndarray) -> list[np.ndarray]:
        """Of evidence across, what is around each crossing rule."""
        return [part[:, max(0, int(at) - 3) : int(at) + 4] for at in self.others]

    def _trim(self, lines: np.ndarray) -> np.ndarray:
        """Without the page's edge, or a heading, outside of the table."""
        while len(lines) > 2 and not self._reached(lines[0], lines[1]):
            lines = lines[1:]
        while len(lines) > 2 and not self._reached(lines[-2], lines[-1]):
            lines = lines[:-1]
        return lines

    def _extend(self, lines: np.ndarray) -> np.ndarray:
        """By faint rules beyond, of a regular table."""
        if len(lines) <= 3:
            return lines
        gap = _pitch(lines)
        for sign, side in ((-1, 0), (1, -1)):
            while 0 < (expected := lines[side] + sign * gap) < len(self.seen):
                place = self._look(expected, gap)
                if place is None or not self._reached(*sorted((place, lines[side]))):
                    break
                lines = np.sort(np.append(lines, place))
        return lines

    def with_open_ends(self, lines: np.ndarray) -> np.ndarray:
        """Where a side has no rule, but the crossing rules go on, their ends are added."""
        first = self._open(lines[0], -4, lines[1] - lines[0])
        last = self._open(lines[-1], 4, lines[-1] - lines[-2])
        return np.concatenate([first, lines, last])

    def _open(self, edge: float, step: int, gap: float) -> list[float]:
        at = edge
        while abs(at - edge) < _OPEN[1] * gap:
            low, high = sorted((at, at + step))
            part = self.across[max(0, int(low)) : int(high) + 1]
            if low < 0 or high > len(self.across) or not part.size:
                break
            if np.mean([cut.any() for cut in self._cuts(part)]) < _STRONG:
                break
            at += step
        far = abs(at - edge) > max(_OPEN[0] * gap, self.blur)
        return [at - np.sign(step) * self.blur / 2] if far else []


def _pitch(lines: np.ndarray) -> float:
    """The usual gap, each gap counted by its width."""
    gaps = np.sort(np.diff(lines))
    return float(gaps[np.searchsorted(gaps.cumsum(), gaps.sum() / 2)])
