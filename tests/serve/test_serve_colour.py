"""A classifier of pictures in colour, asked over HTTP: the answers of Python, in every form of a body."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image
from serving import AppClient, open_client, png_of

import tenfold
from tenfold.classifier import Classifier, ModelCard
from tenfold.serve.settings import ServeSettings

SHAPE = (16, 20, 3)
NAMES = ("red", "green", "blue")


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    recipe = tenfold.get_recipe("cnn")
    card = ModelCard(recipe, NAMES, SHAPE, mean=0.4, std=0.25)
    weights = recipe.plan(SHAPE, 3).initial_weights("kaiming", seed=1)
    return Classifier.from_weights(card, weights, engine="numpy")


@pytest.fixture(scope="module")
def client(classifier: Classifier) -> Iterator[AppClient]:
    with open_client(classifier, ServeSettings(workers=1)) as opened:
        yield opened


def _npy(images: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, images)
    return file.getvalue()


def test_every_body_is_answered_as_python_does(client: AppClient, classifier: Classifier) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, *SHAPE), dtype=np.uint8)
    expected = classifier.predict_proba(images)
    kind = {"Content-Type": "application/octet-stream"}
    answers = [
        client.post("/v1/predict", json={"images": images.tolist()}),
        client.post("/v1/predict", content=images.tobytes(), headers=kind),
        client.post("/v1/predict", content=_npy(images), headers={"Content-Type": "application/x-npy"}),
    ]
    for answer in answers:
        assert answer.status_code == 200, answer.text
        probs = answer.json()["probs"]
        np.testing.assert_allclose(probs, expected, atol=1e-5)


def test_a_picture_is_read_in_colour(client: AppClient, classifier: Classifier) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (32, 40, 3), dtype=np.uint8)
    told = client.post(
        "/v1/read", content=png_of(Image.fromarray(picture)), headers={"Content-Type": "image/png"}
    )
    assert told.status_code == 200, told.text
    expected = classifier.classify(picture)
    assert told.json()["pictures"][0]["digits"][0]["label"] == expected.label
    np.testing.assert_allclose(told.json()["pictures"][0]["digits"][0]["probs"], expected.probs, atol=1e-5)


@pytest.mark.parametrize(
    "images",
    [[[[0] * 20] * 16], [[[[0, 0]] * 20] * 16], [[[[0, 0, 0]] * 20] * 15], [[[[0, 0, 256]] * 20] * 16]],
)
def test_other_shapes_are_refused_in_one_line(client: AppClient, images: list) -> None:
    answer = client.post("/v1/predict", json={"images": images})
    assert answer.status_code == 422
    assert "16" in answer.text and "\n" not in answer.json()["error"]


def test_the_model_says_what_it_takes(client: AppClient) -> None:
    told = client.get("/v1/model").json()["preprocessing"]
    assert told["image_shape"] == list(SHAPE)
    assert "in colour" in told["picture"]
