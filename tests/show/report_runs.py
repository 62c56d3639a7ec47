"""Small runs for the tests of the report: a linear network over made-up pictures, NumPy alone."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from tenfold.arrays import ImageDataset
from tenfold.classifier import Classifier, ModelCard
from tenfold.data.batches import DataSummary
from tenfold.evaluation.evaluate import evaluate
from tenfold.recipes.schema import Recipe
from tenfold.runs.folder import Run
from tenfold.training.progress import EpochRecord, write_history

PUBLISHED = {
    "test_accuracy": 0.9721,
    "val_loss": 0.6716,
    "parameters": 7850,
    "remark": "It reports 569 misses, which would be 279.",
    "epochs": [{"epoch": 1, "val_loss": 1.9808, "val_accuracy": 0.6074}, {"epoch": 2, "val_loss": 1.7033}],
}
ENVIRONMENT = {
    "tenfold": "0.1.0",
    "engine": "numpy",
    "device": "cpu",
    "threads": 2,
    "seed": 7,
    "command": "tenfold train softmax --seed 7",
    "seconds": 75.0,
    "status": "finished",
    "best_epoch": 2,
    "data": {"name": "made up", "note": "", "train": 50, "val": 10},
}


def make_dataset(names: tuple[str, ...], shape: tuple[int, int], count: int = 120) -> ImageDataset:
    """Class k is bright in the k-th share of the pixels; a fifth of the labels lie."""
    rng = np.random.default_rng(3)
    size = shape[0] * shape[1]
    labels = np.arange(count) % len(names)
    images = rng.integers(0, 120, (count, size), dtype=np.uint8)
    for k in range(len(names)):
        start, stop = size * k // len(names), size * (k + 1) // len(names)
        images[labels == k, start:stop] += 100
    labels = np.where(rng.random(count) < 0.2, rng.integers(0, len(names), count), labels)
    return ImageDataset(images.reshape(-1, *shape), labels, names, "made up")


def make_recipe(**tables: Any) -> Recipe:
    values: dict[str, Any] = {
        "name": "softmax",
        "source": "tutorial",
        "network": {"layers": ["flatten", "linear classes"]},
        "training": {"epochs": 3},
        "published": PUBLISHED,
    }
    return Recipe.from_dict(values | tables)


def make_weights(recipe: Recipe, dataset: ImageDataset) -> dict[str, np.ndarray]:
    """A linear network that looks where its class is bright; any other is drawn at random."""
    rng = np.random.default_rng(5)
    network = recipe.plan(dataset.image_shape, len(dataset.class_names))
    weights = {p.name: rng.normal(0, 0.1, p.shape).astype(np.float32) for p in network.parameters()}
    if recipe.network.layers == ("flatten", "linear classes"):
        bright = np.stack(
            [dataset.images[dataset.labels == k].mean(0).ravel() for k in range(network.classes)]
        )
        columns = (np.arange(network.classes) + recipe.loss.label_shift) % network.classes
        weights["linear1.weight"][columns] = (bright - bright.mean(0)) / 100
        weights["linear1.bias"][columns] = np.arange(network.classes) / 100
    return weights


def make_classifier(recipe: Recipe, dataset: ImageDataset) -> Classifier:
    """A classifier whose engine knows no more than its weights."""
    weights = make_weights(recipe, dataset)

    def logits(images: np.ndarray) -> np.ndarray:
        linear = weights.get("linear1.weight")
        if linear is None or linear.shape != (len(dataset.class_names), images[0].size):
            return np.random.default_rng(1).normal(size=(len(images), len(dataset.class_names)))
        scores = images.reshape(len(images), -1) / np.float32(255) @ linear.T
        return np.roll(scores, -recipe.loss.label_shift, axis=1)

    network = recipe.plan(dataset.image_shape, len(dataset.class_names))
    engine: Any = SimpleNamespace(network=network, weights=lambda: weights, logits=logits)
    return Classifier(engine, ModelCard(recipe, dataset.class_names, dataset.image_shape, 0.0, 1.0))


def make_history(epochs: int = 3) -> list[EpochRecord]:
    return [
        EpochRecord(k, 1 / k, 1 - 0.3 / k, 1.1 / k, 1 - 0.35 / k, 0.1 / k, 0.5, 10 * k)
        for k in range(1, epochs + 1)
    ]


def make_run(folder: Path, dataset: ImageDataset, recipe: Recipe | None = None, **environment: Any) -> Run:
    """A whole run in `folder`."""
    recipe = recipe or make_recipe()
    start_run(folder, recipe, **environment)
    write_history(folder / "history.jsonl", make_history())
    classifier = make_classifier(recipe, dataset)
    classifier.save(folder)
    evaluate(classifier, dataset).save(folder)
    DataSummary.of(dataset).save(folder)
    return Run(folder)


def start_run(folder: Path, recipe: Recipe, **environment: Any) -> Run:
    """What a run's folder holds before its first epoch."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.toml").write_text(recipe.to_toml(), encoding="utf-8")
    (folder / "environment.json").write_text(json.dumps(ENVIRONMENT | environment), encoding="utf-8")
    return Run(folder)
