"""One line per epoch, as the source tutorials print it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tenfold.files import write_text
from tenfold.records import pick, reading

__all__ = ["EpochRecord", "read_history", "record_from_dict", "write_history"]


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
