"""The charts of a search: what each trial reached, and where among a key's values the good ones lie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from tenfold.pages.svg import ACCENT, INK, MUTED, SECOND, chart_style
from tenfold.recipes.load import toml_value
from tenfold.search.result import HIGHER_IS_BETTER, SearchResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_importances", "plot_slice", "plot_trials", "slice_places"]

_WIDTH = 4.6  # inches, as in the report
_REACH = 5.0  # how far below the best the axis goes, in distances of the median trial from it


def plot_trials(result: SearchResult) -> Figure:
    """Score over trial: a dot each, the best so far as steps, and ticks below for those given up."""
    from matplotlib.ticker import MaxNLocator

    with chart_style():
        figure, axes = _blank(1.5 * _WIDTH, 3.2)
        complete = sorted(result.ranked, key=lambda trial: trial.number)
        numbers = [trial.number for trial in complete]
        scores = [trial.score(result.metric) for trial in complete]
        better = np.maximum if HIGHER_IS_BETTER[result.metric] else np.minimum
        low, high = _scale(axes, result)
        inside = np.clip(scores, low, high)
        best = better.accumulate(inside)
        axes.step(numbers, best, where="post", color=SECOND, linewidth=1.4, label="best so far")
        axes.plot(numbers, inside, "o", color=ACCENT, markersize=4.6, label="trial")
        over = [trial.number for trial in result.trials if trial.status in ("pruned", "failed")]
        foot = np.zeros(len(over))
        axes.plot(
            over, foot, "|", color=MUTED, markersize=9, transform=axes.get_xaxis_transform(), clip_on=False,
            label="given up early",
        )  # fmt: skip
        axes.set_xlabel("trial")
        axes.xaxis.set_major_locator(MaxNLocator(nbins="auto", integer=True, min_n_ticks=1))
        axes.legend(loc="lower right" if better is np.maximum else "upper right", labelcolor=INK, ncols=3)
        return figure


def plot_slice(result: SearchResult, key: str) -> Figure:
    """Score over the value of one key, whatever the others were; the best trial stands out."""
    from matplotlib.ticker import MaxNLocator

    with chart_style():
        figure, axes = _blank(_WIDTH, 2.9)
        low, high = _scale(axes, result)
        place = result.recipe.search[key]
        across = slice_places(result, key)
        scores = [trial.score(result.metric) for trial in result.ranked]
        axes.plot(across, np.clip(scores, low, high), "o", color=ACCENT, markersize=4.6, alpha=0.75)
        axes.plot(across[:1], scores[:1], "o", color=SECOND, markersize=8, markeredgecolor=INK)
        if place.choices:
            axes.set_xticks(range(len(place.choices)), [_short(toml_value(each)) for each in place.choices])
            axes.set_xlim(-0.5, len(place.choices) - 0.5)
        elif place.integer and not place.log:
            axes.xaxis.set_major_locator(MaxNLocator(nbins="auto", integer=True))
        elif place.log:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter("{x:g}")
            axes.xaxis.set_minor_formatter("")
        axes.set_xlabel(key)
        return figure


def slice_places(result: SearchResult, key: str) -> list[float]:
    """Where each complete trial stands, the best first: its value, or of choices which one."""
    values = [trial.values[key] for trial in result.ranked]
    choices = [toml_value(choice) for choice in result.recipe.search[key].choices]
    return [choices.index(toml_value(value)) if choices else float(value) for value in values]


def plot_importances(importances: Mapping[str, float]) -> Figure:
    """A bar per key, the largest above."""
    with chart_style():
        figure, axes = _blank(_WIDTH, 0.5 + 0.34 * len(importances))
        shares = list(importances.values())
        bars = axes.barh(range(len(shares)), shares, height=0.62, color=ACCENT)
        axes.bar_label(bars, [f"{share:.0%}" for share in shares], padding=4, color=INK, fontsize=8.5)
        axes.set_yticks(range(len(shares)), list(importances), color=INK)
        axes.set_ylim(len(shares) - 0.4, -0.6)
        axes.set_xlim(0, max(*shares, 0.01) * 1.18)
        axes.set_xticks([])
        axes.tick_params(axis="y", length=0)
        axes.spines["bottom"].set_visible(False)
        return figure


def _scale(axes: Axes, result: SearchResult) -> tuple[float, float]:
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
    far = best - reach if HIGHER_IS_BETTER[result.metric] else best + reach
    low, high = float(min(best, far)), float(max(best, far))
    axes.set_ylim(low - 0.06 * (high - low), high + 0.1 * (high - low))
    if result.metric == "accuracy":
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    return low, high


def _short(text: str) -> str:
    return text if len(text) <= 16 else f"{text[:15]}…"


def _blank(width: float, height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()
