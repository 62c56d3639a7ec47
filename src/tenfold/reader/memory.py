"""What a reader must not forget while it learns one person's hand: old digits, and what is no digit.

Nothing is fetched. Letters, symbols and digits are drawn from the package's glyphs; MNIST's digits are
added where they lie on this machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tenfold.data.load import find_dataset, load_dataset
from tenfold.pens.glyphs import DIGITS, load_glyphs
from tenfold.pens.strokes import Drawing
from tenfold.reader.lessons import draw_lessons, draw_pairs

__all__ = ["Memory", "gather_memory"]

_VALIDATION = 3000  # of MNIST's training images: those that the reader's own training held out, with seed 0
_REPLAYED = 1500  # MNIST's digits that are rehearsed
_MEASURED = 3000  # MNIST's digits that forgetting is measured on
_OTHERS, _HELD_OTHERS, _PAIRS = 300, 120, 60  # drawn; about 5 ms each


@dataclass(frozen=True, eq=False)
class Memory:
    """images: uint8 (N, 28, 28), to rehearse. labels: int64 (N,), 0..9, and 10 for what is no digit.

    held_images, held_labels: digits that are never rehearsed; name: which ones these are.
    held_others: uint8 (M, 28, 28), letters and symbols of kinds that are never rehearsed.
    """

    images: np.ndarray
    labels: np.ndarray
    held_images: np.ndarray
    held_labels: np.ndarray
    held_others: np.ndarray
    name: str


def gather_memory(*, seed: int = 0, data_dir: str | Path | None = None) -> Memory:
    """In about three seconds. Digits held out are MNIST's validation images, else those of the embedded
    sample that are not rehearsed, else glyphs of styles that are not."""
    rng = np.random.default_rng([seed, *b"memory"])
    digits, held_digits = _part(
        [g for g in load_glyphs(ambiguous=True) if g.label in DIGITS], rng, by="style"
    )
    others, held_others = _part([g for g in load_glyphs() if g.label not in DIGITS], rng, by="label")
    others = [others[i] for i in rng.permutation(len(others))[:_OTHERS]]
    held_others = [held_others[i] for i in rng.permutation(len(held_others))[:_HELD_OTHERS]]
    parts = [
        (draw_lessons(digits, 3, rng), np.repeat(_labels(digits), 3)),
        (draw_lessons(others, 1, rng), np.full(len(others), len(DIGITS))),
        (draw_pairs(digits, _PAIRS, rng), np.full(_PAIRS, len(DIGITS))),
    ]
    found = _mnist(rng, data_dir)
    if found is None:
        held = draw_lessons(held_digits, 8, rng), np.repeat(_labels(held_digits), 8)
        name = "digits drawn in styles that are not rehearsed"
    else:
        replayed, held, name = found
        parts.append(replayed)
    images, labels = (np.concatenate(each) for each in zip(*parts, strict=True))
    return Memory(images, labels, *held, held_others=draw_lessons(held_others, 1, rng), name=name)


def _labels(digits: Sequence[Drawing]) -> np.ndarray:
    return np.array([int(digit.label) for digit in digits])


def _part(
    glyphs: Sequence[Drawing], rng: np.random.Generator, *, by: str
) -> tuple[list[Drawing], list[Drawing]]:
    """(rehearsed, held out): a quarter of the labels, or of each label's styles, is held out."""
    held: set[tuple[str, str]] = set()
    names = sorted({glyph.label for glyph in glyphs})
    if by == "label":
        chosen = set(rng.permutation(names)[: len(names) // 4].tolist())
        held = {(g.label, g.writer) for g in glyphs if g.label in chosen}
    else:
        for name in names:
            styles = sorted({g.writer for g in glyphs if g.label == name})
            held |= {(name, str(style)) for style in rng.permutation(styles)[: max(1, len(styles) // 4)]}
    parts: tuple[list[Drawing], list[Drawing]] = ([], [])
    for glyph in glyphs:
        parts[(glyph.label, glyph.writer) in held].append(glyph)
    return parts


def _mnist(
    rng: np.random.Generator, data_dir: str | Path | None
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray], str] | None:
    """((images, labels) to rehearse, the same held out, the latter's name), of what lies here."""
    if find_dataset("mnist", data_dir=data_dir) is not None:
        mnist = load_dataset("mnist", split="train", data_dir=data_dir, offline=True)
        order = np.random.default_rng(0).permutation(len(mnist))
        held, rest = order[:_MEASURED], order[_VALIDATION:]
        name = "MNIST's validation images"
    elif find_dataset("sample") is not None:
        mnist = load_dataset("sample", split="all")
        order = rng.permutation(len(mnist))
        held, rest = order[:_MEASURED], order[_MEASURED:]
        name = "images of MNIST's training set that are not rehearsed"
    else:
        return None
    chosen = rng.permutation(rest)[:_REPLAYED]
    return (mnist.images[chosen], mnist.labels[chosen]), (mnist.images[held], mnist.labels[held]), name
