"""The fixed recipe as a file, and what it gains: both trained for the same few steps."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.arrays import ImageDataset
from tenfold.doctor.diagnosis import Diagnosis, RangeTest
from tenfold.doctor.recipe_under_test import RecipeUnderTest, prepare_recipe
from tenfold.doctor.trials import Trial, batches_of, run_trial, smooth, train_steps
from tenfold.files import write_text
from tenfold.recipes.load import change_recipe, recipe_to_toml
from tenfold.recipes.schema import EnsembleSettings, Recipe

__all__ = ["Comparison", "compare_recipes", "describe_changes", "write_fixed"]

_EFFORT = 5  # times the images and steps of an examination


@dataclass(frozen=True)
class Comparison:
    """before, after: share of `held` images that are read after so many steps on `images` others."""

    before: float
    after: float
    steps: int
    images: int
    held: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def compare_recipes(
    before: Recipe, after: Recipe, dataset: ImageDataset, *, engine: str = "auto", seed: int = 0
) -> Comparison:
    """Trains both on the same images, from the same seed, for the same number of steps and images per step;
    at most 10,000 images and some 400 steps, so it says which is better, not how good it gets."""
    single = {"ensemble": EnsembleSettings()}
    under_test = prepare_recipe(
        before.model_copy(update=single), dataset, None, engine=engine, seed=seed, effort=_EFFORT
    )
    first, second = (run_trial(under_test, recipe.model_copy(update=single)) for recipe in (before, after))
    return Comparison(
        before=first.held_accuracy if first.finite else 0.0,
        after=second.held_accuracy if second.finite else 0.0,
        steps=under_test.sizing.steps,
        images=len(under_test.train),
        held=len(under_test.held),
    )


def describe_changes(diagnosis: Diagnosis) -> list[tuple[str, Any, Any]]:
    """(dotted key, value before, value after) of what really changes."""
    rows = []
    for key in diagnosis.changes:
        old: Any = diagnosis.recipe.model_dump()
        new: Any = diagnosis.fixed.model_dump()
        for part in key.split("."):
            old, new = old[part], new[part]
        if old != new:
            rows.append((key, old, new))
    return rows


def write_fixed(diagnosis: Diagnosis, path: str | Path) -> Path:
    """A whole recipe under the name RECIPE-fixed, with what was changed in comments at its head."""
    target = Path(path)
    lines = [f"# {diagnosis.recipe.name}, fixed by tenfold doctor:"]
    lines += [
        f"#   {key}: {old} -> {new}".replace("\n", " ") for key, old, new in describe_changes(diagnosis)
    ]
    renamed = change_recipe(diagnosis.fixed, {"name": f"{diagnosis.recipe.name}-fixed"})
    target.parent.mkdir(parents=True, exist_ok=True)
    write_text(target, "\n".join(lines) + "\n" + recipe_to_toml(renamed))
    return target


# The learning-rate range test (Smith 2017, "Cyclical learning rates for training neural networks").
#
# The rate grows by the same factor from step to step. While it is too small nothing happens; then the loss
# falls; in the end the steps overshoot and it rises. A good rate lies where the loss falls fastest.

_A_DECADE = 10  # steps from one power of ten to the next
# Adam's step is about as long as its rate, whatever the gradient (Kingma & Ba 2015, section 2.1); a step
# of plain descent grows with the gradient, and its useful rates lie wider apart.
_DECADES = {"sgd": (-4, 2), "adam": (-6, 0), "adamw": (-6, 0)}
_RISEN = 1.5  # times the loss at the start: the steps overshoot for good
_CANDIDATES = (3.0, 1.0, 0.3, 0.1)  # times the rate of the fastest fall: on so few steps it is uncertain


def range_test(under_test: RecipeUnderTest, recipe: Recipe) -> RangeTest:
    """One step a rate, on the batches that training would meet. Momentum's past makes it lag by some steps,
    as it does in training."""
    low, high = _DECADES[recipe.optimiser.name]
    rates = np.logspace(low, high, (high - low) * _A_DECADE + 1)
    setup = under_test.setup(recipe)
    batches = batches_of(under_test, recipe, under_test.train, len(rates))
    losses, _, _ = train_steps(setup.engine, batches, rates.tolist(), stop=_overshoots)
    losses = np.where(np.isfinite(losses), losses, np.nanmax(losses[np.isfinite(losses)], initial=1.0) * 2)
    smoothed = smooth(losses)
    rates = rates[: len(smoothed)]
    return RangeTest(
        rates,
        smoothed,
        _fastest_fall(rates, smoothed),
        _edge(rates, smoothed),
        recipe.optimiser.learning_rate,
    )


def _overshoots(losses: list[float]) -> bool:
    return losses[-1] > 4 * losses[0] + 1


def _fastest_fall(rates: np.ndarray, losses: np.ndarray) -> float:
    """Over half a decade, before the lowest loss."""
    lowest = int(np.argmin(losses))
    width = _A_DECADE // 2
    if lowest < width:
        return float(rates[0])
    falls = losses[: lowest + 1 - width] - losses[width : lowest + 1]
    return float(rates[int(np.argmax(falls)) + width // 2])


def _edge(rates: np.ndarray, losses: np.ndarray) -> float | None:
    lowest = int(np.argmin(losses))
    risen = np.flatnonzero(losses[lowest:] > _RISEN * losses[0])
    return float(rates[lowest + risen[0]]) if len(risen) else None


def find_rate(under_test: RecipeUnderTest, recipe: Recipe, test: RangeTest) -> tuple[Recipe, Trial]:
    """The recipe with the rate, near where the loss falls fastest, whose trial ends best; and that trial."""
    best: tuple[Recipe, Trial] | None = None
    for share in _CANDIDATES:
        rate = float(f"{share * test.best:.1g}")
        candidate = change_recipe(recipe, {"optimiser.learning_rate": rate})
        trial = run_trial(under_test, candidate)
        if best is None or trial.held_accuracy > best[1].held_accuracy:
            best = candidate, trial
    if best is None:
        raise ValueError("no candidate")
    return best
