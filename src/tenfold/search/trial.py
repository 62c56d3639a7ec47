"""One trial: a recipe trained once, or once per fold, and judged on images that it was not trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tenfold.arrays import ImageDataset
from tenfold.data.split import split_dataset
from tenfold.errors import UsageError
from tenfold.recipes.schema import Recipe
from tenfold.training.ensemble import train
from tenfold.training.folds import FoldScore, cross_validate
from tenfold.training.history import EpochRecord
from tenfold.training.observers import TrainingObserver, TrainingPlan
from tenfold.training.validate import prepare_validation, validate

__all__ = ["MARKS", "Bench", "Score"]

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
        train_set, val_set = split_dataset(
            self.dataset, recipe.data.validation, seed=self.seed, stratified=recipe.data.stratified
        )
        callbacks = [*self.callbacks, _Reporter(self.metric, report)]
        result = train(
            recipe, train_set, val_set, seed=self.seed, engine=self.engine, device=self.device,
            callbacks=callbacks,
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
