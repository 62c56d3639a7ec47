"""Result objects -> matplotlib figures. No pyplot, so no global state; nothing is written here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tenfold.recipes.schema import toml_value
from tenfold.show.charts import ACCENT, BAD, GOOD, INK, MUTED, SECOND, chart_style
from tenfold.show.components import shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

    from tenfold.doctor.diagnosis import LayerReading
    from tenfold.recipes.schema import PublishedEpoch
    from tenfold.training.progress import EpochRecord
    from tenfold.training.search_result import SearchResult

_WIDTH, _HEIGHT = 4.6, 3.0  # inches; two charts stand side by side on a wide page
_LOG_RATIO = 30  # a loss that falls by more than this is drawn on a logarithmic scale


@contextmanager
def new_axes(width: float = _WIDTH, height: float = _HEIGHT) -> Iterator[tuple[Figure, Axes]]:
    """In `chart_style`. width, height: inches."""
    from matplotlib.figure import Figure

    with chart_style():
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.subplots()


def _whole_numbers(axes: Axes, title: str) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel(title)
    axes.xaxis.set_major_locator(MaxNLocator(nbins="auto", integer=True, min_n_ticks=1))


def _plain_powers(axis: Axis) -> None:
    """The numbers of a logarithmic axis as they are: the browser typesets no powers."""
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter("")


# Training: curves over the epochs.


def plot_curves(
    history: Sequence[EpochRecord],
    quantity: Literal["loss", "accuracy"],
    published: Sequence[PublishedEpoch] = (),
) -> Figure:
    """Training against validation, an epoch a point; published epochs as open circles."""
    with new_axes() as (figure, axes):
        for part, name, colour in (("train", "training", ACCENT), ("val", "validation", SECOND)):
            key = f"{part}_{quantity}"
            _draw_curve(axes, history, key, label=name, color=colour)
            circles = {"linestyle": "", "marker": "o", "markerfacecolor": "none", "markersize": 6}
            _draw_curve(axes, published, key, label=f"{name}, published", color=colour, **circles)
        _label_epochs(axes, quantity)
        return figure


def plot_overlaid(histories: Mapping[str, Sequence[EpochRecord]], key: str) -> Figure:
    """The same curve of several runs, by name. key: of the history, such as val_loss."""
    colours, dashes = (ACCENT, SECOND, GOOD, BAD, MUTED), ("-", (0, (5, 2)), (0, (1.5, 1.5)))
    with new_axes() as (figure, axes):
        for place, (name, history) in enumerate(histories.items()):
            turn, which = divmod(place, len(colours))
            style = {"color": colours[which], "linestyle": dashes[turn % len(dashes)]}
            _draw_curve(axes, history, key, label=name, **style)
        _label_epochs(axes, key.partition("_")[2])
        return figure


def plot_learning_rate(history: Sequence[EpochRecord]) -> Figure:
    """The learning rate of each epoch's last step."""
    with new_axes() as (figure, axes):
        _draw_curve(axes, history, "learning_rate", color=ACCENT)
        axes.set(ylim=(0, None), ylabel="learning rate")
        axes.grid(axis="y", linewidth=0.7)
        _whole_numbers(axes, "epoch")
        return figure


def _draw_curve(
    axes: Axes, records: Sequence[EpochRecord] | Sequence[PublishedEpoch], key: str, **style: Any
) -> None:
    known = [(record.epoch, getattr(record, key)) for record in records if getattr(record, key) is not None]
    if known:
        marker = "o" if len(known) <= 30 else None
        plain: dict[str, Any] = {"marker": marker, "markersize": 3.2, "linewidth": 1.7}
        axes.plot(*zip(*known, strict=True), **plain | style)


def _label_epochs(axes: Axes, quantity: str) -> None:
    from matplotlib.ticker import PercentFormatter

    _whole_numbers(axes, "epoch")
    axes.set_ylabel(quantity)
    axes.grid(axis="y", linewidth=0.7)
    if not axes.lines:
        return
    axes.legend(loc="best")
    values = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in axes.lines])
    values = values[np.isfinite(values)]
    if quantity == "accuracy":
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    elif values.size and values.min() > 0 and values.max() / values.min() > _LOG_RATIO:
        axes.set(yscale="log", ylabel="loss (logarithmic scale)")
        _plain_powers(axes.yaxis)


# The test set.


def plot_coverage_risk(coverage: np.ndarray, risk: np.ndarray) -> Figure:
    """The share of wrong answers among the surest ones, over how many are answered: float64 (T,) each."""
    from matplotlib.ticker import PercentFormatter

    with new_axes() as (figure, axes):
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


def plot_reliability(bins: np.ndarray) -> Figure:
    """How often an answer was right against how sure it was, and below how many answers each bar has.

    bins: float (B, 3), count, mean confidence and accuracy of equal bins of (0, 1].
    """
    with new_axes(_WIDTH, 3.6) as (figure, axes):
        axes.remove()
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        number, _, accuracy = bins.T
        width = 1 / len(bins)
        centres, filled = (np.arange(len(bins)) + 0.5) * width, number > 0
        top.bar(centres[filled], accuracy[filled], width * 0.86, color=ACCENT, alpha=0.75)
        top.plot([0, 1], [0, 1], color=SECOND, linewidth=1.3, linestyle=(0, (4, 3)))
        top.set_title("dashed: perfectly calibrated", color=MUTED, loc="left", fontsize=8.5)
        top.set(xlim=(0, 1), ylim=(0, 1), ylabel="share right")
        bottom.bar(centres[filled], number[filled], width * 0.86, color=MUTED, alpha=0.75)
        bottom.set_yscale("symlog", linthresh=1)
        bottom.set(ylim=(0, None), xlabel="confidence", ylabel="answers")
        powers = [0.0, *(10.0**p for p in range(0, 9, 2) if 10**p <= number.max(initial=1))]
        bottom.set_yticks(powers, [f"{power:,.0f}" for power in powers])
        bottom.minorticks_off()
        return figure


# Bars.


def plot_bars(names: Sequence[str], lengths: np.ndarray, texts: Sequence[str]) -> Figure:
    """A bar per name, the first above, its text written at the end. lengths: (N,)."""
    with new_axes(height=0.6 + 0.24 * len(names)) as (figure, axes):
        draw_bars(axes, names, {"": lengths}, texts)
        return figure


def draw_bars(
    axes: Axes, names: Sequence[str], values: Mapping[str, np.ndarray], texts: Sequence[str]
) -> None:
    """The same on axes; of several arrays, by their labels, the bars are stacked."""
    places, left = np.arange(len(names)), np.zeros(len(names))
    for (label, lengths), colour in zip(values.items(), (ACCENT, SECOND)):
        bars = axes.barh(places, lengths, left=left, height=0.68, color=colour, label=label)
        left = left + lengths
    axes.bar_label(bars, texts, padding=4, color=INK, fontsize=8.5)
    axes.set_yticks(places, [shorten(name) for name in names], color=INK)
    axes.set(ylim=(len(names) - 0.4, -0.6), xlim=(0, (float(left.max()) or 1.0) * 1.16), xticks=[])
    axes.tick_params(axis="y", length=0)
    axes.spines["bottom"].set_visible(False)


def plot_pixel_histogram(histogram: np.ndarray) -> Figure:
    """How often each pixel value occurs: int64 (256,)."""
    with new_axes(height=2.0) as (figure, axes):
        draw_pixel_histogram(axes, histogram)
        return figure


def draw_pixel_histogram(axes: Axes, histogram: np.ndarray) -> None:
    """Four values a bar, on a logarithmic scale."""
    totals, starts = histogram.reshape(-1, 4).sum(axis=1), np.arange(0, 256, 4)
    bars = axes.bar(starts, totals, width=3.6, align="edge", color=ACCENT)
    for bar, start, total in zip(bars, starts.tolist(), totals.tolist(), strict=True):
        bar.set_gid(f"title:{start} to {start + 3}: {total:,} pixels")
    axes.set(yscale="log", ylim=(1, None), xlim=(-2, 258))
    _plain_powers(axes.yaxis)
    axes.set_xticks([0, 64, 128, 192, 255], ["0, black", "64", "128", "192", "255, white"])


# A search: what each trial reached, and where among a key's values the good ones lie.

_REACH = 5.0  # how far below the best the axis goes, in distances of the median trial from it


def plot_trials(result: SearchResult) -> Figure:
    """Score over trial: a dot each, the best so far as steps, and ticks below for those given up."""
    with new_axes(1.5 * _WIDTH, 3.2) as (figure, axes):
        complete = sorted(result.ranked, key=lambda trial: trial.number)
        numbers = [trial.number for trial in complete]
        better = np.maximum if result.metric == "accuracy" else np.minimum
        inside = np.clip([trial.score(result.metric) for trial in complete], *_scale_scores(axes, result))
        best = better.accumulate(inside)
        axes.step(numbers, best, where="post", color=SECOND, linewidth=1.4, label="best so far")
        axes.plot(numbers, inside, "o", color=ACCENT, markersize=4.6, label="trial")
        over = [trial.number for trial in result.trials if trial.status in ("pruned", "failed")]
        axes.plot(
            over, np.zeros(len(over)), "|", color=MUTED, markersize=9, label="given up early",
            transform=axes.get_xaxis_transform(), clip_on=False,
        )  # fmt: skip
        _whole_numbers(axes, "trial")
        axes.legend(loc="lower right" if better is np.maximum else "upper right", ncols=3)
        return figure


def plot_slice(result: SearchResult, key: str) -> Figure:
    """Score over the value of one key, whatever the others were; the best trial stands out."""
    from matplotlib.ticker import MaxNLocator

    with new_axes(height=2.9) as (figure, axes):
        place, across = result.recipe.search[key], slice_places(result, key)
        low, high = _scale_scores(axes, result)
        scores = [trial.score(result.metric) for trial in result.ranked]
        axes.plot(across, np.clip(scores, low, high), "o", color=ACCENT, markersize=4.6, alpha=0.75)
        axes.plot(across[:1], scores[:1], "o", color=SECOND, markersize=8, markeredgecolor=INK)
        if place.choices:
            names = [shorten(toml_value(each), 16) for each in place.choices]
            axes.set_xticks(range(len(names)), names)
            axes.set_xlim(-0.5, len(names) - 0.5)
        elif place.integer and not place.log:
            axes.xaxis.set_major_locator(MaxNLocator(nbins="auto", integer=True))
        elif place.log:
            axes.set_xscale("log")
            _plain_powers(axes.xaxis)
        axes.set_xlabel(key)
        return figure


def slice_places(result: SearchResult, key: str) -> list[float]:
    """Where each complete trial stands, the best first: its value, or of choices which one."""
    values = [trial.values[key] for trial in result.ranked]
    choices = [toml_value(choice) for choice in result.recipe.search[key].choices]
    return [choices.index(toml_value(value)) if choices else float(value) for value in values]


def _scale_scores(axes: Axes, result: SearchResult) -> tuple[float, float]:
    """Sets the score's axis and returns its ends; the worst trials are drawn at its edge. A loss is
    drawn logarithmically, as it falls by ratios, where none is 0."""
    from matplotlib.ticker import PercentFormatter

    scores = np.array([trial.score(result.metric) for trial in result.ranked])
    axes.grid(axis="y", linewidth=0.7)
    axes.set_ylabel(f"validation {result.metric}")
    best, worst = scores[0], scores[-1]
    if result.metric == "loss" and best > 0:
        axes.set_yscale("log")
        axes.set_ylim(best / (worst / best) ** 0.06 / 1.02, worst * (worst / best) ** 0.1 * 1.02)
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("{x:g}" if worst < 10 * best else "")
        return float(best), float(worst)
    reach = min(_REACH * abs(best - np.median(scores)) or abs(best - worst), abs(best - worst)) or 0.01
    low, high = sorted((float(best), float(best - reach if result.metric == "accuracy" else best + reach)))
    axes.set_ylim(low - 0.06 * (high - low), high + 0.1 * (high - low))
    if result.metric == "accuracy":
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    return low, high


# A diagnosis: losses, the size of steps, and what layers give.

_SOUND = (1e-4, 3e-2)  # |change of a step| / |weights|: about a thousandth is good (Karpathy 2015, CS231n)


def plot_losses(
    x: np.ndarray,
    losses: np.ndarray,
    titles: tuple[str, str],
    *,
    log_x: bool = False,
    marks: Sequence[tuple[str, float]] = (),
) -> Figure:
    """A curve; what lies beyond 2.5 times its first value is cut off, so that a diverging end hides nothing.

    marks: places of x with a dashed line and a name, the first bad and the second good.
    """
    with new_axes(height=2.4) as (figure, axes):
        kept = np.isfinite(losses)
        x, losses = x[kept], losses[kept]
        top = 1.04 * min(float(losses.max()), 2.5 * float(losses[0]) if losses[0] > 0 else np.inf)
        axes.plot(x, np.clip(losses, 0, top), color=ACCENT, linewidth=1.6)
        axes.set(ylim=(0, top), xlabel=titles[0], ylabel=titles[1])
        if log_x:
            axes.set_xscale("log")
            _plain_powers(axes.xaxis)
        axes.grid(axis="y", linewidth=0.7)
        for (name, place), colour, height in zip(marks, (SECOND, GOOD), (0.99, 0.9)):
            axes.axvline(place, ymax=height, color=colour, linewidth=1.2, linestyle=(0, (4, 3)))
            right = axes.transAxes.inverted().transform(axes.transData.transform((place, 0)))[0] > 0.5
            axes.annotate(
                name, (place, height), xycoords=("data", "axes fraction"), color=colour, va="top",
                xytext=(-4 if right else 4, 0), textcoords="offset points", ha="right" if right else "left",
            )  # fmt: skip
        return figure


def plot_updates(updates: Mapping[str, float]) -> Figure:
    """How far a step moves each parameter against its size, on a logarithmic scale; the band is sound."""
    with new_axes(height=0.6 + 0.24 * len(updates)) as (figure, axes):
        axes.axvspan(*_SOUND, color=GOOD, alpha=0.13, linewidth=0)
        for row, (name, value) in enumerate(updates.items()):
            colour = GOOD if _SOUND[0] <= value <= _SOUND[1] else BAD
            (dot,) = axes.plot(np.clip(value, 1e-7, 10), row, "o", color=colour, markersize=6, clip_on=False)
            dot.set_gid(f"title:{name}: {value:.2g}")
        axes.set(xscale="log", xlim=(1e-7, 10), ylim=(len(updates) - 0.4, -0.6))
        axes.set_xticks(10.0 ** np.arange(-7, 2, 2), [f"{10.0**power:g}" for power in range(-7, 2, 2)])
        axes.minorticks_off()
        axes.set_yticks(range(len(updates)), list(updates), color=INK)
        axes.tick_params(axis="y", length=0)
        return figure


def plot_outputs(reading: LayerReading) -> Figure:
    """The outputs of a layer, a bar per bin; the dashed line is 0."""
    with new_axes(3.4, 1.0) as (figure, axes):
        low, high = float(reading.edges[0]), float(reading.edges[-1])
        axes.bar(
            reading.edges[:-1], reading.histogram, np.diff(reading.edges) * 0.9, align="edge", color=ACCENT
        )
        # One bar, such as ReLU's zeros, may stick out.
        axes.set(xlim=(low, high), ylim=(0, max(float(np.sort(reading.histogram)[-2:].mean()), 1e-9) * 1.05))
        if low < 0 < high:
            axes.axvline(0, color=MUTED, linewidth=0.9, linestyle=(0, (3, 3)))
        axes.set_xticks([low, high], [f"{low:.3g}", f"{high:.3g}"])
        left, right = axes.get_xticklabels()
        left.set_horizontalalignment("left")
        right.set_horizontalalignment("right")
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        return figure
