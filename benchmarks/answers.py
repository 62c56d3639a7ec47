"""The pictures of handwriting-dev, and what a reader answers to them."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from reading_scores import cause_of, edit_distance, is_refused

from tenfold.arrays import Prediction
from tenfold.classifier import Classifier
from tenfold.reader.reading import read_picture

__all__ = ["KINDS", "Answer", "Case", "answer_cases", "find_cases"]

KINDS = ("canvas", "photo", "field", "other")


@dataclass(frozen=True)
class Case:
    """A picture: label is what is written there (a letter, for `other`); style, how it was drawn."""

    path: Path
    name: str
    label: str
    kind: str
    style: str


@dataclass(frozen=True, eq=False)
class Answer:
    """What was read: text with "?" for refused marks, and the marks."""

    case: Case
    text: str
    marks: tuple[Prediction, ...]

    @property
    def right(self) -> bool:
        return self.text == self.case.label

    @property
    def refused(self) -> bool:
        return is_refused(self.text)

    @property
    def errors(self) -> int:
        return edit_distance(self.text, self.case.label)

    @cached_property
    def forced(self) -> str:
        """The text if nothing were refused."""
        return "".join(mark.label for mark in self.marks)

    @cached_property
    def sureness(self) -> float:
        """Of the picture: (1 - none) * greatest probability, of its least sure mark; 0 for none.

        The least sure one, because a picture is answered only when each of its marks is.
        """
        return min(map(_sureness, self.marks), default=0.0)

    @property
    def greatest_sureness(self) -> float:
        """Of its surest mark."""
        return max(map(_sureness, self.marks), default=0.0)

    def to_dict(self) -> dict[str, Any]:
        """For the list of misses."""
        case = self.case
        cause = cause_of(self.text, case.label)
        if case.kind == "other":
            cause = "" if self.refused else "answered"
        return {
            "path": case.name,
            "kind": case.kind,
            "style": case.style,
            "label": case.label,
            "text": self.text,
            "forced": self.forced,
            "cause": cause,
            "sureness": round(self.sureness, 4),
        }


def _sureness(mark: Prediction) -> float:
    return (1 - mark.none) * mark.confidence


def find_cases(data_dir: str | None, limit: int | None = None) -> dict[str, list[Case]]:
    """The first `limit` of each kind, or all. Leaves the program where the pictures are not there."""
    named = data_dir or os.environ.get("TENFOLD_DATA_DIR")
    folder = Path(named or "data") / "handwriting-dev"
    if not (folder / "labels.csv").is_file():
        raise SystemExit(f"no labels.csv in {folder}: name its parent in TENFOLD_DATA_DIR or --data-dir")
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        cases = [
            Case(folder / row["path"], row["path"], row["label"], row["kind"], row["style"])
            for row in csv.DictReader(file)
        ]
    return {kind: [case for case in cases if case.kind == kind][:limit] for kind in KINDS}


def answer_cases(classifier: Classifier, cases: Sequence[Case]) -> list[Answer]:
    """Each picture read as `tenfold read` does."""
    answers = []
    for done, case in enumerate(cases, start=1):
        reading = read_picture(classifier, case.path)
        answers.append(Answer(case, reading.text, reading.digits))
        if done % 100 == 0:
            print(f"{case.kind}: {done} of {len(cases)}", file=sys.stderr, flush=True)
    return answers
