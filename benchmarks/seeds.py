"""The figures of the five source documents: published, reproduced here as published, and mended.

    python benchmarks/seeds.py [--seeds 5] [--only A2,B] [--readme]

Trains each recipe with n seeds on full MNIST (NumPy engine), reads the test set once a run, prints
the table and writes benchmarks/results/seeds.json; with --only, what it held of the other documents
stays. About 20 minutes on one core, most of it full-batch descent.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from common import RESULTS, machine, markdown_table, publish, spread

from tenfold import Recipe, TrainResult, evaluate, get_recipe, load_dataset, split_dataset, train
from tenfold.arrays import ImageDataset
from tenfold.training.history import EpochRecord


@dataclass(frozen=True)
class Figure:
    """A line of the table. epoch: from 1, or 0 for the weights that were kept at the end."""

    seed: str
    title: str
    name: str  # train_accuracy, train_loss, val_accuracy, val_loss, test_accuracy
    epoch: int
    given: float | None
    published: str
    mended: str


def _accuracy_at(epoch: int, given: float) -> Figure:
    title = f"validation accuracy, epoch {epoch}"
    return Figure("A2", title, "val_accuracy", epoch, given, "softmax-sgd-published", "softmax-sgd")


A1 = ("softmax-gd-published", "softmax-gd")
B = ("mlp-120-84-published", "mlp-120-84")
D = ("sigmoid-500-published", "sigmoid-500")
E = ("mlp-128-64-augmented-published", "mlp-128-64-augmented")

FIGURES = (
    Figure("A1", "training loss", "train_loss", 0, 1.615, *A1),
    Figure("A1", "training accuracy", "train_accuracy", 0, 0.922, *A1),
    Figure("A1", "validation loss", "val_loss", 0, 1.917, *A1),
    Figure("A1", "validation accuracy", "val_accuracy", 0, 0.9075, *A1),
    _accuracy_at(1, 0.6074),
    _accuracy_at(5, 0.7948),
    _accuracy_at(10, 0.8318),
    _accuracy_at(20, 0.8572),
    Figure("B", "training accuracy, epoch 1", "train_accuracy", 1, 0.7983, *B),
    Figure("B", "training accuracy, last epoch", "train_accuracy", 0, 0.9518, *B),
    Figure("B", "test accuracy", "test_accuracy", 0, 0.9721, *B),
    Figure("C", "test accuracy", "test_accuracy", 0, None, "", "mlp-small"),
    Figure("D", "test accuracy", "test_accuracy", 0, 0.3481, *D),
    Figure("E", "training accuracy, epoch 5", "train_accuracy", 5, 0.9181, *E),
    Figure("E", "validation accuracy, epoch 1", "val_accuracy", 1, 0.8107, *E),
    Figure("E", "validation accuracy, epoch 5", "val_accuracy", 5, 0.9192, *E),
)


def run_once(recipe: Recipe, dataset: ImageDataset, test_set: ImageDataset, seed: int) -> dict[str, Any]:
    """One training: history, the epoch kept, test scores, seconds."""
    started = time.perf_counter()
    val_set = None
    if recipe.data.validation:
        share, stratified = recipe.data.validation, recipe.data.stratified
        dataset, val_set = split_dataset(dataset, share, seed=seed, stratified=stratified)
    result = train(recipe, dataset, val_set, seed=seed, engine="numpy")
    scores = evaluate(result.classifier, test_set)
    return {
        "recipe": recipe.name,
        "seed": seed,
        "seconds": time.perf_counter() - started,
        "best_epoch": result.best_epoch,
        "test_accuracy": scores.accuracy,
        "history": {str(record.epoch): asdict(record) for record in kept(result)},
    }


def kept(result: TrainResult) -> list[EpochRecord]:
    """The epochs that a figure names, the one whose weights were kept, and the last."""
    epochs = {figure.epoch for figure in FIGURES} | {result.best_epoch, len(result.history)}
    return [record for record in result.history if record.epoch in epochs]


def value_of(run: dict[str, Any], figure: Figure) -> float | None:
    """What a run says for a figure; None where it says nothing (no validation images)."""
    if figure.name.startswith("test"):
        return float(run[figure.name])
    value = run["history"][str(figure.epoch or run["best_epoch"])][figure.name]
    return None if value is None else float(value)


def show(figure: Figure, values: Sequence[float | None]) -> str:
    numbers = [value for value in values if value is not None]
    if not numbers:
        return "-"
    if figure.name.endswith("loss"):
        return spread(numbers, digits=3)
    return spread(numbers, scale=100, unit=" %")


def table(runs: dict[str, list[dict[str, Any]]]) -> str:
    rows = []
    for figure in FIGURES:
        if figure.mended not in runs:
            continue
        given = "-"
        if figure.given is not None:
            loss = figure.name.endswith("loss")
            given = f"{figure.given:.3f}" if loss else f"{100 * figure.given:.2f} %"
        cells = [
            show(figure, [value_of(run, figure) for run in runs.get(name, [])])
            for name in (figure.published, figure.mended)
        ]
        rows.append((figure.seed, figure.title, given, *cells, str(len(runs[figure.mended]))))
    return markdown_table(("seed", "figure", "published", "as published, here", "mended", "n"), rows)


def earlier_runs() -> dict[str, list[dict[str, Any]]]:
    """What the results file holds; nothing where there is none."""
    path = RESULTS / "seeds.json"
    runs: dict[str, list[dict[str, Any]]] = {}
    if path.is_file():
        runs = json.loads(path.read_text(encoding="utf-8"))["runs"]
    return runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="trainings a recipe")
    parser.add_argument("--only", default="", help="seed documents, comma-separated: A2,B")
    parser.add_argument("--data-dir", default=None)
    parser.add_argument("--readme", action="store_true", help="put the table into README.md")
    options = parser.parse_args()
    dataset = load_dataset("mnist", data_dir=options.data_dir)
    test_set = load_dataset("mnist", split="test", data_dir=options.data_dir)
    wanted = set(options.only.split(",")) - {""} or {figure.seed for figure in FIGURES}
    pairs = [(f.published, f.mended) for f in FIGURES if f.seed in wanted]
    names = list(dict.fromkeys(name for pair in pairs for name in pair if name))
    runs = earlier_runs() if options.only else {}
    for name in names:
        runs[name] = []
        for seed in range(options.seeds):
            runs[name].append(run_once(get_recipe(name), dataset, test_set, seed))
            last = runs[name][-1]
            print(
                f"{name} seed {seed}: test {last['test_accuracy']:.4f} in {last['seconds']:.1f} s", flush=True
            )
    text = table(runs)
    host = machine()
    note = (
        f"Mean ± standard deviation, n seeds; {host['processor']}, "
        f"{host['threads']} thread(s), NumPy {host['numpy']}. Made by `python benchmarks/seeds.py`."
    )
    publish("seeds", text, note, {"runs": runs}, readme=options.readme)


if __name__ == "__main__":
    main()
