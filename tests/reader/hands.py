"""An odd hand for tests of learning it: digits as in a mirror, drawn from the package's glyphs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from tenfold.ink.frame import frame_ink
from tenfold.pens.distort import vary
from tenfold.pens.draw import draw_strokes
from tenfold.pens.glyphs import DIGITS, load_glyphs
from tenfold.pens.strokes import Drawing, normalise
from tenfold.reader.lessons import draw_lessons
from tenfold.reader.memory import Memory

__all__ = ["draw_canvas", "draw_hand", "small_memory"]


def draw_canvas(digits: Sequence[int], rng: np.random.Generator, *, mirrored: bool = True) -> Image.Image:
    """Digits beside each other, dark on white."""
    canvas = np.zeros((100, 100 * len(digits)), np.float32)
    for place, digit in enumerate(digits):
        glyph = next(glyph for glyph in load_glyphs() if glyph.label == DIGITS[digit])
        drawn = normalise(vary(glyph, rng, strength=0.3))
        side = -1.0 if mirrored else 1.0
        turned = normalise(Drawing(tuple(stroke * (side, 1) for stroke in drawn.strokes), drawn.label))
        moved = [stroke * np.float32(60) + (20 + 100 * place, 20) for stroke in turned.strokes]
        canvas = np.maximum(canvas, draw_strokes(moved, canvas.shape, 6.0))  # type: ignore[arg-type]
    return Image.fromarray(np.rint(255 * (1 - canvas)).astype(np.uint8))


def draw_hand(each: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """`each` mirrored examples of every digit: uint8 (N, 28, 28), int64 (N,)."""
    rng = np.random.default_rng(seed)
    labels = np.tile(np.arange(10), each)
    canvases = [np.asarray(draw_canvas([label], rng), np.float32) for label in labels]
    return np.stack([frame_ink(1 - canvas / 255) for canvas in canvases]), labels


def small_memory() -> Memory:
    """Four drawings of every digit to rehearse and four others to measure; 60 letters and symbols."""
    rng = np.random.default_rng(5)
    glyphs = load_glyphs()
    digits = [next(g for g in glyphs if g.label == name) for name in DIGITS]
    others = [glyph for glyph in glyphs if glyph.label not in DIGITS]
    old = draw_lessons(digits, 8, rng).reshape(10, 8, 28, 28)
    labels = np.repeat(np.arange(10), 4)
    strange = draw_lessons(others[::9][:60], 1, rng)
    return Memory(
        np.concatenate([old[:, :4].reshape(-1, 28, 28), strange[::2]]),
        np.concatenate([labels, np.full(len(strange[::2]), 10)]),
        old[:, 4:].reshape(-1, 28, 28),
        labels,
        strange[1::2],
        "drawn digits",
    )
