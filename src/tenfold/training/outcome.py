"""Whether a training has learned anything: its accuracy beside chance, its loss beside the start."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tenfold.arrays import ImageDataset
from tenfold.engines.base import Engine
from tenfold.training.history import EpochRecord

__all__ = ["POINTER", "at_chance", "find_failure"]

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
