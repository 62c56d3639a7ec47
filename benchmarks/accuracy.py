"""How accurate a recipe is: the mean of n seeds on full MNIST, with spread, best and worst.

    python benchmarks/accuracy.py cnn best [--seeds 5] [--readme]

Each seed is a process of its own, one after the other, and its result is written down at once (a line of
build/accuracy/RECIPE.jsonl): a run that was stopped goes on where it was, and a seed that is there, of the
same recipe, is not trained again (delete the file after a change of the code). Its model stays beside it,
in models/RECIPE-SEED. The table shows all that is there of the recipes as they now are; without a recipe
nothing is trained. The test set is read once per seed, after the weights were saved.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from children import find_mnist, run_program
from common import RESULTS, ROOT, machine, markdown_table, publish, spread

from tenfold import Recipe, get_recipe
from tenfold.errors import RecipeError
from tenfold.files import write_text

PARTS = ROOT / "build" / "accuracy"
QUICK = ("fast", "cnn")


def digest(recipe: Recipe) -> str:
    """Of everything in a recipe that training depends on."""
    text = recipe.model_dump_json(exclude=set(Recipe.NOT_TRAINED))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def kept_seeds(recipe: Recipe, parts: Path) -> dict[int, dict[str, Any]]:
    """The results there are of this recipe as it is, by seed."""
    path = parts / f"{recipe.name}.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    results = [json.loads(line) for line in lines]
    return {result["seed"]: result for result in results if result["digest"] == digest(recipe)}


def keep(result: dict[str, Any], recipe: Recipe, parts: Path) -> None:
    """Adds a line; the file is whole at any moment."""
    parts.mkdir(parents=True, exist_ok=True)
    path = parts / f"{recipe.name}.jsonl"
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    write_text(path, before + json.dumps(result) + "\n")


def measure(
    name: str, seeds: Iterable[int], parts: Path, data_dir: Path, *options: str
) -> tuple[Recipe, list[dict[str, Any]]]:
    """The results of these seeds, training those that are not there yet. options: of the program."""
    recipe = get_recipe(name)
    for seed in seeds:
        if seed in kept_seeds(recipe, parts):
            continue
        model = parts / "models" / f"{recipe.name}-{seed}"
        document = run_program(
            "tenfold_recipe", data_dir, "--recipe", name, "--seed", str(seed), "--keep", str(model), *options
        )
        result = document["epochs"][-1] | {
            "recipe": recipe.name,
            "seed": seed,
            "digest": digest(recipe),
            **{key: document[key] for key in ("engine", "precision", "passes", "threads")},
        }
        keep(result, recipe, parts)
        print(
            f"{recipe.name} seed {seed}: {100 * result['test_accuracy']:.2f} % in "
            f"{result['seconds_since_start']:.1f} s",
            flush=True,
        )
    found = kept_seeds(recipe, parts)
    return recipe, [found[seed] for seed in sorted(found)]


def timed(results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that had the most threads: what was trained side by side, on one each, tells no time."""
    most = max(result["threads"] for result in results)
    return [result for result in results if result["threads"] == most]


def row(recipe: Recipe, results: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    accuracies, alone = [result["test_accuracy"] for result in results], timed(results)
    return (
        f"`{recipe.name}`",
        recipe.title,
        str(len(results)),
        spread(accuracies, scale=100, digits=3, unit=" %"),
        f"{100 * min(accuracies):.2f} .. {100 * max(accuracies):.2f} %",
        str(len(alone)),
        spread([result["seconds_since_start"] for result in alone], digits=1),
        f"{max(result['peak_mib'] for result in results):.0f}",
    )


COLUMNS = (
    "recipe", "what it is", "n", "test accuracy", "worst .. best", "n alone", "seconds alone", "peak MiB",
)  # fmt: skip


def summary(recipe: Recipe, results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What the ladder reads: accuracy as a share, median seconds from process start."""
    accuracies = [result["test_accuracy"] for result in results]
    return {
        "title": f"`{recipe.name}`",
        "accuracy": statistics.fmean(accuracies),
        "deviation": statistics.stdev(accuracies) if len(results) > 1 else None,
        "seconds": statistics.median(result["seconds_since_start"] for result in timed(results)),
        "n": len(results),
    }


def all_kept(parts: Path) -> list[tuple[Recipe, list[dict[str, Any]]]]:
    """Every recipe that has results of its present form, the least accurate first."""
    found = []
    for path in sorted(parts.glob("*.jsonl")):
        try:
            recipe = get_recipe(path.stem)
        except RecipeError:  # a recipe's file elsewhere, or one that tenfold carries no more
            continue
        results = kept_seeds(recipe, parts)
        if results:
            found.append((recipe, [results[seed] for seed in sorted(results)]))
    return sorted(found, key=lambda pair: statistics.fmean(result["test_accuracy"] for result in pair[1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("recipes", nargs="*", help="names or files")
    parser.add_argument("--seeds", type=int, default=5, help="trainings per recipe: seeds 0, 1, ...")
    parser.add_argument("--first", type=int, default=0, help="the first seed: several can run side by side")
    parser.add_argument("--quick", action="store_true", help=f"one seed of {' and '.join(QUICK)}")
    parser.add_argument("--parts", type=Path, default=PARTS, help="folder of the results of single seeds")
    parser.add_argument("--data-dir", default=None)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON")
    parser.add_argument("--readme", action="store_true", help="put the table into README.md")
    options = parser.parse_args()
    names = options.recipes or (QUICK if options.quick else ())
    for name in names:
        seeds = range(1) if options.quick else range(options.first, options.seeds)
        measure(name, seeds, options.parts, find_mnist(options.data_dir))
    found = all_kept(options.parts)
    if not found:
        raise SystemExit(f"{options.parts} holds no results: name a recipe")
    table = markdown_table(COLUMNS, [row(recipe, results) for recipe, results in found])
    host = machine()
    note = (
        "Mean ± standard deviation of n seeds on MNIST's 10,000 test images, each in its own process. "
        "Seconds from process start to saved weights, of the seeds that had all cores for themselves; "
        f"{host['processor']}, {host['cores']} cores, torch {host['torch']}, bfloat16 products "
        f"{host['bfloat16_gain']} times as fast as float32. Made by `python benchmarks/accuracy.py`."
    )
    document = {
        "rows": {recipe.name: summary(recipe, results) for recipe, results in found},
        "runs": {recipe.name: results for recipe, results in found},
    }
    publish("accuracy", table, note, document, readme=options.readme, folder=options.out)


if __name__ == "__main__":
    main()
