"""A recipe and its data, examined from the pixels to the last step; and what the fixed recipe gains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.arguments import checked
from tenfold.arrays import ImageDataset
from tenfold.data.load import DataRequest
from tenfold.doctor.checks_data import check_data
from tenfold.doctor.checks_design import check_design, check_start
from tenfold.doctor.checks_learning import (
    check_black_images,
    check_changed_classes,
    check_claim,
    check_dead,
    check_history,
    check_labels,
    check_overfit,
    check_rate,
    check_regularisers,
    check_steps,
)
from tenfold.doctor.checks_step import check_inputs, check_loss, check_step
from tenfold.doctor.diagnosis import Diagnosis, Examination, RangeTest, prepare_recipe
from tenfold.doctor.trials import Trial, read_layers, run_trial, view_inside
from tenfold.engines.create import Engines
from tenfold.recipes.load import get_recipe, suit_recipe
from tenfold.recipes.schema import Recipe
from tenfold.runs.folder import Run

__all__ = ["Comparison", "diagnose", "examine_target"]


@checked
def diagnose(
    recipe: Recipe | str | Path,
    dataset: ImageDataset,
    test: ImageDataset | None = None,
    *,
    engine: str = "auto",
    seed: int = 0,
    run: Run | str | Path | None = None,
) -> Diagnosis:
    """Looks for what keeps `recipe` from learning `dataset`, by measuring: the data, one step of the
    network, its start, and short trainings on a part of the images (at most 2,000 and some 80 steps).

    test: test images, whose pixels and labels are compared with those of the training images (by the most
    similar training images, never by the network), so that no score of the recipe is measured on them.
    run: its history, weights and figures are judged too. Recipe and run may be given by name or path. The
    checks go from causes to symptoms, and each is made on the recipe as fixed so far. Raises RecipeError
    and DataError where recipe and data do not fit.
    """
    recipe = suit_recipe(recipe, dataset.image_shape)
    run = None if run is None else Run.open(run)
    recipe.plan(dataset.image_shape, len(dataset.class_names))
    Engines.check_names(engine)  # before anything is measured
    examination = Examination(prepare_recipe(recipe, dataset, test, engine=engine, seed=seed))
    check_data(examination)
    check_design(examination)
    check_inputs(examination)
    check_loss(examination)
    check_step(examination)
    check_start(examination)
    given, rates = _check_learning(examination)
    if run is not None:
        _check_run(examination, run)
    return _conclude(examination, given, rates, run)


def examine_target(
    target: str,
    data: DataRequest,
    *,
    engine: str = "auto",
    seed: int = 0,
    announce: Callable[[str], None] = lambda _line: None,
) -> tuple[Diagnosis, ImageDataset]:
    """`diagnose` of a recipe by name or file, or of a run by folder, and the training images it was done on.

    data: without a source the recipe's own data set, or that of the run. `announce` gets the line that says
    where another one had to be taken.
    """
    run = Run.open(target) if Run.is_at(Path(target)) else None
    recipe = run.recipe if run else get_recipe(target)
    parts = [replace(data, split=split) for split in ("train", "test")]
    if run is not None and data.source is None:
        sets = [run.load_data(part) for part in parts]
        seed = run.record["seed"]
    else:
        own = None if recipe.data.default == "mnist" else recipe.data.default
        sets = [replace(part, source=part.source or own).load() for part in parts]
    if sets[0].note:
        announce(sets[0].note)
    return diagnose(recipe, *sets, engine=engine, seed=seed, run=run), sets[0]


def _check_learning(examination: Examination) -> tuple[Trial, RangeTest]:
    under_test = examination.under_test
    given = run_trial(under_test, under_test.recipe)
    trial = run_trial(under_test, examination.recipe) if examination.recipe != under_test.recipe else given
    trial = check_steps(examination, trial)
    trial = check_regularisers(examination, trial)
    test, trial = check_rate(examination, trial)
    if not trial.finite:
        seen = f"the loss was NaN or infinite after step {len(trial.losses)}"
        changes = {"optimiser.clip_norm": 1.0}
        examination.found("not-finite", "fault", seen, "numbers", changes)
    check_dead(examination, read_layers(view_inside(under_test, under_test.recipe, given.weights)))
    capable = check_overfit(examination)
    check_labels(examination, trial, capable=capable)
    check_black_images(examination, trial)
    check_changed_classes(examination)
    return given, test


def _check_run(examination: Examination, run: Run) -> None:
    if (run.folder / "history.jsonl").is_file():
        check_history(examination, run.history)
    if run.evaluation is not None:
        confusion = run.evaluation.confusion
        check_claim(examination, int(np.trace(confusion)), int(confusion.sum()))


def _conclude(examination: Examination, given: Trial, test: RangeTest, run: Run | None) -> Diagnosis:
    under_test = examination.under_test
    return Diagnosis(
        recipe=under_test.recipe, engine=given.engine.name, data=under_test.whole.name,
        images=len(under_test.whole), findings=examination.ordered(), checks=tuple(examination.checks),
        changes=examination.changes, fixed=examination.recipe,
        before=read_layers(view_inside(under_test, under_test.recipe)),
        after=read_layers(view_inside(under_test, under_test.recipe, _last_weights(given, run))),
        updates=given.updates, losses=tuple(given.losses.tolist()), range_test=test,
        references=tuple(examination.references),
    )  # fmt: skip


def _last_weights(given: Trial, run: Run | None) -> dict[str, np.ndarray]:
    """The run's own where it has a model of one network, else those after the trial."""
    if run is None or not (run.folder / "model.safetensors").is_file():
        return given.weights
    weights = run.model[1]
    return weights if set(weights) == set(given.weights) else given.weights


# What the fixed recipe gains: both trained for the same few steps.

_EFFORT = 5  # times the images and steps of an examination


@dataclass(frozen=True)
class Comparison:
    """before, after: share of `held` images that are read after so many steps on `images` others."""

    before: float
    after: float
    steps: int
    images: int
    held: int

    @classmethod
    def measure(
        cls, before: Recipe, after: Recipe, dataset: ImageDataset, *, engine: str = "auto", seed: int = 0
    ) -> Comparison:
        """Trains both on the same images, from the same seed, for the same number of steps and images per
        step; at most 10,000 images and some 400 steps, so it says which is better, not how good it gets."""
        under_test = prepare_recipe(before, dataset, None, engine=engine, seed=seed, effort=_EFFORT)
        first, second = (run_trial(under_test, recipe) for recipe in (before, after))
        return cls(
            before=first.held_accuracy if first.finite else 0.0,
            after=second.held_accuracy if second.finite else 0.0,
            steps=under_test.sizing.steps,
            images=len(under_test.train),
            held=len(under_test.held),
        )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
