"""What several networks of `best` reach together: every choice of as many as `best-ensemble` has.

    python benchmarks/accuracy.py best
    python benchmarks/ensembles.py [--members 4] [--readme]

`best-ensemble` trains its networks, each as `best` does, one after another and answers with the mean of
their probabilities. Here the networks are those whose models accuracy.py kept, so that n ensembles do not
cost n times so many trainings; they share members, so their spread says little of another n. The seconds
are those of a network trained alone, times the members. The test set is read once for each network.
"""

from __future__ import annotations

import argparse
import statistics
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from accuracy import PARTS, kept_seeds, timed
from common import RESULTS, machine, markdown_table, publish, spread

from tenfold import Classifier, ImageDataset, Recipe, get_recipe, load_dataset


def measure(
    recipe: Recipe, members: int, parts: Path, results: dict[int, dict[str, Any]], test_set: ImageDataset
) -> list[dict[str, Any]]:
    """A row for each choice of `members` of the networks that are there."""
    probs = {
        seed: Classifier.load(parts / "models" / f"{recipe.name}-{seed}").predict_proba(test_set.images)
        for seed in sorted(results)
    }
    runs = []
    alone = statistics.median(one["seconds_since_start"] for one in timed(list(results.values())))
    for seeds in combinations(probs, members):
        answers = np.mean([probs[seed] for seed in seeds], axis=0).argmax(axis=1)
        accuracy = float((answers == test_set.labels).mean())
        runs.append({"seeds": seeds, "test_accuracy": accuracy, "seconds": members * alone})
    return runs


def report(recipe: Recipe, runs: list[dict[str, Any]], options: argparse.Namespace) -> None:
    name, accuracies = f"{recipe.name}-ensemble", [run["test_accuracy"] for run in runs]
    seconds = statistics.median(run["seconds"] for run in runs)
    columns = ("ensemble", "networks", "n", "test accuracy", "worst .. best", "minutes")
    row = (
        f"`{name}`",
        f"{options.members}, {recipe.ensemble.views} views",
        str(len(runs)),
        spread(accuracies, scale=100, digits=3, unit=" %"),
        f"{100 * min(accuracies):.2f} .. {100 * max(accuracies):.2f} %",
        f"{seconds / 60:.0f}",
    )
    host = machine()
    note = (
        f"Every {options.members} of the networks of `{recipe.name}` above; they share members. Minutes: "
        f"{options.members} times those of one trained alone. {host['processor']}, torch {host['torch']}. "
        "Made by `python benchmarks/ensembles.py`."
    )
    summary = {
        "title": f"`{name}`",
        "accuracy": statistics.fmean(accuracies),
        "deviation": statistics.stdev(accuracies) if len(runs) > 1 else None,
        "seconds": seconds,
        "n": len(runs),
    }
    document = {"rows": {name: summary}, "runs": runs}
    table = markdown_table(columns, [row])
    publish("ensembles", table, note, document, readme=options.readme, folder=options.out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--recipe", default="best")
    parser.add_argument("--members", type=int, help="else as many as RECIPE-ensemble has")
    parser.add_argument("--parts", type=Path, default=PARTS, help="folder of the results of single seeds")
    parser.add_argument("--data-dir", default=None)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON")
    parser.add_argument("--readme", action="store_true", help="put the table into README.md")
    options = parser.parse_args()
    recipe = get_recipe(options.recipe)
    options.members = options.members or get_recipe(f"{options.recipe}-ensemble").ensemble.members
    results = kept_seeds(recipe, options.parts)
    if len(results) < options.members:
        raise SystemExit(f"{len(results)} networks of {recipe.name} are there, {options.members} are needed")
    test_set = load_dataset("mnist", split="test", data_dir=options.data_dir)
    report(recipe, measure(recipe, options.members, options.parts, results, test_set), options)


if __name__ == "__main__":
    main()
