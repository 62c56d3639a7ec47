"""How accurate on pictures in colour, and how long it takes: CIFAR-10 from a folder, beside public programs.

    python benchmarks/colour.py FOLDER [--recipes cnn colour-fast] [--seeds 3] [--peers keras resnet18]
                                [--minutes 4] [--out DIR] [--readme]

FOLDER holds train/CLASS/* and test/CLASS/*, such as CIFAR-10 as JPEG files. From the start of the process
to weights in a file, reading the folder included (the first reading fills the cache of decoded pictures; what
it took is said by itself). The peers (benchmarks/peers/cifar10_peers.py) get as long as the slowest of the
recipes asked for, or --minutes. The test pictures are read once per run, when the weights are saved.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

from children import run_command_line, run_program
from common import RESULTS, markdown_table, publish, spread

from tenfold import load_dataset

TITLES = {"keras": "Keras' CIFAR-10 CNN", "resnet18": "ResNet-18, a plain PyTorch loop"}


def loading(folder: Path) -> list[float]:
    """Seconds of reading the training part twice: as it is found, and from the cache."""
    seconds = []
    for _ in range(2):
        started = time.perf_counter()
        load_dataset(folder)
        seconds.append(time.perf_counter() - started)
    return seconds


def summary(title: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    scores = [run["test_accuracy"] for run in runs]
    return {
        "title": title,
        "n": len(runs),
        "accuracy": statistics.fmean(scores),
        "accuracies": scores,
        "seconds": statistics.median(run["seconds_since_start"] for run in runs),
        "cpu_seconds": statistics.median(run["cpu_seconds"] for run in runs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--recipes", nargs="*", default=["cnn", "colour-fast"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--peers", nargs="*", choices=list(TITLES), default=list(TITLES))
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--readme", action="store_true")
    options = parser.parse_args()
    first, again = loading(options.folder)
    rows = {}
    for name in options.recipes:
        runs = [
            run_command_line(name, options.folder, "--data", str(options.folder), "--seed", str(seed))[
                "epochs"
            ][0]
            for seed in range(options.seeds)
        ]
        rows[name] = summary(f"`{name}`", runs)
    minutes = options.minutes or max([row["seconds"] for row in rows.values()], default=240) / 60
    for name in options.peers:
        more = ("--program", name, "--minutes", str(minutes))
        rows[name] = summary(
            TITLES[name], [run_program("cifar10_peers", options.folder, *more)["epochs"][-1]]
        )
    table = markdown_table(
        ("", "n", "test accuracy (%)", "seconds", "CPU seconds"),
        [
            (row["title"], str(row["n"]), spread(row["accuracies"], scale=100), f"{row['seconds']:.0f}",
             f"{row['cpu_seconds']:.0f}")
            for row in rows.values()
        ],
    )  # fmt: skip
    note = f"Reading the training part: {first:.1f} s as it is found, {again:.2f} s from the cache."
    document = {"loading_seconds": [first, again], "rows": rows}
    publish("colour", table, note, document, readme=options.readme, folder=options.out)


if __name__ == "__main__":
    main()
