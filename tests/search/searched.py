"""A small search for the tests of this package."""

from __future__ import annotations

from typing import Any

from tenfold.arrays import ImageDataset
from tenfold.recipes.schema import Recipe
from tenfold.training.search_result import SearchResult
from tenfold.training.search_study import search_recipe

SPACE: dict[str, Any] = {
    "optimiser.learning_rate": {"low": 1e-4, "high": 1.0, "log": True},
    "training.epochs": {"low": 2, "high": 6, "integer": True},
    "network.layers.dropout": {"low": 0, "high": 0.5},
}


def searched(space: dict[str, Any] | None = None, **training: Any) -> Recipe:
    """A network of eight units that learns next to nothing as it is: its learning rate is far too small."""
    return Recipe.from_dict(
        {
            "name": "small",
            "network": {"layers": ["flatten", "linear 8", "tanh", "dropout 0.1", "linear classes"]},
            "optimiser": {"learning_rate": 2e-4},
            "training": {"epochs": 4, "batch_size": 50} | training,
            "search": SPACE if space is None else space,
        }
    )


def run_search(dataset: ImageDataset, recipe: Recipe | None = None, **options: Any) -> SearchResult:
    """By the loss on the NumPy engine, where nothing else is said."""
    return search_recipe(recipe or searched(), dataset, **{"metric": "loss", "engine": "numpy"} | options)
