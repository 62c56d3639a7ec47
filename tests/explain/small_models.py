"""Small classifiers to explain, and a real one trained in a second."""

from __future__ import annotations

from typing import Any

import numpy as np

from tenfold.arrays import ImageDataset
from tenfold.classifier import Classifier, ModelCard
from tenfold.recipes.schema import Recipe
from tenfold.training.loop import train

LINEAR = ["flatten", "linear classes"]
SMOOTH = [
    "conv 4 3x3 padding same", "batch-norm", "tanh", "average-pool 2", "flatten", "linear 9", "sigmoid",
    "linear classes",
]  # fmt: skip
KINKED = ["conv 4 3x3", "batch-norm", "relu", "max-pool 2", "flatten", "linear classes"]
MLP = ["flatten", "linear 64", "relu", "linear classes"]


def small_classifier(
    layers: list[str],
    *,
    shape: tuple[int, int] = (12, 10),
    classes: int = 4,
    engine: str = "numpy",
    seed: int = 0,
    members: int = 1,
    **card: Any,
) -> Classifier:
    """Of random weights, four times PyTorch's start, so that answers differ."""
    recipe = Recipe.from_dict(
        {"name": "small", "network": {"layers": layers}, "ensemble": {"members": members}}
    )
    options = {"mean": 0.2, "std": 0.4, "background": "dark", **card}
    names = options.pop("class_names", tuple("abcdefgh"[:classes]))
    full = ModelCard(recipe, names, shape, **options)
    network = recipe.plan(shape, full.outputs)
    weights: dict[str, np.ndarray] = {}
    for number in range(members):
        start = f"member{number + 1}." if members > 1 else ""
        drawn = network.initial_weights("torch", seed=seed + number)
        weights |= {f"{start}{name}": 4 * value for name, value in drawn.items()}
    return Classifier.from_weights(full, weights, engine=engine)


def small_images(count: int, shape: tuple[int, int] = (12, 10), seed: int = 1) -> np.ndarray:
    """Half paper, half ink of all strengths."""
    rng = np.random.default_rng(seed)
    images = rng.integers(1, 256, (count, *shape), dtype=np.uint8)
    images[rng.random(images.shape) < 0.5] = 0
    return images


def train_mlp(dataset: ImageDataset) -> Classifier:
    recipe = Recipe.from_dict(
        {
            "name": "quick",
            "network": {"layers": MLP},
            "optimiser": {"name": "adam", "learning_rate": 3e-3},
            "training": {"epochs": 4, "batch_size": 64},
        }
    )
    return train(recipe, dataset, None, seed=0, engine="numpy").classifier
