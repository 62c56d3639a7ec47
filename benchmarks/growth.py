"""How cost grows: 1, 2, 4 and 8 times MNIST, memory-mapped, on both engines.

    python benchmarks/growth.py [--quick] [--rounds 5] [--readme]

scripts/augmented_copies.py writes the sets as uncompressed IDX. Each training runs in a process of its own,
and the sizes take turns: a perceptron 784-128-64-10 for two epochs on the NumPy engine (the second counts),
and one epoch of the recipe `cnn` on PyTorch. A full run takes about a quarter of an hour on two cores;
--quick measures once, the cnn up to 2 times MNIST.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common import RESULTS, ROOT, machine, markdown_table, publish, spread
from process_cost import run_measured

from tenfold import change_recipe, get_recipe, load_dataset, split_dataset, train

SIZES = (1, 2, 4, 8)
PERCEPTRON = ["flatten", "linear 128", "relu", "linear 64", "relu", "linear classes"]
STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Training:
    """A recipe with changes, and the engine that trains it. epochs: the last of them counts."""

    title: str
    recipe: str
    engine: str
    epochs: int
    changes: dict[str, Any] = field(default_factory=dict)


TRAININGS = {
    "numpy": Training(
        "784-128-64-10, NumPy",
        "mlp-120-84",
        "numpy",
        2,
        {"network.layers": PERCEPTRON, "training.batch_size": 128},
    ),
    "torch": Training("`cnn`, PyTorch", "cnn", "torch", 1),
}


def anonymous_mib() -> float:
    """MiB of this process that are no file's pages; 0 where the system does not tell."""
    lines = STATUS.read_text(encoding="ascii").splitlines() if STATUS.is_file() else []
    return sum(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon:"))


@contextmanager
def watch_memory() -> Iterator[list[float]]:
    """Yields a list that ends with the largest `anonymous_mib` of the block, asked for every 5 ms."""
    peaks, done = [anonymous_mib()], threading.Event()

    def watch() -> None:
        while not done.wait(0.005):
            peaks.append(max(peaks[-1], anonymous_mib()))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peaks
    finally:
        done.set()
        thread.join()


def measure_here(folder: Path, training: Training) -> dict[str, Any]:
    """What a process of its own does: opens the set, splits it, trains."""
    recipe = change_recipe(
        get_recipe(training.recipe),
        training.changes | {"training.epochs": training.epochs, "training.min_steps": 0},
    )
    with watch_memory() as peaks:
        started = time.perf_counter()
        train_set, val_set = split_dataset(load_dataset(folder), recipe.data.validation, seed=0)
        opened = time.perf_counter() - started
        result = train(recipe, train_set, val_set, engine=training.engine)
    last = result.history[-1]
    return {
        "open_seconds": opened,
        "epoch_seconds": last.seconds,
        "images": len(train_set),
        "peak_anonymous_mib": peaks[-1],
        "val_accuracy": last.val_accuracy,
    }


def measure(folder: Path, name: str) -> dict[str, Any]:
    """`measure_here` in a process of its own, with the process's CPU seconds and peak memory."""
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "out.json"
        cost = run_measured([sys.executable, __file__, "--child", name, str(folder)], out)
        document: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return document | {"cpu_seconds": cost.cpu, "peak_mib": cost.peak_mib}


def write_sets(root: Path, data_dir: str | None) -> None:
    """ROOT/1, ROOT/2, ..."""
    sys.path.append(str(ROOT / "scripts"))
    from augmented_copies import write_copies

    parts = [load_dataset("mnist", split=part, data_dir=data_dir) for part in ("train", "test")]
    for times in SIZES:
        write_copies(parts[0], parts[1], root / str(times), times, seed=0)


def cells(runs: Sequence[dict[str, Any]], first: Sequence[dict[str, Any]], times: int) -> list[str]:
    """Of one training at one size. first: at 1 times MNIST, round by round as `runs`."""
    if not runs:
        return ["", "", "", ""]
    ratios = [
        run["epoch_seconds"] / one["epoch_seconds"] / times for run, one in zip(runs, first, strict=True)
    ]
    return [
        f"{statistics.median(run['epoch_seconds'] for run in runs):.2f} s",
        spread(ratios),
        f"{statistics.median(run['peak_anonymous_mib'] for run in runs):.0f} MiB",
        f"{statistics.median(run['peak_mib'] for run in runs):.0f} MiB",
    ]


def row(times: int, runs: dict[str, dict[int, list[dict[str, Any]]]]) -> list[str]:
    opened = [run["open_seconds"] for name in runs for run in runs[name][times]]
    start = [
        f"{times}x",
        f"{times * 60_000:,}",
        f"{times * 47.04:.0f} MB",
        f"{statistics.median(opened):.2f} s",
    ]
    return start + [cell for name in runs for cell in cells(runs[name][times], runs[name][1], times)]


def run_all(root: Path, rounds: int, most: dict[str, int]) -> dict[str, dict[int, list[dict[str, Any]]]]:
    """name -> times -> a measurement a round; sizes above `most[name]` are left out."""
    runs: dict[str, dict[int, list[dict[str, Any]]]] = {name: {t: [] for t in SIZES} for name in TRAININGS}
    for number in range(rounds):
        for times in SIZES:
            for name in TRAININGS:
                if times <= most[name]:
                    runs[name][times].append(measure(root / str(times), name))
                    print(f"round {number + 1}, {times}x, {name}: {runs[name][times][-1]}", flush=True)
    return runs


def report(
    runs: dict[str, dict[int, list[dict[str, Any]]]], rounds: int, options: argparse.Namespace
) -> None:
    columns = ["set", "images", "file", "open"]
    for training in TRAININGS.values():
        columns += [f"{training.title}: epoch", "to linear", "own memory", "with mapped pages"]
    host = machine()
    note = (
        f"n = {rounds}, medians; to linear: seconds per epoch for each of the set's images, 1x being 1 (mean "
        "± standard deviation over the rounds). open: reading labels and headers, and splitting. An epoch "
        "validates too. Memory is the process's peak, with Python, NumPy and PyTorch; mapped pages of "
        "the file are the kernel's to drop whenever something else needs the memory, own memory (RssAnon) is "
        f"not. {host['processor']}, {host['threads']} threads. Made by `python benchmarks/growth.py`."
    )
    document = {"n": rounds, "sizes": SIZES, "runs": runs}
    table = markdown_table(columns, [row(times, runs) for times in SIZES])
    publish("growth", table, note, document, readme=options.readme, folder=options.out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one round, the cnn up to 2x")
    parser.add_argument("--data-dir", default=None)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON")
    parser.add_argument("--readme", action="store_true", help="put the table into README.md")
    parser.add_argument("--child", nargs=2, metavar=("TRAINING", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure_here(Path(options.child[1]), TRAININGS[options.child[0]])))
        return
    rounds = 1 if options.quick else options.rounds
    with tempfile.TemporaryDirectory() as folder:
        write_sets(Path(folder), options.data_dir)
        runs = run_all(Path(folder), rounds, {"numpy": SIZES[-1], "torch": 2 if options.quick else SIZES[-1]})
    report(runs, rounds, options)


if __name__ == "__main__":
    main()
