"""Letters, symbols and digits as hand-made pen strokes: what a reader of digits must refuse or know.

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
import zipfile
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tenfold.errors import DataError, DataNotFoundError

# Digits as pen strokes: points along which a pen moved, x to the right, y downwards.

_ENTRIES = ("points", "stroke_lengths", "strokes_per_digit", "labels", "writers")
_REMEDY = "fetch or make the file again"


@dataclass(frozen=True, eq=False)
class Drawing:
    """What one person drew: strokes, each float32 (n, 2), n at least 1; any unit of length."""

    strokes: tuple[np.ndarray, ...]
    label: str
    writer: str = ""


def load_strokes(path: str | Path) -> list[Drawing]:
    """The drawings of an npz file with `points` (P, 2), `stroke_lengths`, `strokes_per_digit`, `labels`
    0..9 and `writers`.

    Empty strokes are left out. Raises DataNotFoundError when there is no file, DataError when it is
    not whole and valid.
    """
    entries = _read(path)
    lengths, counts = _counts(entries, "stroke_lengths", path), _counts(entries, "strokes_per_digit", path)
    points = _points(entries, path)
    labels, writers = entries["labels"], entries["writers"]
    _expect(lengths.sum() == len(points), f"{path}: stroke_lengths sum to {lengths.sum()}, not {len(points)}")
    _expect(
        counts.sum() == len(lengths), f"{path}: strokes_per_digit sum to {counts.sum()}, not {len(lengths)}"
    )
    _expect(labels.shape == writers.shape == counts.shape, f"{path}: not one label and writer a digit")
    _expect(
        labels.dtype.kind in "iu" and (not labels.size or (labels.min() >= 0 and labels.max() <= 9)),
        f"{path}: a label is not a digit",
    )
    strokes = np.split(points, np.cumsum(lengths)[:-1])
    ends = np.cumsum(counts)
    drawings = []
    for end, count, label, writer in zip(ends, counts, labels, writers, strict=True):
        drawn = tuple(stroke for stroke in strokes[end - count : end] if len(stroke))
        _expect(bool(drawn), f"{path}: a digit has no point")
        drawings.append(Drawing(drawn, str(int(label)), str(writer)))
    return drawings


def normalise(drawing: Drawing) -> Drawing:
    """The same drawing, its box's corner at the origin and its longer side 1; the aspect is kept.

    A drawing of one place (a dot) keeps its size, which is 0.
    """
    low, high = box(drawing.strokes)
    scale = 1.0 / max(float((high - low).max()), 1e-6)
    strokes = tuple(((stroke - low) * scale).astype(np.float32) for stroke in drawing.strokes)
    return Drawing(strokes, drawing.label, drawing.writer)


def box(strokes: tuple[np.ndarray, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The corners (x, y) with the smallest and the largest coordinates."""
    points = np.concatenate(strokes)
    return points.min(axis=0), points.max(axis=0)


def _read(path: str | Path) -> dict[str, np.ndarray]:
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: np.asarray(archive[name]) for name in _ENTRIES}
    except FileNotFoundError:
        raise DataNotFoundError(f"{path} is not there", expected="an npz file of pen strokes") from None
    except KeyError as error:
        raise DataError(
            f"{path} lacks an entry: {error.args[0]}", expected=", ".join(_ENTRIES), remedy=_REMEDY
        ) from error
    except (
        OSError,
        ValueError,
        EOFError,
        AttributeError,
        TypeError,
        zipfile.BadZipFile,
        MemoryError,
    ) as error:
        raise DataError(
            f"{path} cannot be read: {error}", expected="an npz file of pen strokes", remedy=_REMEDY
        ) from error


def _counts(entries: dict[str, np.ndarray], name: str, path: str | Path) -> np.ndarray:
    values = entries[name]
    _expect(values.ndim == 1 and values.dtype.kind in "iu", f"{path}: {name} is not a list of whole numbers")
    _expect(not values.size or int(values.min()) >= 0, f"{path}: {name} holds a negative number")
    return values.astype(np.int64)


def _points(entries: dict[str, np.ndarray], path: str | Path) -> np.ndarray:
    points = entries["points"]
    _expect(
        points.ndim == 2 and points.shape[1] == 2 and points.dtype.kind in "fiu",
        f"{path}: points have shape {points.shape}, {points.dtype}, not (P, 2) numbers",
    )
    points = points.astype(np.float32)
    _expect(bool(np.isfinite(points).all()), f"{path}: a point is not finite")
    return points


def _expect(holds: bool, found: str) -> None:
    if not holds:
        raise DataError(found, remedy=_REMEDY)


DIGITS = tuple(string.digits)
LETTERS = tuple(string.ascii_letters)  # "no" is none, though "no" in string.ascii_letters

FILES = ("digits.txt", "letters.txt", "scripts.txt", "symbols.txt")
LINE = re.compile(r"(?P<label>\S+) (?P<style>[a-z0-9-]+)(?P<ambiguous> \?)?: (?P<strokes>.+)")
POINT = re.compile(r"(-?\d{1,3}),(-?\d{1,3})(!?)")
MARGIN = 10  # hundredths that a stroke may leave the unit box
SAMPLES = 24, 60  # points of a stroke, at least and at most, about; a unit of length has 24
STEPS = 24  # points of a span before its length is known
DOT = 0.02  # height of a dot
TURN_BACK = 1e-6  # a pen that goes back the way it came has no direction there


class Glyph(NamedTuple):
    """A drawing, and whether a person may take it for a digit (or a digit for something else)."""

    drawing: Drawing
    ambiguous: bool


def load_glyphs(*, ambiguous: bool = False) -> list[Drawing]:
    """All glyphs of the package: label is the character (or name), writer the style.

    Strokes are float32 (n, 2) of 24 to 64 points or so (a dot: 8), in the unit box or up to about a tenth
    outside. Glyphs that may be taken for a digit, or for a letter though they are one, come only if
    `ambiguous`.
    """
    return [glyph.drawing for glyph in _package_glyphs() if ambiguous or not glyph.ambiguous]


@cache
def _package_glyphs() -> tuple[Glyph, ...]:
    folder = resources.files("tenfold.synthesis")
    texts = [(name, (folder / name).read_text(encoding="utf-8")) for name in FILES]
    return tuple(glyph for name, text in texts for glyph in parse_glyphs(text, name=name))


def parse_glyphs(text: str, *, name: str = "glyphs") -> list[Glyph]:
    """The glyphs of a text in the format above; raises DataError naming `name` and the line."""
    glyphs: list[Glyph] = []
    seen: set[tuple[str, str]] = set()
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip() and not line.startswith(";"):
            glyph = _parse_line(line.strip(), place=f"{name}, line {number}")
            key = (glyph.drawing.label, glyph.drawing.writer)
            if key in seen:
                raise DataError(
                    f"{name}, line {number}: a second glyph {' '.join(key)!r}",
                    expected="each label and style once",
                    remedy="give it another style",
                )
            seen.add(key)
            glyphs.append(glyph)
    return glyphs


def _parse_line(line: str, *, place: str) -> Glyph:
    match = LINE.fullmatch(line)
    if match is None:
        raise DataError(f"{place}: {line[:60]!r}", expected="label style: x,y x,y | x,y x,y")
    strokes = [_parse_stroke(part, place=place) for part in match["strokes"].split("|")]
    drawing = Drawing(
        tuple(_sample(points, corners) for points, corners in strokes), match["label"], match["style"]
    )
    return Glyph(drawing, match["ambiguous"] is not None)


def _parse_stroke(text: str, *, place: str) -> tuple[np.ndarray, np.ndarray]:
    """Points float64 (n, 2) in the unit box, and bool (n,): where the pen turns a corner."""
    found = [(word, POINT.fullmatch(word)) for word in text.split()]
    if not found:
        raise DataError(f"{place}: a stroke without points", expected="x,y x,y on each side of every '|'")
    points: list[tuple[int, int]] = []
    corners: list[bool] = []
    for word, match in found:
        if match is None:
            raise DataError(f"{place}: point {word[:20]!r}", expected="x,y in whole hundredths, or x,y!")
        point = int(match[1]), int(match[2])
        if min(point) < -MARGIN or max(point) > 100 + MARGIN:
            raise DataError(f"{place}: point {word!r}", expected=f"from {-MARGIN} to {100 + MARGIN}")
        if points and point == points[-1]:
            raise DataError(f"{place}: point {word!r} twice in a row", expected="points that differ")
        points.append(point)
        corners.append(bool(match[3]))
    return np.array(points) / 100, np.array(corners)


def _sample(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """The curve through control points (n, 2): float32 (m, 2), about evenly spaced along each span."""
    if len(points) == 1:
        down = np.linspace(-DOT / 2, DOT / 2, 8)
        return np.stack([np.full(8, points[0, 0]), points[0, 1] + down], axis=1).astype(np.float32)
    leave, arrive = _directions(points, corners)
    spans = [_arc(*span) for span in zip(points[:-1], points[1:], leave, arrive)]
    lengths = np.array([np.linalg.norm(np.diff(span, axis=0), axis=1).sum() for span in spans])
    total = np.clip(SAMPLES[0] * lengths.sum(), *SAMPLES)
    counts = np.maximum(1, np.rint(total * lengths / lengths.sum())).astype(int)
    pieces = [_evenly(span, count) for span, count in zip(spans, counts)]
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
        if not corners[i] and size > TURN_BACK:
            arrive[i - 1] = leave[i] = tangent / size
    return leave, arrive


def _arc(start: np.ndarray, stop: np.ndarray, leave: np.ndarray, arrive: np.ndarray) -> np.ndarray:
    """A cubic Hermite span, (STEPS + 1, 2): where both ends lie on a circle, nearly its arc.

    An arc of radius r and angle 2a has chord c = 2 r sin a and tangents 4 r tan(a / 2) = 2 c / (1 + cos a);
    beyond 2a = 120 degrees the tangents grow no more, lest the pen swing out.
    """
    chord = stop - start
    length = float(np.linalg.norm(chord))
    first, last = (2 * length / (1 + max(0.5, float(chord @ way) / length)) * way for way in (leave, arrive))
    t = np.linspace(0, 1, STEPS + 1)[:, None]
    return (
        (2 * t**3 - 3 * t**2 + 1) * start
        + (t**3 - 2 * t**2 + t) * first
        + (3 * t**2 - 2 * t**3) * stop
        + (t**3 - t**2) * last
    )


def _evenly(curve: np.ndarray, count: int) -> np.ndarray:
    """`count` points evenly along a polyline, the last its end, without its start."""
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))])
    at = along[-1] * np.arange(1, count + 1) / count
    return np.stack([np.interp(at, along, curve[:, k]) for k in (0, 1)], axis=1)
