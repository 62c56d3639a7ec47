"""One line an epoch, as the seeds print it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from tenfold.errors import ModelError
from tenfold.files import write_text

__all__ = ["EpochRecord", "read_history", "write_history"]


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


def read_history(path: Path) -> list[EpochRecord]:
    """What `write_history` wrote. Raises ModelError."""
    names = {field.name for field in fields(EpochRecord)}
    optional = {"first_loss": None}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines if line.strip()]
        return [EpochRecord(**{key: (optional | row)[key] for key in names}) for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} cannot be read ({error!r})", expected="a run's history.jsonl") from error
