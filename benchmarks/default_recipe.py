"""The default recipe `cnn`: accuracy and seconds on full MNIST, and from the embedded sample.

    python benchmarks/default_recipe.py [--seeds 3] [--readme]

Runs `tenfold train cnn` as a user does, one process after the other, and takes what it says in JSON;
wall seconds are those of the whole process, with the report. The sample's held-out images are 1,000
of its 5,000.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import machine, markdown_table, publish, spread


def train_once(source: str, seed: int, folder: Path, data_dir: str | None) -> dict[str, Any]:
    """What one process said of its training, and how long it took as a whole."""
    command = [sys.executable, "-m", "tenfold", "train", "cnn", "--data", source, "--seed", str(seed)]
    command += ["--run-dir", str(folder / f"{source}-{seed}"), "--json", "--quiet"]
    command += ["--data-dir", data_dir] if data_dir else []
    started = time.perf_counter()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    wall = time.perf_counter() - started
    outcome: dict[str, Any] = json.loads(done.stdout)
    del outcome["run"], outcome["report"], outcome["data"]["data_dir"]
    return outcome | {"wall_seconds": wall}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="trainings a data set")
    parser.add_argument("--data-dir", default=None)
    parser.add_argument("--readme", action="store_true", help="put the table into README.md")
    options = parser.parse_args()
    runs: dict[str, list[dict[str, Any]]] = {"mnist": [], "sample": []}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(options.seeds):
            for source, outcomes in runs.items():
                outcomes.append(train_once(source, seed, Path(folder), options.data_dir))
                last = outcomes[-1]
                print(f"{source} seed {seed}: {last['test_accuracy']:.4f} in {last['wall_seconds']:.1f} s")
    titles = {"mnist": "full MNIST, 10,000 test images", "sample": "embedded sample, 1,000 held-out images"}
    rows = [
        (
            titles[source],
            spread([run["test_accuracy"] for run in outcomes], scale=100, unit=" %"),
            spread([run["seconds"] for run in outcomes], digits=1, unit=" s"),
            spread([run["wall_seconds"] for run in outcomes], digits=1, unit=" s"),
        )
        for source, outcomes in runs.items()
    ]
    text = markdown_table(("`cnn` on", "accuracy", "training", "whole process"), rows)
    host = machine()
    note = (
        f"Mean ± standard deviation, n = {options.seeds} seeds; {host['processor']}, "
        f"{host['cores']} cores, torch {host['torch']}, "
        f"bfloat16 products {host['bfloat16_gain']} times as fast as float32. "
        f"Made by `python benchmarks/default_recipe.py`."
    )
    publish("default_recipe", text, note, {"n": options.seeds, "runs": runs}, readme=options.readme)


if __name__ == "__main__":
    main()
