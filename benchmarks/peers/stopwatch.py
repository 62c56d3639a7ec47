"""What the peers share: arguments, the MNIST files, and a clock that stands still while they are tested.

The clock starts with the process, so that the interpreter and every import count. It reads nothing of
tenfold, and needs NumPy only where files are read.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Trial", "parse_arguments", "process_age", "read_mnist"]

_BEGUN = time.perf_counter()
_STARTTIME = 19  # of /proc/self/stat, counted behind the command's name; clock ticks since the boot


def process_age() -> float:
    """Wall seconds since this process was started (Linux: to 10 ms; elsewhere since this import)."""
    stat = Path("/proc/self/stat")
    if not stat.is_file():
        return time.perf_counter() - _BEGUN
    ticks = int(stat.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[_STARTTIME])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def peak_mib() -> float:
    """MiB that this process held at most; on Linux not counting the process that started it."""
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)


def parse_arguments(
    description: str | None,
    *,
    epochs: int,
    seed: int = 1,
    extend: Callable[[argparse.ArgumentParser], None] | None = None,
) -> argparse.Namespace:
    """DATA_DIR OUT.json and what every peer understands; epochs, seed: the documented ones.

    extend: adds a program's own options.
    """
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("data_dir", type=Path, metavar="DATA_DIR", help="folder of the four IDX .gz files")
    parser.add_argument("out", type=Path, metavar="OUT.json", help="the weights are written beside it")
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--seed", type=int, default=seed)
    parser.add_argument(
        "--until", type=float, help="stop after the first epoch with this test accuracy, 0..1"
    )
    parser.add_argument("--limit-steps", type=int, help="train on the images of so many steps only")
    if extend:
        extend(parser)
    return parser.parse_args()


def read_mnist(folder: Path, part: str, images: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (N, 28, 28) and int64 (N,); part: "train" or "t10k". images: the first so many only."""
    import numpy as np

    with gzip.open(folder / f"{part}-images-idx3-ubyte.gz") as file:
        pixels = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)
    with gzip.open(folder / f"{part}-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), np.uint8, offset=8).astype(np.int64)
    return pixels[:images], labels[:images]


class Trial:
    """One training: an entry per epoch, of weights that lie in a file, measured while the clock stands.

    packages: distributions whose versions are written down.
    """

    def __init__(self, options: argparse.Namespace, packages: Sequence[str]) -> None:
        self.options, self.packages = options, packages
        self.epochs: list[dict[str, float]] = []
        self._tested = self._tested_cpu = 0.0
        self._training_from = 0.0

    def seconds(self) -> float:
        """Wall seconds since the process was started, without those of testing."""
        return process_age() - self._tested

    def images_of(self, batch_size: int) -> int | None:
        """How many images --limit-steps asks for; None is all."""
        return self.options.limit_steps and self.options.limit_steps * batch_size

    def begin_training(self) -> None:
        self._training_from = self.seconds()

    def end_epoch(self, save: Callable[[Path], object], suffix: str, test: Callable[[], float]) -> bool:
        """Saves the weights, then tests with the clock standing still; True where --until is reached.

        save: gets the path, OUT with this suffix. test: gives the accuracy, 0..1.
        """
        save(self.options.out.with_suffix(suffix))
        entry = {
            "epoch": len(self.epochs) + 1,
            "seconds_since_start": self.seconds(),
            "train_seconds": self.seconds() - self._training_from,
            "cpu_seconds": time.process_time() - self._tested_cpu,
            "peak_mib": peak_mib(),
        }
        started, started_cpu = time.perf_counter(), time.process_time()
        entry["test_accuracy"] = test()
        self._tested += time.perf_counter() - started
        self._tested_cpu += time.process_time() - started_cpu
        self.epochs.append(entry)
        until = self.options.until
        return until is not None and entry["test_accuracy"] >= until

    def finish(self, *, threads: int, **more: Any) -> None:
        """Writes OUT.json."""
        found = {"python": platform.python_version()} | {name: version(name) for name in self.packages}
        document = {
            "program": Path(sys.argv[0]).stem,
            "seed": self.options.seed,
            "epochs": self.epochs,
            "versions": found,
            "threads": threads,
        }
        self.options.out.write_text(json.dumps(document | more, indent=1) + "\n", encoding="utf-8")
