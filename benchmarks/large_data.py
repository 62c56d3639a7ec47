"""Data larger than memory: an epoch under a memory limit, and the memory that converting takes.

python benchmarks/large_data.py [--gigabytes 6] [--limit-mib 1024] [--folder DIR] [--json FILE]

The limit is one of a cgroup (version 1, as root), which counts the mapped pages of the file, too. They are
dropped before each epoch. "all at random" shuffles as a set in memory is shuffled; it ends after a minute.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from process_cost import run_measured

from tenfold.show.terminal import stdout

CGROUP = Path("/sys/fs/cgroup/memory")
_EPOCH = """
import os, sys, time
from tenfold.data import batches
from tenfold.data.load import load_dataset
from tenfold.engines.create import Engines
from tenfold.recipes.load import get_recipe
from tenfold.networks.engine import EngineOptions
from tenfold.training.steps import epoch_batches
folder, way = sys.argv[1:]
dataset, recipe = load_dataset(folder, split="all"), get_recipe("mlp-small")
os.sync()  # pages that are not yet written cannot be dropped
with open(dataset.images.filename, "rb") as file:
    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
if way == "all at random":
    batches._order = lambda images, rng: (rng.permutation(len(images)), 0)
network = recipe.plan(dataset.image_shape, len(dataset.class_names))
options = EngineOptions(mean=0.13, std=0.31, loss=recipe.loss, optimiser=recipe.optimiser)
engine = Engines.create("numpy", network, network.initial_weights(recipe.network.initialise, seed=0), options)
started, images = time.perf_counter(), 0
for batch in epoch_batches(recipe, dataset, seed=0, epoch=0):
    engine.train_step(batch, 0.1)
    images += len(batch)
    if way == "all at random" and time.perf_counter() - started > 60:
        break
print(images / (time.perf_counter() - started))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=6.0)
    parser.add_argument("--limit-mib", type=int, default=1024)
    parser.add_argument("--pictures", type=int, default=200_000)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found: dict[str, Any] = {"gigabytes": options.gigabytes, "limit_mib": options.limit_mib}
    with tempfile.TemporaryDirectory(dir=options.folder) as made:
        folder = Path(made)
        found["convert"] = measure_converting(folder, options.pictures)
        write_images(folder / "large", options.gigabytes)
        rates = found["images per second"] = {}
        rates["no limit"] = epoch(folder / "large", "blocks", None)
        if CGROUP.is_dir() and os.getuid() == 0:
            rates["limit"] = epoch(folder / "large", "blocks", options.limit_mib)
            rates["limit, all at random"] = epoch(folder / "large", "all at random", options.limit_mib)
    stdout.table(
        ("source", "MiB", "seconds"), [(k, f"{v[0]:.0f}", f"{v[1]:.0f}") for k, v in found["convert"].items()]
    )
    stdout.table(("epoch of mlp-small", "images per second"), [(k, f"{v:,.0f}") for k, v in rates.items()])
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


def write_images(folder: Path, gigabytes: float) -> None:
    """IDX files of 28 x 28 noise."""
    folder.mkdir()
    count = int(gigabytes * 1e9) // 784
    piece = np.random.default_rng(0).integers(0, 256, (10_000, 784), dtype=np.uint8)
    with (folder / "train-images-idx3-ubyte").open("wb") as file:
        file.write(np.array([0x803, count, 28, 28], ">u4").tobytes())
        for start in range(0, count, len(piece)):
            file.write(piece[: count - start].data)
    labels = (np.arange(count) % 10).astype(np.uint8)
    (folder / "train-labels-idx1-ubyte").write_bytes(
        np.array([0x801, count], ">u4").tobytes() + labels.tobytes()
    )


def epoch(folder: Path, way: str, limit_mib: int | None) -> float:
    """Images per second, in a process of its own."""
    place = CGROUP / "tenfold-large-data"
    if limit_mib:
        place.mkdir(exist_ok=True)
        (place / "memory.limit_in_bytes").write_text(str(limit_mib * 2**20))
    enter = f"echo $$ > {place}/cgroup.procs && " if limit_mib else ""
    command = ["bash", "-c", enter + 'exec "$@"', "-", sys.executable, "-c", _EPOCH, str(folder), way]
    try:
        return float(subprocess.check_output(command, text=True))
    finally:
        if limit_mib:
            place.rmdir()


def measure_converting(folder: Path, pictures: int) -> dict[str, tuple[float, float]]:
    """source -> (peak MiB of the process, seconds)."""
    row = ",".join(["200"] * 784)
    with (folder / "a.csv").open("w") as file:
        for number in range(500_000_000 // (len(row) + 3)):
            file.write(f"{number % 10},{row}\n")
    images = np.random.default_rng(0).integers(0, 256, (10, 28, 28), dtype=np.uint8)
    from PIL import Image

    for label in range(10):
        place = folder / "pictures" / str(label)
        place.mkdir(parents=True)
        Image.fromarray(images[label]).save(folder / f"{label}.png")
        for number in range(pictures // 10):
            (place / f"{number}.png").hardlink_to(folder / f"{label}.png")
    found = {}
    for name, source in (("CSV, 500 MB", "a.csv"), (f"folder of {pictures:,}", "pictures")):
        command = [
            sys.executable,
            "-m",
            "tenfold",
            "data",
            "convert",
            str(folder / source),
            str(folder / f"{source}-out"),
            "--quiet",
        ]
        cost = run_measured(command, folder / "told")
        found[name] = (cost.peak_mib, cost.wall)
    return found


if __name__ == "__main__":
    main()
