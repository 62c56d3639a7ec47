"""What a reader must not forget while it learns one person's hand: numbers and words of others.

Nothing is downloaded: the strips are drawn from what the package has (see `package_sources`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tenfold.synthesis.package import package_sources
from tenfold.synthesis.sources import Split
from tenfold.synthesis.strips import Mixture, StripMaker

__all__ = ["Memory", "Strip", "gather_memory"]

Strip = tuple[np.ndarray, str]  # uint8 (32, W), and the text that it spells; "?" stands for words

_MIXTURE = Mixture(real=0, real_words=0, words=0.2)
_WIDEST = 192  # pixels: wider ones cost much time, and teach nothing else


@dataclass(frozen=True, eq=False)
class Memory:
    """rehearsed: strips that are learned again. held: strips of other glyphs and images, on which forgetting
    is measured; name: what these show."""

    rehearsed: tuple[Strip, ...]
    held: tuple[Strip, ...]
    name: str = "drawn numbers"


def gather_memory(
    *, seed: int = 0, rehearsed: int = 300, held: int = 150, data_dir: str | Path | None = None
) -> Memory:
    """So many strips each, in about five seconds."""
    return Memory(_draw("train", rehearsed, seed, data_dir), _draw("held", held, seed, data_dir))


def _draw(split: Split, count: int, seed: int, data_dir: str | Path | None) -> tuple[Strip, ...]:
    maker = StripMaker(package_sources(split, data_dir=data_dir), _MIXTURE)
    rng = np.random.default_rng([seed, *b"memory", *split.encode()])
    strips: list[Strip] = []
    while len(strips) < count:
        strip, text = maker.make(rng)
        if strip.shape[1] <= _WIDEST:
            strips.append((strip, text))
    return tuple(strips)
