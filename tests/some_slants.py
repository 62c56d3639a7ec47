"""Pictures of strokes in a few slants, small recipes for them, and their diagnosis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from tenfold.arrays import ImageDataset
from tenfold.doctor.diagnosis import Diagnosis
from tenfold.doctor.examine import diagnose
from tenfold.recipes.load import change_recipe, get_recipe
from tenfold.recipes.schema import Recipe

Case = tuple[Recipe, ImageDataset, ImageDataset]


def shapes(
    count: int, seed: int, *, side: int = 16, classes: int = 5, names: tuple[str, ...] = ()
) -> ImageDataset:
    """Strokes of one of several slants through a moving point, on noise: a linear network learns them
    partly, one hidden layer well."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    rows, columns = np.mgrid[:side, :side]
    angle = np.pi * labels[:, None, None] / classes + 0.1 * rng.standard_normal((count, 1, 1))
    x, y = side / 2 - 0.5 + rng.uniform(-1.5, 1.5, (2, count, 1, 1))
    distance = np.abs((rows - y) * np.cos(angle) - (columns - x) * np.sin(angle))
    images = np.clip(230 - 120 * distance, 0, None) + rng.integers(0, 25, (count, side, side))
    return ImageDataset(
        images.clip(0, 255).astype(np.uint8), labels, names or tuple(f"slant {k}" for k in range(classes)),
        "slants",
    )  # fmt: skip


TRAIN, TEST = shapes(1500, 1), shapes(300, 2)


def recipe(*layers: str, **changes: Any) -> Recipe:
    """784-like networks in small: one hidden layer, Adam, 10 epochs, unless changed."""
    base = change_recipe(
        get_recipe("mlp-small"),
        {"network.layers": ["flatten", *(layers or ("linear 32", "relu")), "linear classes"], "name": "case"},
    )
    return change_recipe(base, {key.replace("__", "."): value for key, value in changes.items()})


SGD = {"optimiser__name": "sgd", "schedule__name": "constant"}


def with_images(images: np.ndarray, data: ImageDataset) -> ImageDataset:
    return replace(data, images=images.astype(np.uint8))


def on_slants(given: Recipe) -> Callable[[], Case]:
    return lambda: (given, TRAIN, TEST)


def examine(case: Case, engine: str = "numpy") -> Diagnosis:
    return diagnose(*case, engine=engine)


def bare(*layers: Any, **changes: Any) -> Recipe:
    """These layers and no others before the last."""
    return recipe(**{"network__layers": [*layers, "linear classes"]} | changes)


def sgd(rate: float, **changes: Any) -> dict[str, Any]:
    return {"optimiser__momentum": 0.9, "optimiser__learning_rate": rate} | SGD | changes
