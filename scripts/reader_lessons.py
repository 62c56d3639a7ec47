"""Draws the pen-stroke lessons of the reader: digits and what is none, for training and for validation.

    scripts/reader_lessons.py OUT.npz [--strokes strokes.npz] [--scale 1.0] [--seed 0]

Recorded strokes are looked for in the folder that TENFOLD_DATA_DIR names.

Writers (recorded strokes) and glyph variants are parted between training and validation, so that
thresholds and temperature are chosen on hands that the network has not seen. Without recorded strokes
the glyphs of the package alone are drawn.
"""

from __future__ import annotations

import argparse
import os
import zlib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tenfold.pens.glyphs import load_glyphs
from tenfold.pens.strokes import Drawing, load_strokes
from tenfold.reader.lessons import draw_lessons, draw_pairs

DIGITS = tuple("0123456789")
NONE_CLASS = 10
HELD_OUT = 8  # one writer, or glyph variant, of so many is for validation


@dataclass(frozen=True)
class Job:
    """count lessons of each drawing, or that many pairs where `pairs`; reproducible by its seed."""

    drawings: tuple[Drawing, ...]
    count: int
    label: int | None
    pairs: bool
    seed: tuple[int, ...]

    def run(self) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(self.seed)
        if self.pairs:
            images = draw_pairs(self.drawings, self.count, rng)
            return images, np.full(len(images), NONE_CLASS)
        images = draw_lessons(self.drawings, self.count, rng)
        labels = [NONE_CLASS if self.label is not None else int(d.label) for d in self.drawings]
        return images, np.repeat(labels, self.count)


def is_held_out(drawing: Drawing) -> bool:
    """By the writer of recorded strokes, by label and variant of glyphs."""
    key = drawing.writer if "/" in drawing.writer else f"{drawing.label} {drawing.writer}"
    return zlib.crc32(key.encode()) % HELD_OUT == 0


def plan(
    strokes: Sequence[Drawing], glyphs: Sequence[Drawing], scale: float, seed: int, held: bool
) -> list[Job]:
    """Counts are for the training set; validation draws a quarter as often."""
    scale = scale * (0.25 if held else 1.0)
    digits = [d for d in strokes if is_held_out(d) == held]
    drawn = [d for d in glyphs if is_held_out(d) == held and d.label in DIGITS]
    others = [d for d in glyphs if is_held_out(d) == held and d.label not in DIGITS]
    jobs: list[Job] = []

    def add(drawings: Sequence[Drawing], count: float, label: int | None, *, chunk: int = 20) -> None:
        for start in range(0, len(drawings), chunk):
            part = tuple(drawings[start : start + chunk])
            jobs.append(Job(part, max(1, round(count * scale)), label, False, (seed, held, len(jobs))))

    add(digits, 64, None)
    add(drawn, 80 if strokes else 600, None)
    add(others, 60, NONE_CLASS)
    pool = tuple(digits or drawn)
    for _ in range(40):
        jobs.append(Job(pool, max(1, round(400 * scale)), NONE_CLASS, True, (seed, held, len(jobs))))
    return jobs


def draw(jobs: Sequence[Job]) -> tuple[np.ndarray, np.ndarray]:
    with ProcessPoolExecutor(2) as pool:
        results = list(pool.map(Job.run, jobs, chunksize=2))
    images, labels = zip(*results, strict=True)
    return np.concatenate(images), np.concatenate(labels).astype(np.int64)


def find_strokes() -> Path | None:
    """The recorded strokes where TENFOLD_DATA_DIR holds them."""
    path = Path(os.environ.get("TENFOLD_DATA_DIR", "")) / "handwriting-strokes" / "strokes.npz"
    return path if path.is_file() else None


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--strokes", type=Path, default=find_strokes())
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    strokes = load_strokes(given.strokes) if given.strokes else []
    print(f"{len(strokes)} recorded digits, {len(load_glyphs())} glyphs")
    parts = [draw(plan(strokes, load_glyphs(), given.scale, given.seed, held)) for held in (False, True)]
    (train_images, train_labels), (val_images, val_labels) = parts
    given.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        given.out,
        train_images=train_images,
        train_labels=train_labels,
        val_images=val_images,
        val_labels=val_labels,
    )
    print(f"{len(train_labels)} lessons to train on, {len(val_labels)} to validate -> {given.out}")


if __name__ == "__main__":
    main()
