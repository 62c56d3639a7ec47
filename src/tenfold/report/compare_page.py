"""Runs side by side -> one HTML file, as self-contained as a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.arguments import checked
from tenfold.arrays import image_place
from tenfold.errors import UsageError
from tenfold.evaluation.evaluate import Evaluation
from tenfold.files import write_text
from tenfold.pages import numbers
from tenfold.pages.pictures import grey_picture
from tenfold.report import plots
from tenfold.report.compare import compare_runs, recipe_differences
from tenfold.report.curves import HISTORY_NAMES, history_figure
from tenfold.report.hover import Chart, draw_chart
from tenfold.report.page import render_page
from tenfold.report.paired import PairedTest, compare_pairs, run_names
from tenfold.report.parts import history_of
from tenfold.report.pictures import kept_pictures
from tenfold.runs.folder import Run, open_run
from tenfold.training.history import EpochRecord

__all__ = ["write_comparison"]

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
    ("epochs", "epochs", numbers.count),
    ("parameters", "parameters", numbers.count),
    ("seconds", "training", numbers.duration),
    ("val_loss", "validation loss", numbers.decimal),
    ("val_accuracy", "validation accuracy", numbers.percent),
    ("test_loss", "test loss", numbers.decimal),
    ("test_accuracy", "test accuracy", numbers.percent),
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
        cells = [numbers.NOTHING if row[key] is None else form(row[key]) for row in rows]
        below = [_interval(row["test_interval"]) if key == "test_accuracy" else "" for row in rows]
        table.append((name, list(zip(cells, below, strict=True))))
    return table


def _interval(bounds: Sequence[float] | None) -> str:
    return " to ".join(numbers.percent(bound) for bound in bounds) if bounds else ""


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
                numbers.percent(entry["recall"]),
                " to ".join(numbers.percent(bound, 1) for bound in entry["recall_interval_95"]),
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
            "confidence": numbers.percent(float(sure), 1),
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
