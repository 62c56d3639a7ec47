"""A search as one HTML file: what it found, how it got there, and which numbers mattered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tenfold.files import write_text
from tenfold.pages import numbers
from tenfold.pages.svg import figure_to_svg
from tenfold.recipes.load import recipe_to_toml, toml_value, value_at
from tenfold.report.hover import Chart, draw_chart
from tenfold.report.page import render_page
from tenfold.report.search_plots import plot_importances, plot_slice, plot_trials, slice_places
from tenfold.search.result import SearchResult, SearchTrial

__all__ = ["write_search_page"]

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
    return numbers.percent(trial.accuracy) if metric == "accuracy" else numbers.decimal(trial.loss)


def _facts(result: SearchResult) -> list[tuple[str, str]]:
    how = f"{result.folds} folds" if result.folds else f"{result.recipe.data.validation:.1%} held out"
    return [
        ("trials complete", numbers.count(len(result.ranked))),
        ("given up early", numbers.count(result.count("pruned"))),
        ("failed", numbers.count(result.count("failed"))),
        ("judged by", f"{result.metric}, {how}"),
        ("images", numbers.count(result.images)),
        ("seed", str(result.seed)),
        ("training", numbers.duration(sum(trial.seconds or 0.0 for trial in result.ranked))),
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
        "accuracy": numbers.percent(trial.accuracy),
        "loss": numbers.decimal(trial.loss),
        "values": [toml_value(trial.values[key]) for key in result.recipe.search],
        "seconds": numbers.duration(trial.seconds),
    }


def _in_words(trial: SearchTrial) -> str:
    return ", ".join(f"{key} {toml_value(value)}" for key, value in trial.values.items())
