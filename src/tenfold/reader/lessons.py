"""What the reader learns from besides MNIST: pen strokes drawn as pictures, lifted and framed as read.

Every lesson goes through the same `lift_ink` and `frame_ink` as a picture that is read later, so that
what a pen, a canvas, a camera and the lifting do to a digit is in what the network learns.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tenfold.ink.frame import frame_ink
from tenfold.ink.normalize import normalize_ink
from tenfold.pens.distort import vary, with_habits
from tenfold.pens.draw import draw_strokes
from tenfold.pens.scenes import canvas_picture, paper_picture
from tenfold.pens.strokes import Drawing, normalise

__all__ = ["NONE", "draw_lesson", "draw_lessons", "draw_pairs"]

NONE = "not a digit"

_CANVAS, _PAPER = 0.16, 0.04  # shares that go the whole way through a picture; it takes time


def draw_lessons(drawings: Sequence[Drawing], count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` lessons of each drawing -> uint8 (len(drawings) * count, 28, 28), drawing by drawing."""
    return np.stack([draw_lesson(drawing, rng) for drawing in drawings for _ in range(count)])


def draw_lesson(drawing: Drawing, rng: np.random.Generator) -> np.ndarray:
    """One drawing, varied, drawn and framed: uint8 (28, 28); never empty."""
    for _ in range(8):
        recorded = "/" in drawing.writer  # glyphs have the habits of their style already
        habitual = with_habits(drawing, rng, strength=0.6) if recorded else drawing
        varied = vary(habitual, rng, strength=float(rng.uniform(0.4, 1.1)))
        way = rng.random()
        draw = _on_paper if way < _PAPER else _on_canvas if way < _PAPER + _CANVAS else _plainly
        image = draw(varied, rng)
        if image.any():
            return image
    return _plainly(normalise(drawing), rng)


def _plainly(drawing: Drawing, rng: np.random.Generator) -> np.ndarray:
    """Drawn for framing, without a picture around: the quick way."""
    side = int(rng.integers(36, 110))
    width = side * float(np.exp(rng.uniform(np.log(0.02), np.log(0.16))))
    room = int(width) + 3
    strokes = _fit(drawing, side, room)
    high = np.ceil(np.max([stroke.max(axis=0) for stroke in strokes], axis=0)).astype(int) + room
    coverage = draw_strokes(
        strokes, (int(high[1]), int(high[0])), width, rng, pressure=bool(rng.random() < 0.3)
    )
    return frame_ink(coverage)


def _fit(drawing: Drawing, side: int, room: int) -> list[np.ndarray]:
    points = np.concatenate(drawing.strokes)
    low, span = points.min(axis=0), float(np.ptp(points, axis=0).max())
    return [(stroke - low) * (side / max(span, 1e-6)) + room for stroke in drawing.strokes]


def _on_canvas(drawing: Drawing, rng: np.random.Generator) -> np.ndarray:
    return normalize_ink(canvas_picture(drawing, rng))


def _on_paper(drawing: Drawing, rng: np.random.Generator) -> np.ndarray:
    return normalize_ink(paper_picture([drawing], rng, size=(200, 200))[0])


def draw_pairs(drawings: Sequence[Drawing], count: int, rng: np.random.Generator) -> np.ndarray:
    """Neighbours framed as one: what the reader must see as "not a digit" to part them.

    Two or three digits, or one with a piece of the next, near each other or touching.
    """
    pairs = []
    for _ in range(count):
        picked = rng.integers(len(drawings), size=rng.choice([2, 2, 2, 3]))
        chosen = [normalise(vary(drawings[i], rng, strength=0.7)) for i in picked]
        if rng.random() < 0.3:
            chosen[-1] = _piece(chosen[-1], rng)
        pairs.append(_plainly(_side_by_side(chosen, rng), rng))
    return np.stack(pairs)


def _piece(drawing: Drawing, rng: np.random.Generator) -> Drawing:
    """The longest stroke without its beginning or its end."""
    stroke = max(drawing.strokes, key=len)
    kept = max(2, round(len(stroke) * float(rng.uniform(0.3, 0.6))))
    return Drawing((stroke[:kept] if rng.random() < 0.5 else stroke[-kept:],), NONE)


def _side_by_side(chosen: Sequence[Drawing], rng: np.random.Generator) -> Drawing:
    strokes: list[np.ndarray] = []
    right = 0.0
    for drawing in chosen:
        points = np.concatenate(drawing.strokes)
        size = float(rng.uniform(0.8, 1.1))
        place = np.array([right - size * points[:, 0].min(), rng.uniform(-0.15, 0.15)], dtype=np.float32)
        strokes += [stroke * size + place for stroke in drawing.strokes]
        right = float(max(stroke[:, 0].max() for stroke in strokes)) + float(rng.uniform(-0.12, 0.25))
    return Drawing(tuple(strokes), NONE)
