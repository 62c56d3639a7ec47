"""How many wrong labels are found: tenfold beside cleanlab, on the same out-of-fold probabilities.

    python benchmarks/label_errors.py [--seeds 5] [--quick] [--readme]

For every seed 10,000 of MNIST's training images are drawn and 300 of their labels changed to another
class. `fast` is cross-validated over five folds, once for both. Recall at 350: of the 300, the share
among the 350 of lowest quality. Suspects: how many labels are named as wrong, and what share of the 300
is among them. Both use the probability of the given label as its quality. The seconds are those of
judging 10,000 x 10 probabilities, the median of repeats that take turns.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from common import RESULTS, markdown_table, publish, spread
from scipy.stats import spearmanr

from tenfold import ImageDataset, cross_validate, find_label_errors, load_dataset
from tenfold.training.folds import quick_recipe

IMAGES, FLIPPED, LOOKED_AT, FOLDS, REPEATS = 10_000, 300, 350, 5, 5
Judge = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]  # -> quality (N,), suspects (M,)


def ours(probs: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    found = find_label_errors(probs, labels)
    return found.all_quality, found.index


def theirs(probs: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    quality = get_label_quality_scores(labels, probs)
    return quality, find_label_issues(labels, probs, return_indices_ranked_by="self_confidence", n_jobs=1)


JUDGES: dict[str, Judge] = {"tenfold": ours, "cleanlab": theirs}


def flip(whole: ImageDataset, seed: int) -> tuple[ImageDataset, np.ndarray]:
    """A part of the images with wrong labels among theirs, and the places of those."""
    rng = np.random.default_rng(seed)
    chosen = whole.subset(np.sort(rng.permutation(len(whole))[:IMAGES]))
    flipped, labels = rng.permutation(IMAGES)[:FLIPPED], chosen.labels.copy()
    labels[flipped] = (labels[flipped] + rng.integers(1, 10, FLIPPED)) % 10
    return ImageDataset(chosen.images, labels, chosen.class_names, chosen.name), flipped


def measure(whole: ImageDataset, seed: int) -> dict[str, Any]:
    """One seed: recall, suspects and seconds of both, and how alike they rank."""
    noisy, flipped = flip(whole, seed)
    started = time.perf_counter()
    probs = cross_validate(quick_recipe(noisy), noisy, folds=FOLDS, seed=seed).probs
    row: dict[str, Any] = {"seed": seed, "fold_seconds": time.perf_counter() - started}
    exact, quality = probs.astype(np.float64), {}
    seconds: dict[str, list[float]] = {name: [] for name in JUDGES}
    for _ in range(REPEATS):
        for name, judge in JUDGES.items():
            started = time.perf_counter()
            quality[name], suspects = judge(exact, noisy.labels)
            seconds[name].append(time.perf_counter() - started)
            row[name] = {
                "recall": float(
                    np.isin(flipped, np.argsort(quality[name], kind="stable")[:LOOKED_AT]).mean()
                ),
                "suspects": len(suspects),
                "found": float(np.isin(flipped, suspects).mean()),
                "seconds": statistics.median(seconds[name]),
            }
    row["spearman"] = float(spearmanr(*quality.values()).statistic)
    print(row, flush=True)
    return row


def table_of(rows: list[dict[str, Any]]) -> str:
    columns = ("", "n", f"recall at {LOOKED_AT}", "named as wrong", "of the flipped ones", "milliseconds")
    cells = []
    for name in JUDGES:
        own = [row[name] for row in rows]
        cells.append(
            (
                name,
                str(len(rows)),
                spread([one["recall"] for one in own], scale=100, unit=" %"),
                spread([one["suspects"] for one in own], digits=0),
                spread([one["found"] for one in own], scale=100, unit=" %"),
                spread([one["seconds"] for one in own], scale=1000, digits=1),
            )
        )
    return markdown_table(columns, cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one seed")
    parser.add_argument("--data-dir", default=None)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON")
    parser.add_argument("--readme", action="store_true", help="put the table on its page")
    options = parser.parse_args()
    whole = load_dataset("mnist", data_dir=options.data_dir)
    rows = [measure(whole, seed) for seed in range(1 if options.quick else options.seeds)]
    training = spread([row["fold_seconds"] for row in rows], digits=0, unit=" s")
    note = (
        f"{FLIPPED} labels flipped at random among {IMAGES:,} training images of MNIST; the same out-of-fold "
        f"probabilities for both (`fast` over {FOLDS} folds, {training}). Their rankings: Spearman's "
        f"correlation at least {min(row['spearman'] for row in rows):.4f}. Made by "
        "`python benchmarks/label_errors.py`."
    )
    publish("label_errors", table_of(rows), note, {"rows": rows}, readme=options.readme, folder=options.out)


if __name__ == "__main__":
    main()
