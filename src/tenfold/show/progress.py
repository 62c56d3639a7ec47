"""Training as a person watches it: a live bar and one line per epoch on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from tenfold.show.terminal import percent
from tenfold.training.progress import EpochRecord, TrainingObserver, TrainingPlan

__all__ = ["BarProgress", "TrainingProgress"]


class TrainingProgress(TrainingObserver):
    """A line per epoch, and on a terminal a bar."""

    def __init__(self, console: Console) -> None:
        self.console, self.epochs = console, 0
        self.bar: Progress | None = None

    def on_start(self, plan: TrainingPlan) -> None:
        self.epochs = plan.epochs
        whole = plan.total_steps == plan.epochs * plan.steps_per_epoch
        length = (
            f"{plan.epochs} epochs of {plan.steps_per_epoch} steps" if whole else f"{plan.total_steps} steps"
        )
        networks = f"{plan.members} networks of " if plan.members > 1 else ""
        self.console.print(
            f"[bold]{plan.recipe}[/bold]: {networks}{plan.parameters:,} parameters, {plan.engine} engine, "
            f"{plan.train_images:,} training and {plan.val_images:,} validation images, {length}"
        )
        if plan.first_epoch:
            self.console.print(f"going on after epoch {plan.first_epoch}")
        if self.console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
            self.bar = Progress(*columns, console=self.console, transient=True)
            done = plan.first_epoch * plan.steps_per_epoch
            self.bar.add_task("training", total=plan.total_steps, completed=done)
            self.bar.start()

    def on_step(self, step: int) -> None:
        if self.bar is not None:
            self.bar.update(self.bar.task_ids[0], completed=step)

    def on_epoch(self, record: EpochRecord) -> None:
        line = (
            f"epoch {record.epoch:>{len(str(self.epochs))}}/{self.epochs}  "
            f"train loss {record.train_loss:.4f} accuracy {percent(record.train_accuracy):>8}"
        )
        if record.val_loss is not None:
            line += f"  val loss {record.val_loss:.4f} accuracy {percent(record.val_accuracy):>8}"
        self.console.print(f"{line}  {record.seconds:.2f} s")

    def on_end(self, status: str) -> None:
        if self.bar is not None:
            self.bar.stop()
        if status != "finished":
            self.console.print(status)


class BarProgress(TrainingObserver):
    """One bar over several trainings, such as the folds of a recipe; each may end before its last step."""

    def __init__(self, progress: Callable[[str, int, int], None], parts: int = 1) -> None:
        self.progress, self.parts = progress, parts
        self.ended, self.what, self.steps = 0, "", 1

    def on_start(self, plan: TrainingPlan) -> None:
        self.what, self.steps = plan.recipe, plan.total_steps

    def on_step(self, step: int) -> None:
        self.progress(self.what, self.ended * self.steps + step, self.parts * self.steps)

    def on_end(self, status: str) -> None:  # noqa: ARG002
        self.on_step(self.steps)
        self.ended = (self.ended + 1) % self.parts
