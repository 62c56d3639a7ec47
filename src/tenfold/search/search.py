"""`search_recipe`: the numbers of a recipe, found by trying; the test set takes no part."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from tenfold.arguments import checked
from tenfold.arrays import ImageDataset
from tenfold.engines.create import check_engine
from tenfold.errors import MissingDependencyError, RecipeError, UsageError
from tenfold.recipes.load import get_recipe
from tenfold.recipes.schema import Recipe
from tenfold.search.result import HIGHER_IS_BETTER, SearchResult, SearchTrial
from tenfold.search.space import check_space
from tenfold.search.trial import Bench
from tenfold.training.interrupt import stop_on_interrupt
from tenfold.training.observers import TrainingObserver

__all__ = ["check_plan", "search_recipe"]


@checked
def search_recipe(
    recipe: Recipe | str | Path,
    dataset: ImageDataset,
    *,
    trials: int = 30,
    seconds: float | None = None,
    folds: int = 0,
    metric: str = "accuracy",
    journal: str | Path | None = None,
    seed: int = 0,
    engine: str = "auto",
    device: str = "cpu",
    callbacks: Sequence[TrainingObserver] = (),
    after_trial: Callable[[SearchTrial, SearchTrial | None], None] = lambda _trial, _best: None,
) -> SearchResult:
    """Tries settings from the recipe's table [search]; the first is the recipe as it is.

    What is tried next is decided by Optuna's TPE. A trial that does worse than the median of the others
    at the same share of its training is given up. Each is judged on the share of the images that the
    recipe holds out (data.validation, the same ones each time), or over so many folds.

    recipe: a Recipe, or the name or path of one.
    trials: that the study shall have in all. seconds: no trial is begun after that long. journal: a file
    that holds the study; one that exists is continued, and several processes, or machines that see the
    file, may work on it together (those that are at work when the number is reached finish theirs). Ctrl-C
    keeps the trials that are over. The same seed and data, searched by one process, give the same trials,
    stopped in between or not. after_trial(trial, best so far) is called after each.

    Raises RecipeError for a table that makes no sense or a journal of another search, UsageError,
    ModelError, MissingDependencyError, and what `train` raises.
    """
    if find_spec("optuna") is None:
        raise MissingDependencyError("optuna", extra="search", purpose="hyper-parameter search")
    from tenfold.search import study as studies  # imports Optuna

    recipe = get_recipe(recipe)
    if seconds is not None and seconds <= 0:
        raise UsageError(f"{seconds:g} seconds", expected="more than 0")
    check_engine(recipe, engine, device)
    check_plan(recipe, trials, folds, metric)
    check_space(recipe, dataset.image_shape, len(dataset.class_names))
    bench = Bench(dataset, folds, metric, seed, engine, device, callbacks)
    study = studies.open_study(recipe, bench, None if journal is None else Path(journal))
    until = None if seconds is None else time.monotonic() + seconds
    with stop_on_interrupt() as stop:
        while studies.trials_done(study) < trials and (until is None or time.monotonic() < until):
            try:
                number = studies.run_trial(study, recipe, bench)
            except KeyboardInterrupt:
                return studies.read_result(study, recipe, bench, interrupted=True)
            result = studies.read_result(study, recipe, bench, interrupted=bool(stop))
            after_trial(result.trials[number], result.ranked[0] if result.ranked else None)
            if stop:
                return result
    return studies.read_result(study, recipe, bench)


def check_plan(recipe: Recipe, trials: int, folds: int, metric: str) -> None:
    """Raises UsageError or RecipeError for what makes no sense whatever the data are."""
    if metric not in HIGHER_IS_BETTER:
        raise UsageError(f"metric {metric!r}", expected=" or ".join(HIGHER_IS_BETTER))
    if trials < 1:
        raise UsageError(f"{trials} trials", expected="at least 1")
    if folds < 0 or folds == 1:
        raise UsageError(f"{folds} folds", expected="at least 2, or 0 to hold out a share once")
    if not folds and not recipe.data.validation:
        raise RecipeError(
            f"{recipe.name} holds out no images to choose by",
            remedy="set data.validation to a share such as 0.2, or search over folds",
        )
