"""A run is a folder; everything that reads a run reads only its files.

recipe.toml          complete, re-runnable
environment.json     versions, seed, engine, data (source, sha256, note), host's cores, command
history.jsonl        one line per epoch
model.safetensors    the weights, with model.json beside them
data_summary.json    and .npz: what the training images look like
evaluation.json      and .npz: scores and pictures on the test set
label_errors.json    and .npz: labels that are likely wrong (`tenfold label-errors`)
robustness.json      and .npz: accuracy on corrupted test pictures (`tenfold robustness`)
checkpoint/          what `--resume` needs
member-1/, ...       of an ensemble: checkpoint, history and model of each network by itself
report.html
"""

from __future__ import annotations

import json
import platform
import resource
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.arguments import checked
from tenfold.classifier import Classifier, ModelCard, read_model
from tenfold.data.batches import DataSummary
from tenfold.engines.create import describe_engine
from tenfold.errors import ModelError
from tenfold.evaluation.evaluate import Evaluation
from tenfold.evaluation.label_errors import LabelErrors
from tenfold.evaluation.robustness import Robustness
from tenfold.files import write_text
from tenfold.helpers import count_cores
from tenfold.numpy_engine.runtime.threads import describe_blas
from tenfold.recipes.load import get_recipe
from tenfold.recipes.schema import Recipe
from tenfold.records import pick, read_json, reading
from tenfold.training.checkpoint import EpochRecord, read_history
from tenfold.version import __version__

__all__ = ["Run", "is_run", "list_runs", "open_run"]

_RECORD = {  # kinds of what the record of a run may hold, see `pick`
    "engine": "str", "device": "str", "precision": "str?", "status": "str", "command": "str", "seed": "int",
    "data": "dict?", "best_epoch": "int?", "stopped_early": "bool?", "seconds": "float?",
    "loading_seconds": "float?", "total_seconds": "float?", "peak_memory_mib": "float?",
}  # fmt: skip
_DATA = {
    "name": "str?", "source": "str?", "data_dir": "str?", "note": "str?", "sha256": "str", "train": "int",
    "val": "int",
}  # fmt: skip


@dataclass(frozen=True, init=False)
class Run:
    """What a training kept in its folder; each part is read when it is first asked for.

    `tenfold train` makes one, and `tenfold.train` with a run_dir. evaluation, label_errors, robustness and
    summary are None until they are measured. Raises ModelError where the folder is not that of a run.
    """

    folder: Path

    @checked
    def __init__(self, folder: str | Path) -> None:
        object.__setattr__(self, "folder", Path(folder))
        if not is_run(self.folder):
            raise ModelError(
                f"{folder} is not a run's folder",
                expected="a folder with recipe.toml and environment.json",
                remedy="`tenfold runs` lists those there are",
            )

    @property
    def name(self) -> str:
        """Of the folder."""
        return self.folder.resolve().name

    @cached_property
    def recipe(self) -> Recipe:
        """What was trained, whole."""
        return get_recipe(self.folder / "recipe.toml")

    @cached_property
    def environment(self) -> dict[str, Any]:
        """The record: versions, engine, seed, data, status, times."""
        path = self.folder / "environment.json"
        with reading(str(path), expected="a run's record", remedy="train again into another folder"):
            values = read_json(path)
            pick(values, {key: kind for key, kind in _RECORD.items() if key in values})
            data = values.get("data") or {}
            pick(data, {key: kind for key, kind in _DATA.items() if key in data})
        return values

    @property
    def record(self) -> dict[str, Any]:
        """`environment`, which here must say what the run continues with. Raises ModelError."""
        values, data = self.environment, self.environment.get("data") or {}
        missing = [key for key in ("engine", "device", "seed") if key not in values]
        missing += [f"data.{key}" for key in ("source", "sha256") if key not in data]
        if missing:
            raise ModelError(
                f"{self.folder / 'environment.json'} lacks {', '.join(missing)}",
                expected="a run's record",
                remedy="train again into another folder",
            )
        return values

    @property
    def in_memory(self) -> bool:
        """Whether its images were given in Python, so that no command can load them again."""
        return (self.environment.get("data") or {}).get("source", "") is None

    @cached_property
    def history(self) -> list[EpochRecord]:
        """An entry per epoch."""
        return read_history(self.folder / "history.jsonl")

    @cached_property
    def model(self) -> tuple[ModelCard, dict[str, np.ndarray]]:
        """The card and the weights."""
        return read_model(self.folder)

    @checked
    def classifier(self, engine: str = "auto") -> Classifier:
        """The model, to answer with. Raises ModelError."""
        return Classifier.load(self.folder, engine=engine)

    @cached_property
    def summary(self) -> DataSummary | None:
        """What the training images look like."""
        return DataSummary.load(self.folder) if (self.folder / "data_summary.json").is_file() else None

    @cached_property
    def evaluation(self) -> Evaluation | None:
        """Scores on the test images, where there are any."""
        return Evaluation.load(self.folder) if (self.folder / "evaluation.json").is_file() else None

    @cached_property
    def label_errors(self) -> LabelErrors | None:
        """Labels that are likely wrong, where they were looked for."""
        return LabelErrors.load(self.folder) if (self.folder / "label_errors.json").is_file() else None

    @cached_property
    def robustness(self) -> Robustness | None:
        """Accuracy on corrupted test images, where it was measured."""
        return Robustness.load(self.folder) if (self.folder / "robustness.json").is_file() else None


def is_run(folder: Path) -> bool:
    return (folder / "recipe.toml").is_file() and (folder / "environment.json").is_file()


def open_run(run: str | Path | Run) -> Run:
    """The run in a folder; a Run is given back. Raises ModelError where there is none."""
    return run if isinstance(run, Run) else Run(run)


@checked
def list_runs(root: str | Path = "runs") -> list[Run]:
    """The runs in a folder of runs, oldest first."""
    folder = Path(root)
    found = [path for path in folder.iterdir() if is_run(path)] if folder.is_dir() else []
    return [Run(path) for path in sorted(found, key=lambda path: (path / "environment.json").stat().st_mtime)]


# What a run must remember of where it happened, to be done again.


def describe_environment(engine: str, device: str = "cpu") -> dict[str, Any]:
    """Versions, cores and threads; and what the engine says of itself. Raises UsageError for a device that
    is not there."""
    return {
        "tenfold": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": describe_blas(),
        "system": platform.system(),
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": count_cores(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "engine": engine,
    } | describe_engine(engine, device)


def _processor() -> str:
    """The processor's name where the system tells it, else its architecture."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def peak_memory_mib() -> float:
    """Of this process so far (macOS counts bytes, Linux KiB)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def write_environment(folder: Path, values: dict[str, Any]) -> None:
    write_text(folder / "environment.json", json.dumps(values, indent=2) + "\n")
