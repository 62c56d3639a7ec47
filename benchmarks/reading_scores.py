"""Figures of a reader: arrays and texts in, numbers out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata

__all__ = ["area_under_curve", "cause_of", "coverage_risk", "edit_distance", "is_refused", "roc_area"]


def edit_distance(read: str, label: str) -> int:
    """The fewest characters to insert, drop or replace (Levenshtein 1965)."""
    row = list(range(len(label) + 1))
    for i, character in enumerate(read, start=1):
        above, row = row, [i]
        for j, wanted in enumerate(label, start=1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (character != wanted)))
    return row[-1]


def is_refused(text: str) -> bool:
    """Nothing was read, or a mark was not taken for a sure digit."""
    return not text or "?" in text


def cause_of(text: str, label: str) -> str:
    """Why `text` is not `label`, by the count of its marks first; "" where it is."""
    if text == label:
        return ""
    marks = text.replace("\n", "")
    if not marks:
        return "nothing found"
    if len(marks) != len(label):
        return "too many marks" if len(marks) > len(label) else "too few marks"
    if any(mark not in ("?", wanted) for mark, wanted in zip(marks, label, strict=True)):
        return "wrong digit"
    return "refused" if "?" in marks else "several rows"


def roc_area(scores: np.ndarray, positive: np.ndarray) -> float:
    """The chance that a positive has the higher score, ties counting half (Mann and Whitney 1947).

    scores: float (N,); positive: bool (N,), some of each kind.
    """
    ranks = rankdata(scores)
    count = int(positive.sum())
    pairs = count * (len(scores) - count)
    if not pairs:
        raise ValueError("the area under the ROC needs positives and negatives")
    return float((ranks[positive].sum() - count * (count + 1) / 2) / pairs)


def coverage_risk(scores: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share answered and share of the answers that is wrong, for each threshold on the score.

    scores: float (N,), answered from the highest; right: bool (N,). Equal scores are answered together.
    (El-Yaniv and Wiener 2010.)
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    answered = np.arange(1, len(scores) + 1)
    wrong = np.cumsum(~right[order])
    return answered[ends] / len(scores), wrong[ends] / answered[ends]


def area_under_curve(coverage: Sequence[float] | np.ndarray, risk: Sequence[float] | np.ndarray) -> float:
    """The mean risk over all coverages: each stretch of coverage counts with the risk at its end."""
    return float(np.sum(np.diff(coverage, prepend=0.0) * np.asarray(risk)))
