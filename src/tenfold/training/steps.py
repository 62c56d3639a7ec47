"""Steps along batches: what every training is made of, and the batches of an epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from tenfold.arrays import Batch, ImageDataset
from tenfold.data.batches import iterate_batches
from tenfold.networks.engine import Engine, StepResult
from tenfold.recipes.schema import Recipe
from tenfold.training.progress import Steps

__all__ = ["epoch_batches", "run_steps"]


def run_steps(
    engine: Engine,
    batches: Iterable[Batch],
    rates: Iterable[float],
    after_step: Callable[[StepResult], object] = lambda _result: None,
    done: Steps | None = None,
) -> Steps:
    """A step for each batch at its learning rate, until either ends or `after_step` says True. All that
    trains comes here: recipes, partial_fit, the doctor's trials, a reader that learns a hand.

    done: what the steps are added to.
    """
    done = done or Steps()
    with quiet():
        for rate, batch in zip(rates, batches, strict=False):
            result = engine.train_step(batch, rate)
            done.first_loss = done.first_loss if done.steps else result.loss
            done.loss = done.loss + result.loss * len(batch)
            done.correct = done.correct + result.correct
            done.steps, done.images, done.rate = done.steps + 1, done.images + len(batch), rate
            if after_step(result) is True:
                break
    return done


def epoch_batches(recipe: Recipe, dataset: ImageDataset, *, seed: int, epoch: int) -> Iterator[Batch]:
    """The batches of an epoch (from 0) as the recipe has them."""
    training, weighted = recipe.training, bool(recipe.loss.class_weights)
    return iterate_batches(
        dataset, batch_size=training.batch_size, shuffle=training.shuffle, drop_last=training.drop_last,
        augmentation=recipe.augmentation, seed=seed, epoch=epoch,
        class_weights=recipe.loss.weights_of(dataset.class_counts()) if weighted else None,
    )  # fmt: skip


def quiet() -> np.errstate:
    """NumPy's own warnings would repeat what DivergedError says in one line."""
    return np.errstate(over="ignore", invalid="ignore", divide="ignore")
