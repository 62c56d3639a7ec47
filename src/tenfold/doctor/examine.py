"""`diagnose`: a recipe and its data, examined from the pixels to the last step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.arguments import checked
from tenfold.arrays import ImageDataset
from tenfold.data.load import load_dataset
from tenfold.data.progress import Progress
from tenfold.doctor.checks_data import check_data
from tenfold.doctor.checks_design import check_design
from tenfold.doctor.checks_learning import (
    check_black_images,
    check_dead,
    check_labels,
    check_overfit,
    check_rate,
    check_regularisers,
    check_steps,
)
from tenfold.doctor.checks_run import check_claim, check_history
from tenfold.doctor.checks_start import check_start
from tenfold.doctor.checks_step import check_inputs, check_loss, check_step
from tenfold.doctor.diagnosis import Diagnosis, RangeTest
from tenfold.doctor.examination import Examination
from tenfold.doctor.readings import read_layers, view_inside
from tenfold.doctor.recipe_under_test import prepare_recipe
from tenfold.doctor.trials import Trial, run_trial
from tenfold.engines.create import choose_engine
from tenfold.recipes.load import get_recipe
from tenfold.recipes.schema import EnsembleSettings, Recipe
from tenfold.runs.folder import Run, is_run, open_run
from tenfold.runs.run import load_for_run

__all__ = ["diagnose", "examine_target"]


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
    recipe = get_recipe(recipe)
    run = None if run is None else open_run(run)
    single = recipe.model_copy(update={"ensemble": EnsembleSettings()})
    network = single.plan(dataset.image_shape, len(dataset.class_names))
    choose_engine(engine, network)  # a name that is unknown is refused before anything is measured
    examination = Examination(prepare_recipe(single, dataset, test, engine=engine, seed=seed))
    check_data(examination)
    check_design(examination)
    check_inputs(examination)
    check_loss(examination)
    check_step(examination)
    check_start(examination)
    given, rates = _check_learning(examination)
    if run is not None:
        _check_run(examination, run)
    return _conclude(examination, recipe, given, rates, run)


def examine_target(
    target: str,
    *,
    source: str | Path | None = None,
    data_dir: Path | None = None,
    offline: bool = False,
    engine: str = "auto",
    seed: int = 0,
    progress: Progress | None = None,
    announce: Callable[[str], None] = lambda _line: None,
) -> tuple[Diagnosis, ImageDataset]:
    """`diagnose` of a recipe by name or file, or of a run by folder, and the training images it was done on.

    source: by default the recipe's own data set, or that of the run. `announce` gets the line that says
    where another one had to be taken.
    """
    options: dict[str, Any] = {"data_dir": data_dir, "offline": offline, "progress": progress}
    run = open_run(target) if is_run(Path(target)) else None
    recipe = run.recipe if run else get_recipe(target)
    if run is not None and source is None:
        sets = [load_for_run(run, split=split, **options) for split in ("train", "test")]
        seed = run.record["seed"]
    else:
        wanted = source if source is not None or recipe.data.default == "mnist" else recipe.data.default
        sets = [load_dataset(wanted, split=split, **options) for split in ("train", "test")]
    if sets[0].note:
        announce(sets[0].note)
    return diagnose(recipe, *sets, engine=engine, seed=seed, run=run), sets[0]


def _check_learning(examination: Examination) -> tuple[Trial, RangeTest]:
    """The trial of the recipe as it was given, and the range test."""
    under_test = examination.under_test
    given = run_trial(under_test, under_test.recipe)
    trial = run_trial(under_test, examination.recipe) if examination.recipe != under_test.recipe else given
    trial = check_steps(examination, trial)
    trial = check_regularisers(examination, trial)
    test, trial = check_rate(examination, trial)
    if not trial.finite:
        examination.found(
            "not-finite", "fault", f"the loss was NaN or infinite after step {len(trial.losses)}",
            expected="numbers", changes={"optimiser.clip_norm": 1.0},
        )  # fmt: skip
    check_dead(examination, read_layers(view_inside(under_test, under_test.recipe, given.weights)))
    capable = check_overfit(examination)
    check_labels(examination, trial, capable=capable)
    check_black_images(examination, trial)
    return given, test


def _check_run(examination: Examination, run: Run) -> None:
    if (run.folder / "history.jsonl").is_file():
        check_history(examination, run.history)
    if run.evaluation is not None:
        confusion = run.evaluation.confusion
        check_claim(examination, int(np.trace(confusion)), int(confusion.sum()))


def _conclude(
    examination: Examination, recipe: Recipe, given: Trial, test: RangeTest, run: Run | None
) -> Diagnosis:
    under_test = examination.under_test
    return Diagnosis(
        recipe=recipe,
        engine=given.engine.name,
        data=under_test.whole.name,
        images=len(under_test.whole),
        findings=examination.ordered(),
        checks=tuple(examination.checks),
        changes=examination.changes,
        fixed=examination.recipe.model_copy(update={"ensemble": recipe.ensemble}),
        before=read_layers(view_inside(under_test, under_test.recipe)),
        after=read_layers(view_inside(under_test, under_test.recipe, _last_weights(given, run))),
        updates=given.updates,
        losses=tuple(given.losses.tolist()),
        range_test=test,
        references=tuple(examination.references),
    )


def _last_weights(given: Trial, run: Run | None) -> dict[str, np.ndarray]:
    """The run's own where it has a model of one network, else those after the trial."""
    if run is None or not (run.folder / "model.safetensors").is_file():
        return given.weights
    weights = run.model[1]
    return weights if set(weights) == set(given.weights) else given.weights
