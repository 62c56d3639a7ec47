"""Whether one recipe is better than another, or only luckier: a paired test over the same folds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from tenfold.arguments import checked
from tenfold.errors import UsageError
from tenfold.training.folds import CrossValidation

__all__ = ["FoldComparison", "compare_folds"]

_LEVEL = 0.05  # of the test, and of what lies outside of the interval


@dataclass(frozen=True)
class FoldComparison:
    """Two recipes over the same folds. difference: mean accuracy of `first` less that of `second`.

    interval: 95 %, of the difference. p: two-sided. Where several pairs are compared both are widened
    (Bonferroni), so that the chance of a single wrong claim among all pairs stays 5 %.
    """

    first: str
    second: str
    difference: float
    interval: tuple[float, float]
    p: float

    @property
    def real(self) -> bool:
        """Whether chance is an unlikely explanation, at the level of 5 %."""
        return self.p < _LEVEL

    def in_words(self) -> str:
        """One sentence for a person."""
        turn = -1 if self.difference < 0 else 1
        better, worse = (self.first, self.second)[::turn]
        low, high = sorted(100 * turn * edge for edge in self.interval)
        return (
            f"{better} is {100 * abs(self.difference):.2f} points better than {worse} (95 % interval "
            f"{low:+.2f} to {high:+.2f}, p = {self.p:.2g}): "
            + ("the difference is real" if self.real else "this may be chance")
        )

    def to_dict(self) -> dict[str, Any]:
        return vars(self) | {"interval": list(self.interval), "real": self.real, "words": self.in_words()}


@checked
def compare_folds(results: Sequence[CrossValidation]) -> list[FoldComparison]:
    """Every pair of recipes, by the corrected resampled t-test of their accuracies per fold.

    Folds share most of their training images, so their scores are not independent and a plain paired
    t-test claims too much. Nadeau & Bengio 2003 (Inference for the Generalization Error) correct the
    variance of the mean of k differences from s^2 / k to s^2 (1 / k + n_test / n_train). Raises
    UsageError where the folds are not the same.
    """
    pairs = list(combinations(results, 2))
    return [_compare(first, second, len(pairs)) for first, second in pairs]


def _compare(first: CrossValidation, second: CrossValidation, pairs: int) -> FoldComparison:
    from scipy.stats import t as student

    if not np.array_equal(first.fold, second.fold):
        raise UsageError(
            f"{first.recipe.name} and {second.recipe.name} were not trained over the same folds",
            expected="the same data, folds and seed",
        )
    differences = first.accuracies - second.accuracies
    count, mean = len(differences), float(differences.mean())
    ratio = float(np.mean([score.val_images / score.train_images for score in first.scores]))
    error = math.sqrt((1 / count + ratio) * float(differences.var(ddof=1)))
    p = 2 * float(student.sf(abs(mean) / error, count - 1)) if error else float(mean == 0)
    reach = float(student.ppf(1 - _LEVEL / pairs / 2, count - 1)) * error
    return FoldComparison(
        first=first.recipe.name,
        second=second.recipe.name,
        difference=mean,
        interval=(mean - reach, mean + reach),
        p=min(1.0, p * pairs),
    )
