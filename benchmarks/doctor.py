"""What `tenfold doctor` finds in the built-in recipes, and what its fix gains on the sigmoid loss network.

    python benchmarks/doctor.py [--seeds 3] [--quick] [--readme]

Examines every built-in recipe on full MNIST, then trains the published sigmoid loss network and the
doctor's recipe for it, n seeds each, on all 60,000 images, and reads the test set once per training.
The doctor itself sees training images (and of the test images their pixels and the numbering of their
labels, no score). Prints the table and writes benchmarks/results/doctor.json.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

from common import markdown_table, publish, spread

from tenfold import Recipe, evaluate, get_recipe, list_recipes, load_dataset, train
from tenfold.arrays import ImageDataset
from tenfold.doctor.diagnosis import Diagnosis
from tenfold.doctor.examine import diagnose

SIGMOID_LOSS = "sigmoid-500-published"


def test_accuracy(recipe: Recipe, dataset: ImageDataset, test_set: ImageDataset, seed: int) -> float:
    result = train(recipe, dataset, seed=seed, engine="numpy")
    return evaluate(result.classifier, test_set).accuracy


def examine(name: str, dataset: ImageDataset, test_set: ImageDataset) -> tuple[Diagnosis, float]:
    """The diagnosis, and the seconds that it took."""
    started = time.perf_counter()
    diagnosis = diagnose(get_recipe(name), dataset, test_set)
    return diagnosis, time.perf_counter() - started


def row(name: str, diagnosis: Diagnosis, seconds: float) -> list[str]:
    found = ", ".join(
        f"**{finding.code}**" if finding.severity == "fault" else finding.code
        for finding in diagnosis.findings
        if finding.severity != "note"
    )
    return [name, found or "-", f"{seconds:.1f} s"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--seeds", type=int, default=3, help="trainings of the sigmoid loss network, before and after"
    )
    parser.add_argument(
        "--quick", action="store_true", help="the tutorials' recipes alone, one training each"
    )
    parser.add_argument("--readme", action="store_true", help="put the table on its page")
    options = parser.parse_args()
    dataset, test_set = load_dataset("mnist"), load_dataset("mnist", split="test")
    names = [name for name in list_recipes() if not options.quick or "published" in name]
    rows, examined, fixed = [], {}, None
    for name in names:
        diagnosis, seconds = examine(name, dataset, test_set)
        rows.append(row(name, diagnosis, seconds))
        examined[name] = {
            "found": diagnosis.codes,
            "seconds": seconds,
            "changes": diagnosis.changed_values(),
        }
        print("  ".join(rows[-1]), flush=True)
        if name == SIGMOID_LOSS:
            fixed = diagnosis.fixed
    if fixed is None:
        raise SystemExit(f"{SIGMOID_LOSS} is no longer carried")
    figures = sigmoid_loss(fixed, dataset, test_set, seeds=1 if options.quick else options.seeds)
    before, after = (spread(figures[key], scale=100, unit=" %") for key in ("before", "after"))
    note = (
        f"In bold: faults. `{SIGMOID_LOSS}` as published reads {before} of the test images, the doctor's "
        f"recipe for it {after} (n = {len(figures['after'])} seeds, mean ± standard deviation)."
    )
    table = markdown_table(("Recipe", "The doctor finds", "Time"), rows)
    publish("doctor", table, note, {"recipes": examined, "sigmoid_loss": figures}, readme=options.readme)


def sigmoid_loss(
    fixed: Recipe, dataset: ImageDataset, test_set: ImageDataset, *, seeds: int
) -> dict[str, Any]:
    """Test accuracies of both, a seed each; alternating."""
    figures: dict[str, Any] = {"before": [], "after": [], "fixed": fixed.model_dump(mode="json")}
    for seed in range(seeds):
        for key, recipe in (("before", get_recipe(SIGMOID_LOSS)), ("after", fixed)):
            figures[key].append(test_accuracy(recipe, dataset, test_set, seed))
            print(f"seed {seed}, {key}: {figures[key][-1]:.2%}", flush=True)
    return figures


if __name__ == "__main__":
    main()
