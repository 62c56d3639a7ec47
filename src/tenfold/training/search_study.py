"""`search_recipe`: the numbers of a recipe, found by trying; the test set takes no part. Trials are kept in a
study of Optuna: opened or continued, asked for trials, given their scores, read again."""

from __future__ import annotations

import json
import secrets
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.pruners import MedianPruner
from optuna.storages._heartbeat import get_heartbeat_thread, is_heartbeat_enabled
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from tenfold.arguments import checked
from tenfold.arrays import ImageDataset
from tenfold.engines.create import Engines
from tenfold.errors import DivergedError, MissingDependencyError, RecipeError, TenfoldError, UsageError
from tenfold.helpers import ProcessName
from tenfold.recipes.load import change_recipe, suit_recipe
from tenfold.recipes.schema import Recipe
from tenfold.records import pick, reading
from tenfold.training.progress import TrainingObserver, at_chance, stop_on_interrupt
from tenfold.training.search_result import HIGHER_IS_BETTER, SearchResult, SearchTrial
from tenfold.training.search_space import MARKS, Bench, TrialSampler, check_space, distribution, values_of
from tenfold.training.search_storage import PROCESS, Place, is_gone, retry_stale

__all__ = ["check_plan", "search_recipe"]

_IDENTITY = "tenfold search"
_ANOTHER = "name another file or folder, or delete it"
_STARTUP = 5  # complete trials before any is given up
_WARM_UP = 3  # marks (of MARKS) that each trial is let reach
_FEWEST = 10  # complete trials from which importances are told
_SCORE = {"accuracy": "float", "loss": "float", "seconds": "float"}
_OVER = (TrialState.COMPLETE, TrialState.PRUNED)
_NAMES = dict(
    zip((*_OVER, TrialState.FAIL), ("complete", "pruned", "interrupted"), strict=True)
)  # else running


def open_study(recipe: Recipe, bench: Bench, journal: str | Path | None) -> Study:
    """A new study, or the one that is in the journal or database; None keeps it in memory.

    Raises ModelError for a file that is not a journal or a database that does not answer, RecipeError for
    those of another search, UsageError for a URL of something else.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    identity = _identity(recipe, bench)
    place = Place(journal)
    expected = "a journal of Optuna" if place.url is None else "a database that answers"
    with reading(place.shown, expected=expected, remedy=_ANOTHER, hide=place.hide):
        study = optuna.create_study(
            storage=place.open(),
            study_name="tenfold",
            load_if_exists=True,
            direction="maximize" if HIGHER_IS_BETTER[bench.metric] else "minimize",
            sampler=TrialSampler(bench.seed, recipe),
            pruner=MedianPruner(_STARTUP, 0 if bench.folds else _WARM_UP),
        )
        if not any(key.startswith(_IDENTITY) for key in study.user_attrs):
            # Under a key of its own: of two that begin at once, the first in the journal is both's.
            study.set_user_attr(f"{_IDENTITY} {secrets.token_hex(8)}", identity)
        known = next(value for key, value in study.user_attrs.items() if key.startswith(_IDENTITY))
        differing = [key for key, value in identity.items() if known.get(key) != value]
    if differing:
        raise RecipeError(
            f"{place.shown} holds a search with another {' and '.join(differing)}", remedy=_ANOTHER
        )
    return study


def _identity(recipe: Recipe, bench: Bench) -> dict[str, Any]:
    """What trials of one study must have in common."""
    return {
        "recipe": recipe.model_dump_json(exclude=set(Recipe.NOT_TRAINED) | {"name"}),
        "table [search]": json.dumps({key: place.model_dump() for key, place in recipe.search.items()}),
        "data set": bench.dataset.sha256(), "number of folds": bench.folds, "metric": bench.metric,
        "seed": bench.seed, "engine": bench.engine,
    }  # fmt: skip


def _next_trial(study: Study, places: Mapping[str, BaseDistribution]) -> Trial:
    """A new one, or that of a process of this machine which was killed before it was done: the same values
    again under the same number, so that the search finds what it would have found. In a database, under a new
    number, and of other machines, too."""
    mine, running = ProcessName.own(), study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    left = list(filter(is_gone, running))
    if is_heartbeat_enabled(study._storage):
        retry_stale(study, left)
        left = []
    if left:
        trial = Trial(study, left[0]._trial_id)
    else:
        if not study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            study.enqueue_trial({}, user_attrs={PROCESS: mine})  # named from its first moment on
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the heartbeat is started by run_trial
            trial = study.ask()
    trial.set_user_attr(PROCESS, mine)
    for key, place in places.items():
        trial._suggest(key, place)  # as Study.ask does; a value that the trial has already stays
    return trial


def run_trial(study: Study, recipe: Recipe, bench: Bench) -> int:
    """Asks for a setting, trains it, tells its score; returns the trial's number. Ctrl-C is told, and raised.

    A loss that is NaN or infinite, or values that do not go together, count as given up.
    """
    trial = _next_trial(study, {key: distribution(place) for key, place in recipe.search.items()})

    def report(mark: int, score: float) -> None:
        trial.report(score, mark)
        if mark < MARKS and trial.should_prune():
            raise optuna.TrialPruned

    try:
        with get_heartbeat_thread(trial._trial_id, study._storage):
            score = bench.run(change_recipe(recipe, values_of(recipe, trial.params)), report)
        trial.set_user_attr("score", vars(score))
        study.tell(trial, score.accuracy if bench.metric == "accuracy" else score.loss)
    except optuna.TrialPruned:
        study.tell(trial, state=TrialState.PRUNED)
    except UpdateFinishedTrialError:
        pass  # it showed no sign of life for a while, as in a machine that slept: another process retries it
    except KeyboardInterrupt:
        study.tell(trial, state=TrialState.FAIL)
        raise
    except TenfoldError as error:
        if type(error) not in (TenfoldError, RecipeError, DivergedError):  # the data or the machine
            study.tell(trial, state=TrialState.FAIL)
            raise
        trial.set_user_attr("reason", str(error))
        study.tell(trial, state=TrialState.PRUNED)
    return trial.number


def read_result(study: Study, recipe: Recipe, bench: Bench, *, interrupted: bool = False) -> SearchResult:
    """All trials so far, those of other processes too. Raises ModelError where they are not of a search."""
    with reading("the study of this search", expected="trials of tenfold search", remedy=_ANOTHER):
        trials = tuple(_read(trial, recipe) for trial in study.get_trials(deepcopy=False))
        result = SearchResult(
            recipe, bench.dataset.name, len(bench.dataset), bench.folds, bench.metric, bench.seed, trials,
            _importances(study), interrupted,
        )  # fmt: skip
        best = result.ranked[0].accuracy if result.ranked else None
        if best is None:
            return result
        share = 1.0 if bench.folds else recipe.data.validation
        return replace(result, problem=at_chance(best, bench.dataset.labels, "the best trial's", share=share))


def _read(trial: FrozenTrial, recipe: Recipe) -> SearchTrial:
    reason = trial.user_attrs.get("reason", "")
    status = "failed" if reason else _NAMES.get(trial.state, "interrupted" if is_gone(trial) else "running")
    complete = trial.state == TrialState.COMPLETE
    score: Mapping[str, float] = pick(trial.user_attrs["score"], _SCORE) if complete else {}
    values = values_of(recipe, trial.params)
    return SearchTrial(trial.number, status, values, **score, reason=reason)


def _importances(study: Study) -> dict[str, float]:
    """By dotted key, the largest first; nothing where there are too few trials, or but one key."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(complete) < _FEWEST or len(complete[0].params) < 2:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = optuna.importance.get_param_importances(
            study, evaluator=optuna.importance.PedAnovaImportanceEvaluator()
        )
    return {key: value for key, value in found.items() if value == value}


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
    that holds the study, or a database's URL as Optuna takes it; one that exists is continued, and machines
    that reach it may work on it together (those at work when the number is reached finish theirs). In a
    database, a trial without a sign of life for two minutes is failed and retried. Ctrl-C keeps
    the trials that are over. The same seed and data, searched by one process, give the same trials, stopped
    or not. after_trial(trial, best so far) is called after each.

    Raises RecipeError for a table that makes no sense or another search in journal; and as `train`.
    """
    if find_spec("optuna") is None:
        raise MissingDependencyError("optuna", extra="search", purpose="hyper-parameter search")
    recipe = suit_recipe(recipe, dataset.image_shape)
    if seconds is not None and seconds <= 0:
        raise UsageError(f"{seconds:g} seconds", expected="more than 0")
    Engines.check(recipe, engine, device)
    check_plan(recipe, trials, folds, metric)
    check_space(recipe, dataset.image_shape, len(dataset.class_names))
    bench = Bench(dataset, folds, metric, seed, engine, device, callbacks)
    study = open_study(recipe, bench, journal)
    until = None if seconds is None else time.monotonic() + seconds
    with stop_on_interrupt() as stop:
        while len(study.get_trials(deepcopy=False, states=_OVER)) < trials and (
            until is None or time.monotonic() < until
        ):
            try:
                number = run_trial(study, recipe, bench)
            except KeyboardInterrupt:
                return read_result(study, recipe, bench, interrupted=True)
            result = read_result(study, recipe, bench, interrupted=bool(stop))
            after_trial(result.trials[number], result.ranked[0] if result.ranked else None)
            if stop:
                return result
    return read_result(study, recipe, bench)


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
