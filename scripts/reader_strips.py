"""Draws the strips that the line reader learns from, in shards that are kept and never drawn twice.

    scripts/reader_strips.py DATA_DIR FOLDER --shards N [--first K] [--split train|held] [--seed 0]

A shard holds 4,096 strips: `pixels` uint8 (32, total width), `widths` int32 (4096,), `texts`.
Every shard is a pure function of its number and the seed; a shard that is there is left alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from tenfold.files import replace_file
from tenfold.synthesis.sources import load_sources
from tenfold.synthesis.strips import StripMaker

SHARD = 4096
FONTS = (  # families by the names of their files; those that are not installed are left out
    "DejaVu", "Liberation", "dkg", "Breip", "breip", "Humor", "BecauseWe", "ComicNeue", "Klee", "Kristi",
)  # fmt: skip
FONT_FOLDER = Path("/usr/share/fonts")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shards", type=int, required=True)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--split", choices=["train", "held"], default="train")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fonts", type=Path, help="a folder of handwriting fonts (scripts/reader_fonts)")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    written = sorted(given.fonts.glob("*.woff")) if given.fonts else []
    maker = StripMaker(load_sources(given.data_dir, given.split, find_fonts(), written))
    for number in range(given.first, given.shards):
        path = shard_path(given.folder, given.split, number)
        if not path.exists():
            write_shard(path, maker, np.random.default_rng([given.seed, number, *given.split.encode()]))


def find_fonts() -> list[Path]:
    found = sorted(path for path in FONT_FOLDER.rglob("*.?tf") if path.name.startswith(FONTS))
    return [path for path in found if "Math" not in path.name]


def shard_path(folder: Path, split: str, number: int) -> Path:
    return folder / f"{split}-{number:05d}.npz"


def write_shard(path: Path, maker: StripMaker, rng: np.random.Generator) -> None:
    strips, texts = zip(*(maker.make(rng) for _ in range(SHARD)), strict=True)
    widths = np.array([strip.shape[1] for strip in strips], np.int32)
    with replace_file(path) as beside, beside.open("wb") as stream:
        np.savez(stream, pixels=np.concatenate(strips, axis=1), widths=widths, texts=np.array(texts))


def read_shard(path: Path) -> tuple[list[np.ndarray], list[str]]:
    """The strips, uint8 (32, W) each, and their texts."""
    with np.load(path, allow_pickle=False) as shard:
        ends = np.cumsum(shard["widths"])[:-1]
        return np.split(shard["pixels"], ends, axis=1), shard["texts"].tolist()


if __name__ == "__main__":
    main()
