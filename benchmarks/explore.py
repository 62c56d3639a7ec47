"""What a look at a data set costs, and what counts as a near duplicate.

    python benchmarks/explore.py [--quick] [--rounds 5] [--readme]

Each figure of time and memory is of a process of its own: `tenfold data show mnist`, the same with a page,
and with the near duplicates of all 70,000 images; beside the last, a plain search for the same pairs, which
compares the same descriptions in full, block by block. Which images count as near is measured with copies of
2,000 training images, changed in known ways, and with the pairs that are near though nobody copied them.
"""

from __future__ import annotations

import argparse
import io
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from children import find_mnist
from common import RESULTS, machine, markdown_table, publish
from PIL import Image
from process_cost import Cost, run_measured
from scipy import ndimage

from tenfold import find_duplicates, load_dataset
from tenfold.explore.duplicates import NEAR, describe_images

COPIES, BLOCK = 2_000, 2_048
SHOW = (sys.executable, "-m", "tenfold", "data", "show", "mnist", "--offline", "--no-duplicates")
NEAR_SHOW = (*SHOW[:-1], "--duplicates")
Images = np.ndarray


def commands(folder: Path, data_dir: Path) -> dict[str, list[str]]:
    """What is timed: name -> command."""
    place = ["--data-dir", str(data_dir)]
    return {
        "`data show mnist`": [*SHOW, *place],
        "`data show mnist --html`": [*SHOW, *place, "--html", str(folder / "mnist.html")],
        "`data show mnist --png`": [*SHOW, *place, "--png", str(folder / "mnist.png")],
        "`data show mnist --duplicates`": [*NEAR_SHOW, *place],
        "every pair in full, NumPy": [sys.executable, __file__, "--every-pair", "--data-dir", str(data_dir)],
    }


def both_parts(data_dir: str | None) -> tuple[Images, Images]:
    train, test = (
        np.asarray(load_dataset("mnist", split=part, data_dir=data_dir).images) for part in ("train", "test")
    )
    return train, test


def count_every_pair(images: Images) -> int:
    """Near pairs by comparing all: the peer."""
    vectors = describe_images(images)
    pairs = 0
    for top in range(0, len(vectors), BLOCK):
        for left in range(top, len(vectors), BLOCK):
            near = vectors[top : top + BLOCK] @ vectors[left : left + BLOCK].T >= NEAR
            pairs += int(np.count_nonzero(np.triu(near, 1) if top == left else near))
    return pairs


def as_jpeg(image: Images, quality: int) -> Images:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def noisy(images: Images, deviation: float) -> Images:
    noise = np.random.default_rng(0).normal(0, deviation, images.shape)
    return np.clip(np.rint(images + noise), 0, 255).astype(np.uint8)


CHANGES: dict[str, Callable[[Images], Images]] = {
    "moved by a pixel": lambda images: np.roll(images, 1, axis=1),
    "moved by a pixel both ways": lambda images: np.roll(images, (1, -1), axis=(1, 2)),
    "0.6 times as bright": lambda images: (images * 0.6).astype(np.uint8),
    "1.4 times as bright, clipped": lambda images: np.clip(images * 1.4, 0, 255).astype(np.uint8),
    "on grey instead of black": lambda images: (images * 0.8 + 50).astype(np.uint8),
    "JPEG, quality 75": lambda images: np.stack([as_jpeg(image, 75) for image in images]),
    "JPEG, quality 30": lambda images: np.stack([as_jpeg(image, 30) for image in images]),
    "noise, standard deviation 10": lambda images: noisy(images, 10),
    "noise, standard deviation 20": lambda images: noisy(images, 20),
    "turned by 3 degrees": lambda images: ndimage.rotate(images, 3, axes=(1, 2), reshape=False, order=1),
}


def find_copies(train: Images) -> dict[str, float]:
    """Change -> share of copies that are found."""
    chosen = train[np.random.default_rng(0).choice(len(train), COPIES, replace=False)]
    vectors = describe_images(chosen)
    likeness = {
        name: np.einsum("nd,nd->n", vectors, describe_images(change(chosen)))
        for name, change in CHANGES.items()
    }
    return {name: float((found >= NEAR).mean()) for name, found in likeness.items()}


def find_uncopied(data_dir: str | None) -> dict[str, Any]:
    """What is found in MNIST itself."""
    parts = [load_dataset("mnist", split=part, data_dir=data_dir) for part in ("train", "test")]
    labels = np.concatenate([part.labels for part in parts])
    found = find_duplicates(parts[0].images, others=parts[1].images, near=True)
    near = found.near or ()
    return {
        "equal": sum(len(group.rows) for group in found.exact),
        "groups": len(near),
        "images": sum(len(group.rows) for group in near),
        "largest": max((len(group.rows) for group in near), default=0),
        "across": len(found.crossing()),
        "labelled_differently": len(found.conflicting(labels)),
        "groups_of_ones": sum(bool((labels[group.rows] == 1).all()) for group in near),
    }


def measure_all(rounds: int, data_dir: Path, leave_out: frozenset[str]) -> dict[str, list[Cost]]:
    """Each command in turn, round by round."""
    with tempfile.TemporaryDirectory() as place:
        chosen = {k: v for k, v in commands(Path(place), data_dir).items() if k not in leave_out}
        costs: dict[str, list[Cost]] = {name: [] for name in chosen}
        for number in range(rounds):
            for name, command in chosen.items():
                costs[name].append(run_measured(command, Path(place) / "out.txt"))
                print(f"round {number + 1}, {name}: {costs[name][-1]}", flush=True)
    return costs


def cost_rows(costs: dict[str, list[Cost]]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name, some in costs.items():
        walls = [cost.wall for cost in some]
        cells = (
            f"{statistics.median(walls):.2f} s ({min(walls):.2f} to {max(walls):.2f})",
            f"{statistics.median(cost.cpu for cost in some):.2f} s",
            f"{max(cost.peak_mib for cost in some):.0f} MiB",
        )
        rows.append((name, *cells))
    return rows


def report(
    costs: dict[str, list[Cost]], copies: dict[str, float], uncopied: dict[str, Any], options: Any
) -> None:
    host, rounds = machine(), len(next(iter(costs.values())))
    timed = markdown_table(("70,000 images", "seconds", "CPU seconds", "peak memory"), cost_rows(costs))
    shares = [(name, f"{100 * share:.1f} %") for name, share in copies.items()]
    found = markdown_table(("a copy of an image", "found"), shares)
    note = (
        f"Medians (and extremes) of n = {rounds} processes each, in turn. {host['processor']}, "
        f"{host['threads']} threads. Copies: of {COPIES:,} training images. Of MNIST's own images "
        f"{uncopied['equal']:,} are equal to another; {uncopied['images']:,} are near another though nobody "
        f"copied them, in {uncopied['groups']:,} groups, the largest of {uncopied['largest']}: "
        f"{uncopied['groups_of_ones']:,} of ones, which are straight strokes by different hands; "
        f"{uncopied['across']:,} across training and test, {uncopied['labelled_differently']:,} labelled "
        f"differently. Near: a correlation of at least {NEAR}. Made by `python benchmarks/explore.py`."
    )
    document = {
        "n": rounds,
        "near": NEAR,
        "costs": {name: [vars(cost) for cost in some] for name, some in costs.items()},
        "copies_found": copies,
        "uncopied": uncopied,
    }
    publish("explore", f"{timed}\n\n{found}", note, document, readme=options.readme, folder=options.out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one round, without the plain search")
    parser.add_argument("--data-dir", default=None)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON")
    parser.add_argument("--readme", action="store_true", help="put the tables into docs/speed.md")
    parser.add_argument("--every-pair", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    train, test = both_parts(options.data_dir)
    if options.every_pair:
        print(count_every_pair(np.concatenate([train, test])))
        return
    slow = frozenset(["every pair in full, NumPy"]) if options.quick else frozenset[str]()
    costs = measure_all(1 if options.quick else options.rounds, find_mnist(options.data_dir).parent, slow)
    report(costs, find_copies(train), find_uncopied(options.data_dir), options)


if __name__ == "__main__":
    main()
