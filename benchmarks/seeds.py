"""The figures of the five source tutorials: published, reproduced here as published, and fixed.

    python benchmarks/seeds.py [--seeds 5] [--only "sigmoid loss"] [--readme]

Trains each recipe with n seeds on full MNIST (NumPy engine), reads the test set once per run, prints
the table and writes benchmarks/results/seeds.json; with --only, what it held of the others
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
from tenfold.training.progress import EpochRecord


@dataclass(frozen=True)
class Figure:
    """A line of the table. epoch: from 1, or 0 for the weights that were kept at the end."""

    tutorial: str
    title: str
    name: str  # train_accuracy, train_loss, val_accuracy, val_loss, test_accuracy
    epoch: int
    given: float | None
    published: str
    fixed: str


def _accuracy_at(epoch: int, given: float) -> Figure:
    title = f"validation accuracy, epoch {epoch}"
    return Figure(
        "softmax regression, PyTorch",
        title,
        "val_accuracy",
        epoch,
        given,
        "softmax-sgd-published",
        "softmax-sgd",
    )


BY_HAND = ("softmax-gd-published", "softmax-gd")
TWO_LAYERS = ("mlp-120-84-published", "mlp-120-84")
SIGMOID = ("sigmoid-500-published", "sigmoid-500")
AUGMENTED = ("mlp-128-64-augmented-published", "mlp-128-64-augmented")

FIGURES = (
    Figure("softmax regression, by hand", "training loss", "train_loss", 0, 1.615, *BY_HAND),
    Figure("softmax regression, by hand", "training accuracy", "train_accuracy", 0, 0.922, *BY_HAND),
    Figure("softmax regression, by hand", "validation loss", "val_loss", 0, 1.917, *BY_HAND),
    Figure("softmax regression, by hand", "validation accuracy", "val_accuracy", 0, 0.9075, *BY_HAND),
    _accuracy_at(1, 0.6074),
    _accuracy_at(5, 0.7948),
    _accuracy_at(10, 0.8318),
    _accuracy_at(20, 0.8572),
    Figure("two hidden layers", "training accuracy, epoch 1", "train_accuracy", 1, 0.7983, *TWO_LAYERS),
    Figure("two hidden layers", "training accuracy, last epoch", "train_accuracy", 0, 0.9518, *TWO_LAYERS),
    Figure("two hidden layers", "test accuracy", "test_accuracy", 0, 0.9721, *TWO_LAYERS),
    Figure("small network", "test accuracy", "test_accuracy", 0, None, "", "mlp-small"),
    Figure("sigmoid loss", "test accuracy", "test_accuracy", 0, 0.3481, *SIGMOID),
    Figure("augmentation", "training accuracy, epoch 5", "train_accuracy", 5, 0.9181, *AUGMENTED),
    Figure("augmentation", "validation accuracy, epoch 1", "val_accuracy", 1, 0.8107, *AUGMENTED),
    Figure("augmentation", "validation accuracy, epoch 5", "val_accuracy", 5, 0.9192, *AUGMENTED),
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
        if figure.fixed not in runs:
            continue
        given = "-"
        if figure.given is not None:
            loss = figure.name.endswith("loss")
            given = f"{figure.given:.3f}" if loss else f"{100 * figure.given:.2f} %"
        cells = [
            show(figure, [value_of(run, figure) for run in runs.get(name, [])])
            for name in (figure.published, figure.fixed)
        ]
        rows.append((figure.tutorial, figure.title, given, *cells, str(len(runs[figure.fixed]))))
    return markdown_table(("tutorial", "figure", "published", "as published, here", "fixed", "n"), rows)


def earlier_runs() -> dict[str, list[dict[str, Any]]]:
    """What the results file holds; nothing where there is none."""
    path = RESULTS / "seeds.json"
    runs: dict[str, list[dict[str, Any]]] = {}
    if path.is_file():
        runs = json.loads(path.read_text(encoding="utf-8"))["runs"]
    return runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="trainings per recipe")
    parser.add_argument("--only", action="append", default=[], help="a tutorial; repeatable")
    parser.add_argument("--data-dir", default=None)
    parser.add_argument("--readme", action="store_true", help="put the table into its page")
    options = parser.parse_args()
    dataset = load_dataset("mnist", data_dir=options.data_dir)
    test_set = load_dataset("mnist", split="test", data_dir=options.data_dir)
    wanted = set(options.only) or {figure.tutorial for figure in FIGURES}
    pairs = [(f.published, f.fixed) for f in FIGURES if f.tutorial in wanted]
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
