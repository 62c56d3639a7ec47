"""The ladder: how accurate against how long, from softmax regression to the ensemble, with the peers.

    python benchmarks/ladder.py [--seeds 3] [--readme]

Trains the small recipes by itself (a process per seed, kept in build/accuracy/small as accuracy.py does) and
takes the others from the results of time_to_99.py and accuracy.py. Prints a table, and draws
benchmarks/results/ladder.png: the frontier joins those that nothing both faster and better beats.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import accuracy
import time_to_99
from children import find_mnist, run_program
from common import RESULTS, machine, markdown_table, publish
from ladder_plot import draw_ladder

from tenfold import list_recipes

SMALL = ("softmax-sgd", "mlp-small", "mlp-120-84", "mlp-128-64-augmented", "sigmoid-500")
SMALL_PEERS = {"sklearn_mlp": "scikit-learn's MNIST example"}
# A program whose other runs stand beside it already: not a rung of its own.
LEFT_OUT = ("tenfold train", "float32", "fast torch")


@dataclass(frozen=True)
class Rung:
    """accuracy: mean of n runs, a share; deviation: sample standard deviation. seconds: median, from
    process start to saved weights. ours: a recipe of tenfold, else a peer."""

    name: str
    title: str
    accuracy: float
    deviation: float | None
    seconds: float
    n: int
    ours: bool


def rung(name: str, row: dict[str, Any]) -> Rung:
    """row: as time_to_99.py and accuracy.py write it."""
    values = {key: row[key] for key in ("title", "accuracy", "deviation", "seconds", "n")}
    return Rung(name, ours=name in list_recipes(), **values)


def earlier(results: Path) -> dict[str, Rung]:
    """What the slow programs have found; of a recipe in two of them, the one with more runs."""
    rungs: dict[str, Rung] = {}
    for name in ("accuracy", "ensembles", "time_to_99"):
        path = results / f"{name}.json"
        rows = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.is_file() else {}
        for key, row in rows.items():
            if any(words in key for words in LEFT_OUT):
                continue
            if key not in rungs or row["n"] >= rungs[key].n:
                rungs[key] = rung(key, row)
    return rungs


def measure_small(seeds: int, parts: Path, data_dir: Path) -> dict[str, Rung]:
    rungs = {}
    for name in SMALL:
        recipe, results = accuracy.measure(name, range(seeds), parts, data_dir)
        rungs[name] = rung(name, accuracy.summary(recipe, results))
    for name, title in SMALL_PEERS.items():
        runs = [
            run_program(name, data_dir, "--seed", str(seed))["epochs"][-1] for seed in range(1, seeds + 1)
        ]
        rungs[name] = rung(name, time_to_99.summary(runs, title))
    return rungs


def frontier(rungs: Sequence[Rung]) -> list[Rung]:
    """Those that no other beats in both, the fastest first."""
    best: list[Rung] = []
    for one in sorted(rungs, key=lambda rung: (rung.seconds, -rung.accuracy)):
        if not best or one.accuracy > best[-1].accuracy:
            best.append(one)
    return best


def row(one: Rung, on_frontier: bool) -> tuple[str, ...]:
    deviation = "" if one.deviation is None else f" ± {100 * one.deviation:.2f}"
    return (
        one.title,
        f"{one.seconds:.1f}" if one.seconds < 100 else f"{one.seconds:.0f}",
        f"{100 * one.accuracy:.2f}{deviation} %",
        f"{10_000 * (1 - one.accuracy):.0f}",
        str(one.n),
        "yes" if on_frontier else "",
    )


COLUMNS = ("", "s from process start to weights", "test accuracy", "misses of 10,000", "n", "frontier")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="of the small recipes")
    parser.add_argument("--quick", action="store_true", help="one seed of each")
    parser.add_argument("--parts", type=Path, default=accuracy.PARTS / "small", help="as accuracy.py's")
    parser.add_argument("--data-dir", default=None)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results, read and written")
    parser.add_argument("--readme", action="store_true", help="put the table into README.md")
    options = parser.parse_args()
    seeds = 1 if options.quick else options.seeds
    rungs = measure_small(seeds, options.parts, find_mnist(options.data_dir)) | earlier(options.out)
    ordered = sorted(rungs.values(), key=lambda one: one.seconds)
    best = frontier(ordered)
    table = markdown_table(COLUMNS, [row(one, one in best) for one in ordered])
    host = machine()
    note = (
        "Mean ± standard deviation of n runs on MNIST's 10,000 test images; seconds: median, each of the day "
        "on which the program that measured it ran (its own table has ratios). Frontier: nothing is both "
        f"faster and better. {host['processor']}, {host['cores']} cores, torch "
        f"{host['torch']}. Made by `python benchmarks/ladder.py`."
    )
    options.out.mkdir(parents=True, exist_ok=True)
    draw_ladder(ordered, best, options.out / "ladder.png")
    document = {"rungs": [asdict(one) for one in ordered], "frontier": [one.name for one in best]}
    publish("ladder", table, note, document, readme=options.readme, folder=options.out)


if __name__ == "__main__":
    main()
