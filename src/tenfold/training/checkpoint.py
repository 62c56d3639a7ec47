"""All that the next epoch depends on, in one file that is written beside and renamed."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from tenfold.arrays import ImageDataset
from tenfold.files import replace_file, write_text
from tenfold.networks.engine import Engine
from tenfold.records import pick, reading

__all__ = ["POINTER", "EpochRecord", "at_chance", "read_history"]

# One line per epoch, as the source tutorials print it.


@dataclass(frozen=True)
class EpochRecord:
    """epoch: counted from 1. train_loss, train_accuracy: mean over the epoch's images as they were
    met (augmented, before each step). val_*: after the epoch, None without validation images.
    learning_rate: of the epoch's last step. seconds: training and validating, this epoch alone.
    steps: of the optimiser, since the start. first_loss: of the epoch's first step, before it; None in
    records of earlier versions.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    val_loss: float | None
    val_accuracy: float | None
    learning_rate: float
    seconds: float
    steps: int
    first_loss: float | None = None


def write_history(path: Path, records: Iterable[EpochRecord]) -> None:
    """JSON, a line a record."""
    write_text(path, "".join(json.dumps(asdict(record)) + "\n" for record in records))


_KINDS = {
    "epoch": "int", "train_loss": "number", "train_accuracy": "float", "val_loss": "number?",
    "val_accuracy": "float?", "learning_rate": "float", "seconds": "float", "steps": "int",
    "first_loss": "number?",
}  # fmt: skip


def read_history(path: Path) -> list[EpochRecord]:
    """What `write_history` wrote. Raises ModelError."""
    remedy = f"delete it, then: tenfold train --resume {path.parent}"
    with reading(str(path), expected="a run's history.jsonl", remedy=remedy):
        lines = path.read_text(encoding="utf-8").splitlines()
        return [record_from_dict(json.loads(line)) for line in lines if line.strip()]


def record_from_dict(values: Any) -> EpochRecord:
    """Raises ValueError, KeyError or TypeError for what is not the record of an epoch."""
    return EpochRecord(**pick({"first_loss": None} | values, _KINDS))


_ENGINE, _BEST = "engine:", "best:"


@dataclass
class Checkpoint:
    """next_epoch counts from 0. Data order and augmentation are pure functions of seed and epoch
    (see data.batches); dropout's random state is in engine_state.

    best_*: of early stopping. identity: what must be equal for a resumption to make sense.
    """

    identity: dict[str, str]
    next_epoch: int
    history: list[EpochRecord]
    engine_state: dict[str, np.ndarray]
    best_epoch: int = 0
    best_loss: float = float("inf")
    best_weights: dict[str, np.ndarray] = field(default_factory=dict)
    status: str = "running"


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """One safetensors file; the small parts are JSON in its metadata."""
    arrays = {_ENGINE + name: value for name, value in checkpoint.engine_state.items()}
    arrays |= {_BEST + name: value for name, value in checkpoint.best_weights.items()}
    metadata = {
        "identity": checkpoint.identity,
        "next_epoch": checkpoint.next_epoch,
        "history": [asdict(record) for record in checkpoint.history],
        "best_epoch": checkpoint.best_epoch,
        "best_loss": checkpoint.best_loss,
        "status": checkpoint.status,
    }
    packed = {name: np.ascontiguousarray(value).reshape(value.shape) for name, value in arrays.items()}
    with replace_file(path) as beside:
        save_file(packed, beside, metadata={"tenfold": json.dumps(metadata)})


def read_checkpoint(path: Path) -> Checkpoint:
    """What `write_checkpoint` wrote. Raises ModelError."""
    expected, remedy = "a checkpoint of this version of tenfold", "train again without --resume"
    with reading(str(path), expected=expected, remedy=remedy), safe_open(path, framework="numpy") as file:
        metadata = json.loads(file.metadata()["tenfold"])
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata["history"] = [record_from_dict(row) for row in metadata["history"]]
        pick(metadata, {"identity": "dict", "next_epoch": "int", "best_epoch": "int", "status": "str"})
        return Checkpoint(engine_state=_part(arrays, _ENGINE), best_weights=_part(arrays, _BEST), **metadata)


def _part(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}


# Whether a training has learned anything: its accuracy beside chance, its loss beside the start.

POINTER = "`tenfold doctor` says why"

_MOST_IMAGES = 2000  # that are answered once more, where none were held out
_LEAST_STEPS = 10  # fewer say nothing about where the loss goes
_CLEARLY = 1.1  # times the loss at the start: batches differ


def at_chance(accuracy: float, labels: np.ndarray, what: str, *, share: float = 1.0) -> str:
    """In words, where an accuracy (a share) on images with these labels (N,) is no better than that of
    naming the commonest class each time, within two standard errors; "" where it is better.

    share: of these images, on which the accuracy was measured.
    """
    most = float(np.bincount(labels).max() / len(labels)) if len(labels) else 1.0
    level = most + 2 * math.sqrt(most * (1 - most) / max(1.0, share * len(labels)))
    if accuracy > level or level >= 1:  # too few images, or too uneven ones, to tell
        return ""
    return (
        f"{what} accuracy {100 * accuracy:.2f} % is chance level (naming the commonest class each time: "
        f"{100 * most:.2f} %)"
    )


def find_failure(
    engine: Engine,
    history: Sequence[EpochRecord],
    kept: EpochRecord,
    train_set: ImageDataset,
    val_set: ImageDataset | None,
) -> str:
    """What shows that a training has learned nothing, in words; "" where it has learned something.

    kept: the epoch whose weights are kept. The accuracy is that of the validation images, or of training
    images where none were held out. Line networks are judged by their loss alone.
    """
    start = history[0].first_loss
    if start is not None and kept.steps >= _LEAST_STEPS and kept.train_loss > _CLEARLY * start:
        return f"the training loss rose from {start:.4g} to {kept.train_loss:.4g}"
    if engine.network.reads_lines:
        return ""
    if val_set is not None and kept.val_accuracy is not None:
        return at_chance(kept.val_accuracy, val_set.labels, "validation")
    if not at_chance(kept.train_accuracy, train_set.labels, "training"):
        return ""
    # the epoch's accuracy was counted while it learned
    part = train_set.subset(np.arange(0, len(train_set), math.ceil(len(train_set) / _MOST_IMAGES)))
    right = engine.logits(part.images).argmax(axis=1) == part.labels
    return at_chance(float(right.mean()), part.labels, "training")
