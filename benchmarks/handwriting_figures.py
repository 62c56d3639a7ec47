"""Figures of readers on pictures of handwriting, and the tables of them."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from answers import PAGES, REAL, RENDERED, SINGLE, Answer
from common import markdown_table

from tenfold.evaluation.evaluate import calibration_error, coverage_risk
from tenfold.numerics import wilson_interval

__all__ = [
    "DEFINITIONS",
    "MNIST",
    "TOGETHER",
    "WILD",
    "calibration",
    "confidence_curve",
    "exact_table",
    "group_answers",
    "measure_answers",
    "refusal_table",
]

Figures = dict[str, Any]
WILD = ("photo", "scan", "canvas")
TOGETHER = "photo, scan and canvas together"
MNIST = "mnist"
_TITLES = {
    "cheque": "amounts on cheques",
    "logbook": "numbers in a logbook",
    "logbook-separated": "numbers with comma, point or dash",
    "photo": "one digit, photographed",
    "scan": "one digit, scanned",
    "canvas": "one digit, drawn on a screen",
    TOGETHER: "one digit, these three together",
    "sudoku-cell": "cells of sudokus",
    "field": "a line with operators",
    "sheet": "several lines, or a table",
    "other": "not a digit: none answered",
    "sudoku-page": "whole sudokus",
    "rendered-canvas": "one digit on a canvas",
    "rendered-photo": "one digit on paper",
    "rendered-field": "3 to 8 digits",
    "rendered-other": "a letter: none answered",
    MNIST: "MNIST's test set, read as pictures",
}
_HEADS = {False: "real pictures", True: "rendered by us, and MNIST"}
_POINTS = 200  # of a curve in the results
DEFINITIONS = {
    "digits": "separators, operators and spaces are dropped from text and label before they are compared",
    "exact": "all digits of the picture are right; where it has none, no digit was answered",
    "refused": "the text has a ?, or no digit",
    "wrong": "neither refused nor exact",
    "digit_accuracy": "1 - edits / digits of the labels; a ? counts as an edit",
    "calibration_error": "15 bins; the answer's confidence against whether its digits are right, ? resolved",
    "cpu_ms": "median per picture from its file to its text, one thread",
    "curve": "pictures answered from the highest confidence; where there is no digit, no answer is right",
}


def group_answers(answers: Mapping[str, list[Answer]]) -> dict[str, list[Answer]]:
    """With the pictures of single digits from public repositories as one more group, after its parts."""
    groups: dict[str, list[Answer]] = {}
    for kind, found in answers.items():
        groups[kind] = found
        if kind == WILD[-1] and all(part in answers for part in WILD):
            groups[TOGETHER] = [answer for part in WILD for answer in answers[part]]
    return groups


def measure_answers(answers: Sequence[Answer]) -> Figures:
    """exact, refused, wrong, digit_accuracy (None without digits), calibration_error (None without
    confidences, or for more than one digit per picture), cpu_ms."""
    digits = sum(len(answer.case.label) for answer in answers)
    errors = sum(answer.errors for answer in answers)
    times = [answer.cpu_ms for answer in answers]
    return {
        "n": len(answers),
        "exact": _share(sum(answer.right for answer in answers), len(answers)),
        "refused": _share(sum(answer.refused for answer in answers), len(answers)),
        "wrong": _share(sum(answer.wrong for answer in answers), len(answers)),
        "digit_accuracy": _share(max(0, digits - errors), digits) if digits else None,
        "calibration_error": calibration(answers),
        "cpu_ms": {"median": statistics.median(times), "mean": statistics.fmean(times)},
    }


def _share(count: int, total: int) -> Figures:
    """A share with its counts and 95 % interval (Wilson)."""
    return {"count": count, "n": total, "share": count / total, "interval_95": wilson_interval(count, total)}


def calibration(answers: Sequence[Answer]) -> float | None:
    """Of single digits; pictures without a confidence are left out."""
    sure = [answer for answer in answers if answer.confidence is not None]
    if not sure or any(answer.case.kind not in (*SINGLE, MNIST) for answer in sure):
        return None
    right = np.array([answer.forced == answer.case.label for answer in sure])
    return calibration_error(np.array([answer.confidence for answer in sure]), right)


def confidence_curve(answers: Sequence[Answer]) -> Figures:
    """Coverage and risk over all thresholds on the confidence, at 200 of them at most."""
    scores = np.array([answer.confidence or 0.0 for answer in answers])
    right = np.array([answer.case.label == answer.forced != "" for answer in answers])
    coverage, risk = coverage_risk(scores, right)
    kept = np.unique(np.linspace(0, len(coverage) - 1, _POINTS).round().astype(int))
    return {
        "n": len(answers),
        "coverage": [round(float(value), 5) for value in coverage[kept]],
        "risk": [round(float(value), 5) for value in risk[kept]],
    }


def exact_table(figures: Mapping[str, Mapping[str, Figures]], *, rendered: bool) -> str:
    """figures: of each reader, of each kind. One row per kind, one column per reader."""
    kinds = [kind for kind in _kinds(figures, rendered=rendered) if kind not in PAGES]
    rows = [
        (
            _TITLES[kind],
            f"{_count(figures, kind):,}",
            *(_show_exact(each.get(kind)) for each in figures.values()),
        )
        for kind in kinds
    ]
    return markdown_table((f"{_HEADS[rendered]}, exact", "n", *figures), rows)


def refusal_table(figures: Mapping[str, Mapping[str, Figures]], *, rendered: bool) -> str:
    """refused / wrong / digits right, in percent."""
    rows = [
        (_TITLES[kind], *(_show_rest(each.get(kind)) for each in figures.values()))
        for kind in _kinds(figures, rendered=rendered)
    ]
    return markdown_table((f"{_HEADS[rendered]}: refused / wrong / digits right, %", *figures), rows)


def _kinds(figures: Mapping[str, Mapping[str, Figures]], *, rendered: bool) -> list[str]:
    known = (*RENDERED, MNIST) if rendered else (*_after(REAL, WILD[-1], TOGETHER), *PAGES)
    return [kind for kind in known if any(kind in each for each in figures.values())]


def _after(kinds: Sequence[str], place: str, new: str) -> list[str]:
    at = list(kinds).index(place) + 1
    return [*kinds[:at], new, *kinds[at:]]


def _count(figures: Mapping[str, Mapping[str, Figures]], kind: str) -> int:
    return max(each[kind]["n"] for each in figures.values() if kind in each)


def _show_exact(entry: Figures | None) -> str:
    if entry is None:
        return "-"
    low, high = entry["exact"]["interval_95"]
    return f"{entry['exact']['share']:.1%} ({100 * low:.1f} to {100 * high:.1f})".replace("%", " %")


def _show_rest(entry: Figures | None) -> str:
    if entry is None:
        return "-"
    shares = [entry["refused"], entry["wrong"], entry["digit_accuracy"]]
    return " / ".join("-" if share is None else f"{100 * share['share']:.1f}" for share in shares)
