"""The pictures of real-dev and handwriting-dev, and what a reader answers to them."""

from __future__ import annotations

import csv
import os
import resource
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from common import ROOT
from reading_scores import has_digit, is_refused, keep_digits

from tenfold.reader.adaptation import edit_distance

__all__ = [
    "PAGES",
    "REAL",
    "RENDERED",
    "SINGLE",
    "Answer",
    "Case",
    "Read",
    "answer_cases",
    "cpu_seconds",
    "data_root",
    "find_cases",
    "read_with_tenfold",
]

REAL = (
    *("cheque", "logbook", "logbook-separated", "photo", "scan"),
    *("canvas", "sudoku-cell", "field", "sheet", "other"),
)
PAGES = ("sudoku-page",)
RENDERED = ("rendered-canvas", "rendered-photo", "rendered-field", "rendered-other")
SINGLE = ("photo", "scan", "canvas", "sudoku-cell", "rendered-canvas", "rendered-photo")  # one digit each
_FOLDERS = {"real-dev": "", "handwriting-dev": "rendered-"}  # and what stands before the kinds of each


@dataclass(frozen=True, eq=False)
class Case:
    """A picture. label: its digits, without separators, operators and spaces; "" where there is none.

    image: uint8 (28, 28) where the picture is not a file.
    """

    path: Path
    name: str
    label: str
    kind: str
    note: str = ""
    image: np.ndarray | None = None

    @property
    def picture(self) -> Any:
        return self.path if self.image is None else self.image


class Read(NamedTuple):
    """What a reader returns: text with "?" for doubtful characters; its confidence from 0 to 1, or None.

    forced: the text if nothing were refused.
    """

    text: str
    confidence: float | None
    forced: str


@dataclass(frozen=True, eq=False)
class Answer:
    """text: the digits that were read, and "?"; forced: the digits if nothing were refused."""

    case: Case
    text: str
    confidence: float | None
    forced: str
    cpu_ms: float

    @property
    def right(self) -> bool:
        """All digits are right; where there is none, none was answered."""
        return self.text == self.case.label if self.case.label else not has_digit(self.text)

    @property
    def refused(self) -> bool:
        return is_refused(self.text)

    @property
    def wrong(self) -> bool:
        return not self.refused and not self.right

    @property
    def errors(self) -> int:
        return edit_distance(self.text, self.case.label)

    def to_dict(self) -> dict[str, Any]:
        """For the list of misses."""
        return {
            "path": self.case.name,
            "kind": self.case.kind,
            "label": self.case.label,
            "text": self.text,
            "forced": self.forced,
            "confidence": None if self.confidence is None else round(self.confidence, 4),
        }


def data_root(data_dir: str | None) -> Path:
    """The folder that holds mnist/, real-dev/ and handwriting-dev/."""
    named = data_dir or os.environ.get("TENFOLD_DATA_DIR")
    return Path(named) if named else ROOT.parent / "shared" / "data"


def find_cases(
    root: Path, kinds: Iterable[str] = (*REAL, *RENDERED), limit: int | None = None
) -> dict[str, list[Case]]:
    """The first `limit` pictures of each kind, or all. Exits where pictures are missing."""
    cases: dict[str, list[Case]] = {kind: [] for kind in kinds}
    for folder, prefix in _FOLDERS.items():
        if any(kind.startswith("rendered-") == bool(prefix) for kind in cases):
            for case in _list_cases(root / folder, prefix):
                if case.kind in cases:
                    cases[case.kind].append(case)
    if missing := [kind for kind, found in cases.items() if not found]:
        known = ", ".join((*REAL, *PAGES, *RENDERED))
        raise SystemExit(f"no pictures of {', '.join(missing)} in {root}; the kinds are {known}")
    return {kind: found[:limit] for kind, found in cases.items()}


def _list_cases(folder: Path, prefix: str) -> list[Case]:
    """A label of letters becomes an empty one: letters are to be refused."""
    if not (folder / "labels.csv").is_file():
        raise SystemExit(f"no labels.csv in {folder}: name its parent in TENFOLD_DATA_DIR or --data-dir")
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        Case(
            path=folder / row["path"],
            name=f"{folder.name}/{row['path']}",
            label=keep_digits(row["label"]),
            kind=prefix + row["kind"],
            note=row.get("note") or row.get("style") or "",
        )
        for row in rows
    ]


def read_with_tenfold(reader: Any, picture: Any) -> Read:
    """Path, bytes or array -> what the reader makes of it."""
    reading = reader.read(picture)
    digits = (digit.label for digit in reading.digits if digit.verdict != "not a digit")
    return Read(reading.text, reading.confidence, "".join(digits))


def cpu_seconds() -> float:
    """Of this process and of those it has waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def answer_cases(read: Callable[[Any], Read], cases: Sequence[Case], name: str = "") -> list[Answer]:
    """Each picture read; cpu_ms counts the decoding of its file too."""
    answers = []
    for done, case in enumerate(cases, start=1):
        started = cpu_seconds()
        found = read(case.picture)
        cpu_ms = 1000 * (cpu_seconds() - started)
        text, forced = keep_digits(found.text, doubtful="?"), keep_digits(found.forced)
        answers.append(Answer(case, text, found.confidence, forced, cpu_ms))
        if done % 500 == 0:
            print(f"{name} {case.kind}: {done} of {len(cases)}", file=sys.stderr, flush=True)
    return answers
