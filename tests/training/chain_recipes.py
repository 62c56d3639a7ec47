"""Small recipes and data for the tests of the whole chain."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tenfold.arrays import ImageDataset
from tenfold.recipes.schema import Recipe

ENGINES = [
    "numpy",
    pytest.param(
        "torch",
        marks=pytest.mark.skipif(
            not __import__("importlib.util").util.find_spec("torch"), reason="torch is not installed"
        ),
    ),
]

LAYERS = ("flatten", "linear 16", "tanh", "linear classes")
# Everything whose state a resumed training must bring back.
STATEFUL: dict[str, Any] = {
    "layers": [
        "conv 4 3x3", "batch-norm", "relu", "max-pool 2", "flatten", "dropout 0.3", "linear 16", "relu",
        "dropout 0.2", "linear classes",
    ],
    "optimiser": {"name": "adam", "learning_rate": 3e-3},
    "schedule": {"name": "one-cycle"},
    "training": {"epochs": 4, "batch_size": 64, "average_decay": 0.9},
    "augmentation": {"rotation": 10, "shift": 1, "erasing": 0.2},
}  # fmt: skip


def make_recipe(*, layers: Any = LAYERS, start_from: str = "", **tables: Any) -> Recipe:
    """tables: optimiser, schedule, training, ...; plain SGD, 3 epochs of 50 where nothing is said."""
    values: dict[str, Any] = {
        "name": "small",
        "network": {"layers": list(layers), "start_from": start_from},
        "optimiser": {"learning_rate": 0.1},
        "training": {"epochs": 3, "batch_size": 50},
    }
    for key, table in tables.items():
        values[key] = {**values.get(key, {}), **table}
    return Recipe.from_dict(values)


def halves(dataset: ImageDataset) -> tuple[ImageDataset, ImageDataset]:
    """Every third image to validate with."""
    held = np.arange(len(dataset)) % 4 == 3
    return dataset.subset(np.flatnonzero(~held)), dataset.subset(np.flatnonzero(held))


def assert_same(one: dict[str, np.ndarray], two: dict[str, np.ndarray]) -> None:
    """The same names and the same bits."""
    assert one.keys() == two.keys()
    for name, value in one.items():
        assert value.dtype == two[name].dtype and value.tobytes() == two[name].tobytes(), name
