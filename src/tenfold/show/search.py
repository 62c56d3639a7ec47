"""A search as one HTML file: what it found, how it got there, and which numbers mattered."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold.files import write_text
from tenfold.recipes.load import recipe_to_toml, toml_value, value_at
from tenfold.search.result import HIGHER_IS_BETTER, SearchResult, SearchTrial
from tenfold.show import components
from tenfold.show.charts import Chart, draw_chart, render_page
from tenfold.show.components import ACCENT, INK, MUTED, SECOND, chart_style, figure_to_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["write_search_page"]

# The charts of a search: what each trial reached, and where among a key's values the good ones lie.

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


_LISTED = 10  # trials in the table
_CONTENTS = (
    ("setting", "Setting"),
    ("trials", "Trials"),
    ("values", "Values"),
    ("ranking", "Best trials"),
    ("recipe", "Recipe"),
)


def write_search_page(result: SearchResult, path: Path) -> Path:
    """Writes the page, which opens without network; returns its path. Raises TenfoldError without a trial."""
    best = result.best
    context = {
        "name": result.recipe.name,
        "data": result.dataset,
        "contents": _CONTENTS,
        "score": _score(best, result.metric),
        "metric": result.metric,
        "facts": _facts(result),
        "setting": _setting(result),
        "importances": _importances(result),
        "history": _history(result),
        "slices": [(key, _slice(result, key)) for key in result.recipe.search],
        "keys": list(result.recipe.search),
        "rows": [_row(trial, result) for trial in result.ranked[:_LISTED]],
        "recipe": recipe_to_toml(result.best_recipe),
        "trial": best.number,
        "interrupted": result.interrupted,
    }
    write_text(path, render_page("search.html.j2", context))
    return path


def _score(trial: SearchTrial, metric: str) -> str:
    return components.percent(trial.accuracy) if metric == "accuracy" else components.decimal(trial.loss)


def _facts(result: SearchResult) -> list[tuple[str, str]]:
    how = f"{result.folds} folds" if result.folds else f"{result.recipe.data.validation:.1%} held out"
    return [
        ("trials complete", components.count(len(result.ranked))),
        ("given up early", components.count(result.count("pruned"))),
        ("failed", components.count(result.count("failed"))),
        ("judged by", f"{result.metric}, {how}"),
        ("images", components.count(result.images)),
        ("seed", str(result.seed)),
        ("training", components.duration(sum(trial.seconds or 0.0 for trial in result.ranked))),
    ]


def _setting(result: SearchResult) -> list[tuple[str, str, str, str]]:
    """(key, range, value in the recipe, value found)."""
    rows = []
    for key, place in result.recipe.search.items():
        where = ", ".join(map(toml_value, place.choices)) or f"{place.low:g} to {place.high:g}"
        where += " (logarithmic)" if place.log else ""
        own, found = value_at(result.recipe, key), result.best.values[key]
        rows.append((key, where, toml_value(own), toml_value(found)))
    return rows


def _history(result: SearchResult) -> Chart:
    complete = sorted(result.ranked, key=lambda trial: trial.number)
    texts = [
        f"Trial {trial.number}: {_score(trial, result.metric)}, {_in_words(trial)}" for trial in complete
    ]
    alt = f"The score of {len(complete)} trials; the best is trial {result.best.number}."
    places = [trial.number for trial in complete]
    return draw_chart(plot_trials(result), "history", alt, places, texts, title="trials")


def _slice(result: SearchResult, key: str) -> Chart:
    places = slice_places(result, key)
    at = sorted(zip(places, result.ranked, strict=True), key=lambda pair: pair[0])
    texts = [
        f"{toml_value(trial.values[key])}: {_score(trial, result.metric)} (trial {trial.number})"
        for _, trial in at
    ]
    alt = f"The score of each trial over its {key}."
    name = "slice-" + "".join(letter if letter.isalnum() else "-" for letter in key)
    return draw_chart(plot_slice(result, key), name, alt, [place for place, _ in at], texts, title=key)


def _importances(result: SearchResult) -> str:
    if not result.importances:
        return ""
    alt = ", ".join(f"{key} {share:.0%}" for key, share in result.importances.items())
    return figure_to_svg(plot_importances(result.importances), "importances", f"How much matters: {alt}.")


def _row(trial: SearchTrial, result: SearchResult) -> dict[str, Any]:
    return {
        "number": trial.number,
        "accuracy": components.percent(trial.accuracy),
        "loss": components.decimal(trial.loss),
        "values": [toml_value(trial.values[key]) for key in result.recipe.search],
        "seconds": components.duration(trial.seconds),
    }


def _in_words(trial: SearchTrial) -> str:
    return ", ".join(f"{key} {toml_value(value)}" for key, value in trial.values.items())
