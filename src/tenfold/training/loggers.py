"""Observers that write a training down for TensorBoard and MLflow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from tenfold.arguments import checked
from tenfold.errors import MissingDependencyError, UsageError, nearest
from tenfold.training.progress import EpochRecord, TrainingObserver, TrainingPlan

__all__ = ["Loggers", "MLflowLogger", "TensorBoardLogger"]

_NAMES = {"train_loss": "loss/train", "val_loss": "loss/validation", "train_accuracy": "accuracy/train",
          "val_accuracy": "accuracy/validation", "learning_rate": "learning_rate",
          "seconds": "seconds"}  # fmt: skip


def _metrics(record: EpochRecord) -> Iterator[tuple[str, float]]:
    values = asdict(record)
    return ((name, float(values[key])) for key, name in _NAMES.items() if values[key] is not None)


def _load(module: str, extra: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingDependencyError(extra, extra=extra, purpose=f"logging for {extra}") from error


class TensorBoardLogger(TrainingObserver):
    """Writes loss, accuracy, learning rate and seconds of each epoch as scalars; x is the epoch.

    folder: of the event file; the run's folder unless given. `tensorboard --logdir runs` shows all runs.
    Raises MissingDependencyError without the package tensorboard.
    """

    @checked
    def __init__(self, folder: str | Path | None = None) -> None:
        self._make = _load("tensorboard.summary", "tensorboard").Writer
        self.folder = folder
        self._writer: Any = None

    @checked
    def on_start(self, plan: TrainingPlan) -> None:
        """Raises UsageError where neither a folder nor a run's folder is known."""
        folder = self.folder or plan.run_dir
        if folder is None:
            found, remedy = "nowhere to write events", "TensorBoardLogger(folder), or train with run_dir"
            raise UsageError(found, expected="a folder", remedy=remedy)
        self._writer = self._make(str(folder))

    @checked
    def on_epoch(self, record: EpochRecord) -> None:
        for name, value in _metrics(record):
            self._writer.add_scalar(name, value, record.epoch)
        self._writer.flush()

    @checked
    def on_end(self, _status: str) -> None:
        if self._writer is not None:
            self._writer.close()


class MLflowLogger(TrainingObserver):
    """A run of MLflow with the training's plan as parameters and the scores of each epoch as metrics.

    tracking_uri, experiment: as mlflow takes them; by default its own (MLFLOW_TRACKING_URI,
    MLFLOW_EXPERIMENT_NAME). Raises MissingDependencyError without the package mlflow or mlflow-skinny.
    """

    @checked
    def __init__(self, tracking_uri: str | None = None, experiment: str | None = None) -> None:
        self._client = _load("mlflow", "mlflow").MlflowClient(tracking_uri)
        self.experiment, self.run_id = experiment, ""

    @checked
    def on_start(self, plan: TrainingPlan) -> None:
        name = self.experiment or import_module("mlflow").environment_variables.MLFLOW_EXPERIMENT_NAME.get()
        found = self._client.get_experiment_by_name(name) if name else None
        place = found.experiment_id if found else self._client.create_experiment(name) if name else "0"
        title = plan.run_dir.name if plan.run_dir else plan.recipe
        self.run_id = self._client.create_run(place, run_name=title).info.run_id
        for key, value in asdict(plan).items():
            self._client.log_param(self.run_id, key, value)

    @checked
    def on_epoch(self, record: EpochRecord) -> None:
        for name, value in _metrics(record):
            self._client.log_metric(self.run_id, name, value, step=record.epoch)

    @checked
    def on_end(self, status: str) -> None:
        ends = {"failed": "FAILED", "interrupted": "KILLED"}
        self._client.set_tag(self.run_id, "tenfold.status", status)
        self._client.set_terminated(self.run_id, ends.get(status, "FINISHED"))


class Loggers:
    """The loggers by the name that `tenfold train --log` takes."""

    KNOWN: ClassVar = {"tensorboard": TensorBoardLogger, "mlflow": MLflowLogger}

    @classmethod
    def make(cls, name: str) -> TrainingObserver:
        """Raises UsageError for a name that is not known, MissingDependencyError."""
        if name not in cls.KNOWN:
            raise UsageError(
                f"--log {name!r}", expected=" or ".join(cls.KNOWN), remedy=nearest(name, cls.KNOWN)
            )
        return cls.KNOWN[name]()
