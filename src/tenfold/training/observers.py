"""Observers of a training: they see everything and change nothing."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from tenfold.training.checkpoint import EpochRecord

__all__ = ["TrainingObserver", "TrainingPlan", "stop_on_interrupt"]


@dataclass(frozen=True)
class TrainingPlan:
    """What is about to be trained. first_epoch: counted from 0, above 0 when resumed. device: cpu, cuda or
    mps; precision: float32, float64 or bfloat16: what is computed on and in.

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


class TrainingObserver:
    """Override what you want to see. An error raised here ends the training and goes on its way: so does a
    search give a training up."""

    def on_start(self, plan: TrainingPlan) -> None:
        """Before the first step."""

    def on_step(self, step: int) -> None:
        """After each step; step counts from 1 over all epochs."""

    def on_epoch(self, record: EpochRecord) -> None:
        """After each epoch, validation included."""

    def on_end(self, status: str) -> None:
        """At the end: finished, stopped early, interrupted, or failed."""


@contextmanager
def tell_of_failure(callbacks: Sequence[TrainingObserver]) -> Iterator[None]:
    """An error goes on its way, but the observers have their end too (a display gives back the cursor)."""
    try:
        yield
    except BaseException:
        for callback in callbacks:
            callback.on_end("failed")
        raise


# Ctrl-C asks the loop to stop after the step it is in; a second one stops at once.


class StopRequest:
    """Truthy once a stop was asked for; it is the handler of the signal itself."""

    def __init__(self) -> None:
        self.asked = False

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
