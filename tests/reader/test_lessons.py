"""What the reader learns from: framed like what it reads, reproducible, hands held out whole."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

from tenfold.pens.glyphs import DIGITS, load_glyphs
from tenfold.pens.strokes import Drawing
from tenfold.reader.lessons import draw_lessons, draw_pairs
from tenfold.reader.load import load_reader

SCRIPT = Path(__file__).parents[2] / "scripts" / "reader_lessons.py"
GLYPHS = [glyph for glyph in load_glyphs() if glyph.label in DIGITS]


def test_lessons_are_framed_and_the_same_for_the_same_seed() -> None:
    one, two = (draw_lessons(GLYPHS[:6], 4, np.random.default_rng(2)) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert one.shape == (24, 28, 28) and one.dtype == np.uint8
    assert (one.reshape(24, -1).max(axis=1) == 255).all()
    rows, columns = (one > 96).any(axis=2).sum(axis=1), (one > 96).any(axis=1).sum(axis=1)
    assert (np.maximum(rows, columns) >= 17).all() and (np.maximum(rows, columns) <= 24).all()


def test_lessons_of_a_digit_are_still_that_digit() -> None:
    """As the reader that ships sees them: it learned from others of the kind."""
    images = draw_lessons(GLYPHS[::3], 3, np.random.default_rng(7))
    labels = np.repeat([int(glyph.label) for glyph in GLYPHS[::3]], 3)
    assert (load_reader().predict(images) == labels).mean() > 0.9


def test_neighbours_are_refused() -> None:
    reader = load_reader()
    _, none = reader.judge(draw_pairs(GLYPHS, 60, np.random.default_rng(5)))
    assert (none > reader.card.most_none).mean() > 0.85


@pytest.fixture(scope="module")
def script() -> dict[str, object]:
    return runpy.run_path(str(SCRIPT))


def test_a_hand_is_either_learned_from_or_held_out(script: dict) -> None:
    stroke = np.array([[0, 0], [0.1, 1]], np.float32)
    strokes = [Drawing((stroke,), str(n % 10), f"abc/{n // 10}.dat") for n in range(400)]
    jobs = {held: script["plan"](strokes, load_glyphs(), 0.1, 0, held) for held in (False, True)}
    writers = {
        held: {d.writer for job in jobs[held] for d in job.drawings if "/" in d.writer} for held in jobs
    }
    assert writers[True] and not writers[True] & writers[False]
    assert len(writers[True]) + len(writers[False]) == 40
    glyphs = {held: {(d.label, d.writer) for job in jobs[held] for d in job.drawings} for held in jobs}
    assert not glyphs[True] & glyphs[False]
    seeds = [job.seed for held in jobs for job in jobs[held]]
    assert len(seeds) == len(set(seeds))


def test_what_is_no_digit_is_labelled_so(script: dict) -> None:
    for job in script["plan"]([], load_glyphs(), 0.02, 0, True)[:8]:
        images, labels = job.run()
        assert len(images) == len(labels)
        if not job.pairs and job.label is None:
            assert labels.tolist() == np.repeat([int(d.label) for d in job.drawings], job.count).tolist()
        else:
            assert set(labels.tolist()) == {script["NONE_CLASS"]}
