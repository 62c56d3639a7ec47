"""Runs side by side: plain figures, and the keys in which their recipes differ."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.arguments import checked
from tenfold.arrays import image_place
from tenfold.errors import UsageError
from tenfold.evaluation.evaluate import Evaluation
from tenfold.files import write_text
from tenfold.numerics import holm_adjust, mcnemar_p
from tenfold.recipes.schema import NOT_TRAINED, Recipe
from tenfold.records import reading
from tenfold.runs.folder import Run, open_run
from tenfold.show import components, plots
from tenfold.show.charts import (
    Chart,
    draw_chart,
    final_record,
    history_of,
    kept_pictures,
    parameters_of,
    render_page,
)
from tenfold.show.components import grey_picture
from tenfold.show.plots import HISTORY_NAMES, history_figure
from tenfold.training.checkpoint import EpochRecord

__all__ = ["compare_pairs", "compare_runs", "recipe_differences", "write_comparison"]


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


# Two runs tested on the same images: is the one really better, or was it lucky?

_LIKELY = 0.05  # a p below is called unlikely to be chance


@dataclass(frozen=True, eq=False)
class PairedTest:
    """McNemar's test of two runs on the same n images, exact.

    only_one, only_other: int64, places in the test set of the images that only the one, or only the
    other, reads rightly. p: by itself; adjusted: among all pairs that were tested (Holm).
    """

    one: str
    other: str
    n: int
    only_one: np.ndarray
    only_other: np.ndarray
    p: float
    adjusted: float
    tests: int = 1

    @property
    def real(self) -> bool:
        return self.adjusted < _LIKELY

    def sentence(self) -> str:
        """What the test says, in words."""
        one, other = len(self.only_one), len(self.only_other)
        if not one and not other:
            return f"{self.one} and {self.other} are right on the same images: no difference is seen."
        said = (
            f"{self.one} is right on {components.count(one)} image{'s' * (one != 1)} "
            f"that {self.other} misses, "
            f"{self.other} on {components.count(other)} that {self.one} misses: {self._said_p()}, "
        )
        if not self.real:
            return said + "so the difference may well be chance."
        better = self.one if one > other else self.other
        return said + f"so the difference is unlikely to be chance: {better} is better."

    def _said_p(self) -> str:
        if self.tests == 1:
            return _p_value(self.p)
        return f"{_p_value(self.adjusted)} (corrected for {self.tests} comparisons)"

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {
            "runs": [self.one, self.other],
            "n": self.n,
            "only_first_right": len(self.only_one),
            "only_second_right": len(self.only_other),
            "p": self.p,
            "p_adjusted": self.adjusted,
            "real": self.real,
            "words": self.sentence(),
        }


def compare_pairs(runs: Sequence[Run]) -> tuple[list[PairedTest], list[str]]:
    """A test for each pair of runs that were tested on the same images, and why others were not."""
    tests, notes = [], []
    named = zip(run_names(runs), [run.evaluation for run in runs], strict=True)
    for (name, one), (other_name, other) in combinations(named, 2):
        if one is None or other is None:
            notes.append(f"{name if one is None else other_name} was not tested: `tenfold evaluate` does it.")
        elif one.dataset_sha256 != other.dataset_sha256:
            sets = f"{one.dataset}, {components.count(one.n)}; {other.dataset}, {components.count(other.n)}"
            notes.append(
                f"{name} and {other_name} were not tested on the same images ({sets}), so there is no "
                f"paired test, and their accuracies cannot be compared fairly."
            )
        else:
            tests.append(_test_pair(name, one, other_name, other))
    adjusted = holm_adjust([test.p for test in tests])
    counted = [replace(test, adjusted=p, tests=len(tests)) for test, p in zip(tests, adjusted, strict=True)]
    return counted, list(dict.fromkeys(notes))


def run_names(runs: Sequence[Run]) -> list[str]:
    """The runs' names; their folders where two have the same name, numbered where even those are the same."""
    names = [run.name for run in runs]
    if len(set(names)) < len(names):
        places = [run.folder.resolve() for run in runs]
        common = os.path.commonpath([place.parent for place in places])
        names = [str(place.relative_to(common)) for place in places]
    if len(set(names)) < len(names):
        names = [f"{name} ({place})" for place, name in enumerate(names, start=1)]
    return names


def _test_pair(name: str, one: Evaluation, other_name: str, other: Evaluation) -> PairedTest:
    only_one = np.flatnonzero(one.right & ~other.right)
    only_other = np.flatnonzero(other.right & ~one.right)
    p = mcnemar_p(len(only_one), len(only_other))
    return PairedTest(name, other_name, one.n, only_one, only_other, p, p)


def _p_value(p: float) -> str:
    """p = 0.0021 -> p = 0.002; never 0."""
    if p < 0.001:
        return "p < 0.001"
    return f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


# Runs side by side -> one HTML file, as self-contained as a report.

Section = dict[str, Any]
_SHOWN = 18  # pictures on each side of a pair
_MOST_PAIRS = 6  # whose pictures are shown: more would not be readable
_CONTENTS = (
    ("figures", "Figures"),
    ("difference", "Is the difference real?"),
    ("curves", "Curves"),
    ("classes", "Class by class"),
    ("recipes", "Recipes"),
    ("disagreements", "Where they disagree"),
)
_FIGURES = (
    ("recipe", "recipe", str),
    ("data", "data", str),
    ("engine", "engine", str),
    ("seed", "seed", str),
    ("status", "status", str),
    ("epochs", "epochs", components.count),
    ("parameters", "parameters", components.count),
    ("seconds", "training", components.duration),
    ("val_loss", "validation loss", components.decimal),
    ("val_accuracy", "validation accuracy", components.percent),
    ("test_loss", "test loss", components.decimal),
    ("test_accuracy", "test accuracy", components.percent),
)


@checked
def write_comparison(runs: Sequence[Run | str | Path], path: str | Path) -> Path:
    """Writes the page that sets the runs (or those in these folders) side by side; returns its path.

    Raises ModelError, UsageError where there is no run or `path` is a folder.
    """
    target = Path(path)
    if target.is_dir() or not runs:
        found = f"{target} is a folder" if runs else "no runs"
        raise UsageError(found, expected="runs, and a file's name such as compare.html")
    opened = [open_run(run) for run in runs]
    names = run_names(opened)
    tests, notes = compare_pairs(opened)
    context = {
        "names": names,
        "contents": _CONTENTS,
        "figures": _figures(opened),
        "tests": tests,
        "notes": notes,
        "curves": _curves(dict(zip(names, map(history_of, opened), strict=True))),
        "recall": _recall([run.evaluation for run in opened]),
        "differences": recipe_differences(opened),
        "pairs": _disagreements(tests[:_MOST_PAIRS], dict(zip(names, opened, strict=True))),
        "pairs_left_out": max(len(tests) - _MOST_PAIRS, 0),
    }
    write_text(target, render_page("compare.html.j2", context))
    return target


def _figures(runs: Sequence[Run]) -> list[tuple[str, list[tuple[str, str]]]]:
    """(what, for each run its figure and what stands below it)."""
    rows = compare_runs(list(runs))
    table = []
    for key, name, form in _FIGURES:
        cells = [components.NOTHING if row[key] is None else form(row[key]) for row in rows]
        below = [_interval(row["test_interval"]) if key == "test_accuracy" else "" for row in rows]
        table.append((name, list(zip(cells, below, strict=True))))
    return table


def _interval(bounds: Sequence[float] | None) -> str:
    return " to ".join(components.percent(bound) for bound in bounds) if bounds else ""


def _curves(histories: Mapping[str, Sequence[EpochRecord]]) -> list[tuple[str, Chart]]:
    """A chart for each figure of the history that any of the runs has."""
    return [
        (title.capitalize(), _curve(histories, key, title))
        for key, title in HISTORY_NAMES.items()
        if any(getattr(record, key) is not None for history in histories.values() for record in history)
    ]


def _curve(histories: Mapping[str, Sequence[EpochRecord]], key: str, title: str) -> Chart:
    at = {
        name: {record.epoch: getattr(record, key) for record in history}
        for name, history in histories.items()
    }
    epochs = sorted({epoch for values in at.values() for epoch in values})
    texts = [
        f"Epoch {epoch}: "
        + ", ".join(
            f"{name} {history_figure(key, values[epoch])}"
            for name, values in at.items()
            if values.get(epoch) is not None
        )
        for epoch in epochs
    ]
    alt = f"{title.capitalize()} of {', '.join(histories)}, epoch by epoch."
    return draw_chart(plots.plot_overlaid(histories, key), key, alt, epochs, texts, title=title)


def _recall(evaluations: Sequence[Evaluation | None]) -> Section | None:
    """A row per class, a cell per run; None where not all were tested on the same classes."""
    tested = [evaluation for evaluation in evaluations if evaluation is not None]
    if not tested or len(tested) < len(evaluations) or len({each.class_names for each in tested}) > 1:
        return None
    tables = [evaluation.per_class() for evaluation in tested]
    rows = []
    for entries in zip(*tables, strict=True):
        best = max(entry["recall"] for entry in entries)
        cells = [
            (
                components.percent(entry["recall"]),
                " to ".join(components.percent(bound, 1) for bound in entry["recall_interval_95"]),
                entry["recall"] == best and any(other["recall"] < best for other in entries),
            )
            for entry in entries
        ]
        rows.append((entries[0]["class"], cells))
    return {"rows": rows}


def _disagreements(tests: Sequence[PairedTest], runs: Mapping[str, Run]) -> list[Section]:
    """For each pair two sides: the one alone is right, the other alone is right."""
    return [
        {
            "title": f"{test.one} and {test.other}",
            "sides": [
                _side(test.one, test.other, test.only_one, runs[test.other].evaluation),
                _side(test.other, test.one, test.only_other, runs[test.one].evaluation),
            ],
        }
        for test in tests
    ]


def _side(right: str, wrong: str, places: np.ndarray, misread: Evaluation | None) -> Section:
    """The images that `wrong` misses alone, the surest mistakes first."""
    if misread is None:
        raise ValueError("a pair that was tested has evaluations")
    pictures, wanted = kept_pictures(misread), set(places.tolist())
    columns = zip(
        misread.miss_index.tolist(), misread.miss_label, misread.miss_predicted, misread.miss_confidence,
        strict=True,
    )  # fmt: skip
    shown = [
        image_place(index, misread.files)
        | {
            "label": misread.class_names[label],
            "predicted": misread.class_names[predicted],
            "confidence": components.percent(float(sure), 1),
            "picture": grey_picture(pictures[index]),
        }
        for index, label, predicted, sure in columns
        if index in wanted and index in pictures
    ]
    return {
        "right": right,
        "wrong": wrong,
        "count": len(places),
        "files": bool(misread.files),
        "shown": shown[:_SHOWN],
    }
