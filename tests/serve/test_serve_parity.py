"""What the server answers is what `LineReader.read` and the classifier answer."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from serving import EXAMPLES, AppClient, base64_of, canvases, make_classifier, numbers, open_client, png_of

from tenfold.classifier import Classifier
from tenfold.explain.attributions import gradient_saliency
from tenfold.reader.decode import BLANK, CHARACTERS
from tenfold.reader.line_reader import LineReader
from tenfold.reader.reading import LEAD, Line, Reading
from tenfold.serve.settings import ServeSettings

PNG = {"Content-Type": "image/png"}
PICTURES = [path.read_bytes() for path in sorted(EXAMPLES.glob("*"))] + canvases(4) + numbers(8)


def printed(text: str) -> bytes:
    picture = Image.new("L", (60 * len(text), 160), 255)
    ImageDraw.Draw(picture).text((40, 30), text, 0, ImageFont.load_default(size=90))
    return png_of(picture)


def check_same(told: dict[str, Any], reading: Reading) -> None:
    """Exactly, but for probabilities, which another batch may give in another last bit."""
    expected = reading.to_dict()
    assert set(told) == {*expected, "name", "milliseconds"}
    assert told["text"] == expected["text"] and told["troubles"] == expected["troubles"]
    assert told["confidence"] == pytest.approx(expected["confidence"], abs=1e-5)
    assert told["turned"] == expected["turned"] and (told["table"] is None) == (expected["table"] is None)
    if reading.table is not None:
        cells = [[(cell["text"], cell["reason"] or "") for cell in row] for row in told["table"]["cells"]]
        assert cells == [[(cell.text, cell.reason) for cell in row] for row in reading.table.rows]
    assert len(told["lines"]) == len(expected["lines"])
    for line, other in zip(told["lines"], expected["lines"], strict=True):
        assert (line["text"], line["box"]) == (other["text"], other["box"])
        assert line["confidence"] == pytest.approx(other["confidence"], abs=1e-5)
    for key in ("digits", "characters"):
        assert len(told[key]) == len(expected[key])
        for character, other in zip(told[key], expected[key], strict=True):
            assert set(character) == set(other)
            assert character["box"] == list(other["box"]) and character["label"] == other["label"]
            assert character["verdict"] == other["verdict"]
            np.testing.assert_allclose(character["probs"], other["probs"], atol=1e-5)
            for name in ("confidence", "none"):
                assert character[name] == pytest.approx(other[name], abs=1e-5)


def read(client: AppClient, picture: bytes, **query: str) -> dict[str, Any]:
    answer = client.post("/v1/read", content=picture, headers=PNG, params=query)
    assert answer.status_code == 200, answer.text
    (told,) = answer.json()["pictures"]
    return told


@pytest.mark.parametrize("number", range(len(PICTURES)))
def test_a_picture_in_each_kind_of_body(client: AppClient, reader: LineReader, number: int) -> None:
    picture = PICTURES[number]
    expected = reader.read(picture)
    answers = [
        client.post("/v1/read", content=picture, headers=PNG),
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


def test_the_simplest_picture(client: AppClient) -> None:
    assert read(client, (EXAMPLES / "seven.png").read_bytes())["text"] == "7"


def test_real_pictures(reader: LineReader, real_dev: Path) -> None:
    """Twenty of them, of every kind and size."""
    with (real_dev / "labels.csv").open(encoding="utf-8", newline="") as table:
        paths = [real_dev / row["path"] for row in csv.DictReader(table)]
    with open_client(reader, ServeSettings(workers=1, timeout=60, access_log=False)) as client:
        for path in paths[:: len(paths) // 20]:
            check_same(read(client, path.read_bytes()), reader.read(path))


FORMS: list[dict[str, Any]] = [
    {"pattern": r"\d{3}"},
    {"pattern": r"\d+(,\d\d)?"},
    {"length": 2},
    {"least": 10, "most": 9999},
    {"length": 4, "most": "5000"},
]


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_an_expected_form(client: AppClient, reader: LineReader, form: dict[str, Any]) -> None:
    names = {"least": "min", "most": "max"}
    query = {names.get(key, key): str(value) for key, value in form.items()}
    for picture in PICTURES[-2:]:
        check_same(read(client, picture, **query), reader.read(picture, **form))


def test_digits_only(client: AppClient, reader: LineReader) -> None:
    """Where a form makes sure of a separator, doubtful or not."""
    for picture in (*PICTURES[-2:], printed("3,5")):
        reading = reader.read(picture, pattern=r"\d,\d")
        assert "," in [character.label for character in reading.characters]
        plain = read(client, picture, pattern=r"\d,\d", digits="false")
        told = read(client, picture, pattern=r"\d,\d", digits="true")
        check_same(plain, reading)
        check_same(told, reading.only_digits())
        assert told["text"] == plain["text"].replace(",", "") and told["characters"] == told["digits"]
    assert (plain["text"], told["text"]) == ("3,5", "35")


def test_several_pictures_keep_their_order(client: AppClient, reader: LineReader) -> None:
    files = [("pictures", (f"{n}.png", data)) for n, data in enumerate(PICTURES[:4])]
    told = client.post("/v1/read", files=files).json()["pictures"]
    assert [entry["name"] for entry in told] == ["0.png", "1.png", "2.png", "3.png"]
    for entry, data in zip(told, PICTURES[:4], strict=True):
        check_same(entry, reader.read(data))


def test_a_bad_picture_among_good_ones_has_its_error(client: AppClient) -> None:
    given = {"pictures": [base64_of(PICTURES[0]), base64_of(b"no picture")]}
    answer = client.post("/v1/read", json=given)
    good, bad = answer.json()["pictures"]
    assert answer.status_code == 200 and "error" not in good
    assert set(bad) == {*good, "error"} and bad["error"]["expected"].startswith("a picture")
    assert (bad["text"], bad["confidence"]) == ("", None)
    assert bad["digits"] == bad["characters"] == bad["lines"] == bad["troubles"] == []
    alone = client.post("/v1/read", json={"pictures": given["pictures"][1:]})
    assert alone.status_code == 422 and alone.json()["error"] == bad["error"]


def test_what_the_page_shows(client: AppClient, reader: LineReader) -> None:
    """Around each character the pixels that the network saw and what they add to the answer; the strips."""
    picture = (EXAMPLES / "note.jpg").read_bytes()
    reading = reader.read(picture)
    told = read(client, picture, include="image,saliency,strip")
    assert reading.lines and reading.characters
    for line, expected in zip(told["lines"], reading.lines, strict=True):
        strip = np.asarray(Image.open(io.BytesIO(base64.b64decode(line["strip"]))))
        np.testing.assert_array_equal(strip, expected.strip)
    for character, seen in zip(told["characters"], reading.characters, strict=True):
        image = np.frombuffer(base64.b64decode(character["image"]), np.uint8).reshape(32, 32)
        np.testing.assert_array_equal(image, seen.image)
    line = reading.lines[0]
    for number in range(len(line.characters)):
        shown = np.array(told["characters"][number]["saliency"]).reshape(32, 32)
        np.testing.assert_allclose(shown, lead_added(reader, line, number), atol=1e-4)
    kept = [each for each in told["characters"] if each["label"].isdigit() or each["verdict"] != "digit"]
    assert told["digits"] == kept
    plain = read(client, picture)
    assert not any("strip" in line for line in plain["lines"])
    assert not any({"image", "saliency"} & set(each) for each in plain["characters"])


def lead_added(reader: LineReader, line: Line, number: int) -> np.ndarray:
    """float (32, 32): the gradient of a character's lead over the next one, times departure from paper."""
    place, label = line.places[number], line.characters[number].label
    label = "?" if line.characters[number].verdict == "not a digit" else label
    logits = reader.engine.logits(line.strip[None])
    scores = {CHARACTERS[k]: logits[0, place, k] for k in range(BLANK) if CHARACTERS[k] != label}
    weights = np.zeros_like(logits)
    weights[0, place, CHARACTERS.index(label)] = 1
    weights[0, place, CHARACTERS.index(max(scores, key=scores.__getitem__))] = -1
    gradient = reader.engine.input_gradient(line.strip[None], weights)[0]
    added = np.zeros((32, line.strip.shape[1] + 32))
    added[:, 16:-16] = gradient * (line.strip.astype(float) - 128) / 255 / reader.card.recipe.input.std
    return added[:, 2 * place + 1 + LEAD :][:, :32]  # around the middle of the character


IMAGES = np.stack([np.roll(np.eye(28, dtype=np.uint8) * 200, n, axis=1) for n in range(5)])


def as_npy(images: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, images)
    return file.getvalue()


def test_predict_in_each_kind_of_body(image_client: AppClient, classifier: Classifier) -> None:
    expected, none = classifier.judge(IMAGES)
    binary = {"Content-Type": "application/octet-stream"}
    answers = [
        image_client.post("/v1/predict", json={"images": IMAGES.tolist()}),
        image_client.post("/v1/predict", content=IMAGES.tobytes(), headers=binary),
        image_client.post("/v1/predict", content=as_npy(IMAGES), headers=binary),
        image_client.post(
            "/v1/predict", content=as_npy(IMAGES), headers={"Content-Type": "application/x-npy"}
        ),
    ]
    for answer in answers:
        told = answer.json()
        assert told["labels"] == [classifier.class_names[i] for i in expected.argmax(axis=1)]
        assert told["verdicts"] == [each.verdict for each in classifier.predictions(IMAGES)]
        np.testing.assert_allclose(told["probs"], expected, atol=1e-5)
        np.testing.assert_allclose(told["none"], none, atol=1e-5)


@pytest.mark.parametrize(("opened", "model"), [("client", "reader"), ("image_client", "classifier")])
def test_the_model_says_what_it_is(opened: str, model: str, request: pytest.FixtureRequest) -> None:
    served, told = request.getfixturevalue(model), request.getfixturevalue(opened).get("/v1/model").json()
    assert told["card"] == served.card.to_dict()
    assert told["parameters"] == served.network.parameter_count
    assert told["preprocessing"]["temperature"] == served.card.temperature
    assert told["limits"]["pictures"] == 4 and told["collects"] is True and told["rejects"] is True
    assert told["kind"] == {"reader": "line reader"}.get(model, model)


def test_the_model_names_its_characters(client: AppClient) -> None:
    """In the order of each character's probabilities."""
    told = client.get("/v1/model").json()
    (seven,) = read(client, (EXAMPLES / "seven.png").read_bytes())["characters"]
    assert "".join(told["class_names"]) == told["characters"] == "0123456789.,-/:+×÷="
    assert len(seven["probs"]) == len(told["class_names"])
    assert told["class_names"][int(np.argmax(seven["probs"]))] == seven["label"] == "7"


def test_a_classifier_of_digits_reads_one(image_client: AppClient, classifier: Classifier) -> None:
    picture = (EXAMPLES / "seven.png").read_bytes()
    told = read(image_client, picture, include="image,saliency")
    expected = classifier.classify(picture)
    assert told["digits"] == told["characters"] and told["lines"] == [] and len(told["digits"]) == 1
    assert told["text"] == (expected.label if expected.verdict == "digit" else "?")
    assert told["confidence"] == pytest.approx(expected.confidence, abs=1e-6)
    image = np.frombuffer(base64.b64decode(told["digits"][0]["image"]), np.uint8).reshape(28, 28)
    np.testing.assert_array_equal(image, expected.image)
    shares = np.array(told["digits"][0]["saliency"]).reshape(28, 28)
    np.testing.assert_allclose(shares, gradient_saliency(classifier, image), atol=1e-4)


@pytest.fixture(scope="module")
def colours() -> Iterator[tuple[AppClient, Classifier]]:
    """A model of other images: twelve by ten pixels in three classes."""
    classifier = make_classifier(("left", "middle", "right"), (12, 10), background="any")
    with open_client(classifier, ServeSettings(workers=1, access_log=False)) as client:
        yield client, classifier


def test_a_model_of_other_images_takes_the_whole_picture(colours: tuple[AppClient, Classifier]) -> None:
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
    assert client.get("/config.json").json() == {"backend": "server", "collect": False, "lab": True}
    assert "/v1/corrections" not in client.get("/openapi.json").json()["paths"]
