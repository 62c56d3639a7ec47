"""Letters, symbols and digits as hand-made pen strokes: read from text, drawn, varied as other people draw.

All of it works on the strokes' points, where a bent line stays as wide and as sharp as a straight one (vector
counterpart of the elastic distortions of Simard et al. 2003).

Each text file beside this one holds one variant a line:

    a two-strokes: 76,14 44,4 16,34 18,80 46,97 76,66 | 79,2 79,99
    l plain ?: 50,0 50,100

The label (a character or a name), the style, `?` where a person may take the mark for a digit (or, of
a digit, for another mark), then the strokes in the order of writing, separated by `|`. A point is x,y in
hundredths of the unit box, x right and y down; `!` marks a corner. Between corners the curve takes at each
point the direction half-way between those to its neighbours; a stroke that ends where it began, without a
corner there, is closed smoothly; a single point is a dot.
A line that begins with `;` is a comment.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources

import numpy as np
from scipy.ndimage import gaussian_filter1d

from tenfold.errors import DataError

DIGITS = tuple(string.digits)
LETTERS = tuple(string.ascii_letters)  # "no" is none, though "no" in string.ascii_letters

_FILES = ("digits.txt", "letters.txt", "scripts.txt", "symbols.txt")
_LINE = re.compile(r"(?P<label>\S+) (?P<style>[a-z0-9-]+)(?P<ambiguous> \?)?: (?P<strokes>.+)")
_POINT = re.compile(r"(-?\d{1,3}),(-?\d{1,3})(!?)")
_MARGIN = 10  # hundredths that a stroke may leave the unit box
_SAMPLES = 24, 60  # points of a stroke, at least and at most, about; a unit of length has 24
_STEPS = 24  # points of a span before its length is known
_DOT = 0.02  # height of a dot
_TURN_BACK = 1e-6  # a pen that goes back the way it came has no direction there
_DEGREE = np.pi / 180


@dataclass(frozen=True, eq=False)
class Drawing:
    """What one person drew: strokes, each float32 (n, 2), n at least 1, x to the right and y down; any unit
    of length. ambiguous: a person may take it for a digit (or a digit for something else)."""

    strokes: tuple[np.ndarray, ...]
    label: str
    writer: str = ""
    ambiguous: bool = False


def normalise(drawing: Drawing) -> Drawing:
    """The same drawing, its box's corner at the origin and its longer side 1; the aspect is kept.

    A drawing of one place (a dot) keeps its size, which is 0.
    """
    low, high = box(drawing.strokes)
    scale = 1.0 / max(float((high - low).max()), 1e-6)
    strokes = tuple(((stroke - low) * scale).astype(np.float32) for stroke in drawing.strokes)
    return replace(drawing, strokes=strokes)


def box(strokes: tuple[np.ndarray, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The corners (x, y) with the smallest and the largest coordinates."""
    points = np.concatenate(strokes)
    return points.min(axis=0), points.max(axis=0)


def load_glyphs(*, ambiguous: bool = False) -> list[Drawing]:
    """All glyphs of the package: label is the character (or name), writer the style.

    Strokes are float32 (n, 2) of 24 to 64 points or so (a dot: 8), in the unit box or up to about a tenth
    outside. Glyphs that may be taken for a digit, or for a letter though they are one, come only if
    `ambiguous`.
    """
    return [glyph for glyph in _package_glyphs() if ambiguous or not glyph.ambiguous]


@cache
def _package_glyphs() -> tuple[Drawing, ...]:
    paths = [resources.files("tenfold.synthesis") / name for name in _FILES]
    return tuple(each for path in paths for each in parse_glyphs(path.read_text("utf-8"), name=path.name))


def parse_glyphs(text: str, *, name: str = "glyphs") -> list[Drawing]:
    """The glyphs of a text in the format above; raises DataError naming `name` and the line."""
    glyphs: dict[tuple[str, str], Drawing] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip() or line.startswith(";"):
            continue
        place = f"{name}, line {number}"
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise DataError(f"{place}: {line.strip()[:60]!r}", expected="label style: x,y x,y | x,y x,y")
        label, style = match["label"], match["style"]
        strokes = tuple(_sample(*_parse_stroke(part, place=place)) for part in match["strokes"].split("|"))
        if (label, style) in glyphs:
            found = f"{place}: a second glyph {f'{label} {style}'!r}"
            raise DataError(found, expected="each label and style once", remedy="give it another style")
        glyphs[label, style] = Drawing(strokes, label, style, match["ambiguous"] is not None)
    return list(glyphs.values())


def _parse_stroke(text: str, *, place: str) -> tuple[np.ndarray, np.ndarray]:
    """Points float64 (n, 2) in the unit box, and bool (n,): where the pen turns a corner."""
    found = [(word, _POINT.fullmatch(word)) for word in text.split()]
    if not found:
        raise DataError(f"{place}: a stroke without points", expected="x,y x,y on each side of every '|'")
    points: list[tuple[int, int]] = []
    for word, match in found:
        if match is None:
            raise DataError(f"{place}: point {word[:20]!r}", expected="x,y in whole hundredths, or x,y!")
        point = int(match[1]), int(match[2])
        if min(point) < -_MARGIN or max(point) > 100 + _MARGIN:
            raise DataError(f"{place}: point {word!r}", expected=f"from {-_MARGIN} to {100 + _MARGIN}")
        if points and point == points[-1]:
            raise DataError(f"{place}: point {word!r} twice in a row", expected="points that differ")
        points.append(point)
    return np.array(points) / 100, np.array([word.endswith("!") for word, _ in found])


def _sample(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """The curve through control points (n, 2): float32 (m, 2), about evenly spaced along each span."""
    if len(points) == 1:
        down = np.linspace(-_DOT / 2, _DOT / 2, 8)
        return np.stack([np.full(8, points[0, 0]), points[0, 1] + down], axis=1).astype(np.float32)
    leave, arrive = _directions(points, corners)
    spans = [_arc(*span) for span in zip(points[:-1], points[1:], leave, arrive)]
    lengths = np.array([_lengths(span)[-1] for span in spans])
    total = np.clip(_SAMPLES[0] * lengths.sum(), *_SAMPLES)
    counts = np.maximum(1, np.rint(total * lengths / lengths.sum())).astype(int)
    pieces = [_evenly(span, count)[1:] for span, count in zip(spans, counts)]
    return np.concatenate([points[:1], *pieces]).astype(np.float32)


def _directions(points: np.ndarray, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit directions (n - 1, 2) in which each span leaves its start and arrives at its end.

    At a smooth point half-way between the spans that meet there; else along the span.
    """
    chords = np.diff(points, axis=0)
    units = chords / np.linalg.norm(chords, axis=1, keepdims=True)
    leave, arrive = units.copy(), units.copy()
    closed = len(points) > 3 and bool((points[0] == points[-1]).all()) and not corners[-1]
    for i in range(0 if closed else 1, len(chords)):
        tangent = units[i - 1] + units[i]
        size = float(np.linalg.norm(tangent))
        if not corners[i] and size > _TURN_BACK:
            arrive[i - 1] = leave[i] = tangent / size
    return leave, arrive


def _arc(start: np.ndarray, stop: np.ndarray, leave: np.ndarray, arrive: np.ndarray) -> np.ndarray:
    """A cubic Hermite span, (25, 2): where both ends lie on a circle, nearly its arc.

    An arc of radius r and angle 2a has chord c = 2 r sin a and tangents 4 r tan(a / 2) = 2 c / (1 + cos a);
    beyond 2a = 120 degrees the tangents grow no more, lest the pen swing out.
    """
    chord = stop - start
    length = float(np.linalg.norm(chord))
    first, last = (2 * length / (1 + max(0.5, float(chord @ way) / length)) * way for way in (leave, arrive))
    t = np.linspace(0, 1, _STEPS + 1)[:, None]
    left = (2 * t**3 - 3 * t**2 + 1) * start + (t**3 - 2 * t**2 + t) * first
    return left + (3 * t**2 - 2 * t**3) * stop + (t**3 - t**2) * last


def _lengths(points: np.ndarray) -> np.ndarray:
    """(n,): how far it is along a polyline (n, 2) from its start to each point."""
    return np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])


def _evenly(points: np.ndarray, count: int) -> np.ndarray:
    """A polyline with count + 1 points at even distances, both ends kept."""
    along = _lengths(points)
    places = np.linspace(0.0, along[-1], count + 1)
    return np.stack([np.interp(places, along, points[:, axis]) for axis in (0, 1)], axis=1)


def resample(points: np.ndarray, step: float) -> np.ndarray:
    """The same polyline with points at even distances of about `step`, both ends kept; float32 (m, 2)."""
    count = int(np.clip(np.ceil(_lengths(points)[-1] / step), 1, 2000))
    return _evenly(points, count).astype(np.float32)


def draw_strokes(
    strokes: Sequence[np.ndarray], size: tuple[int, int], width: float,
    rng: np.random.Generator | None = None, *, pressure: bool = False, wobble: float = 0.0,
) -> np.ndarray:  # fmt: skip
    """Coverage float32 (H, W), 0..1, of strokes (n, 2) in pixels drawn with a pen `width` pixels wide.

    Pixel (row, column) covers y in [row, row + 1) and x in [column, column + 1); `size` is (H, W).
    With `rng`, `pressure` lets the width swell and thin along each stroke, and `wobble` makes the
    brush blobby: a standard deviation, as a share of the width. A segment is a capsule; a pixel gets the
    overlap of its width with the pen's, so that lines thinner than a pixel are fainter instead of broken.
    """
    canvas = np.zeros(size, dtype=np.float32)
    for stroke in strokes:
        points = np.asarray(stroke, dtype=np.float32)
        radii = np.full(len(points), width / 2, dtype=np.float32)
        if rng is not None and (pressure or wobble > 0):
            points, radii = _liven(points, width, rng, pressure, wobble)
        else:
            points, radii = _thin_out(points, radii)
        _draw_polyline(canvas, points, radii)
    return np.minimum(canvas, 1, out=canvas)  # float32's rounding goes beyond


def _liven(
    points: np.ndarray, width: float, rng: np.random.Generator, pressure: bool, wobble: float
) -> tuple[np.ndarray, np.ndarray]:
    points = resample(points, max(width * 0.4, 2.0))
    radii = np.full(len(points), width / 2, dtype=np.float32)
    if pressure:
        knots = rng.uniform(0.55, 1.2, 5)
        radii *= np.interp(np.linspace(0, 4, len(points)), np.arange(5), knots).astype(np.float32)
    if wobble > 0:
        jitter = rng.standard_normal((len(points), 3)).clip(-2, 2).astype(np.float32)
        points = points + jitter[:, :2] * np.float32(wobble * width)
        radii *= (1 + wobble * jitter[:, 2]).clip(0.3, 2)
    return points, radii


def _thin_out(points: np.ndarray, radii: np.ndarray, step: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """Leaves out points that did not move on by `step` pixels, and cuts long segments (small windows)."""
    if len(points) > 2:
        keep = np.diff(np.floor(_lengths(points) / step), prepend=-1.0) > 0
        keep[-1] = True
        points, radii = points[keep], radii[keep]
    longest = 24.0 + 4 * float(radii[0])
    gaps = np.hypot(*np.diff(points, axis=0).T)
    if not (gaps > longest).any():
        return points, radii
    pieces = [points[:1]]
    for start, end, gap in zip(points[:-1], points[1:], gaps, strict=True):
        share = np.linspace(0, 1, int(min(gap // longest, 500)) + 2, dtype=np.float32)[1:, None]
        pieces.append(start + (end - start) * share)
    points = np.concatenate(pieces)
    return points, np.full(len(points), radii[0], dtype=np.float32)


def _draw_polyline(canvas: np.ndarray, points: np.ndarray, radii: np.ndarray) -> None:
    if len(points) == 1:
        points, radii = np.repeat(points, 2, axis=0), np.repeat(radii, 2)
    reach = np.maximum(radii[:-1], radii[1:]) + 1.0
    low = np.floor(np.minimum(points[:-1], points[1:]) - reach[:, None]).astype(int)
    high = np.ceil(np.maximum(points[:-1], points[1:]) + reach[:, None]).astype(int)
    low, high = np.maximum(low, 0), np.minimum(high, canvas.shape[::-1])
    columns = (low, high, points[:-1], points[1:], radii[:-1], radii[1:])
    for (x0, y0), (x1, y1), *ends in zip(*(column.tolist() for column in columns), strict=True):
        if x0 < x1 and y0 < y1:
            window = canvas[y0:y1, x0:x1]
            np.maximum(window, _capsule(x0, y0, window.shape, *ends), out=window)


def _capsule(
    x0: int, y0: int, shape: tuple[int, ...], a: list[float], b: list[float], ra: float, rb: float
) -> np.ndarray:
    x = np.arange(shape[1], dtype=np.float32) + np.float32(x0 + 0.5 - a[0])
    y = np.arange(shape[0], dtype=np.float32)[:, None] + np.float32(y0 + 0.5 - a[1])
    dx, dy = np.float32(b[0] - a[0]), np.float32(b[1] - a[1])
    square = dx * dx + dy * dy
    along = (x * dx + y * dy) / (square if square > 0 else np.float32(1))
    along = np.minimum(np.maximum(along, 0), 1)
    distance = np.sqrt((x - along * dx) ** 2 + (y - along * dy) ** 2)
    radius = ra if ra == rb else ra + along * np.float32(rb - ra)
    covered = np.minimum(distance + 0.5, radius) - np.maximum(distance - 0.5, -radius)
    return np.maximum(covered, 0, out=covered)


def vary(drawing: Drawing, rng: np.random.Generator, *, strength: float = 1.0) -> Drawing:
    """The same class drawn another way: as many strokes, normalised, finite.

    `strength` scales all of it: 0 changes nothing but normalises, 1 covers what people do.
    """
    strokes = [stroke.astype(np.float64) for stroke in normalise(drawing).strokes]
    if strength > 0:
        if rng.random() < 0.5:
            strokes = [_end_otherwise(stroke, rng, strength) for stroke in strokes]
        if len(strokes) > 1:
            strokes = [_move_stroke(stroke, rng, strength) for stroke in strokes]
        strokes = _redraw(strokes, rng)
        strokes = _warp(strokes, rng, strength)
        strokes = _lean(strokes, rng, strength)
        strokes = _tremble(strokes, rng, strength)
    return normalise(replace(drawing, strokes=tuple(stroke.astype(np.float32) for stroke in strokes)))


def _end_otherwise(stroke: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Trims or overshoots both ends, each at random, and sometimes hooks the start."""
    if len(stroke) < 2 or not np.ptp(stroke, axis=0).any():
        return stroke
    points = resample(stroke, 0.02).astype(np.float64)
    for _ in range(2):
        points = _end(points[::-1], rng.normal(0, 0.035) * strength)
    if rng.random() < 0.2:
        hook = rng.uniform(0.015, 0.07) * strength
        turn = rng.uniform(0, 2 * np.pi)
        points = np.concatenate([points[:1] + hook * np.array([[np.cos(turn), np.sin(turn)]]), points])
    return points


def _end(points: np.ndarray, change: float) -> np.ndarray:
    """Points 0.02 apart, lengthened by `change` at the end, or shortened (by a tenth at most)."""
    if change < 0:
        return points[: max(len(points) - int(-change / 0.02), len(points) - len(points) // 10, 2)]
    heading = points[-1] - points[max(len(points) - 4, 0)]
    heading /= max(float(np.hypot(*heading)), 1e-9)
    return np.concatenate([points, points[-1:] + heading * change])


def _move_stroke(stroke: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    centre = stroke.mean(axis=0)
    scale = np.exp(rng.normal(0, 0.06, 2) * strength)
    moved = ((stroke - centre) * scale) @ _rotation(rng.normal(0, 4) * strength)
    return moved + centre + rng.normal(0, 0.022, 2) * strength


def _rotation(degrees: float) -> np.ndarray:
    cosine, sine = np.cos(degrees * _DEGREE), np.sin(degrees * _DEGREE)
    return np.array([[cosine, sine], [-sine, cosine]])


def _redraw(strokes: list[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """As the hand or the tablet draws: as recorded, smooth, in few straight pieces, or on a coarse grid."""
    manner = str(rng.choice(["as is", "smooth", "pieces", "grid"], p=[0.42, 0.36, 0.12, 0.1]))
    blur, piece, grid = rng.uniform(0.8, 3.0), rng.uniform(0.06, 0.2), rng.uniform(0.02, 0.075)

    def redraw(stroke: np.ndarray) -> np.ndarray:
        if len(stroke) < 3 or manner == "as is":
            return stroke
        if manner == "smooth":
            return gaussian_filter1d(resample(stroke, 0.02).astype(np.float64), blur, axis=0, mode="nearest")
        if manner == "pieces":
            return resample(stroke, piece).astype(np.float64)
        return np.rint(resample(stroke, grid / 3).astype(np.float64) / grid) * grid

    return [redraw(stroke) for stroke in strokes]


def _warp(strokes: list[np.ndarray], rng: np.random.Generator, strength: float) -> list[np.ndarray]:
    """A smooth displacement field: a few plane waves, one to three quarters of a wave a drawing."""
    waves = 3
    numbers = rng.uniform(-0.9, 0.9, (waves, 2)) * 2 * np.pi
    phases = rng.uniform(0, 2 * np.pi, waves)
    pushes = rng.normal(0, 0.028, (waves, 2)) * strength
    return [stroke + np.sin(stroke @ numbers.T + phases) @ pushes for stroke in strokes]


def _lean(strokes: list[np.ndarray], rng: np.random.Generator, strength: float) -> list[np.ndarray]:
    """Aspect, slant and rotation as one matrix."""
    low, high = box(tuple(strokes))
    widest = 0.35 if high[0] - low[0] < high[1] - low[1] else 0.0  # what is wide already is not widened
    aspect = np.exp(np.clip(rng.normal(0, 0.18), -0.35, widest) * strength)
    slant = np.clip(rng.normal(0.04, 0.17), -0.35, 0.45) * strength
    turn = np.clip(rng.normal(0, 5), -12, 12) * strength
    matrix = np.array([[aspect, 0], [-slant, 1]]) @ _rotation(turn)
    return [stroke @ matrix for stroke in strokes]


def _tremble(strokes: list[np.ndarray], rng: np.random.Generator, strength: float) -> list[np.ndarray]:
    """An unsteady hand, for one drawing in three."""
    if rng.random() > 0.35:
        return strokes
    amount, reach = rng.uniform(0.003, 0.012) * strength, rng.uniform(0.8, 3.0)
    shaken = []
    for stroke in strokes:
        points = resample(stroke, 0.02).astype(np.float64) if len(stroke) > 2 else stroke
        noise = gaussian_filter1d(rng.standard_normal(points.shape), reach, axis=0, mode="nearest")
        shaken.append(points + noise * amount * np.sqrt(2 * reach * np.sqrt(np.pi)))
    return shaken
