"""What a search has found: its trials, the best of them, and the recipe that it makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tenfold.arguments import checked
from tenfold.errors import TenfoldError
from tenfold.files import write_text
from tenfold.recipes.load import change_recipe
from tenfold.recipes.schema import Recipe

__all__ = ["SearchResult"]

HIGHER_IS_BETTER = {"accuracy": True, "loss": False}  # what trials are judged by


@dataclass(frozen=True)
class SearchTrial:
    """One setting that was tried; number: from 0, which is the recipe as it is.

    status: complete, pruned (given up half-way, as it did worse than most), failed (its loss was NaN
    or infinite, or its values do not go together: see reason), interrupted, or running (in another process).
    values: by dotted key. accuracy (a share), loss: on the validation images, or their mean over the folds;
    None unless complete. seconds: of training.
    """

    number: int
    status: str
    values: Mapping[str, Any]
    accuracy: float | None = None
    loss: float | None = None
    seconds: float | None = None
    reason: str = ""

    def score(self, metric: str) -> float:
        """Of a complete trial."""
        found = self.accuracy if metric == "accuracy" else self.loss
        if found is None:
            raise ValueError(f"trial {self.number} is not complete")
        return found


@dataclass(frozen=True)
class SearchResult:
    """A recipe's search. images: that were trained on and validated with; folds: 0 where a share of them
    was held out once. importances: by dotted key, how far its value decides whether a trial is among the best
    tenth (PED-ANOVA, Watanabe et al. 2023; they sum to 1), empty after fewer than 10 complete trials.
    interrupted: by Ctrl-C. problem: that the best trial is at chance level, in words; else "".
    """

    recipe: Recipe
    dataset: str
    images: int
    folds: int
    metric: str
    seed: int
    trials: tuple[SearchTrial, ...]
    importances: Mapping[str, float]
    interrupted: bool = False
    problem: str = ""

    @cached_property
    def ranked(self) -> tuple[SearchTrial, ...]:
        """The complete trials, the best first; of equals the earlier."""
        sign = -1 if HIGHER_IS_BETTER[self.metric] else 1
        complete = [trial for trial in self.trials if trial.status == "complete"]
        return tuple(sorted(complete, key=lambda trial: sign * trial.score(self.metric)))

    @property
    def best(self) -> SearchTrial:
        """Raises TenfoldError where no trial is complete."""
        if self.ranked:
            return self.ranked[0]
        reasons = [trial.reason for trial in self.trials if trial.reason]
        raise TenfoldError(
            f"{self.recipe.name}: none of {len(self.trials)} trials is complete"
            + (f" ({reasons[0]})" if reasons else ""),
            remedy="widen the ranges of [search]" if reasons else "let the search go on",
        )

    @property
    def best_recipe(self) -> Recipe:
        """Complete, under the name RECIPE-best. Raises TenfoldError."""
        return change_recipe(self.recipe, {**self.best.values, "name": f"{self.recipe.name}-best"})

    @checked
    def count(self, status: str) -> int:
        return sum(trial.status == status for trial in self.trials)

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it; best: the number of a trial, None where none is complete."""
        return {
            "recipe": self.recipe.name, "data": self.dataset, "images": self.images, "folds": self.folds,
            "metric": self.metric, "seed": self.seed, "best": self.ranked[0].number if self.ranked else None,
            "trials": [asdict(trial) for trial in self.trials], "importances": dict(self.importances),
            "interrupted": self.interrupted, "learned": not self.problem if self.ranked else None,
            "problem": self.problem or None,
        }  # fmt: skip

    @checked
    def write_best(self, path: Path) -> Path:
        """The best recipe, with the score that it had in comments at its head. Raises TenfoldError."""
        best, where = self.best, f"{self.folds} folds" if self.folds else "validation images"
        lines = [
            f"# {self.recipe.name} with the best of {len(self.trials)} settings tried by tenfold search:",
            f"# trial {best.number}, accuracy {best.accuracy:.6f} and loss {best.loss:.6f} on {where} of "
            f"{self.dataset}, seed {self.seed}",
        ]
        write_text(path, "\n".join(lines) + "\n" + self.best_recipe.to_toml())
        return path
