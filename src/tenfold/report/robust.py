"""Robustness -> a row a corruption: its accuracies by severity, and what its pictures look like."""

from __future__ import annotations

from typing import Any

from tenfold.pages import numbers
from tenfold.pages.pictures import picture_row
from tenfold.report.parts import class_names_of, robustness_of
from tenfold.runs.folder import Run

__all__ = ["robustness_section"]

Section = dict[str, Any]


def robustness_section(run: Run) -> Section | None:
    """None where the run's folder does not hold it."""
    found, names = robustness_of(run), class_names_of(run)
    if found is None or names is None:
        return None
    rows = [
        {
            "name": name,
            "cells": [
                (numbers.percent(float(share), 1), f"{100 * (0.85 * max(found.accuracy - share, 0.0)):.0f}")
                for share in found.accuracies[place]
            ],
            "mean": numbers.percent(float(found.accuracies[place].mean()), 1),
            "label": names[found.example_label[place]],
            "strip": picture_row(found.images[place]),
            "read": ", ".join(names[answer] for answer in found.example_predicted[place]),
        }
        for place, name in enumerate(found.corruptions)
    ]
    order = sorted(range(len(rows)), key=lambda place: float(found.accuracies[place].mean()))
    return {
        "facts": [
            ("as they are", numbers.percent(found.accuracy, 1)),
            ("mean of all corruptions", numbers.percent(found.mean_accuracy, 1)),
            ("hardest", f"{rows[order[0]]['name']}, {rows[order[0]]['mean']}"),
            ("images", numbers.count(found.n)),
        ],
        "severities": found.accuracies.shape[1],
        "rows": [rows[place] for place in order],
    }
