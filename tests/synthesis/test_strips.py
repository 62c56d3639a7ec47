"""Strips drawn from small sources made here: shapes, texts, seeds, and that the text is what is drawn."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from tenfold.pictures.lines import Strip, make_strip
from tenfold.reader.decode import CHARACTERS, DIGITS
from tenfold.synthesis.ink import draw_glyph, draw_text, random_pen, slope_ink
from tenfold.synthesis.paper import draw_rules, make_paper, photograph
from tenfold.synthesis.sources import Hand, RealStrip, Sources, font_hands
from tenfold.synthesis.strips import Mixture, StripMaker, is_legible, random_text, vary_real


def stroke(*points: float) -> np.ndarray:
    return np.array(points, np.float32).reshape(-1, 2)


@pytest.fixture
def sources() -> Sources:
    glyphs = {digit: [(stroke(0, 0, 10, 5, 0, 20), stroke(0, 10, 8, int(digit)))] for digit in DIGITS}
    raster = {digit: [np.full((20, 6 + int(digit)), 200, np.uint8)] for digit in DIGITS}
    paper = np.random.default_rng(0).integers(180, 220, (60, 90), dtype=np.uint8)
    return Sources(
        hands=[Hand("mnist", raster), Hand("pen", glyphs)],
        letters=[(stroke(0, 0, 5, 9, 9, 0),)],
        real=[RealStrip(paper, "12.5"), RealStrip(paper, "?")],
        papers=[paper],
    )


def test_strips_are_of_the_readers_form_and_repeat_with_the_seed(sources: Sources) -> None:
    maker = StripMaker(sources)
    made = [maker.make(np.random.default_rng(seed)) for seed in range(120)]
    again = [maker.make(np.random.default_rng(seed)) for seed in range(120)]
    for (strip, text), (other, same) in zip(made, again, strict=True):
        assert strip.dtype == np.uint8 and strip.shape[0] == Strip.HEIGHT and strip.shape[1] % 8 == 0
        assert set(text) <= set(CHARACTERS)
        assert text == same and np.array_equal(strip, other)
    kinds = Counter("blank" if not t else "words" if t == "?" else "number" for _, t in made)
    assert kinds["number"] > 70 and kinds["blank"] and kinds["words"]


def test_shares_of_the_mixture_decide_what_is_drawn(sources: Sources) -> None:
    nothing = {"real": 0.0, "real_words": 0.0, "blank": 0.0, "words": 0.0, "plain_digit": 0.0, "printed": 0.0}
    for kind, texts in (("blank", {""}), ("words", set("?.-=+:")), ("real", {"12.5"}), ("real_words", {"?"})):
        maker = StripMaker(sources, Mixture(**(nothing | {kind: 1.0})))
        made = {maker.make(np.random.default_rng(seed))[1] for seed in range(15)}
        assert made <= texts and ("?" in made or kind not in ("words", "real_words"))
    maker = StripMaker(sources, Mixture(**(nothing | {"plain_digit": 1.0})))
    assert all(maker.make(np.random.default_rng(seed))[1] in DIGITS for seed in range(15))


def test_numbers_are_written_as_people_write_them() -> None:
    rng = np.random.default_rng(3)
    texts = [random_text(rng) for _ in range(4000)]
    assert set("".join(texts)) == set(CHARACTERS) - {"?"}
    counts = [sum(c in DIGITS for c in text) for text in texts]
    assert min(counts) == 1 and max(counts) >= 10
    assert 0.55 < np.mean([text.isdigit() for text in texts]) < 0.75
    assert any("." in text and text.endswith("-") for text in texts)


def test_each_character_adds_ink_to_the_right(sources: Sources) -> None:
    pen = random_pen(np.random.default_rng(1))
    layers = [draw_text("7" * n, sources.hands[1], 30, pen, np.random.default_rng(0))[0] for n in (1, 3, 6)]
    widths = [layer.shape[1] for layer in layers]
    assert widths[0] < widths[1] < widths[2]
    assert layers[2].sum() > 4 * layers[0].sum()


@pytest.mark.parametrize("hand", [0, 1])
def test_a_glyph_is_as_high_as_asked(sources: Sources, hand: int) -> None:
    pen = random_pen(np.random.default_rng(2))
    glyph = sources.hands[hand].glyphs["4"][0]
    for height in (12, 24, 48):
        ink = draw_glyph(glyph, height, pen, np.random.default_rng(0))
        assert ink.max() > 150 and abs(ink.shape[0] - height) <= 0.35 * height + 3


def test_a_sloped_layer_keeps_its_ink() -> None:
    layer = np.zeros((20, 60), np.uint8)
    layer[:, 30:32] = layer[9:11] = 255
    for slant, slope in ((0.5, 0), (-0.5, 0), (0, 0.1), (0, -0.1), (0.3, -0.05)):
        assert slope_ink(layer, slant, slope).sum() == pytest.approx(layer.sum(), rel=0.02)
    top, bottom = (np.flatnonzero(slope_ink(layer, 0.5, 0)[row] > 100).mean() for row in (1, -2))
    assert top > bottom + 5  # leans to the right


def test_paper_rules_and_camera_keep_the_size() -> None:
    rng = np.random.default_rng(5)
    for _ in range(40):
        paper = make_paper((33, 77), [np.full((20, 20), 190, np.uint8)], rng)
        ruled = draw_rules(paper, rng)
        taken = photograph(ruled, rng)
        assert paper.shape == ruled.shape == taken.shape == (33, 77)
        assert taken.dtype == np.uint8 and (ruled <= paper + 1e-6).all()


def test_a_real_strip_is_varied_and_stays_whole() -> None:
    grey = np.full((40, 100), 220, np.uint8)
    grey[10:30, 20:80:6] = 30
    strips = [make_strip(vary_real(RealStrip(grey, "1"), np.random.default_rng(seed))) for seed in range(20)]
    assert len({strip.tobytes() for strip in strips}) == 20
    assert all(np.abs(strip.astype(int) - 128).max() > 50 for strip in strips)


def test_ink_that_cannot_be_seen_is_drawn_anew() -> None:
    ink = np.zeros((30, 90), np.float32)
    ink[5:25, 10:80:10] = ink[5:25, 11:80:10] = 1
    grain = np.random.default_rng(0).normal(0, 6, ink.shape)
    picture = np.clip(200 - 80 * ink + grain, 0, 255).astype(np.uint8)
    assert is_legible(picture, ink) and is_legible(255 - picture, ink)
    hidden = picture.copy()
    hidden[:, 30:60] = np.clip(200 + grain[:, 30:60], 0, 255)
    assert not is_legible(hidden, ink)
    loud = np.clip(200 - 80 * ink + 10 * grain, 0, 255).astype(np.uint8)
    assert not is_legible(loud, ink)


def test_each_font_is_a_hand_and_one_in_eight_is_held_out() -> None:
    font = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    train, held = (font_hands([font] * 9, split) for split in ("train", "held"))
    assert (len(train), len(held)) == (8, 1)
    assert set(train[0].glyphs) == set(DIGITS)
    for (glyph,) in train[0].glyphs.values():
        assert glyph.dtype == np.uint8 and glyph.max() == 255
        assert glyph[0].any() and glyph[-1].any() and glyph[:, 0].any() and glyph[:, -1].any()
