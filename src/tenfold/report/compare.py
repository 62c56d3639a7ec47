"""Runs side by side: plain figures, and the keys in which their recipes differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tenfold.recipes.schema import NOT_TRAINED, Recipe
from tenfold.records import reading
from tenfold.report.parts import final_record, history_of, parameters_of
from tenfold.runs.folder import Run

__all__ = ["compare_runs", "recipe_differences"]


def compare_runs(runs: list[Run]) -> list[dict[str, Any]]:
    """A row per run with the same keys in the same order; None where a run does not have the figure.

    Accuracies are shares, losses as trained, seconds of the whole training; test_interval: 95 %.
    Raises ModelError where a file is there but cannot be read.
    """
    rows = []
    for run in runs:
        with reading(f"the run {run.folder}", expected="files that belong together"):
            rows.append(_row(run))
    return rows


def _row(run: Run) -> dict[str, Any]:
    environment, record, evaluation = run.environment, final_record(run), run.evaluation
    data = environment.get("data") or {}
    return {
        "name": run.name,
        "recipe": run.recipe.name,
        "engine": environment.get("engine"),
        "seed": environment.get("seed"),
        "status": environment.get("status"),
        "epochs": len(history_of(run)),
        "parameters": parameters_of(run),
        "seconds": environment.get("seconds"),
        "val_loss": record.val_loss if record else None,
        "val_accuracy": record.val_accuracy if record else None,
        "test_loss": evaluation.loss if evaluation else None,
        "test_accuracy": evaluation.accuracy if evaluation else None,
        "test_interval": list(evaluation.interval) if evaluation else None,
        "data": data.get("name") or (run.summary.name if run.summary else None),
    }


def recipe_differences(runs: list[Run]) -> list[tuple[str, list[Any]]]:
    """(dotted key, the value of each run) for the keys that are not the same in all; prose left out."""
    flat = [_flatten(run.recipe) for run in runs]
    keys = list(dict.fromkeys(key for values in flat for key in values))
    rows = [(key, [values.get(key) for values in flat]) for key in keys]
    return [(key, values) for key, values in rows if any(value != values[0] for value in values)]


def _flatten(recipe: Recipe) -> dict[str, Any]:
    whole = recipe.model_dump(mode="json", exclude=set(NOT_TRAINED))
    flat: dict[str, Any] = {}
    for key, value in whole.items():
        if isinstance(value, Mapping):
            flat |= {f"{key}.{inner}": each for inner, each in value.items()}
        else:
            flat[key] = value
    return flat
