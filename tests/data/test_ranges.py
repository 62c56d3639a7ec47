"""Numbers that are not 0 to 255 are scaled and said, or refused with what was seen."""

from __future__ import annotations

import gzip
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tenfold.classifier import Classifier, ModelCard
from tenfold.cli.options import load_data_for
from tenfold.data.catalogue import load_sample
from tenfold.data.load import DataRequest, load_dataset
from tenfold.data.ranges import PixelRange, find_range
from tenfold.errors import DataError, TenfoldWarning
from tenfold.evaluation.evaluate import evaluate
from tenfold.recipes.load import change_recipe, get_recipe
from tenfold.serve.requests import parse_images
from tenfold.serve.settings import Refusal
from tenfold.training.loop import train


@cache
def sample_images() -> np.ndarray:
    return load_sample().images


RNG = np.random.default_rng(0)
SHADES = np.zeros((60, 8, 8))  # 0 to 16, as scikit-learn's digits: a dark ground around a blurred stroke
for _number, _image in enumerate(SHADES):
    _image[2:6, 2 + _number % 3 : 5] = RNG.integers(4, 17, (4, 3 - _number % 3))
SHADES[:, 3, 4] = 16
LABELS = np.arange(60) % 2
EXPECTED = np.rint(SHADES * 255 / 16).astype(int)


def npz(folder: Path, images: np.ndarray, **more: np.ndarray) -> Path:
    np.savez(folder / "d.npz", images=images, labels=LABELS[: len(images)], **more)
    return folder / "d.npz"


def csv(folder: Path, images: np.ndarray, *, packed: bool = False) -> Path:
    rows = [f"{k}," + ",".join(map(repr, row.tolist())) for k, row in zip(LABELS, images.reshape(-1, 64))]
    text = ("\n".join(rows) + "\n").encode()
    path = folder / ("d.csv.gz" if packed else "d.csv")
    path.write_bytes(gzip.compress(text) if packed else text)
    return path


FORMS = {
    "0 to 16": (SHADES, (0, 16)),
    "0 to 16, bytes": (SHADES.astype(np.uint8), (0, 16)),
    "0 to 15": (np.minimum(SHADES, 15), (0, 15)),
    "0 to 1": (SHADES / 16, (0, 1)),
    "0 to 1, float32": ((SHADES / 16).astype(np.float32), (0, 1)),
    "-1 to 1": (SHADES / 8 - 1, (-1, 1)),
    "-0.5 to 0.5": (SHADES / 16 - 0.5, (-0.5, 0.5)),
    "standardised": ((SHADES / 16 - 0.1307) / 0.3081, (-0.1307 / 0.3081, 0.8693 / 0.3081)),
    "yes and no": ((SHADES > 8).astype(int), (0, 1)),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("make", [npz, csv])
def test_other_units_are_scaled_and_said(
    tmp_path: Path, form: str, make: Callable[[Path, np.ndarray], Path]
) -> None:
    values, ends = FORMS[form]
    with pytest.warns(TenfoldWarning, match="are scaled to 0 to 255") as told:
        dataset = load_dataset(make(tmp_path, values), split="all")
    assert len(told) == 1 and "\n" not in str(told[0].message)
    assert dataset.value_range == pytest.approx(ends, abs=1e-5)
    expected = np.rint((values - ends[0]) * (255 / (ends[1] - ends[0])))
    np.testing.assert_allclose(dataset.images.astype(int), expected, atol=1)
    assert dataset.images.max() == 255 and dataset.subset(np.arange(3)).value_range == dataset.value_range


@pytest.mark.parametrize("values", [SHADES * 15.9375, EXPECTED, EXPECTED.astype(np.uint8)])
def test_the_usual_range_is_left_alone(tmp_path: Path, values: np.ndarray) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = load_dataset(npz(tmp_path, values), split="all")
    assert dataset.value_range == (0, 255)
    np.testing.assert_allclose(dataset.images.astype(int), EXPECTED, atol=1)


def test_training_and_test_images_share_one_rule(tmp_path: Path) -> None:
    faint = np.minimum(SHADES, 7)
    np.savez(tmp_path / "d.npz", x_train=SHADES, y_train=LABELS, x_test=faint, y_test=LABELS)
    with pytest.warns(TenfoldWarning):
        parts = DataRequest(tmp_path / "d.npz", "all").load_parts()
    assert parts["train"].value_range == parts["test"].value_range == (0, 16)
    np.testing.assert_allclose(parts["test"].images.astype(int), faint * 255 / 16, atol=0.51)


def scaled_by_column() -> np.ndarray:
    flat = sample_images()[::10, ::2, ::2].reshape(500, -1) / 255
    return ((flat - flat.mean(axis=0)) / np.where(flat.std(axis=0) > 0, flat.std(axis=0), 1)).reshape(
        -1, 14, 14
    )


def wrapped(kind: str) -> np.ndarray:
    digits = sample_images()[::10].astype(int)
    shades = (sample_images()[::10, 2:26, 2:26].reshape(-1, 8, 3, 8, 3).mean(axis=(2, 4)) / 15.9).round()
    return {
        "16 times 16": shades * 16,
        "brighter": digits + 60,
        "negated": -digits,
        "light, brighter": 255 - digits + 20,
        "low byte": digits * 225,
        "standardised": np.trunc((digits / 255 - 0.1307) / 0.3081 * 64),
    }[kind].astype(int) % 256


@pytest.mark.parametrize(
    "kind", ["16 times 16", "brighter", "negated", "light, brighter", "low byte", "standardised"]
)
def test_bytes_that_wrapped_around_are_refused(tmp_path: Path, kind: str) -> None:
    images = wrapped(kind).astype(np.uint8)
    np.savez(tmp_path / "d.npz", images=images, labels=np.arange(len(images)) % 10)
    with pytest.raises(DataError, match="wrapped around") as error:
        load_dataset(tmp_path / "d.npz")
    assert "from 0 to 25" in str(error.value) and "\n" not in str(error.value)


def test_what_did_not_wrap_around_is_taken() -> None:
    digits = sample_images()[::10]
    noise = RNG.integers(0, 256, (300, 28, 28), dtype=np.uint8)
    contrasty = np.clip((digits.astype(int) - 128) * 4 + 128, 0, 255)
    for images in (digits, 255 - digits, np.where(digits > 127, 255, 0), noise, contrasty, EXPECTED):
        assert not PixelRange.looks_wrapped(images) and not PixelRange.looks_wrapped(
            images.reshape(len(images), -1)
        )


@pytest.mark.parametrize("values", [scaled_by_column, lambda: sample_images()[::10].astype(np.int8)])
def test_what_no_scale_can_fix_is_refused(tmp_path: Path, values: Callable[[], np.ndarray]) -> None:
    images = values()
    np.savez(tmp_path / "d.npz", images=images, labels=np.arange(len(images)) % 10)
    with pytest.raises(DataError, match=f"pixels from {images.min():g} to {images.max():g}"):
        load_dataset(tmp_path / "d.npz")


def test_a_range_that_is_given_is_kept_to(tmp_path: Path) -> None:
    path = csv(tmp_path, np.minimum(SHADES, 12).astype(int), packed=True)
    dataset = load_dataset(path, split="all", value_range=(0, 16))
    assert dataset.images.max() == 191 and dataset.value_range == (0, 16)
    with pytest.raises(
        DataError, match=r"row 1, column \d+: the pixel is 12; expected a number from 0 to 10"
    ):
        load_dataset(path, split="all", value_range=(0, 10))


@pytest.fixture
def model(tmp_path: Path) -> Classifier:
    recipe = change_recipe(get_recipe("softmax-sgd"), {"training.steps": 1, "training.patience": 0})
    with pytest.warns(TenfoldWarning):
        dataset = load_dataset(npz(tmp_path, SHADES), split="all")
    classifier = train(recipe, dataset).classifier
    classifier.save(tmp_path / "model")
    return classifier


def test_the_model_keeps_the_rule(tmp_path: Path, model: Classifier) -> None:
    assert ModelCard.load(tmp_path / "model").value_range == model.card.value_range == (0, 16)
    path = csv(tmp_path, np.minimum(SHADES, 12).astype(int))
    with pytest.warns(TenfoldWarning):
        dataset = load_data_for(tmp_path / "model", DataRequest(str(path), "all"))
    assert dataset.value_range == (0, 16) and dataset.images.max() == 191


def test_scores_in_python_compare_the_ranges(tmp_path: Path, model: Classifier) -> None:
    """Of faint images 0 to 12 another white is found, 15; with the model's own nothing is said."""
    path = npz(tmp_path, np.minimum(SHADES, 12))
    with pytest.warns(TenfoldWarning):
        found, kept = load_dataset(path, split="all"), load_dataset(path, split="all", value_range=(0, 16))
    assert found.value_range == (0, 15)
    with pytest.warns(TenfoldWarning, match=r"from 0 to 15, the model's from 0 to 16; .*value_range=\(0"):
        evaluate(model, found)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluate(model, kept)


def test_the_server_takes_the_units_of_the_model(model: Classifier) -> None:
    ends = model.card.value_range
    body = b'{"images": [%s]}' % str(SHADES[0].tolist()).encode()
    images = parse_images("json", body, (8, 8), 4, ends)
    np.testing.assert_array_equal(images[0], EXPECTED[0])
    raw = parse_images("raw", SHADES[0].astype(np.uint8).tobytes(), (8, 8), 4, ends)
    np.testing.assert_array_equal(raw, images)
    with pytest.raises(Refusal, match="numbers from 0 to 255; expected 0"):
        parse_images("raw", EXPECTED[0].astype(np.uint8).tobytes(), (8, 8), 4, ends)


def test_of_a_few_whole_numbers_nothing_is_told() -> None:
    assert find_range([np.arange(12).reshape(3, 2, 2)], "d") == (0, 255)
