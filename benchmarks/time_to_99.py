"""How long until 99 % of MNIST's test images are read: the recipe `fast` and public programs.

    python benchmarks/time_to_99.py [--quick] [--rounds 5] [--slow-rounds 5] [--seeds 20] [--recipe fast]
                                    [--readme]

From the start of the process to weights in a file, everything counted but testing. The programs take
turns, each round another seed: `fast` from Python with the engine it prefers, with the PyTorch engine as
the machine has it and in float32, from the command line, one epoch of a small CNN, Keras' convnet and
PyTorch's example (benchmarks/peers). Keras and PyTorch stop after the first epoch whose weights read 99 %
of the *test* images, which they are told and `fast` is not.
Most of a full run is waiting for those two: --slow-rounds takes fewer rounds of them, --quick runs Keras
once and leaves PyTorch out.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from children import find_mnist, run_command_line, run_program
from common import RESULTS, machine, markdown_table, publish, spread

TARGET = 0.99


@dataclass(frozen=True)
class Entrant:
    """A row of the table. run: gets a seed. rounds: of the whole; a round has `each` runs of it."""

    name: str
    title: str
    run: Callable[[int], dict[str, Any]]
    rounds: int
    each: int = 1


def entrants(options: argparse.Namespace, data_dir: Path) -> list[Entrant]:
    """`fast` first: the ratios are to it."""
    recipe, rounds = options.recipe, options.rounds
    slow_rounds = 1 if options.quick else min(rounds, options.slow_rounds)
    by_torch = ("--engine", "torch")
    each = max(1, -(-options.seeds // rounds))

    def ours(*more: str) -> Callable[[int], dict[str, Any]]:
        return lambda seed: run_program(
            "tenfold_recipe", data_dir, "--recipe", recipe, "--seed", str(seed), *more
        )

    def peer(name: str, *more: str) -> Callable[[int], dict[str, Any]]:
        return lambda seed: run_program(name, data_dir, "--seed", str(seed), *more)

    def command(seed: int) -> dict[str, Any]:
        return run_command_line(recipe, data_dir, "--seed", str(seed))

    until = ("--until", str(TARGET))
    slowest = Entrant(
        "pytorch_example", "PyTorch's MNIST example", peer("pytorch_example", *until), slow_rounds
    )
    return [
        Entrant(recipe, f"`{recipe}`", ours(), rounds, each),
        Entrant(f"{recipe} torch", f"`{recipe}`, PyTorch engine", ours(*by_torch), rounds, each),
        Entrant(
            f"{recipe} torch float32",
            f"`{recipe}`, PyTorch engine, float32",
            ours(*by_torch, "--set", "training.precision=float32"),
            rounds,
            each,
        ),
        Entrant(f"tenfold train {recipe}", f"`tenfold train {recipe}`", command, rounds),
        Entrant("one_epoch_cnn", "one epoch of a small CNN", peer("one_epoch_cnn"), rounds),
        Entrant("keras_convnet", "Keras' MNIST convnet", peer("keras_convnet", *until), slow_rounds),
        *([] if options.quick else [slowest]),
    ]


def outcome(document: dict[str, Any], seed: int, round_number: int) -> dict[str, Any]:
    """The first epoch that read 99 %, else the last."""
    reached = [entry for entry in document["epochs"] if entry["test_accuracy"] >= TARGET]
    chosen: dict[str, Any] = (reached or document["epochs"])[0 if reached else -1]
    return chosen | {"seed": seed, "round": round_number}


def run_all(some: Sequence[Entrant], rounds: int) -> dict[str, list[dict[str, Any]]]:
    """Round after round, so that whatever else the machine does meets all of them."""
    runs: dict[str, list[dict[str, Any]]] = {entrant.name: [] for entrant in some}
    for number in range(rounds):
        for entrant in some:
            for _ in range(entrant.each if number < entrant.rounds else 0):
                seed = len(runs[entrant.name])
                last = outcome(entrant.run(seed), seed, number)
                runs[entrant.name].append(last)
                print(
                    f"{entrant.name}, seed {seed}: {100 * last['test_accuracy']:.2f} % in "
                    f"{last['seconds_since_start']:.2f} s",
                    flush=True,
                )
    return runs


def quartiles(values: Sequence[float], digits: int = 2) -> str:
    """median (lower .. upper quartile)."""
    middle = f"{statistics.median(values):.{digits}f}"
    if len(values) < 3:
        return middle
    low, _, high = statistics.quantiles(values, method="inclusive")
    return f"{middle} ({low:.{digits}f} .. {high:.{digits}f})"


def ratios(runs: Sequence[dict[str, Any]], ours: Sequence[dict[str, Any]]) -> list[float]:
    """Each run's seconds to the median of ours in the same round."""
    return [
        run["seconds_since_start"]
        / statistics.median(own["seconds_since_start"] for own in ours if own["round"] == run["round"])
        for run in runs
    ]


def row(title: str, runs: Sequence[dict[str, Any]], ours: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    accuracies = [run["test_accuracy"] for run in runs]
    own = ratios(runs, ours)
    seconds = [run["seconds_since_start"] for run in runs]
    return (
        title,
        spread(accuracies, scale=100, digits=3, unit=" %"),
        f"{100 * min(accuracies):.2f} .. {100 * max(accuracies):.2f} %",
        str(len(runs)),
        quartiles(seconds),
        f"{statistics.median(run['cpu_seconds'] for run in runs):.1f}",
        f"{statistics.median(run['peak_mib'] for run in runs):.0f}",
        "1" if runs is ours else f"{statistics.median(own):.1f} ({min(own):.1f} .. {max(own):.1f})",
    )


COLUMNS = (
    "from process start to weights", "test accuracy", "worst .. best", "n", "wall s, median (quartiles)",
    "CPU s", "peak MiB", "wall, times ours (min .. max)",
)  # fmt: skip


def summary(runs: Sequence[dict[str, Any]], title: str) -> dict[str, Any]:
    """What the ladder reads: accuracy as a share, median seconds."""
    accuracies = [run["test_accuracy"] for run in runs]
    return {
        "title": title,
        "accuracy": statistics.fmean(accuracies),
        "deviation": statistics.stdev(accuracies) if len(runs) > 1 else None,
        "seconds": statistics.median(run["seconds_since_start"] for run in runs),
        "n": len(runs),
    }


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="Keras once, PyTorch not, five seeds of ours")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--slow-rounds", type=int, default=5, help="of Keras and PyTorch's example, at most")
    parser.add_argument("--seeds", type=int, help="of ours, from Python; else 20, or 5 with --quick")
    parser.add_argument("--recipe", default="fast")
    parser.add_argument("--only", default="", help="entrants, comma-separated")
    parser.add_argument("--data-dir", default=None)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON")
    parser.add_argument("--readme", action="store_true", help="put the table into README.md")
    options = parser.parse_args()
    options.seeds = options.seeds or (5 if options.quick else 20)
    return options


def main() -> None:
    options = parse_options()
    some = entrants(options, find_mnist(options.data_dir))
    wanted = set(options.only.split(",")) - {""}
    some = [entrant for entrant in some if not wanted or entrant.name in wanted or entrant is some[0]]
    runs = run_all(some, options.rounds)
    ours = runs[some[0].name]
    table = markdown_table(COLUMNS, [row(entrant.title, runs[entrant.name], ours) for entrant in some])
    host = machine()
    note = (
        "Test accuracy: mean ± standard deviation. Keras and PyTorch stop at the first epoch with 99 % of "
        f"the test images; ours and the one epoch have a fixed length. {host['processor']}, "
        f"{host['cores']} cores, NumPy {host['numpy']} ({host['blas']}), torch {host['torch']}, bfloat16 "
        f"products {host['bfloat16_gain']} times as fast as float32. CPU "
        "and memory of the command line: of the whole process, with the test. "
        "Made by `python benchmarks/time_to_99.py`."
    )
    rows = {entrant.name: summary(runs[entrant.name], entrant.title) for entrant in some}
    publish(
        "time_to_99", table, note, {"rows": rows, "runs": runs}, readme=options.readme, folder=options.out
    )


if __name__ == "__main__":
    main()
