"""Class weights: scikit-learn's numbers, and the gradient of PyTorch's weighted cross-entropy."""

from __future__ import annotations

import tomllib

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from tenfold.arrays import ImageDataset
from tenfold.errors import RecipeError
from tenfold.recipes.load import change_recipe, get_recipe
from tenfold.recipes.schema import Recipe
from tenfold.settings import LossSettings
from tenfold.training.loop import train
from tenfold.training.prepare import prepare_training
from tenfold.training.steps import epoch_batches

COUNTS = (50, 10, 4)


def rare() -> ImageDataset:
    """Three classes, the last of them rare."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), COUNTS)
    images = rng.integers(0, 256, (len(labels), 6, 5), dtype=np.uint8)
    images[np.arange(len(labels)), labels] = 255
    return ImageDataset(images, labels, ("a", "b", "c"), name="rare")


def recipe_with(weights: object) -> Recipe:
    return change_recipe(
        get_recipe("softmax-sgd"),
        {"loss.class_weights": weights, "training.batch_size": 0, "data.validation": 0,
         "training.epochs": 1, "training.patience": 0, "optimiser.learning_rate": 1.0,
         "schedule.name": "constant", "schedule.warm_up": 0, "optimiser.momentum": 0},
    )  # fmt: skip


def test_balanced_is_scikit_learns() -> None:
    labels = np.repeat(np.arange(3), COUNTS)
    found = LossSettings(class_weights="balanced").weights_of(np.array(COUNTS))
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    with_empty = LossSettings(class_weights="balanced").weights_of(np.array([*COUNTS, 0]))
    np.testing.assert_allclose(with_empty, [*expected, 0], rtol=1e-12)


@pytest.mark.parametrize("engine", ["numpy", "torch"])
@pytest.mark.parametrize("weights", ["balanced", (0.5, 2.0, 7.0)])
def test_a_step_is_that_of_torchs_weighted_loss(engine: str, weights: object) -> None:
    """Torch's mean is over the weights, ours over the images: equal where the mean weight is 1."""
    data, recipe = rare(), recipe_with(weights)
    setup = prepare_training(recipe, data, None, seed=0, engine=engine, device="cpu", precision="float64")
    before = {
        name: torch.tensor(value, dtype=torch.float64) for name, value in setup.engine.weights().items()
    }
    for value in before.values():
        value.requires_grad_()
    (batch,) = epoch_batches(recipe, data, seed=0, epoch=0)
    inputs = torch.tensor((batch.images.reshape(len(batch), -1) / 255 - setup.card.mean) / setup.card.std)
    logits = inputs @ before["linear1.weight"].T + before["linear1.bias"]
    by_class = torch.tensor(recipe.loss.weights_of(data.class_counts()))
    labels = torch.tensor(batch.labels)
    total = torch.nn.functional.cross_entropy(logits, labels, by_class, reduction="sum")
    loss = total / len(batch)
    loss.backward()
    if weights == "balanced":
        mean = torch.nn.functional.cross_entropy(logits, labels, by_class)
        assert mean.item() == pytest.approx(loss.item(), rel=1e-12)
    result = setup.engine.train_step(batch, 0.1)
    assert float(result.loss) == pytest.approx(loss.item(), rel=1e-6)
    for name, value in setup.engine.weights().items():
        np.testing.assert_allclose(
            value, (before[name] - 0.1 * before[name].grad).detach().numpy(), rtol=1e-5, atol=1e-6
        )


def test_a_rare_class_is_found_more_often() -> None:
    """Images of noise: without weights nearly all are called "a"."""
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(2), (300, 20))
    images = rng.integers(0, 200, (320, 5, 5)).astype(np.uint8)
    images[labels == 1, 2] += 20
    data = ImageDataset(images, labels, ("a", "b"), name="noise")
    recall = {}
    for weights in ((), "balanced"):
        recipe = change_recipe(recipe_with(weights), {"training.epochs": 60})
        found = train(recipe, data, engine="numpy").classifier.logits(images).argmax(axis=1)
        recall[weights] = (found[labels == 1] == 1).mean()
    assert recall["balanced"] > recall[()] + 0.3


def test_too_few_numbers_are_refused_before_training() -> None:
    with pytest.raises(
        RecipeError, match=r"class_weights has 2 numbers; expected one for each of the 3 classes"
    ):
        train(recipe_with((1, 2)), rare(), engine="numpy")


@pytest.mark.parametrize("wrong", ["balance", (-1, 1), 3])
def test_what_is_not_a_weight_is_refused(wrong: object) -> None:
    with pytest.raises(RecipeError, match=r"loss\.class_weights"):
        recipe_with(wrong)


def test_a_recipe_with_weights_reads_back() -> None:
    for weights in ("balanced", (1.0, 2.5, 3.0)):
        recipe = recipe_with(weights)
        assert Recipe.from_dict(tomllib.loads(recipe.to_toml())) == recipe
