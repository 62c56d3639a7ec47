"""What a training tells those who watch it, what it keeps to go on from, and whether it has learned."""

from __future__ import annotations

import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from tenfold.arguments import checked
from tenfold.arrays import ImageDataset
from tenfold.errors import DivergedError
from tenfold.files import replace_file, write_text
from tenfold.networks.engine import Engine
from tenfold.records import pick, reading

__all__ = ["POINTER", "Callback", "EpochRecord", "TrainingObserver", "TrainingPlan", "at_chance"]


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

    @classmethod
    @checked
    def read_history(cls, path: Path) -> list[EpochRecord]:
        """What `write_history` wrote. Raises ModelError."""
        remedy = f"delete it, then: tenfold train --resume {path.parent}"
        with reading(str(path), expected="a run's history.jsonl", remedy=remedy):
            lines = path.read_text(encoding="utf-8").splitlines()
            return [cls.from_dict(json.loads(line)) for line in lines if line.strip()]

    @classmethod
    def from_dict(cls, values: Any) -> EpochRecord:
        """Raises ValueError, KeyError or TypeError for what is not the record of an epoch."""
        return cls(**pick({"first_loss": None} | values, _KINDS))


def write_history(path: Path, records: Iterable[EpochRecord]) -> None:
    write_text(path, "".join(json.dumps(asdict(record)) + "\n" for record in records))


_KINDS = {
    "epoch": "int", "train_loss": "number", "train_accuracy": "float", "val_loss": "number?",
    "val_accuracy": "float?", "learning_rate": "float", "seconds": "float", "steps": "int",
    "first_loss": "number?",
}  # fmt: skip


@dataclass(frozen=True)
class TrainingPlan:
    """What is about to be trained. first_epoch: counted from 0, above 0 when resumed. device: cpu, cuda or
    mps; precision: float32, float64 or bfloat16: what is computed on and in. first_step: from 0, above 0 when
    resumed. ranks: processes that train it together.

    parameters: of one network. members: networks trained one after another; epochs and total_steps
    are those of all of them.
    """

    recipe: str
    engine: str
    parameters: int
    train_images: int
    val_images: int
    epochs: int
    steps_per_epoch: int
    total_steps: int
    first_epoch: int
    run_dir: Path | None
    members: int = 1
    device: str = "cpu"
    precision: str = "float32"
    first_step: int = 0
    ranks: int = 1


class TrainingObserver:
    """Override what you want to see. An error raised here ends the training and goes on its way: so does a
    search give a training up. `on_step` and `on_epoch` may return "stop", which ends the training there, as
    early stopping does."""

    def on_start(self, plan: TrainingPlan) -> None:
        """Before the first step."""

    def on_step(self, step: int) -> object:
        """After each step; step counts from 1 over all epochs."""

    def on_epoch(self, record: EpochRecord) -> object:
        """After each epoch, validation included."""

    def on_end(self, status: str) -> None:
        """At the end: finished, stopped early, interrupted, or failed."""


Callback = TrainingObserver | Callable[[EpochRecord], object]


class _FunctionObserver(TrainingObserver):
    def __init__(self, function: Callable[[EpochRecord], object]) -> None:
        self.function = function

    def on_epoch(self, record: EpochRecord) -> object:
        return self.function(record)


def as_observers(callbacks: Sequence[Callback]) -> list[TrainingObserver]:
    """A plain function is called with the record of each epoch."""
    return [each if isinstance(each, TrainingObserver) else _FunctionObserver(each) for each in callbacks]


@dataclass
class Steps:
    """What some steps came to. loss, correct: sums over the images, as they were met; first_loss: of the
    first step; rate: of the last one. Still the engine's numbers: adding them does not wait for the device.
    """

    steps: int = 0
    images: int = 0
    loss: Any = 0.0
    correct: Any = 0
    rate: float = 0.0
    first_loss: Any = 0.0
    started: float = field(default_factory=time.perf_counter)

    def to_dict(self) -> dict[str, float]:
        """What `of` continues from, in another process too."""
        numbers = {key: float(getattr(self, key)) for key in ("loss", "correct", "rate", "first_loss")}
        return numbers | {
            "steps": self.steps, "images": self.images, "seconds": time.perf_counter() - self.started,
        }  # fmt: skip

    @classmethod
    def of(cls, begun: dict[str, float]) -> Steps:
        values = {key: value for key, value in begun.items() if key != "seconds"}
        return cls(**values, started=time.perf_counter() - begun.get("seconds", 0.0))  # type: ignore[arg-type]


class StopRequest:
    """Handler of Ctrl-C: truthy once a stop was asked for, which ends the loop after the step that it is in;
    a second one stops at once."""

    asked = False

    def __bool__(self) -> bool:
        return self.asked

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


@contextmanager
def stop_on_interrupt() -> Iterator[StopRequest]:
    """Turns the first SIGINT into a StopRequest. Outside the main thread it never becomes true.

    Within another `stop_on_interrupt` the request is that one's: who asks stops the whole.
    """
    if threading.current_thread() is not threading.main_thread():
        yield StopRequest()
        return
    before = signal.getsignal(signal.SIGINT)
    if isinstance(before, StopRequest):
        yield before
        return
    request = StopRequest()
    signal.signal(signal.SIGINT, request)
    try:
        yield request
    finally:
        signal.signal(signal.SIGINT, before)


_ENGINE, _BEST = "engine:", "best:"


@dataclass
class Checkpoint:
    """next_epoch counts from 0. Data order and augmentation are pure functions of seed and epoch
    (see data.batches); dropout's random state is in engine_state.

    begun: `Steps.to_dict` of those that were taken in next_epoch; empty between epochs.
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
    begun: dict[str, float] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """That were taken."""
        return (self.history[-1].steps if self.history else 0) + int(self.begun.get("steps", 0))

    def add(self, record: EpochRecord, engine: Engine, patience: int, epochs: int) -> None:
        """Whether this was the last epoch; with early stopping, whether it was the best one."""
        self.history.append(record)
        self.next_epoch, self.begun = self.next_epoch + 1, {}
        if not patience or record.val_loss is None:
            self.best_epoch = record.epoch
        elif record.val_loss < self.best_loss:
            self.best_epoch, self.best_loss = record.epoch, record.val_loss
            self.best_weights = engine.weights()
        elif record.epoch - self.best_epoch >= patience:
            self.status = "stopped early"
        if self.next_epoch >= epochs:
            self.status = "finished"

    def write(self, path: Path, engine: Engine) -> None:
        """One safetensors file; the small parts are JSON in its metadata."""
        self.engine_state = engine.state()
        arrays = {_ENGINE + name: value for name, value in self.engine_state.items()}
        arrays |= {_BEST + name: value for name, value in self.best_weights.items()}
        small = ("identity", "next_epoch", "best_epoch", "best_loss", "status", "begun")
        metadata = {key: getattr(self, key) for key in small}
        metadata["history"] = [asdict(record) for record in self.history]
        packed = {name: np.ascontiguousarray(value).reshape(value.shape) for name, value in arrays.items()}
        with replace_file(path) as beside:
            save_file(packed, beside, metadata={"tenfold": json.dumps(metadata)})

    @classmethod
    def read(cls, path: Path) -> Checkpoint:
        """What `write` wrote. Raises ModelError."""
        expected, remedy = "a checkpoint of this version of tenfold", "train again without --resume"
        with reading(str(path), expected=expected, remedy=remedy), safe_open(path, framework="numpy") as file:
            metadata = {"begun": {}} | json.loads(file.metadata()["tenfold"])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata["history"] = [EpochRecord.from_dict(row) for row in metadata["history"]]
            kinds = {"identity": "dict", "next_epoch": "int", "best_epoch": "int", "status": "str"}
            pick(metadata, kinds | {"begun": "dict"})
            return cls(engine_state=_part(arrays, _ENGINE), best_weights=_part(arrays, _BEST), **metadata)


def _part(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}


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


def refuse_diverged(name: str, record: EpochRecord, engine: Engine) -> None:
    """Raises DivergedError for a loss or a weight that is NaN or infinite. name: of the recipe."""
    found = ""
    if not math.isfinite(record.train_loss):
        found = f"training loss of epoch {record.epoch} is {record.train_loss}"
    elif record.val_loss is not None and not math.isfinite(record.val_loss):
        found = f"validation loss of epoch {record.epoch} is {record.val_loss}"
    elif not all(np.isfinite(value).all() for value in engine.weights().values()):
        found = f"weights after epoch {record.epoch} are NaN or infinite"
    if found:
        remedy = f"take a smaller optimiser.learning_rate, or set optimiser.clip_norm; {POINTER}"
        raise DivergedError(f"{name}: the {found}", expected="a finite number", remedy=remedy)


def find_failure(
    engine: Engine, progress: Checkpoint, train_set: ImageDataset, val_set: ImageDataset | None
) -> str:
    """What shows that a training has learned nothing, in words; "" where it has learned something.

    engine: with the weights that are kept, those of progress.best_epoch. The accuracy is that of the
    validation images, or of training images where none were held out. Line networks are judged by their loss
    alone.
    """
    start, kept = progress.history[0].first_loss, progress.history[progress.best_epoch - 1]
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
