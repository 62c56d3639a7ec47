"""The history -> the page's curves, and how far the training is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tenfold.pages import numbers
from tenfold.report import plots
from tenfold.report.hover import Chart, draw_chart
from tenfold.report.parts import history_of
from tenfold.runs.folder import Run
from tenfold.training.history import EpochRecord
from tenfold.training.prepare import plan_steps

__all__ = ["HISTORY_NAMES", "history_figure", "progress_facts", "training_section"]

Section = dict[str, Any]
HISTORY_NAMES = {
    "train_loss": "training loss",
    "train_accuracy": "training accuracy",
    "val_loss": "validation loss",
    "val_accuracy": "validation accuracy",
}


def history_figure(key: str, value: float | None) -> str:
    """A figure of the history as text: an accuracy in per cent, a loss as it is."""
    return numbers.percent(value) if key.endswith("accuracy") else numbers.decimal(value)


def progress_facts(run: Run) -> list[tuple[str, Any]]:
    """Epochs, and where the training is not over, of how many; steps, where the recipe counts those."""
    history, training = history_of(run), run.recipe.training
    epochs, steps = len(history), history[-1].steps if history else 0
    images = (run.environment.get("data") or {}).get("train")
    over = run.environment.get("status") not in ("running", "interrupted")
    members = run.recipe.ensemble.members
    planned, _, all_steps = plan_steps(training, images) if images else (0, 0, 0)
    at_most = " at most" if training.patience else ""

    def so_far(done: int, of: int) -> str:
        known = not over and of
        return f"{done:,} of {of * members:,}{at_most}" if known else numbers.count(done)

    facts = [("epochs", so_far(epochs, planned))]
    return facts + ([("steps", so_far(steps, all_steps))] if training.steps else [])


def training_section(run: Run) -> Section | None:
    """The curves; None before the first epoch."""
    history = history_of(run)
    if not history:
        return None
    return {
        "loss": _curve_chart(run, history, "loss"),
        "accuracy": _curve_chart(run, history, "accuracy"),
        "rate": _rate_chart(history),
        "rows": [_row(record) for record in history],
        "validation": any(record.val_loss is not None for record in history),
        "members": run.recipe.ensemble.members,
        "handicaps": " and ".join(_handicaps(run)),
        "published": bool(run.recipe.published.epochs),
        "best_epoch": run.environment.get("best_epoch"),
        "stopped_early": bool(run.environment.get("stopped_early")),
    }


def _curve_chart(run: Run, history: Sequence[EpochRecord], quantity: Any) -> Chart:
    published, last = run.recipe.published.epochs, history[-1]
    train, val = (history_figure(quantity, getattr(last, f"{part}_{quantity}")) for part in ("train", "val"))
    alt = f"{quantity.capitalize()} over {len(history)} epochs, at the end {train} in training and {val}"
    return draw_chart(
        plots.plot_curves(history, quantity, published),
        quantity,
        f"{alt} in validation.",
        [record.epoch for record in history],
        [_at_epoch(record, quantity, published) for record in history],
    )


def _at_epoch(record: EpochRecord, quantity: str, published: Sequence[Any]) -> str:
    """Epoch 3: training 0.0712, validation 0.0803 (published 0.0791)."""
    theirs = next((epoch for epoch in published if epoch.epoch == record.epoch), None)
    parts = []
    for part, name in (("train", "training"), ("val", "validation")):
        key = f"{part}_{quantity}"
        value, other = getattr(record, key), getattr(theirs, key, None)
        if value is not None:
            also = f" (published {history_figure(key, other)})" if other is not None else ""
            parts.append(f"{name} {history_figure(key, value)}{also}")
    return f"Epoch {record.epoch}: {', '.join(parts)}"


def _rate_chart(history: Sequence[EpochRecord]) -> Chart:
    last = numbers.short(history[-1].learning_rate)
    return draw_chart(
        plots.plot_learning_rate(history),
        "rate",
        f"Learning rate over {len(history)} epochs, at the end {last}.",
        [record.epoch for record in history],
        [f"Epoch {record.epoch}: {numbers.short(record.learning_rate)}" for record in history],
        title="learning rate",
    )


def _row(record: EpochRecord) -> tuple[Any, ...]:
    figures = (history_figure(key, getattr(record, key)) for key in HISTORY_NAMES)
    return (
        record.epoch, *figures, numbers.short(record.learning_rate), numbers.duration(record.seconds),
    )  # fmt: skip


def _handicaps(run: Run) -> list[str]:
    """What makes training images harder to get right than validation images."""
    dropout = any("dropout" in str(layer) for layer in run.recipe.network.layers)
    augmented = run.recipe.augmentation.active
    return ["on altered images"] * augmented + ["with dropout"] * dropout
