"""A recipe and its data, made small enough to be examined in seconds: always the same part of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, prod

import numpy as np

from tenfold.arrays import ImageDataset
from tenfold.data.batches import count_batches, split_dataset
from tenfold.networks.shapes import Layer, Network
from tenfold.recipes.load import change_recipe
from tenfold.recipes.schema import Recipe
from tenfold.training.prepare import Setup, prepare_training

MOST_IMAGES, HELD_OUT = 2000, 500  # to train on, and to answer for
_PRODUCTS = 12e9  # multiplications of a trial: about a second of one core
_MOST_STEPS, _LEAST_STEPS = 80, 40
_MOST_BATCH, _LEAST_BATCH = 256, 16


@dataclass(frozen=True)
class Sizing:
    """Of a trial: images per step, and steps. Decided by counting, never by a clock, so that the same
    recipe is examined in the same way on every machine."""

    batch: int
    steps: int


@dataclass(frozen=True, eq=False)
class RecipeUnderTest:
    """recipe: as it was given. whole: all training images; train, held: the parts for trials.
    test: the test images, compared with the training images, without a score of the recipe.
    """

    recipe: Recipe
    whole: ImageDataset
    train: ImageDataset
    held: ImageDataset
    test: ImageDataset | None
    engine: str
    seed: int
    sizing: Sizing

    @property
    def classes(self) -> int:
        return len(self.whole.class_names)

    def batch_size(self, recipe: Recipe) -> int:
        """Images per step of the real training."""
        size = recipe.training.batch_size
        held = round(recipe.data.validation * len(self.whole))
        return min(size, len(self.whole) - held) or len(self.whole) - held

    def planned_steps(self, recipe: Recipe) -> int:
        """Steps of the real training."""
        if recipe.training.steps:
            return recipe.training.steps
        images = len(self.whole) - round(recipe.data.validation * len(self.whole))
        steps = count_batches(images, recipe.training.batch_size, drop_last=recipe.training.drop_last)
        return max(recipe.training.epochs * steps, recipe.training.min_steps)

    def setup(self, recipe: Recipe, train: ImageDataset | None = None) -> Setup:
        """An engine with its first weights. Raises RecipeError and DataError as training would."""
        plain = change_recipe(
            recipe,
            {
                "training.patience": 0,
                "training.average_decay": 0.0,
                "training.steps": 0,
                "ensemble": {"members": 1, "views": 1},
            },
        )
        return prepare_training(
            plain, train or self.train, None, seed=self.seed, engine=self.engine, device="cpu",
            precision="float32",
        )  # fmt: skip


def prepare_recipe(
    recipe: Recipe,
    dataset: ImageDataset,
    test: ImageDataset | None,
    *,
    engine: str,
    seed: int,
    effort: int = 1,
) -> RecipeUnderTest:
    """At most 2,000 images to train on and 500 to answer for, drawn by class where there are more; with a
    larger `effort` as many times the images, and trials of as many times the steps."""
    wanted = effort * (MOST_IMAGES + HELD_OUT)
    part = dataset
    if len(dataset) > wanted:
        part = split_dataset(dataset, wanted / len(dataset), seed=seed, stratified=True)[1]
    train, held = split_dataset(part, effort * HELD_OUT / wanted, seed=seed, stratified=True)
    network = recipe.plan(dataset.image_shape, len(dataset.class_names))
    size = recipe.training.batch_size or len(train)
    norms = any(parameter.role.startswith("running") for parameter in network.parameters())
    least = min(_LEAST_BATCH, len(train)) if norms else 1  # batch-norm cannot be tried on one image
    sizing = size_trials(network, min(max(size, least), len(train), _MOST_BATCH))
    sizing = replace(sizing, steps=effort * sizing.steps)
    return RecipeUnderTest(recipe, dataset, train, held, test, engine, seed, sizing)


def size_trials(network: Network, batch: int) -> Sizing:
    """A trial of about as much work for every network: smaller batches first, then fewer steps."""
    image = 3 * sum(_products(layer) for layer in network.layers)  # forward, and twice backward
    while batch > _LEAST_BATCH and _PRODUCTS / (image * batch) < _LEAST_STEPS:
        batch = max(_LEAST_BATCH, batch // 2)
    steps = ceil(_PRODUCTS / max(image * batch, 1))
    many = ceil(_LEAST_BATCH / batch)  # times as many steps of very small batches
    return Sizing(batch, int(np.clip(steps, _LEAST_STEPS, many * _MOST_STEPS)))


def _products(layer: Layer) -> int:
    """Multiplications of one image's way through a layer."""
    places = prod(layer.output_shape[1:])
    own = sum(prod(p.shape) * places for p in layer.parameters if p.role == "weight")
    return own + sum(_products(inner) for inner in layer.inner)
