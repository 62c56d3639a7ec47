"""The remedies of benchmarks/ablation.py as a picture: alone as bars, on top of each other as a waterfall."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tenfold.show.charts import ACCENT, BAD, GOOD, INK, LINE, MUTED, chart_style

__all__ = ["draw_ablation"]

Bar = tuple[str, str, float, float]  # kind, title, mean accuracy, standard deviation
_TICKS = (100, 50, 20, 10, 5, 2, 1, 0.5)  # % of misses


def draw_ablation(published: float, bars: Sequence[Bar], path: Path) -> None:
    """Writes a PNG on a light ground. published: the document's own accuracy, as a line."""
    base, alone, together = (
        [bar for bar in bars if bar[0] == kind] for kind in ("published", "alone", "together")
    )
    with chart_style():
        figure = Figure(figsize=(8.4, 7.6), dpi=110)
        FigureCanvasAgg(figure)
        upper, lower = figure.subplots(2, 1, sharex=True)
        _draw_alone(upper, [*base, *alone])
        _draw_waterfall(lower, [*base, *together])
        for axes, title in ((upper, "each remedy alone"), (lower, "one on top of the other")):
            axes.axvline(_misses(published), color=MUTED, linewidth=0.9, linestyle=(0, (3, 3)), zorder=1)
            axes.set_title(title, loc="left", fontsize=10, color=INK)
        upper.annotate(
            "published", (_misses(published), -0.6), xytext=(4, 0), textcoords="offset points",
            fontsize=8, color=MUTED, va="center",
        )  # fmt: skip
        lower.set_xlabel("test images misread, % (logarithmic)")
        figure.savefig(path, facecolor="white", metadata={"Software": None})


def _misses(accuracy: float) -> float:
    return max(100 * (1 - accuracy), 0.1)


def _draw_alone(axes: Axes, bars: Sequence[Bar]) -> None:
    """From the network as published to where the remedy leads."""
    start = _misses(bars[0][2])
    for place, (_, _, mean, deviation) in enumerate(bars):
        end = _misses(mean)
        _bar(axes, place, start, end, GOOD if end <= start else BAD)
        _name(axes, place, mean, deviation, min(start, end))
    _set_axes(axes, bars)


def _draw_waterfall(axes: Axes, bars: Sequence[Bar]) -> None:
    """Each bar begins where the one before ended."""
    before = _misses(bars[0][2])
    for place, (_, _, mean, deviation) in enumerate(bars):
        end = _misses(mean)
        _bar(axes, place, before, end, ACCENT if end <= before else BAD)
        _name(axes, place, mean, deviation, min(before, end))
        if place:
            axes.plot([before, before], [place - 0.7, place - 0.3], color=LINE, linewidth=1, zorder=1)
        before = end
    _set_axes(axes, bars)


def _bar(axes: Axes, place: int, start: float, end: float, colour: str) -> None:
    if start == end:
        axes.plot([end, end], [place - 0.32, place + 0.32], color=INK, linewidth=2, zorder=3)
        return
    axes.barh(place, end - start, left=start, height=0.62, color=colour, zorder=2)


def _name(axes: Axes, place: int, mean: float, deviation: float, edge: float) -> None:
    """The accuracy beyond the bar's better end (to the right: fewer misses)."""
    axes.annotate(
        f"{100 * mean:.2f} ± {100 * deviation:.2f} %", (edge, place), xytext=(4, 0),
        textcoords="offset points", va="center", fontsize=8, color=INK,
    )  # fmt: skip


def _set_axes(axes: Axes, bars: Sequence[Bar]) -> None:
    axes.set_xscale("log")
    axes.set_xlim(130, 0.22)  # the best to the right
    axes.set_xticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
    axes.minorticks_off()
    axes.set_yticks(range(len(bars)), [title.partition(":")[0] for _, title, _, _ in bars])
    axes.tick_params(axis="y", labelcolor=INK, length=0)
    axes.set_ylim(len(bars) - 0.4, -1)
    axes.grid(True, axis="x", linewidth=0.6)
