"""Result objects -> matplotlib figures. No pyplot, so no global state; nothing is written here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tenfold.recipes.schema import PublishedEpoch
from tenfold.runs.folder import Run
from tenfold.show import components
from tenfold.show.charts import Chart, draw_chart, history_of
from tenfold.show.components import ACCENT, BAD, GOOD, INK, MUTED, SECOND, chart_style
from tenfold.training.checkpoint import EpochRecord
from tenfold.training.prepare import plan_steps

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_WIDTH, _HEIGHT = 4.6, 3.0  # inches; two charts stand side by side on a wide page
_LOG_RATIO = 30  # a loss that falls by more than this is drawn on a logarithmic scale


def plot_curves(
    history: Sequence[EpochRecord],
    quantity: Literal["loss", "accuracy"],
    published: Sequence[PublishedEpoch] = (),
) -> Figure:
    """Training against validation, an epoch a point; published epochs as open circles."""
    with chart_style():
        figure, axes = _blank()
        for part, name, colour in (("train", "training", ACCENT), ("val", "validation", SECOND)):
            key = f"{part}_{quantity}"
            _draw_curve(axes, history, key, name, colour)
            _draw_curve(axes, published, key, f"{name}, published", colour, dots=True)
        _label_epochs(axes)
        _scale_quantity(axes, quantity)
        axes.legend(loc="best", labelcolor=INK)
        return figure


def _draw_curve(
    axes: Axes,
    records: Sequence[EpochRecord] | Sequence[PublishedEpoch],
    key: str,
    name: str,
    colour: str,
    dots: bool = False,
) -> None:
    known = [(r.epoch, getattr(r, key)) for r in records if getattr(r, key) is not None]
    if not known:
        return
    epochs, values = zip(*known, strict=True)
    if dots:
        axes.plot(epochs, values, "o", color=colour, markerfacecolor="none", markersize=6, label=name)
    else:
        marker = "o" if len(epochs) <= 30 else None
        axes.plot(epochs, values, color=colour, marker=marker, markersize=3.2, linewidth=1.7, label=name)


def _label_epochs(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(nbins="auto", integer=True, min_n_ticks=1))
    axes.grid(axis="y", linewidth=0.7)


def _scale_quantity(axes: Axes, quantity: str) -> None:
    from matplotlib.ticker import PercentFormatter

    if quantity == "accuracy":
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.set_ylabel("accuracy")
        return
    values = np.concatenate(
        [np.asarray(line.get_ydata(), dtype=float) for line in axes.lines] or [np.ones(1)]
    )
    values = values[np.isfinite(values)]
    if values.size and values.min() > 0 and values.max() / values.min() > _LOG_RATIO:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("")
        axes.set_ylabel("loss (logarithmic scale)")
    else:
        axes.set_ylabel("loss")


def plot_learning_rate(history: Sequence[EpochRecord]) -> Figure:
    """The learning rate of each epoch's last step."""
    with chart_style():
        figure, axes = _blank()
        _draw_curve(axes, history, "learning_rate", "learning rate", ACCENT)
        axes.set_ylim(bottom=0)
        axes.set_ylabel("learning rate")
        _label_epochs(axes)
        return figure


def plot_class_counts(class_names: Sequence[str], counts: np.ndarray) -> Figure:
    """A bar per class, its number written at the end. counts: int (K,)."""
    with chart_style():
        figure, axes = _blank(height=0.6 + 0.24 * len(counts))
        places = np.arange(len(counts))
        bars = axes.barh(places, counts, height=0.68, color=ACCENT)
        axes.bar_label(bars, [f"{value:,}" for value in counts], padding=4, color=INK, fontsize=8.5)
        axes.set_yticks(places, _shorten(class_names), color=INK)
        axes.set_ylim(len(counts) - 0.4, -0.6)
        axes.set_xlim(0, max(float(np.max(counts)), 1.0) * 1.16)
        axes.set_xticks([])
        axes.tick_params(axis="y", length=0)
        axes.spines["bottom"].set_visible(False)
        return figure


def plot_coverage_risk(coverage: np.ndarray, risk: np.ndarray) -> Figure:
    """The share of wrong answers among the surest ones, over how many are answered: float64 (T,) each."""
    from matplotlib.ticker import PercentFormatter

    with chart_style():
        figure, axes = _blank()
        axes.plot(coverage, risk, color=ACCENT, linewidth=1.7, label="wrong among those answered")
        axes.fill_between(coverage, risk, color=ACCENT, alpha=0.1, linewidth=0)
        faultless = float(np.max(coverage[risk == 0], initial=0.0))
        left = min(np.floor(20 * max(2 * faultless - 1, 0.0)) / 20, 0.95)  # where nothing happens is left out
        axes.set(xlim=(left, 1 + 0.02 * max(1 - left, 0.1)), ylim=(0, max(float(np.max(risk)) * 1.1, 1e-3)))
        axes.set(xlabel="share of the images answered, the surest first", ylabel="wrong among them")
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.grid(axis="y", linewidth=0.7)
        return figure


def plot_overlaid(histories: Mapping[str, Sequence[EpochRecord]], key: str) -> Figure:
    """The same curve of several runs, by name. key: of the history, such as val_loss."""
    with chart_style():
        figure, axes = _blank()
        for place, (name, history) in enumerate(histories.items()):
            known = [(r.epoch, getattr(r, key)) for r in history if getattr(r, key) is not None]
            if known:
                epochs, values = zip(*known, strict=True)
                axes.plot(epochs, values, label=name, linewidth=1.7, **_run_style(place, len(epochs)))
        _label_epochs(axes)
        _scale_quantity(axes, key.partition("_")[2])
        if axes.lines:
            axes.legend(loc="best", labelcolor=INK)
        return figure


def _run_style(place: int, epochs: int) -> dict[str, Any]:
    """The colour and the dashes of the run at a place; a dot where a line would be too short to see."""
    colours, dashes = (ACCENT, SECOND, GOOD, BAD, MUTED), ("-", (0, (5, 2)), (0, (1.5, 1.5)))
    turn, which = divmod(place, len(colours))
    marker = "o" if epochs <= 30 else None
    return {
        "color": colours[which], "linestyle": dashes[turn % len(dashes)], "marker": marker, "markersize": 3.2,
    }  # fmt: skip


def plot_reliability(bins: np.ndarray) -> Figure:
    """How often an answer was right against how sure it was, and below how many answers each bar has.

    bins: float (B, 3), count, mean confidence and accuracy of equal bins of (0, 1].
    """
    with chart_style():
        figure = _new_figure(_WIDTH, 3.6)
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        count, _, accuracy = bins.T
        width = 1 / len(bins)
        centres = (np.arange(len(bins)) + 0.5) * width
        filled = count > 0
        top.bar(centres[filled], accuracy[filled], width * 0.86, color=ACCENT, alpha=0.75)
        top.plot([0, 1], [0, 1], color=SECOND, linewidth=1.3, linestyle=(0, (4, 3)))
        top.set_title("dashed: perfectly calibrated", color=MUTED, loc="left", fontsize=8.5)
        top.set(xlim=(0, 1), ylim=(0, 1), ylabel="share right")
        bottom.bar(centres[filled], count[filled], width * 0.86, color=MUTED, alpha=0.75)
        bottom.set_yscale("symlog", linthresh=1)
        bottom.set(ylim=(0, None), xlabel="confidence", ylabel="answers")
        _tidy_counts(bottom, float(count.max(initial=1)))
        return figure


def _tidy_counts(axes: Axes, largest: float) -> None:
    from matplotlib.ticker import NullLocator

    powers = [0.0, *(10.0**p for p in range(0, 9, 2) if 10**p <= largest)]
    axes.set_yticks(powers, [f"{power:,.0f}" for power in powers])
    axes.yaxis.set_minor_locator(NullLocator())


def _new_figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _blank(width: float = _WIDTH, height: float = _HEIGHT) -> tuple[Figure, Axes]:
    figure = _new_figure(width, height)
    return figure, figure.subplots()


def _shorten(names: Sequence[str], limit: int = 18) -> list[str]:
    return [name if len(name) <= limit else name[: limit - 1] + "…" for name in names]


# The history -> the page's curves, and how far the training is.

Section = dict[str, Any]
HISTORY_NAMES = {
    "train_loss": "training loss",
    "train_accuracy": "training accuracy",
    "val_loss": "validation loss",
    "val_accuracy": "validation accuracy",
}


def history_figure(key: str, value: float | None) -> str:
    """A figure of the history as text: an accuracy in per cent, a loss as it is."""
    return components.percent(value) if key.endswith("accuracy") else components.decimal(value)


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
        return f"{done:,} of {of * members:,}{at_most}" if known else components.count(done)

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
        plot_curves(history, quantity, published),
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
    last = components.short(history[-1].learning_rate)
    return draw_chart(
        plot_learning_rate(history),
        "rate",
        f"Learning rate over {len(history)} epochs, at the end {last}.",
        [record.epoch for record in history],
        [f"Epoch {record.epoch}: {components.short(record.learning_rate)}" for record in history],
        title="learning rate",
    )


def _row(record: EpochRecord) -> tuple[Any, ...]:
    figures = (history_figure(key, getattr(record, key)) for key in HISTORY_NAMES)
    return (
        record.epoch, *figures, components.short(record.learning_rate), components.duration(record.seconds),
    )  # fmt: skip


def _handicaps(run: Run) -> list[str]:
    """What makes training images harder to get right than validation images."""
    dropout = any("dropout" in str(layer) for layer in run.recipe.network.layers)
    augmented = run.recipe.augmentation.active
    return ["on altered images"] * augmented + ["with dropout"] * dropout
