"""Classifiers with weights as after training, for recipes and random networks: what exporters are held to."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from tenfold.classifier import Classifier, ModelCard
from tenfold.networks.shapes import Network
from tenfold.recipes.load import change_recipe, get_recipe
from tenfold.recipes.schema import Recipe

NAMES = tuple("0123456789")

# of pictures whatever their size, so that any order of them is a network
PICTURE_LAYERS = [
    "conv 3 3x3 padding same no-bias", "conv 4 5x5 padding same", "conv 2 2x2 padding 1", "conv 2 1x1",
    "conv 3 1x5 padding same", "conv 2 2x3 padding 1x2", "max-pool 1x2 stride 1", "average-pool 2x1 stride 1",
    "conv 3 3x3 stride 2 padding 1", "conv 3 3x3 padding 2", "batch-norm", "relu", "sigmoid", "tanh",
    "gelu", "silu", "scale 0.3", "layer-norm", "depthwise 3x3 padding same",
    "depthwise 2x3 stride 2 padding 1 no-bias",
    "dropout 0.4", "max-pool 2 stride 1", "max-pool 2", "average-pool 3 stride 1", "average-pool 2",
    "pixel-unshuffle 1", "pixel-unshuffle 3 fit", {"residual": ["batch-norm", "relu"]},
    {"residual": ["dropout 0.2"]},
    {"residual": ["tanh", {"residual": ["batch-norm"]}, "batch-norm"]},
]  # fmt: skip
ROW_LAYERS = ["linear 5", "batch-norm", "relu", "sigmoid", "tanh", "gelu", "silu", "scale 2",
              "layer-norm", "dropout 0.1",
              {"residual": ["batch-norm", "tanh"]}]  # fmt: skip


def trained_weights(network: Network, seed: int = 0) -> dict[str, np.ndarray]:
    """As after training: batch-norm has scales of both signs, and statistics of its own."""
    rng = np.random.default_rng(seed)
    weights = network.initial_weights("torch", seed=seed)
    for parameter in network.parameters():
        shape = parameter.shape
        if parameter.role == "running-variance":
            weights[parameter.name] = rng.uniform(0.3, 2, shape).astype(np.float32)
        elif parameter.role in ("scale", "shift", "running-mean"):
            weights[parameter.name] = rng.normal(0, 0.8, shape).astype(np.float32)
    return weights


_CARD = {"class_names": NAMES, "mean": 0.13, "std": 0.31, "temperature": 1.7}


def classifier_of(
    recipe: Recipe, shape: tuple[int, int] = (28, 28), *, seed: int = 0, **card: Any
) -> Classifier:
    full = ModelCard(**{"recipe": recipe, "image_shape": shape} | _CARD | card)
    network = recipe.plan(shape, full.outputs)
    return Classifier.from_weights(full, trained_weights(network, seed), engine="numpy")


def recipe_of(layers: list, **changes: Any) -> Recipe:
    return change_recipe(get_recipe("mlp-small"), {"network.layers": layers, **changes})


def ensemble_of(recipe: Recipe, members: int, shape: tuple[int, int], **card: Any) -> Classifier:
    """Several networks of different weights, which answer together."""
    alone = [classifier_of(recipe, shape, seed=seed, **card) for seed in range(members)]
    if members == 1:
        return alone[0]
    weights = [each.engine.weights() for each in alone]
    return alone[0].with_weights(
        {f"member{i}.{name}": value for i, each in enumerate(weights, 1) for name, value in each.items()}
    )


def images_of(classifier: Classifier, count: int) -> np.ndarray:
    shape = (count, *classifier.card.image_shape)
    return np.random.default_rng(count).integers(0, 256, shape, dtype=np.uint8)


@st.composite
def random_layers(draw: st.DrawFn) -> list:
    start = draw(
        st.sampled_from([[], ["pixel-unshuffle 2"], ["conv 4 3x3", "pixel-unshuffle 2", "conv 2 1x1"]])
    )
    pictures = draw(st.lists(st.sampled_from(PICTURE_LAYERS), max_size=4))
    end = ["conv 2 1x1", {"residual": ["conv 2 3x3 padding same no-bias", "batch-norm", "relu"]}]
    end.append(draw(st.sampled_from(["flatten", "global-average-pool"])))
    rows = draw(st.lists(st.sampled_from(ROW_LAYERS), max_size=3))
    return [*start, *pictures, *end, *rows, "linear classes", *draw(st.sampled_from([[], ["batch-norm"]]))]
