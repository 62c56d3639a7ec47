"""The table [search] of a recipe: where its values may lie, what is tried next, and one trial of it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from tenfold.arrays import ImageDataset
from tenfold.data.batches import hold_out
from tenfold.errors import RecipeError, UsageError
from tenfold.recipes.load import change_recipe
from tenfold.recipes.schema import Recipe, SearchRange, toml_value
from tenfold.training.folds import FoldScore, cross_validate
from tenfold.training.loop import train
from tenfold.training.prepare import prepare_validation, validate
from tenfold.training.progress import EpochRecord, TrainingObserver, TrainingPlan

Pick = str | int | float
# Of these nothing can be found out on validation images: they make no difference, or choose the images.
_NOT_SEARCHED = Recipe.NOT_TRAINED | {"name", "data"}
_DIGITS = 3  # significant ones of a value: a recipe is read by people


def check_space(recipe: Recipe, image_shape: tuple[int, ...], classes: int) -> None:
    """Builds the recipe with the ends of every range and with every choice. Raises RecipeError, one line."""
    if not recipe.search:
        raise RecipeError(
            f"{recipe.name} does not say what to search for",
            expected='a table [search] with lines such as "training.epochs" = { low = 5, high = 30, '
            "integer = true }",
        )
    for key, place in recipe.search.items():
        if key.partition(".")[0] in _NOT_SEARCHED:
            raise RecipeError(f"{recipe.name}: [search] names {key!r}", expected="what a training depends on")
        recipe.value_at(key)
        for value in place.choices or _probes(place):
            try:
                change_recipe(recipe, {key: value}).plan(image_shape, classes)
            except RecipeError as error:
                shown = f"{recipe.name}: [search] {key!r} may be {toml_value(value)}"
                raise RecipeError(f"{shown}: {error}") from error


def _probes(place: SearchRange) -> list[float]:
    """Both ends; and where it is not for whole numbers only, a fraction."""
    low, high = _ends(place)
    return [int(low), int(high)] if place.integer else [low, low + (high - low) / math.e, high]


def distribution(place: SearchRange) -> BaseDistribution:
    """The range as Optuna knows it; a choice is its TOML text, which Optuna can keep whatever it is."""
    if place.choices:
        return CategoricalDistribution([toml_value(choice) for choice in place.choices])
    low, high = _ends(place)
    if place.integer:
        return IntDistribution(int(low), int(high), log=place.log)
    return FloatDistribution(low, high, log=place.log)


def _value_of(place: SearchRange, pick: Pick) -> Any:
    """What Optuna picked, as the recipe takes it: a fraction with three digits, within the range."""
    if place.choices:
        return next(choice for choice in place.choices if toml_value(choice) == pick)
    low, high = _ends(place)
    if place.integer:
        return int(pick)
    return min(max(float(f"{float(pick):.{_DIGITS}g}"), low), high)


def own_picks(recipe: Recipe) -> dict[str, Pick]:
    """The recipe's own values as Optuna would have picked them, of the keys whose range holds them."""
    own: dict[str, Pick] = {}
    for key, place in recipe.search.items():
        value = recipe.value_at(key)
        if place.choices and toml_value(value) in map(toml_value, place.choices):
            own[key] = toml_value(value)
        elif not place.choices and isinstance(value, int | float):
            low, high = _ends(place)
            own |= {key: value} if low <= value <= high else {}
    return own


def _ends(place: SearchRange) -> tuple[float, float]:
    if place.low is None or place.high is None:
        raise ValueError("choices have no ends")
    return float(place.low), float(place.high)


def values_of(recipe: Recipe, picks: Mapping[str, Pick]) -> dict[str, Any]:
    """Dotted key -> value, in the recipe's order."""
    return {key: _value_of(place, picks[key]) for key, place in recipe.search.items() if key in picks}


class TrialSampler(BaseSampler):
    """TPE (Bergstra et al. 2011), seeded anew for each trial from the search's seed and the trial's number.

    A search that was stopped and goes on tries what it would have tried, and processes that share a study
    never try the same. The first trial takes the recipe as it is.
    """

    def __init__(self, seed: int, recipe: Recipe) -> None:
        self.own = own_picks(recipe)
        self._sampler = lru_cache(maxsize=1)(lambda number: _tpe(seed, number))

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        if trial.number == 0:
            return {}
        return self._sampler(trial.number).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._sampler(trial.number).sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        if trial.number == 0 and param_name in self.own:
            return self.own[param_name]
        return self._sampler(trial.number).sample_independent(study, trial, param_name, param_distribution)


def _tpe(seed: int, number: int) -> TPESampler:
    """constant_liar: what other processes are trying counts as bad, so that they spread."""
    state = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna 4 calls both options experimental
        return TPESampler(seed=state, multivariate=True, constant_liar=True)


MARKS = 10  # of a training's length, at which trials are compared while they run
Report = Callable[[int, float], None]


@dataclass(frozen=True)
class Score:
    """accuracy (a share), loss (the recipe's, without label smoothing); seconds: of training."""

    accuracy: float
    loss: float
    seconds: float


class _Reporter(TrainingObserver):
    """Reports (mark from 1 to MARKS, score) as a training reaches each mark.

    Trials of 5 and of 30 epochs are compared at the same share of their length, not at the same epoch: a
    learning rate that is still high then makes a long training look worse than it will be.
    """

    def __init__(self, metric: str, report: Report) -> None:
        self.metric, self.report = metric, report
        self.epochs, self.mark = 1, 0

    def on_start(self, plan: TrainingPlan) -> None:
        self.epochs = plan.epochs

    def on_epoch(self, record: EpochRecord) -> None:
        mark = MARKS * record.epoch // self.epochs
        score = record.val_accuracy if self.metric == "accuracy" else record.val_loss
        if mark > self.mark and score is not None:
            self.mark = mark
            self.report(mark, score)


@dataclass(frozen=True, eq=False)
class Bench:
    """What all trials of a search have in common: images, seed, engine, and what they are judged by.

    The same seed splits the images, starts the weights and shuffles the batches of every trial, so that what
    differs is the setting alone.
    """

    dataset: ImageDataset
    folds: int
    metric: str
    seed: int
    engine: str
    device: str
    callbacks: Sequence[TrainingObserver] = ()

    def run(self, recipe: Recipe, report: Report) -> Score:
        """report: gets (mark, score so far); what it raises ends the trial, as Ctrl-C (KeyboardInterrupt)."""
        return self._run_folds(recipe, report) if self.folds else self._run_once(recipe, report)

    def _run_once(self, recipe: Recipe, report: Report) -> Score:
        share, stratified = recipe.data.validation, recipe.data.stratified
        train_set, val_set = hold_out(self.dataset, share, seed=self.seed, stratified=stratified)
        result = train(
            recipe, train_set, val_set, seed=self.seed, engine=self.engine, device=self.device,
            callbacks=[*self.callbacks, _Reporter(self.metric, report)],
        )  # fmt: skip
        if result.status == "interrupted":
            raise KeyboardInterrupt
        held_out = prepare_validation(recipe, val_set, seed=self.seed)
        loss, accuracy = validate(result.classifier.engine, recipe, held_out)
        if loss is None or accuracy is None:
            raise UsageError(f"{recipe.name} holds out no images")
        return Score(accuracy, loss, result.seconds)

    def _run_folds(self, recipe: Recipe, report: Report) -> Score:
        scores: list[float] = []

        def after_fold(fold: FoldScore) -> None:
            scores.append(fold.val_accuracy if self.metric == "accuracy" else fold.val_loss)
            report(len(scores), sum(scores) / len(scores))

        found = cross_validate(
            recipe, self.dataset, folds=self.folds, seed=self.seed, engine=self.engine, device=self.device,
            stratified=recipe.data.stratified, callbacks=self.callbacks, after_fold=after_fold,
        )  # fmt: skip
        return Score(found.mean, found.loss, sum(score.seconds for score in found.scores))
