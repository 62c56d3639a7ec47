"""What the server answers is what the classifier and `read_picture` answer."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from serving import EXAMPLES, AppClient, base64_of, canvases, open_client, png_of

from tenfold.classifier import Classifier, ModelCard
from tenfold.explain.gradient import gradient_saliency
from tenfold.networks.initialise import initial_weights
from tenfold.reader.reading import read_picture
from tenfold.recipes.load import change_recipe, get_recipe
from tenfold.serve.settings import ServeSettings

PICTURES = [path.read_bytes() for path in sorted(EXAMPLES.glob("*"))] + canvases(12)


def check_same(told: dict[str, Any], expected: dict[str, Any]) -> None:
    """Exactly, but for probabilities, which another batch may give in another last bit."""
    assert told["text"] == expected["text"] and told["troubles"] == expected["troubles"]
    assert len(told["digits"]) == len(expected["digits"])
    for digit, other in zip(told["digits"], expected["digits"], strict=True):
        assert set(other) <= set(digit)
        assert digit["box"] == list(other["box"]) and digit["label"] == other["label"]
        assert digit["verdict"] == other["verdict"]
        np.testing.assert_allclose(digit["probs"], other["probs"], atol=1e-5)
        assert digit["confidence"] == pytest.approx(other["confidence"], abs=1e-5)
        assert [a["label"] for a in digit["alternatives"][:1]] == [digit["label"]]


@pytest.mark.parametrize("number", range(len(PICTURES)))
def test_a_picture_in_each_kind_of_body(client: AppClient, reader: Classifier, number: int) -> None:
    picture = PICTURES[number]
    expected = read_picture(reader, picture).to_dict()
    answers = [
        client.post("/v1/read", content=picture, headers={"Content-Type": "image/png"}),
        client.post("/v1/read", files={"pictures": ("drawn.png", picture)}),
        client.post("/v1/read", json={"pictures": [base64_of(picture)]}),
        client.post("/v1/read", json={"pictures": ["data:image/png;base64," + base64_of(picture)]}),
    ]
    for answer in answers:
        assert answer.status_code == 200, answer.text
        (told,) = answer.json()["pictures"]
        check_same(told, expected)
        assert told["milliseconds"] > 0
    assert answers[1].json()["pictures"][0]["name"] == "drawn.png"


def test_several_pictures_keep_their_order(client: AppClient, reader: Classifier) -> None:
    files = [("pictures", (f"{n}.png", data)) for n, data in enumerate(PICTURES[:4])]
    told = client.post("/v1/read", files=files).json()["pictures"]
    assert [entry["name"] for entry in told] == ["0.png", "1.png", "2.png", "3.png"]
    for entry, data in zip(told, PICTURES[:4], strict=True):
        check_same(entry, read_picture(reader, data).to_dict())


def test_a_bad_picture_among_good_ones_has_its_error(client: AppClient) -> None:
    given = {"pictures": [base64_of(PICTURES[0]), base64_of(b"no picture")]}
    answer = client.post("/v1/read", json=given)
    good, bad = answer.json()["pictures"]
    assert answer.status_code == 200 and "error" not in good
    assert bad["text"] == "" and bad["digits"] == [] and bad["error"]["expected"].startswith("a picture")
    alone = client.post("/v1/read", json={"pictures": given["pictures"][1:]})
    assert alone.status_code == 422 and alone.json()["error"] == bad["error"]


def test_what_the_page_shows(client: AppClient, reader: Classifier) -> None:
    """The image that the network saw, the saliency over it, and all of the ink."""
    reading = read_picture(reader, PICTURES[-1])
    answer = client.post("/v1/read?include=image,saliency&include=ink", content=PICTURES[-1], headers=PNG)
    (told,) = answer.json()["pictures"]
    for digit, expected in zip(told["digits"], reading.digits, strict=True):
        image = np.frombuffer(base64.b64decode(digit["image"]), np.uint8).reshape(28, 28)
        np.testing.assert_array_equal(image, expected.image)
        shares = np.array(digit["saliency"]).reshape(28, 28)
        np.testing.assert_allclose(shares, gradient_saliency(reader, image), atol=1e-4)
    ink = np.asarray(Image.open(io.BytesIO(base64.b64decode(told["ink"]["png"]))))
    np.testing.assert_allclose(ink / 255, reading.ink.strength, atol=0.5 / 255 + 1e-6)
    assert told["ink"]["size"] == list(ink.shape[::-1]) and told["ink"]["scale"] == reading.picture.scale
    plain = client.post("/v1/read", content=PICTURES[-1], headers=PNG).json()["pictures"][0]
    assert "ink" not in plain and not {"image", "saliency"} & set(plain["digits"][0])


PNG = {"Content-Type": "image/png"}
IMAGES = np.stack([np.roll(np.eye(28, dtype=np.uint8) * 200, n, axis=1) for n in range(5)])


def as_npy(images: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, images)
    return file.getvalue()


def test_predict_in_each_kind_of_body(client: AppClient, reader: Classifier) -> None:
    expected, none = reader.judge(IMAGES)
    binary = {"Content-Type": "application/octet-stream"}
    answers = [
        client.post("/v1/predict", json={"images": IMAGES.tolist()}),
        client.post("/v1/predict", content=IMAGES.tobytes(), headers=binary),
        client.post("/v1/predict", content=as_npy(IMAGES), headers=binary),
        client.post("/v1/predict", content=as_npy(IMAGES), headers={"Content-Type": "application/x-npy"}),
    ]
    for answer in answers:
        told = answer.json()
        assert told["labels"] == [reader.class_names[i] for i in expected.argmax(axis=1)]
        assert told["verdicts"] == [each.verdict for each in reader.predictions(IMAGES)]
        np.testing.assert_allclose(told["probs"], expected, atol=1e-5)
        np.testing.assert_allclose(told["none"], none, atol=1e-5)


def test_the_model_says_what_it_is(client: AppClient, reader: Classifier) -> None:
    told = client.get("/v1/model").json()
    assert told["card"] == reader.card.to_dict()
    assert told["parameters"] == reader.network.parameter_count
    assert told["preprocessing"]["temperature"] == reader.card.temperature
    assert told["limits"]["pictures"] == 4 and told["collects"] is True


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[AppClient, Classifier]]:
    """A model that reads no ink: twelve by ten pixels in three classes."""
    recipe = change_recipe(get_recipe("mlp-small"), {"network.layers": ["flatten", "linear classes"]})
    card = ModelCard(recipe, ("left", "middle", "right"), (12, 10), 0.1, 0.3)
    weights = initial_weights(recipe.plan((12, 10), 3), "kaiming", seed=0)
    classifier = Classifier.from_weights(card, weights, engine="numpy")
    with open_client(classifier, ServeSettings(workers=1, access_log=False)) as client:
        yield client, classifier


def test_a_model_that_reads_no_ink_takes_the_whole_picture(colours: tuple[AppClient, Classifier]) -> None:
    client, classifier = colours
    picture = np.random.default_rng(0).integers(0, 256, (24, 20), dtype=np.uint8)
    data = png_of(Image.fromarray(picture))
    (told,) = client.post("/v1/read?include=image", content=data, headers=PNG).json()["pictures"]
    expected = classifier.classify(data)
    assert told["text"] == expected.label and told["digits"][0]["box"] is None
    np.testing.assert_allclose(told["digits"][0]["probs"], expected.probs, atol=1e-6)
    assert len(base64.b64decode(told["digits"][0]["image"])) == 120
    answer = client.post("/v1/predict", json={"images": [[[7] * 10] * 12]}).json()
    assert answer["labels"] == [classifier.predictions(np.full((1, 12, 10), 7, np.uint8))[0].label]
    assert client.post("/v1/predict", json={"images": [[[7] * 28] * 28]}).status_code == 422


def test_nothing_is_collected_unless_asked(colours: tuple[AppClient, Classifier], tmp_path: Path) -> None:
    client, _ = colours
    assert client.post("/v1/corrections", json={"label": "7"}).status_code in (404, 405)
    assert client.get("/config.json").json() == {"backend": "server", "collect": False}
    assert "/v1/corrections" not in client.get("/openapi.json").json()["paths"]
