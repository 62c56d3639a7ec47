"""For tests of learning a hand: lines in a strange hand, a small network that learns, what it rehearses."""

from __future__ import annotations

import numpy as np
from PIL import Image

from tenfold.pictures.lines import Strip, find_views, make_strip
from tenfold.reader.adapt import Example
from tenfold.reader.adaptation import Memory, SpeltStrip
from tenfold.reader.decode import DIGITS, OUTPUTS
from tenfold.reader.line_reader import LineReader, ReaderCard
from tenfold.recipes.load import parse_recipe
from tenfold.synthesis.glyphs import Drawing, draw_strokes, load_glyphs, normalise, vary
from tenfold.synthesis.sources import Hand, Sources
from tenfold.synthesis.strips import Mixture, StripMaker

__all__ = ["draw_hand", "draw_line", "small_memory", "tiny_reader"]

RECIPE = """name = "tiny"
[input]
scaling = "fixed"
mean = 0.5
std = 0.25
[network]
layers = ["pixel-unshuffle 4", "conv 12 3x3 padding same no-bias", "batch-norm", "relu", "max-pool 2x1",
  "conv 24 4x3 padding 0x1 no-bias", "batch-norm", "relu", "dropout 0.1", "conv classes 1x1", "columns"]
[loss]
name = "ctc"
"""


def draw_line(text: str, rng: np.random.Generator, *, mirrored: bool = True) -> Image.Image:
    """Digits beside each other, dark on white, each as in a mirror."""
    canvas = np.zeros((100, 20 + 64 * len(text)), np.float32)
    for place, digit in enumerate(text):
        glyph = next(glyph for glyph in load_glyphs() if glyph.label == digit)
        drawn = normalise(vary(glyph, rng, strength=0.3))
        side = -1.0 if mirrored else 1.0
        turned = normalise(Drawing(tuple(stroke * (side, 1) for stroke in drawn.strokes), drawn.label))
        moved = [stroke * np.float32(60) + (12 + 64 * place, 20) for stroke in turned.strokes]
        canvas = np.maximum(canvas, draw_strokes(moved, canvas.shape, 6.0))  # type: ignore[arg-type]
    return Image.fromarray(np.rint(255 * (1 - canvas)).astype(np.uint8))


def draw_hand(lines: int, *, seed: int, digits: int = 4, mirrored: bool = True) -> list[Example]:
    """So many lines of so many digits; each digit comes about equally often."""
    rng = np.random.default_rng(seed)
    every = "".join("".join(rng.permutation(list(DIGITS))) for _ in range(-(-lines * digits // 10)))
    texts = [every[i * digits : (i + 1) * digits] for i in range(lines)]
    return [example_of(draw_line(text, rng, mirrored=mirrored), text) for text in texts]


def example_of(picture: Image.Image, text: str) -> Example:
    grey = np.asarray(picture)
    (views,) = find_views(grey)
    return Example(f"{text}.png", text, tuple(make_strip(grey[y0:y1, x0:x1]) for x0, y0, x1, y1 in views))


def small_memory(*, rehearsed: int = 60, held: int = 40) -> Memory:
    """Numbers and words drawn from the package's glyphs alone; those that are held have other styles."""
    parts = []
    for styles, count, seed in ((slice(1, None), rehearsed, 5), (slice(1), held, 6)):
        known = [glyph for glyph in load_glyphs() if glyph.label in DIGITS]
        hand = {d: [g.strokes for g in known if g.label == d][styles] for d in DIGITS}
        letters = [glyph.strokes for glyph in load_glyphs() if glyph.label in "adehkmnw"]
        maker = StripMaker(
            Sources(hands=[Hand("glyphs", hand)], letters=letters), Mixture(0, 0, 0.05, 0.2, 0, 0)
        )
        parts.append(_draw(maker, count, np.random.default_rng(seed)))
    return Memory(*parts, "drawn numbers")


def _draw(maker: StripMaker, count: int, rng: np.random.Generator) -> tuple[SpeltStrip, ...]:
    strips: list[SpeltStrip] = []
    while len(strips) < count:
        made = maker.make(rng)
        if made[0].shape[1] <= 128:
            strips.append(made)
    return tuple(strips)


def tiny_reader(*, layers: list[str] | None = None) -> LineReader:
    """An untrained network that could be a reader; it answers and learns in no time."""
    recipe = parse_recipe(RECIPE)
    if layers:
        recipe = recipe.model_copy(
            update={"network": recipe.network.model_copy(update={"layers": tuple(layers)})}
        )
    weights = recipe.plan((Strip.HEIGHT, 128), OUTPUTS).initial_weights("kaiming", seed=0)
    return LineReader.from_weights(ReaderCard(recipe), weights)
