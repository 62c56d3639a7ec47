"""Accuracy under corruptions: counted again by hand, kept, and refused where it makes no sense."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tenfold.arrays import ImageDataset
from tenfold.classifier import Classifier
from tenfold.errors import DataError, ModelError, UsageError
from tenfold.evaluation.robustness import CORRUPTIONS, Robustness, corrupt, measure_robustness
from tenfold.recipes.load import change_recipe, get_recipe
from tenfold.training.loop import train


@pytest.fixture(scope="module")
def classifier(blobs: ImageDataset) -> Classifier:
    recipe = change_recipe(get_recipe("mlp-small"), {"training.epochs": 20})
    return train(recipe, blobs, engine="numpy").classifier


def test_counted_again(classifier: Classifier, blobs: ImageDataset) -> None:
    found = measure_robustness(classifier, blobs, n=200, seed=4)
    assert found.n == 200 and found.dataset == "blobs" and found.corruptions == tuple(CORRUPTIONS)
    assert found.accuracies.shape == (15, 5) and found.images.shape == (15, 5, 12, 10)
    chosen = np.random.default_rng(4).permutation(600)[:200]
    images, labels = blobs.images[chosen], blobs.labels[chosen]
    assert found.accuracy == np.mean(classifier.predict(images) == labels)
    for place, name in enumerate(CORRUPTIONS):
        worst = corrupt(images, name, 5, seed=4)
        assert found.accuracies[place, 4] == np.mean(classifier.predict(worst) == labels)
        assert (worst == found.images[place, 4]).all(axis=(1, 2)).any()  # the example is one of them
        np.testing.assert_array_equal(classifier.predict(found.images[place]), found.example_predicted[place])
    assert found.mean_accuracy == pytest.approx(found.accuracies.mean())
    assert found.mean_accuracy < found.accuracy
    assert set(found.example_label) == {0, 1, 2}  # one class after the other
    again = measure_robustness(classifier, blobs, n=200, seed=4)
    np.testing.assert_array_equal(again.accuracies, found.accuracies)


def test_fewer_pictures_than_asked_for_are_all_taken(classifier: Classifier, blobs: ImageDataset) -> None:
    few = blobs.subset(np.arange(7))
    assert measure_robustness(classifier, few, n=1000).n == 7


def test_saved_and_loaded(classifier: Classifier, blobs: ImageDataset, tmp_path: Path) -> None:
    found = measure_robustness(classifier, blobs, n=50)
    found.save(tmp_path)
    loaded = Robustness.load(tmp_path)
    assert loaded.to_dict() == found.to_dict()
    for name in ("accuracies", "images", "example_label", "example_predicted"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(found, name))
    (tmp_path / "robustness.json").write_text("{}")
    with pytest.raises(ModelError, match="tenfold robustness"):
        Robustness.load(tmp_path)


def test_refuses(classifier: Classifier, blobs: ImageDataset) -> None:
    other = ImageDataset(blobs.images, blobs.labels, ("a", "b", "c"), "others")
    with pytest.raises(DataError, match="others has the classes a, b, c"):
        measure_robustness(classifier, other)
    with pytest.raises(UsageError, match="at least 1"):
        measure_robustness(classifier, blobs, n=0)
