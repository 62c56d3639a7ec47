"""The two engines on full MNIST: the network with two hidden layers, without dropout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tenfold import Classifier, TrainResult, change_recipe, get_recipe, load_dataset, split_dataset, train
from tenfold.arrays import ImageDataset

LAYERS = ["flatten", "linear 120", "relu", "linear 84", "relu", "linear classes"]

pytestmark = pytest.mark.mnist


@pytest.fixture(scope="module")
def results(mnist_dir: Path) -> dict[str, TrainResult]:
    recipe = change_recipe(get_recipe("mlp-120-84"), {"network.layers": LAYERS, "training.epochs": 2})
    dataset = load_dataset("mnist", data_dir=mnist_dir)
    train_set, val_set = split_dataset(dataset, recipe.data.validation, seed=0)
    return {name: train(recipe, train_set, val_set, engine=name) for name in ("numpy", "torch")}


@pytest.fixture(scope="module")
def test_set(mnist_dir: Path) -> ImageDataset:
    return load_dataset("mnist", split="test", data_dir=mnist_dir)


def test_losses_are_the_same_each_epoch(results: dict[str, TrainResult]) -> None:
    ours, theirs = (results[name].history for name in ("numpy", "torch"))
    assert [r.train_loss for r in ours] == pytest.approx([r.train_loss for r in theirs], rel=1e-4)
    assert [r.val_loss for r in ours] == pytest.approx([r.val_loss for r in theirs], rel=1e-4)
    assert 0.95 < (ours[-1].val_accuracy or 0) < 1


def test_each_loads_in_the_other(
    results: dict[str, TrainResult], test_set: ImageDataset, tmp_path: Path
) -> None:
    for name, other in (("numpy", "torch"), ("torch", "numpy")):
        results[name].classifier.save(tmp_path / name)
        here, there = (Classifier.load(tmp_path / name, engine=engine) for engine in (name, other))
        logits, others = here.logits(test_set.images), there.logits(test_set.images)
        np.testing.assert_allclose(logits, others, rtol=1e-4, atol=1e-4)
        differing = np.flatnonzero(logits.argmax(axis=1) != others.argmax(axis=1))
        top = np.sort(logits[differing], axis=1)
        assert np.all(top[:, -1] - top[:, -2] < 1e-4), f"more than ties differ: {differing}"
