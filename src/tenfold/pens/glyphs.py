"""Letters, symbols and digits as hand-made pen strokes: what a reader of digits must refuse or know.

Each text file beside this one holds one variant a line:

    a two-strokes: 76,14 44,4 16,34 18,80 46,97 76,66 | 79,2 79,99
    l plain ?: 50,0 50,100

The label (a character or a name), the style, `?` where a person may take the mark for a digit (or, of
a digit, for another mark), then the strokes in the order of writing, parted by `|`. A point is x,y in
hundredths of the unit box, x right and y down; `!` marks a corner. A centripetal Catmull-Rom curve
(Yuksel, Schaefer & Keyser, "Parameterization and applications of Catmull-Rom curves", 2011) runs through
the points between corners; a stroke that ends where it began is closed smoothly; a single point is a dot.
A line that begins with `;` is a comment.
"""

from __future__ import annotations

import math
import re
import string
from functools import cache
from importlib import resources
from typing import NamedTuple

import numpy as np

from tenfold.errors import DataError
from tenfold.pens.strokes import Drawing

__all__ = ["DIGITS", "LETTERS", "Glyph", "load_glyphs", "parse_glyphs"]

DIGITS = string.digits
LETTERS = string.ascii_letters

FILES = ("digits.txt", "letters.txt", "symbols.txt")
LINE = re.compile(r"(?P<label>\S+) (?P<style>[a-z0-9-]+)(?P<ambiguous> \?)?: (?P<strokes>.+)")
POINT = re.compile(r"(-?\d{1,3}),(-?\d{1,3})(!?)")
MARGIN = 10  # hundredths that a stroke may leave the unit box
SAMPLES = 40  # points of a stroke, about
STEPS = 24  # points of a span before its length is known
DOT = 0.02  # height of a dot


class Glyph(NamedTuple):
    """A drawing, and whether a person may take it for a digit (or a digit for something else)."""

    drawing: Drawing
    ambiguous: bool


class Span(NamedTuple):
    """The four control points, each (2,), of a piece of curve from `start` to `stop`."""

    before: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    after: np.ndarray


def load_glyphs(*, ambiguous: bool = False) -> list[Drawing]:
    """All glyphs of the package: label is the character (or name), writer the style.

    Strokes are float32 (n, 2) of about 24 to 64 points, in the unit box or up to a tenth outside. Glyphs
    that may be taken for a digit, or for a letter though they are one, come only if `ambiguous`.
    """
    return [glyph.drawing for glyph in _package_glyphs() if ambiguous or not glyph.ambiguous]


@cache
def _package_glyphs() -> tuple[Glyph, ...]:
    folder = resources.files("tenfold.pens")
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
    points, corners = [], []
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
    spans = [_curve(span) for span in _spans(points, corners)]
    lengths = np.array([np.linalg.norm(np.diff(span, axis=0), axis=1).sum() for span in spans])
    counts = np.maximum(1, np.rint(SAMPLES * lengths / lengths.sum())).astype(int)
    pieces = [_evenly(span, count) for span, count in zip(spans, counts)]
    return np.concatenate([points[:1], *pieces]).astype(np.float32)


def _spans(points: np.ndarray, corners: np.ndarray) -> list[Span]:
    """For each span its four control points: the neighbours are mirrored at corners and at open ends."""
    closed = len(points) > 2 and bool((points[0] == points[-1]).all()) and not corners[[0, -1]].any()
    ends: list[Span] = []
    for i in range(len(points) - 1):
        start, stop = points[i], points[i + 1]
        before = points[i - 1] if i else points[-2]
        after = points[i + 2] if i + 2 < len(points) else points[1]
        if corners[i] or (i == 0 and not closed):
            before = 2 * start - stop
        if corners[i + 1] or (i + 2 == len(points) and not closed):
            after = 2 * stop - start
        ends.append(Span(before, start, stop, after))
    return ends


def _curve(span: Span) -> np.ndarray:
    """A centripetal Catmull-Rom span as a cubic Hermite curve: (STEPS + 1, 2) from start to stop."""
    before, start, stop, after = span
    d0, d1, d2 = (math.sqrt(math.dist(*pair)) for pair in ((before, start), (start, stop), (stop, after)))
    leave = stop - start + d1 * ((start - before) / d0 - (stop - before) / (d0 + d1))
    arrive = stop - start + d1 * ((after - stop) / d2 - (after - start) / (d1 + d2))
    t = np.linspace(0, 1, STEPS + 1)[:, None]
    return (
        (2 * t**3 - 3 * t**2 + 1) * start
        + (t**3 - 2 * t**2 + t) * leave
        + (3 * t**2 - 2 * t**3) * stop
        + (t**3 - t**2) * arrive
    )


def _evenly(curve: np.ndarray, count: int) -> np.ndarray:
    """`count` points evenly along a polyline, the last its end, without its start."""
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))])
    at = along[-1] * np.arange(1, count + 1) / count
    return np.stack([np.interp(at, along, curve[:, k]) for k in (0, 1)], axis=1)
