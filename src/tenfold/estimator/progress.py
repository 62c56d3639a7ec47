"""One line per epoch on stderr."""

from __future__ import annotations

import sys

from tenfold.training.history import EpochRecord
from tenfold.training.observers import TrainingObserver

__all__ = ["EpochLines"]


class EpochLines(TrainingObserver):
    def on_epoch(self, record: EpochRecord) -> None:
        line = f"epoch {record.epoch}: loss {record.train_loss:.4f}, accuracy {record.train_accuracy:.2%}"
        if record.val_loss is not None:
            line += f"; held out: loss {record.val_loss:.4f}, accuracy {record.val_accuracy:.2%}"
        sys.stderr.write(f"{line}\n")
