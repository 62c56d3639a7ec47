"""One more pass over some data, for `partial_fit`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tenfold.arrays import WeightedDataset
from tenfold.classifier import Classifier
from tenfold.data.batches import iterate_batches
from tenfold.engines.base import Engine
from tenfold.engines.ensemble import combine_engines
from tenfold.errors import TenfoldError
from tenfold.estimator.keeping import members_of
from tenfold.recipes.schema import EnsembleSettings, Recipe
from tenfold.training.prepare import prepare_training

__all__ = ["begin_classifier", "learn_once"]


def begin_classifier(
    recipe: Recipe, dataset: WeightedDataset, *, seed: int, engine: str, device: str
) -> Classifier:
    """An untrained classifier, sized for the data, with the seeds that `tenfold.train` gives its networks."""
    training = recipe.training.model_copy(update={"patience": 0})
    single = recipe.model_copy(update={"ensemble": EnsembleSettings(), "training": training})
    count = recipe.ensemble.members
    setups = [
        prepare_training(
            single, dataset, None, seed=seed * count + number, engine=engine, device=device,
            precision=recipe.training.precision,
        )
        for number in range(count)
    ]  # fmt: skip
    combined = combine_engines([setup.engine for setup in setups], recipe.ensemble.views)
    return Classifier(combined, replace(setups[0].card, recipe=recipe))


def learn_once(classifier: Classifier, dataset: WeightedDataset, *, seed: int, epoch: int) -> float:
    """One pass over the data, at the recipe's learning rate throughout: no schedule can know how much
    data will come. Returns the mean loss. Raises TenfoldError where that is NaN or infinite."""
    recipe, members = classifier.card.recipe, members_of(classifier)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # said once, below
        losses = [
            _pass(member, recipe, dataset, seed=seed * len(members) + number, epoch=epoch)
            for number, member in enumerate(members)
        ]
    loss = float(np.mean(losses))
    if not np.isfinite(loss):
        raise TenfoldError(
            f"{recipe.name}: the training loss of pass {epoch + 1} is {loss}",
            expected="a finite number",
            remedy="take a smaller learning_rate",
        )
    return loss


def _pass(engine: Engine, recipe: Recipe, dataset: WeightedDataset, *, seed: int, epoch: int) -> float:
    batches = iterate_batches(
        dataset,
        batch_size=recipe.training.batch_size,
        shuffle=recipe.training.shuffle,
        drop_last=recipe.training.drop_last,
        augmentation=recipe.augmentation,
        seed=seed,
        epoch=epoch,
    )
    loss, images = 0.0, 0
    for batch in batches:
        loss += engine.train_step(batch, recipe.optimiser.learning_rate).loss * len(batch)
        images += len(batch)
    return float(loss) / images
