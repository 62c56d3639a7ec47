"""Images in colour: the same answers from both engines, from a saved model and from ONNX Runtime."""

from __future__ import annotations

import base64
import colorsys
import io
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

import tenfold
from tenfold.arrays import Batch, ImageDataset, grey_pixels
from tenfold.augmentation import AugmentationDraws
from tenfold.classifier import Classifier
from tenfold.engines.create import Engines
from tenfold.evaluation.robustness import CORRUPTIONS
from tenfold.networks.engine import EngineOptions
from tenfold.numpy_engine.runtime.batches import augment
from tenfold.recipes.load import suit_recipe
from tenfold.settings import AugmentationSettings
from tenfold.show.components import picture_row
from tenfold.torch_engine.augment import augment as torch_augment

SHAPE = (20, 16, 3)
ALL = {"rotation": 10, "shift": 2, "crop_padding": 2, "elastic": 1, "stroke_width": 1, "erasing": 0.5,
       "flip": 0.5, "brightness": 0.2, "contrast": 0.3, "saturation": 0.5, "hue": 30,
       "untouched": 0.2}  # fmt: skip


def _squares(count: int) -> ImageDataset:
    """Squares that differ in nothing but the channel that is bright."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, count)
    images = rng.integers(0, 60, (count, *SHAPE), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[5:15, 4:12, label] = 200
    return ImageDataset(images, labels, ("red", "green", "blue"), "squares")


@pytest.fixture(scope="module")
def squares() -> ImageDataset:
    return _squares(300)


@pytest.fixture(scope="module")
def classifier(squares: ImageDataset) -> Classifier:
    recipe = tenfold.change_recipe("cnn", {"training.epochs": 12})
    return tenfold.train(
        recipe, squares.subset(slice(0, 200)), squares.subset(slice(200, 300)), engine="torch"
    ).classifier


def test_what_only_colour_tells_is_learned(squares: ImageDataset, classifier: Classifier) -> None:
    assert classifier.card.image_shape == SHAPE
    assert (classifier.predict(squares.images) == squares.labels).mean() > 0.98


def test_grey_is_pillows_luma() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    np.testing.assert_array_equal(grey_pixels(pixels), np.asarray(Image.fromarray(pixels).convert("L")))


def test_to_grey_and_back_to_colour(squares: ImageDataset) -> None:
    grey = squares.to_grey()
    assert grey.image_shape == SHAPE[:2]
    assert grey.to_grey() is grey
    np.testing.assert_array_equal(grey.to_colour().images[..., 2], grey.images)


def test_both_engines_answer_alike(squares: ImageDataset, classifier: Classifier, tmp_path: Path) -> None:
    classifier.save(tmp_path)
    images, outputs = squares.images[:20], np.eye(3, dtype=np.float32)[squares.labels[:20]]
    ours, theirs = (Classifier.load(tmp_path, engine=engine) for engine in ("numpy", "torch"))
    np.testing.assert_allclose(ours.logits(images), theirs.logits(images), atol=1e-4)
    slopes = [each.engine.input_gradient(images, outputs) for each in (ours, theirs)]
    assert slopes[0].shape == images.shape
    np.testing.assert_allclose(*slopes, atol=1e-4)


def test_gradients_are_those_of_finite_differences_and_autograd() -> None:
    rows = Engines.check_gradients(tenfold.get_recipe("cnn"), image_shape=SHAPE, samples=3, seed=0)
    assert rows[0]["shape"][1] == 3 * 4  # channels after pixel-unshuffle
    assert all(row["passed"] for row in rows)


def test_onnx_runtime_answers_alike(squares: ImageDataset, classifier: Classifier, tmp_path: Path) -> None:
    path = tenfold.export_onnx(classifier, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(path)
    (probs,) = session.run(["probabilities"], {"images": squares.images})
    np.testing.assert_allclose(probs, classifier.predict_proba(squares.images), atol=1e-5)


def test_a_picture_of_any_size_is_classified_in_colour(classifier: Classifier) -> None:
    picture = np.full((200, 160, 3), 30, np.uint8)
    picture[50:150, 40:120, 1] = 200
    assert classifier.classify(picture).label == "green"


def test_grey_images_are_refused_in_one_line(classifier: Classifier) -> None:
    with pytest.raises(tenfold.TenfoldError, match=r"expected uint8 of shape \(N, 20, 16, 3\)"):
        classifier.predict(np.zeros((2, 20, 16), np.uint8))


def test_augmentation_is_the_same_in_both_engines() -> None:
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, (32, *SHAPE), dtype=np.uint8)
    draws = AugmentationDraws.draw(AugmentationSettings(**ALL), 32, SHAPE, rng)
    assert draws is not None
    np.testing.assert_allclose(augment(images, draws), torch_augment(torch.tensor(images), draws), atol=1e-2)


def test_geometry_treats_each_channel_as_a_grey_image() -> None:
    rng = np.random.default_rng(4)
    images = rng.integers(0, 256, (8, *SHAPE), dtype=np.uint8)
    geometry = {key: ALL[key] for key in ("rotation", "shift", "crop_padding", "elastic", "flip", "erasing")}
    draws = AugmentationDraws.draw(AugmentationSettings(**geometry), 8, SHAPE, rng)
    assert draws is not None
    whole = augment(images, draws)
    for channel in range(3):
        np.testing.assert_array_equal(whole[..., channel], augment(images[..., channel].copy(), draws))


def test_a_flip_is_the_mirror_image() -> None:
    images = np.random.default_rng(5).integers(0, 256, (4, *SHAPE), dtype=np.uint8)
    draws = AugmentationDraws(flip=np.array([True, False, True, False]))
    changed = augment(images, draws)
    np.testing.assert_array_equal(changed[0], images[0, :, ::-1])
    np.testing.assert_array_equal(changed[1], images[1])


def test_hue_turns_colours_and_leaves_grey(squares: ImageDataset) -> None:
    images = np.full((1, 4, 4, 3), 120, np.uint8)
    images[0, 0, 0] = (160, 80, 80)
    draws = AugmentationDraws.draw(AugmentationSettings(hue=60), 1, (4, 4, 3), np.random.default_rng(7))
    assert draws is not None
    (changed,) = augment(images, draws)
    np.testing.assert_allclose(changed[1:], 120, atol=0.05)
    before, after = (colorsys.rgb_to_hsv(*(rgb / 255)) for rgb in (images[0, 0, 0], changed[0, 0]))
    assert 0.01 < min(abs(after[0] - before[0]), 1 - abs(after[0] - before[0])) < 0.25
    luma = np.array([0.299, 0.587, 0.114])
    assert changed[0, 0] @ luma == pytest.approx(images[0, 0, 0] @ luma, abs=0.1)


def test_saturation_and_contrast_are_affine() -> None:
    grey = np.full((16, 4, 4, 3), 100, np.uint8)
    settings = AugmentationSettings(saturation=0.9, contrast=0.5)
    draws = AugmentationDraws.draw(settings, 16, (4, 4, 3), np.random.default_rng(8))
    assert draws is not None
    changed = augment(grey, draws)
    np.testing.assert_allclose(changed, changed[:, :1, :1, :1] * np.ones((1, 4, 4, 3)), atol=0.05)
    assert 100 - 0.5 * 27.5 <= changed.min() <= changed.max() <= 100 + 0.5 * 27.5 + 0.1


def test_one_step_moves_both_engines_alike(squares: ImageDataset) -> None:
    recipe = tenfold.get_recipe("cnn")
    network = recipe.plan(SHAPE, 3)
    weights = network.initial_weights("kaiming", seed=0)
    options = EngineOptions(
        mean=0.3, std=0.2, loss=recipe.loss, optimiser=recipe.optimiser, precision="float64"
    )
    batch = Batch(squares.images[:32], squares.labels[:32])
    engines = [Engines.create(name, network, weights, options) for name in ("numpy", "torch")]
    for engine in engines:
        engine.train_step(batch, 0.01)
    ours, theirs = (engine.weights() for engine in engines)
    for name, values in ours.items():
        np.testing.assert_allclose(values, theirs[name], atol=1e-6)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corruptions_keep_shape_and_size(squares: ImageDataset, name: str) -> None:
    changed = tenfold.corrupt(squares.images[:3], name, 3)
    assert changed.shape == (3, *SHAPE)
    assert (changed != squares.images[:3]).any()


def test_a_blur_treats_each_channel_as_a_grey_image(squares: ImageDataset) -> None:
    blurred = tenfold.corrupt(squares.images[:3], "blur", 3)
    for channel in range(3):  # its border is dark: the grey image is not taken for dark ink on paper
        alone = tenfold.corrupt(squares.images[:3, ..., channel].copy(), "blur", 3)
        np.testing.assert_array_equal(blurred[..., channel], alone)


def test_data_sets_are_explored_and_duplicates_found(squares: ImageDataset) -> None:
    twice = ImageDataset(
        np.concatenate([squares.images, squares.images[:1]]), np.append(squares.labels, squares.labels[0]),
        squares.class_names,
    )  # fmt: skip
    found = tenfold.explore_dataset(twice)
    assert [group.rows.tolist() for group in found.duplicates.exact] == [[0, 300]]
    assert found.to_dict()["image_shape"] == list(SHAPE)


def test_explanations_are_maps_of_pixels(squares: ImageDataset, classifier: Classifier) -> None:
    explained = tenfold.explain_image(classifier, squares.images[0])
    for each in explained.maps:
        assert each.values.shape == SHAPE[:2]
    inside = np.zeros(SHAPE[:2], bool)
    inside[5:15, 4:12] = True
    occlusion = explained.map("occlusion").values
    assert occlusion[inside].mean() > occlusion[~inside].mean()


def test_the_doctor_examines_a_set_in_colour(squares: ImageDataset) -> None:
    diagnosis = tenfold.diagnose("mlp-small", squares)
    assert diagnosis.images == 300
    assert not [finding for finding in diagnosis.findings if finding.code.startswith("test-")]


def test_a_strip_of_pictures_keeps_its_colours(squares: ImageDataset) -> None:
    row = Image.open(io.BytesIO(base64.b64decode(picture_row(squares.images[:2]).partition(",")[2])))
    assert row.mode == "RGBA"
    np.testing.assert_array_equal(np.asarray(row)[:, :16, :3], squares.images[0])


def test_the_estimator_takes_pictures_in_colour(squares: ImageDataset) -> None:
    names = np.array(squares.class_names)[squares.labels]
    model = tenfold.DigitClassifier("mlp-small", epochs=20, random_state=0).fit(
        squares.images[:200], names[:200]
    )
    assert model.image_shape_ == SHAPE
    assert model.score(squares.images[200:], names[200:]) > 0.95
    flat = tenfold.DigitClassifier("mlp-small", epochs=20, random_state=0, image_shape=SHAPE)
    flat.fit(squares.images[:200].reshape(200, -1), names[:200])
    np.testing.assert_array_equal(
        flat.predict_proba(squares.images[200:].reshape(100, -1)), model.predict_proba(squares.images[200:])
    )


def test_a_recipe_has_values_of_its_own_for_colour() -> None:
    recipe = tenfold.change_recipe("cnn", {"colour": {"training.batch_size": 64, "training.epochs": 4}})
    assert suit_recipe(recipe, SHAPE[:2]) == recipe
    suited = suit_recipe(recipe, SHAPE)
    assert (suited.training.batch_size, suited.training.epochs, suited.colour) == (64, 4, {})
    asked = suit_recipe(tenfold.change_recipe(recipe, {"training.batch_size": 32}), SHAPE)
    assert (asked.training.batch_size, asked.training.epochs) == (32, 4)  # what a user asks for stays
    with pytest.raises(tenfold.TenfoldError, match="batchsize"):
        tenfold.change_recipe("cnn", {"colour": {"training.batchsize": 64}})
