"""Observers of a training: they see everything and change nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tenfold.training.history import EpochRecord

__all__ = ["TrainingObserver", "TrainingPlan"]


@dataclass(frozen=True)
class TrainingPlan:
    """What is about to be trained. first_epoch: counted from 0, above 0 when resumed."""

    recipe: str
    engine: str
    parameters: int
    train_images: int
    val_images: int
    epochs: int
    steps_per_epoch: int
    first_epoch: int
    run_dir: Path | None

    @property
    def total_steps(self) -> int:
        return self.epochs * self.steps_per_epoch


class TrainingObserver:
    """Override what you want to see."""

    def on_start(self, plan: TrainingPlan) -> None:
        """Before the first step."""

    def on_step(self, step: int) -> None:
        """After each step; step counts from 1 over all epochs."""

    def on_epoch(self, record: EpochRecord) -> None:
        """After each epoch, validation included."""

    def on_end(self, status: str) -> None:
        """At the end: finished, stopped early, or interrupted."""
