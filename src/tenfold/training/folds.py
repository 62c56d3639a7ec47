"""k-fold cross-validation: every image is judged once, by a network that never saw it. Recipes are compared
so, and labels that are likely wrong found."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from tenfold import numerics
from tenfold.arguments import checked
from tenfold.arrays import ImageDataset
from tenfold.data.batches import fold_indices, hold_out
from tenfold.engines.create import Engines
from tenfold.errors import RecipeError, UsageError
from tenfold.evaluation.label_errors import LabelErrors, find_label_errors
from tenfold.numerics import softmax
from tenfold.numpy_engine.losses import Loss
from tenfold.recipes.load import change_recipe, get_recipe, suit_recipe
from tenfold.recipes.schema import Recipe
from tenfold.training.loop import train
from tenfold.training.prepare import suitable_temperature
from tenfold.training.progress import TrainingObserver, at_chance

__all__ = ["CrossValidation", "compare_folds", "cross_validate", "search_labels"]


@dataclass(frozen=True)
class FoldScore:
    """val_accuracy (a share) and val_loss (the recipe's own, without label smoothing) on the val_images
    held out; seconds: of training."""

    train_images: int
    val_images: int
    val_accuracy: float
    val_loss: float
    seconds: float


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """A recipe's scores over folds.

    fold: int64 (N,), in which fold (from 0) an image was held out. probs: float32 (N, K), what the
    network said of it that was trained on the other folds, calibrated: softmax(logits / temperature),
    with the one temperature that suits all N best, where there are enough of them (1 elsewhere). problem:
    that the accuracy is at chance level, in words; else "".
    """

    recipe: Recipe
    dataset: str
    scores: tuple[FoldScore, ...]
    fold: np.ndarray
    probs: np.ndarray
    temperature: float
    problem: str = ""

    @property
    def accuracies(self) -> np.ndarray:
        """float64 (folds,)."""
        return np.array([score.val_accuracy for score in self.scores])

    @property
    def mean(self) -> float:
        """Accuracy, averaged over the folds."""
        return float(self.accuracies.mean())

    @property
    def deviation(self) -> float:
        """Standard deviation of the accuracy from fold to fold (that of a sample)."""
        return float(self.accuracies.std(ddof=1))

    @property
    def standard_error(self) -> float:
        """deviation / sqrt(folds): of the mean, were the folds independent. They share most of their
        training images, so the truth is somewhat larger (Bengio & Grandvalet 2004)."""
        return self.deviation / math.sqrt(len(self.scores))

    @property
    def loss(self) -> float:
        """Averaged over the folds."""
        return float(np.mean([score.val_loss for score in self.scores]))

    def to_dict(self) -> dict[str, Any]:
        """The figures without the probabilities, as JSON takes them."""
        return {
            "recipe": self.recipe.name, "dataset": self.dataset, "images": len(self.fold),
            "accuracy": self.mean, "deviation": self.deviation, "standard_error": self.standard_error,
            "loss": self.loss, "seconds": sum(score.seconds for score in self.scores),
            "folds": [vars(score) for score in self.scores], "learned": not self.problem,
            "problem": self.problem or None,
        }  # fmt: skip


@checked
def cross_validate(
    recipe: Recipe | str | Path,
    dataset: ImageDataset,
    *,
    folds: int = 10,
    seed: int = 0,
    engine: str = "auto",
    device: str = "cpu",
    stratified: bool = True,
    callbacks: Sequence[TrainingObserver] = (),
    after_fold: Callable[[FoldScore], None] = lambda _score: None,
) -> CrossValidation:
    """Trains the recipe once per fold on all other folds, and scores it on that one.

    The same data, folds, seed and `stratified` (each fold has its share of every class) give the same
    folds for every recipe. Fold i is trained with the seed `seed * folds + i`. What is held out takes no
    part in training: a recipe that stops early watches its own share of the other folds instead.
    recipe: a Recipe, or the name or path of one.
    after_fold: sees the score of each fold; an error raised there ends the whole.
    Ctrl-C raises KeyboardInterrupt. Raises UsageError for fewer than two folds, DataError for more folds
    than images, and what `train` raises.
    """
    recipe = suit_recipe(recipe, dataset.image_shape)
    Engines.check(recipe, engine, device)
    groups = dataset.labels if stratified else np.zeros(len(dataset), np.int64)
    held_out = fold_indices(groups, folds, seed=seed)
    fold = np.empty(len(dataset), np.int64)
    logits = np.empty((len(dataset), len(dataset.class_names)), np.float32)
    scores = []
    for number, held in enumerate(held_out):
        fold[held] = number
        train_set = dataset.subset(np.delete(np.arange(len(dataset)), held))
        fold_seed, share = seed * folds + number, recipe.data.validation if recipe.training.patience else 0.0
        train_set, watched = hold_out(train_set, share, seed=fold_seed, stratified=recipe.data.stratified)
        result = train(
            recipe, train_set, watched, seed=fold_seed, engine=engine, device=device, callbacks=callbacks
        )
        if result.status == "interrupted":
            raise KeyboardInterrupt
        logits[held] = result.classifier.logits(dataset.images[held])
        accuracy = numerics.accuracy(logits[held].argmax(axis=1), dataset.labels[held])
        loss = Loss.measure(logits[held].astype(np.float64), dataset.labels[held], recipe.loss)
        scores.append(FoldScore(len(dataset) - len(held), len(held), accuracy, loss, result.seconds))
        after_fold(scores[-1])
    temperature = suitable_temperature(recipe, logits, dataset.labels)
    probs = softmax(logits / np.float32(temperature))
    found = CrossValidation(recipe, dataset.name, tuple(scores), fold, probs, temperature)
    return replace(found, problem=at_chance(found.mean, dataset.labels, "cross-validated"))


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
    interval = (mean - reach, mean + reach)
    return FoldComparison(first.recipe.name, second.recipe.name, mean, interval, min(1.0, p * pairs))


_LEAST_STEPS = 600  # of the small network


def quick_recipe(dataset: ImageDataset) -> Recipe:
    """`fast`, longer where there are many classes, or `mlp-small` where the images are too small for it."""
    classes = len(dataset.class_names)
    fast = get_recipe("fast")
    with suppress(RecipeError):
        fast.plan(dataset.image_shape, classes)
        steps = max(fast.training.steps, fast.training.steps * classes // 10)  # as many per class as MNIST's
        return change_recipe(fast, {"input.scaling": "standardise", "training.steps": steps})
    changes = {"input.scaling": "standardise", "training.min_steps": _LEAST_STEPS}
    return change_recipe(get_recipe("mlp-small"), changes)


def search_labels(
    dataset: ImageDataset,
    recipe: Recipe | None = None,
    *,
    folds: int = 5,
    seed: int = 0,
    engine: str = "auto",
    callbacks: Sequence[TrainingObserver] = (),
) -> LabelErrors:
    """Cross-validates a recipe (a quick one where none is given) and judges every label by it."""
    chosen = recipe or quick_recipe(dataset)
    result = cross_validate(chosen, dataset, folds=folds, seed=seed, engine=engine, callbacks=callbacks)
    note = (
        f"Every image was judged by a network that never saw it: recipe {chosen.name} over {folds} folds, "
        f"which answers {100 * result.mean:.2f} % as labelled."
    )
    return find_label_errors(result.probs, dataset.labels, note=note, files=dataset.files)
