"""The fixed recipe as a file, and what it gains: both trained for the same few steps."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tenfold.arrays import ImageDataset
from tenfold.doctor.diagnosis import Diagnosis
from tenfold.doctor.recipe_under_test import prepare_recipe
from tenfold.doctor.trials import run_trial
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
