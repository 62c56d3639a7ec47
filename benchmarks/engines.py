"""Do the two engines train the same network? Two hidden layers, no dropout, in float32 and in float64.

    python benchmarks/engines.py [--seeds 3] [--epochs 10] [--readme]

For each seed and precision both engines train the same recipe on full MNIST, in turn. The table says
how far the losses of an epoch lie apart at most, on how many of the 10,000 test images the two trained
networks disagree, on how many a saved model disagrees with itself in the other engine, and how long
PyTorch takes for each second of NumPy.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from common import machine, markdown_table, publish, spread

from tenfold import (
    Classifier,
    ImageDataset,
    TrainResult,
    change_recipe,
    get_recipe,
    load_dataset,
    split_dataset,
    train,
)

LAYERS = ["flatten", "linear 120", "relu", "linear 84", "relu", "linear classes"]


def loss_gap(results: list[TrainResult], name: str) -> list[float]:
    """Relative difference of a loss between the engines, an entry per epoch."""
    ours, theirs = ([getattr(record, name) for record in result.history] for result in results)
    return [abs(a / b - 1) for a, b in zip(ours, theirs, strict=True)]


def reload_gap(result: TrainResult, images: np.ndarray) -> int:
    """Images on which a saved model answers otherwise in the other engine."""
    with tempfile.TemporaryDirectory() as folder:
        result.classifier.save(folder)
        answers = [Classifier.load(Path(folder), engine=name).predict(images) for name in ("numpy", "torch")]
    return int(np.count_nonzero(answers[0] != answers[1]))


def compare(
    precision: str, seed: int, epochs: int, dataset: ImageDataset, test_set: ImageDataset
) -> dict[str, Any]:
    changes = {"network.layers": LAYERS, "training.precision": precision, "training.epochs": epochs}
    recipe = change_recipe(get_recipe("mlp-120-84"), changes)
    train_set, val_set = split_dataset(dataset, recipe.data.validation, seed=seed)
    results = [train(recipe, train_set, val_set, seed=seed, engine=name) for name in ("numpy", "torch")]
    answers = [result.classifier.predict(test_set.images) for result in results]
    return {
        "seed": seed,
        "train_loss_gap": loss_gap(results, "train_loss"),
        "val_loss_gap": loss_gap(results, "val_loss"),
        "answers_apart": int(np.count_nonzero(answers[0] != answers[1])),
        "reloaded_apart": max(reload_gap(result, test_set.images) for result in results),
        "test_accuracy": [float(np.mean(one == test_set.labels)) for one in answers],
        "seconds": [result.seconds for result in results],
    }


def row(precision: str, runs: list[dict[str, Any]]) -> tuple[str, ...]:
    first = max(run["train_loss_gap"][0] for run in runs)
    worst = max(max(run["train_loss_gap"] + run["val_loss_gap"]) for run in runs)
    return (
        precision,
        f"{first:.1e}",
        f"{worst:.1e}",
        str(max(run["answers_apart"] for run in runs)),
        str(max(run["reloaded_apart"] for run in runs)),
        spread([100 * run["test_accuracy"][0] for run in runs], unit=" %"),
        spread([100 * run["test_accuracy"][1] for run in runs], unit=" %"),
        spread([run["seconds"][1] / run["seconds"][0] for run in runs]),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--data-dir", default=None)
    parser.add_argument("--readme", action="store_true", help="put the table into README.md")
    options = parser.parse_args()
    dataset = load_dataset("mnist", data_dir=options.data_dir)
    test_set = load_dataset("mnist", split="test", data_dir=options.data_dir)
    runs = {
        precision: [
            compare(precision, seed, options.epochs, dataset, test_set) for seed in range(options.seeds)
        ]
        for precision in ("float32", "float64")
    }
    columns = (
        "precision", "loss apart, epoch 1", "worst epoch", "test answers apart", "reloaded apart",
        "NumPy, test", "PyTorch, test", "PyTorch s / NumPy s",
    )  # fmt: skip
    text = markdown_table(columns, [row(precision, some) for precision, some in runs.items()])
    host = machine()
    note = (
        f"Largest relative difference over n = {options.seeds} seeds of {options.epochs} epochs; "
        f"{host['processor']}, {host['threads']} threads, NumPy {host['numpy']} ({host['blas']}), "
        f"torch {host['torch']}. "
        f"Made by `python benchmarks/engines.py`."
    )
    publish("engines", text, note, {"n": options.seeds, "runs": runs}, readme=options.readme)


if __name__ == "__main__":
    main()
