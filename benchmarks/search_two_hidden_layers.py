"""Two hidden layers: learning rate, epochs and dropout, found by `tenfold search` on validation images.

    python benchmarks/search_two_hidden_layers.py [--trials 30] [--seeds 5] [--readme]

The search trains on 50,000 images and chooses by the other 10,000 of MNIST's training part (seed 0). What it
chose is then trained n times on 50,000 (as `tenfold train` does) and n times on all 60,000, beside the recipe
as it is, and each of these networks reads the test set once. There are two searches: of the three numbers
that the tutorial tuned, and of rotation and shift of the training images besides.
The studies lie in build/search-two-hidden-layers and are continued; delete them after a change of the code.
Everything in float32 on the NumPy engine.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common import RESULTS, ROOT, machine, markdown_table, publish, spread

from tenfold import (
    Recipe,
    SearchResult,
    change_recipe,
    evaluate,
    get_recipe,
    load_dataset,
    search_recipe,
    split_dataset,
    train,
)
from tenfold.arrays import ImageDataset

STUDIES = ROOT / "build" / "search-two-hidden-layers"
RECIPE = "mlp-120-84"
OF_THE_TUTORIAL = ("optimiser.learning_rate", "training.epochs", "network.layers.dropout")
COLUMNS = (
    "setting", "learning rate", "epochs", "dropout", "rotation, shift", "validation", "n", "test, of 50,000",
    "test, of 60,000",
)  # fmt: skip


def spaces() -> dict[str, Recipe]:
    """What is searched, by name."""
    recipe = change_recipe(get_recipe(RECIPE), {"training.precision": "float32"})
    few = {key: recipe.search[key].model_dump() for key in OF_THE_TUTORIAL}
    return {"three numbers": change_recipe(recipe, {"search": few}), "five numbers": recipe}


def search(name: str, recipe: Recipe, dataset: ImageDataset, trials: int, folder: Path) -> SearchResult:
    journal = folder / f"{name.replace(' ', '-')}.journal"
    return search_recipe(
        recipe, dataset, trials=trials, journal=journal, engine="numpy",
        after_trial=lambda trial, best: print(
            f"{name}: trial {trial.number} {trial.status} {trial.accuracy or ''} {dict(trial.values)}"
            f"{' (best)' if trial is best else ''}",
            flush=True,
        ),
    )  # fmt: skip


def test(
    name: str, recipe: Recipe, dataset: ImageDataset, test_set: ImageDataset, seeds: int
) -> dict[int, list[float]]:
    """Test accuracies of n trainings, by the number of images trained on: with some held out, and all."""
    accuracies: dict[int, list[float]] = {}
    for seed in range(seeds):
        rest, _ = split_dataset(dataset, recipe.data.validation, seed=seed, stratified=True)
        for train_set in (rest, dataset):
            result = train(recipe, train_set, seed=seed, engine="numpy")
            accuracies.setdefault(len(train_set), []).append(evaluate(result.classifier, test_set).accuracy)
        last = ", ".join(f"{100 * values[-1]:.2f} % ({images:,})" for images, values in accuracies.items())
        print(f"{name}: seed {seed}, test {last}", flush=True)
    return accuracies


def row(
    name: str, recipe: Recipe, validation: float | None, accuracies: dict[int, list[float]]
) -> tuple[str, ...]:
    values = settings(recipe)
    return (
        name,
        f"{values['optimiser.learning_rate']:g}",
        str(values["training.epochs"]),
        f"{values['dropout']:g}",
        f"{values['augmentation.rotation']:g}°, {values['augmentation.shift']:g} px",
        "-" if validation is None else f"{100 * validation:.2f} %",
        str(min(map(len, accuracies.values()))),
        *(spread(values, scale=100, unit=" %") for values in accuracies.values()),
    )


def settings(recipe: Recipe) -> Mapping[str, Any]:
    rate = next(str(line).split()[1] for line in recipe.network.layers if str(line).startswith("dropout"))
    return {
        "optimiser.learning_rate": recipe.optimiser.learning_rate,
        "training.epochs": recipe.training.epochs,
        "dropout": float(rate),
        "augmentation.rotation": recipe.augmentation.rotation,
        "augmentation.shift": recipe.augmentation.shift,
    }


def _document(
    found: Mapping[str, SearchResult],
    chosen: Mapping[str, tuple[Recipe, float | None]],
    tested: Mapping[str, dict[int, list[float]]],
) -> dict[str, Any]:
    """For the JSON: the settings with their figures, every test accuracy, and the searches."""
    rows = {
        name: {
            **settings(recipe),
            "validation": validation,
            "mean": {str(images): statistics.fmean(values) for images, values in tested[name].items()},
        }
        for name, (recipe, validation) in chosen.items()
    }
    searches = {name: result.to_dict() for name, result in found.items()}
    return {"rows": rows, "test": dict(tested), "searches": searches}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--trials", type=int, default=30, help="settings tried in a search")
    parser.add_argument("--seeds", type=int, default=5, help="trainings of what was chosen")
    parser.add_argument("--quick", action="store_true", help="two trials, one seed")
    parser.add_argument("--studies", type=Path, default=STUDIES, help="folder of the studies")
    parser.add_argument("--data-dir", default=None)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON")
    parser.add_argument("--readme", action="store_true", help="put the table into its page")
    options = parser.parse_args()
    trials, seeds = (2, 1) if options.quick else (options.trials, options.seeds)
    dataset = load_dataset("mnist", data_dir=options.data_dir)
    searched = spaces()
    found = {
        name: search(name, recipe, dataset, trials, options.studies) for name, recipe in searched.items()
    }
    # Only now, when everything is chosen, is the test set read.
    test_set = load_dataset("mnist", split="test", data_dir=options.data_dir)
    name, first = next(iter(found.items()))
    before = first.trials[0].accuracy
    chosen: dict[str, tuple[Recipe, float | None]] = {f"`{RECIPE}` as it is": (searched[name], before)}
    chosen |= {name: (result.best_recipe, result.best.accuracy) for name, result in found.items()}
    tested = {name: test(name, recipe, dataset, test_set, seeds) for name, (recipe, _) in chosen.items()}
    table = markdown_table(
        COLUMNS,
        [row(name, recipe, validation, tested[name]) for name, (recipe, validation) in chosen.items()],
    )
    host = machine()
    note = (
        f"784-120-84-10. The best of {trials} settings by accuracy on 10,000 validation images, of which "
        "that figure is; the test figures are mean ± standard deviation of n trainings on so many images. "
        f"The tutorial reports 97.21 %. {host['processor']}, NumPy {host['numpy']}, float32. Made by "
        f"`python benchmarks/search_two_hidden_layers.py`."
    )
    document = _document(found, chosen, tested)
    publish("search", table, note, document, readme=options.readme, folder=options.out)


if __name__ == "__main__":
    main()
