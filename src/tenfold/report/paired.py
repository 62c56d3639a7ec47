"""Two runs tested on the same images: is the one really better, or was it lucky?"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from tenfold.evaluation.evaluate import Evaluation
from tenfold.metrics import holm_adjust, mcnemar_p
from tenfold.pages import numbers
from tenfold.runs.folder import Run

__all__ = ["PairedTest", "compare_pairs", "run_names"]

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
            f"{self.one} is right on {numbers.count(one)} image{'s' * (one != 1)} that {self.other} misses, "
            f"{self.other} on {numbers.count(other)} that {self.one} misses: {self._said_p()}, "
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
            sets = f"{one.dataset}, {numbers.count(one.n)}; {other.dataset}, {numbers.count(other.n)}"
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
