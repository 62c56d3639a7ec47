"""Training as a person watches it: a live bar and one line per epoch on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from tenfold.cli.output import percent
from tenfold.training.checkpoint import EpochRecord
from tenfold.training.observers import TrainingObserver, TrainingPlan


class TrainingProgress(TrainingObserver):
    def __init__(self, console: Console) -> None:
        self.console = console
        self.bar: Progress | None = None
        self.task: TaskID | None = None
        self.epochs = 0

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
            self.task = self.bar.add_task("training", total=plan.total_steps, completed=done)
            self.bar.start()

    def on_step(self, step: int) -> None:
        if self.bar is not None and self.task is not None:
            self.bar.update(self.task, completed=step)

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


class FoldProgress(TrainingObserver):
    """One bar over all folds of a recipe."""

    def __init__(self, folds: int, progress: Callable[[str, int, int], None]) -> None:
        self.folds, self.progress = folds, progress
        self.begun, self.what, self.steps = 0, "", 0

    def on_start(self, plan: TrainingPlan) -> None:
        self.what, self.steps = plan.recipe, plan.total_steps
        self.begun += 1

    def on_step(self, step: int) -> None:
        self.progress(self.what, (self.begun - 1) * self.steps + step, self.folds * self.steps)


class TrialProgress(TrainingObserver):
    """One bar per training of a search, which may be given up before its end."""

    def __init__(self, progress: Callable[[str, int, int], None]) -> None:
        self.progress, self.what, self.steps = progress, "", 1

    def on_start(self, plan: TrainingPlan) -> None:
        self.what, self.steps = plan.recipe, plan.total_steps

    def on_step(self, step: int) -> None:
        self.progress(self.what, step, self.steps)

    def on_end(self, status: str) -> None:  # noqa: ARG002
        self.progress(self.what, self.steps, self.steps)
