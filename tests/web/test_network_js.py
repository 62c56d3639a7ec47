"""The network in JavaScript, in a real Chromium: it answers as the classifier does, whatever the network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Page
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lab import Lab, open_lab
from some_classifiers import classifier_of, ensemble_of, images_of, random_layers, recipe_of, trained_weights

from tenfold.classifier import Classifier
from tenfold.explain.attributions import gradient_saliency
from tenfold.export.web import write_web_model
from tenfold.pictures.lines import Strip
from tenfold.reader.decode import OUTPUTS
from tenfold.reader.line_reader import AnyModel, LineReader, ReaderCard, load_reader, read_recipe
from tenfold.recipes.load import change_recipe, get_recipe, list_recipes

TOLERANCE = 1e-5
LINE_LAYERS = [
    "pixel-unshuffle 2", "conv 4 3x5 padding same no-bias", "batch-norm", "relu",
    {"residual": ["conv 4 3x3 padding same", "tanh"]}, "max-pool 4x2", "average-pool 2x1",
    "conv 17 2x3 padding 0x1", "tanh", "conv 16 3x3 padding 1", "batch-norm", "relu",
    "conv 18 3x3 padding 1 no-bias", "sigmoid", "conv classes 1x1", "columns",
]  # fmt: skip


@pytest.fixture(scope="module")
def lab(browser_page: Page, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with open_lab(browser_page, tmp_path_factory.mktemp("lab")) as made:
        yield made


def ask(lab: Lab, model: AnyModel, images: np.ndarray, code: str) -> list[Any]:
    """The value of `code` for each image, of which `a.data` holds the bytes; `model` is the model."""
    write_web_model(model, lab.folder / "model")
    lab.run("self.model = await (await import('/js/network.js')).loadModel('model');")
    return lab.each(f"const {{ model }} = self; {code}", list(images))


def assert_same_answers(lab: Lab, classifier: Classifier, images: np.ndarray) -> None:
    probs, none = classifier.judge(images)
    code = "const { probs, none } = model.judge(a.data, 1); return [...probs, ...none];"
    found = np.array(ask(lab, classifier, images, code))
    np.testing.assert_allclose(found[:, :-1], probs, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(found[:, -1], none, rtol=0, atol=TOLERANCE)


def test_weights_that_are_no_numbers_are_refused(lab: Lab) -> None:
    write_web_model(classifier_of(get_recipe("softmax-sgd")), lab.folder / "broken")
    weights = lab.folder / "broken" / "weights.bin"
    weights.write_bytes(np.float32(np.nan).tobytes() + weights.read_bytes()[4:])
    lab.run(
        "const { loadModel } = await import('/js/network.js');"
        "self.refusal = await loadModel('broken').then(() => 'loaded', (error) => error.message);"
    )
    (refusal,) = lab.each("return self.refusal;", [np.zeros((1, 1), np.uint8)])
    assert refusal == "the weights hold NaN or infinite numbers; expected finite ones"


@pytest.mark.parametrize("name", list_recipes())
def test_every_recipe(lab: Lab, name: str) -> None:
    classifier = classifier_of(get_recipe(name))
    assert_same_answers(lab, classifier, images_of(classifier, 3))


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    layers=random_layers(), height=st.sampled_from([20, 24]), rejects=st.booleans(), seed=st.integers(0, 99)
)
def test_whatever_the_network(lab: Lab, layers: list, height: int, rejects: bool, seed: int) -> None:
    classifier = classifier_of(recipe_of(layers), (height, 22), seed=seed, rejects=rejects)
    assert_same_answers(lab, classifier, images_of(classifier, 3))


TOGETHER = ["conv 3 3x3 padding 1", "relu", {"residual": ["batch-norm"]}, "max-pool 2", "flatten",
            "linear classes"]  # fmt: skip


@pytest.mark.parametrize("rejects", [False, True])
@pytest.mark.parametrize(("members", "views", "shift"), [(1, 1, 3), (1, 5, 0), (3, 1, -1), (2, 9, 1)])
def test_several_networks_and_views(lab: Lab, members: int, views: int, shift: int, rejects: bool) -> None:
    wanted = {"ensemble.members": members, "ensemble.views": views, "loss.label_shift": shift}
    classifier = ensemble_of(recipe_of(TOGETHER, **wanted), members, (9, 8), rejects=rejects)
    assert_same_answers(lab, classifier, images_of(classifier, 5))
    image = images_of(classifier, 1)[0]
    assert_same_saliency(lab, classifier, image, 10 if rejects else 4)


def test_several_images_at_once(lab: Lab) -> None:
    classifier = classifier_of(get_recipe("mlp-small"))
    images = images_of(classifier, 4)
    code = "return [[...model.judge(a.data, 4).probs], [...model.judge(a.data, 0).probs]];"
    ((several, nothing),) = ask(lab, classifier, images.reshape(1, -1, 28), code)
    np.testing.assert_allclose(np.reshape(several, (4, 10)), classifier.judge(images)[0], atol=TOLERANCE)
    assert nothing == []


@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(layers=random_layers(), column=st.integers(0, 10), seed=st.integers(0, 99))
def test_saliency_of_any_network(lab: Lab, layers: list, column: int, seed: int) -> None:
    classifier = classifier_of(recipe_of(layers), (20, 22), seed=seed, rejects=True)
    image = images_of(classifier, 1)[0]
    assert_same_saliency(lab, classifier, image, column)


def assert_same_saliency(lab: Lab, classifier: Classifier, image: np.ndarray, column: int) -> None:
    expected = gradient_saliency(classifier, image, column)
    (found,) = ask(lab, classifier, image[None], f"return [...model.saliency(a.data, {column})];")
    np.testing.assert_allclose(
        np.reshape(found, image.shape), expected, rtol=0, atol=max(2e-4 * np.abs(expected).max(), 1e-7)
    )


def line_reader(layers: list, *, temperature: float = 1.0) -> LineReader:
    recipe = change_recipe(read_recipe(), {"network.layers": layers})
    weights = trained_weights(recipe.plan((Strip.HEIGHT, 128), OUTPUTS))
    return LineReader.from_weights(ReaderCard(recipe, temperature=temperature), weights)


def strips(*widths: int) -> list[np.ndarray]:
    return [np.random.default_rng(w).integers(0, 256, (Strip.HEIGHT, w), dtype=np.uint8) for w in widths]


@pytest.mark.parametrize("name", ["the reader", "another"])
def test_columns_of_a_line(lab: Lab, name: str) -> None:
    """Windows that are not square, a row of scores per column, and strips of any width."""
    reader = load_reader() if name == "the reader" else line_reader(LINE_LAYERS, temperature=1.7)
    seen = strips(72, 24, 16, 232, 72)
    for strip, logs in zip(
        seen, ask(lab, reader, seen, "return model.logs(a).map((row) => [...row]);"), strict=True
    ):
        np.testing.assert_allclose(logs, reader.read_strip(strip)[1], rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["the reader", "another"])
def test_what_decides_in_a_line(lab: Lab, name: str) -> None:
    """The gradient of a character's lead over the runner-up in its column, times the pixel's departure."""
    reader, (strip,), place, column = load_reader(), strips(88), 9, 4
    if name == "another":
        reader = line_reader(LINE_LAYERS)
    logits = reader.engine.logits(strip[None])[0, place, :-1]
    weights = np.zeros((1, *reader.engine.logits(strip[None]).shape[1:]), np.float32)
    weights[0, place, np.argmax(np.where(np.arange(OUTPUTS - 1) == column, -np.inf, logits))] = -1
    weights[0, place, column] = 1
    gradients = reader.engine.input_gradient(strip[None], weights)[0]
    expected = gradients * (strip.astype(np.float32) - Strip.PAPER) / (255 * reader.card.recipe.input.std)
    (found,) = ask(lab, reader, [strip], f"return [...model.saliency(a, {place}, {column})];")
    np.testing.assert_allclose(
        np.reshape(found, strip.shape), expected, rtol=0, atol=1e-4 * np.abs(expected).max()
    )


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda card: card | {"format": 9}, "a model of format 9; expected 3"),
        (lambda card: card | {"weights": {"file": "weights.bin", "bytes": 4}}, "bytes; expected 4"),
        (lambda card: card | {"weights": {"file": "none.bin", "bytes": 4}}, "cannot be had (status 404)"),
        (lambda card: card | {"members": [[{"kind": "toString"}]]}, "a layer of unknown kind: toString"),
    ],
    ids=["format", "short", "missing", "layer"],
)
def test_what_is_not_a_model_is_refused(lab: Lab, damage: Any, message: str) -> None:
    write_web_model(classifier_of(get_recipe("mlp-small")), lab.folder / "broken")
    path = lab.folder / "broken" / "card.json"
    path.write_text(json.dumps(damage(json.loads(path.read_text()))))
    said = lab.run(
        "const { loadModel } = await import('/js/network.js');"
        "return loadModel('broken').then(() => '', (error) => error.message);"
    )
    assert message in said
    lab.page.events.clear()  # the browser logs the file that is not there


def test_the_numbers_in_the_file_are_little_endian_floats(tmp_path: Path) -> None:
    classifier = classifier_of(recipe_of(["flatten", "linear classes"]), (3, 2))
    write_web_model(classifier, tmp_path / "new" / "folder")
    card = json.loads((tmp_path / "new" / "folder" / "card.json").read_text())
    numbers = np.fromfile(tmp_path / "new" / "folder" / "weights.bin", "<f4")
    (linear,) = [layer for layer in card["members"][0] if layer["kind"] == "linear"]
    start, length = linear["weight"]
    weights = classifier.engine.weights()
    np.testing.assert_array_equal(numbers[start : start + length].reshape(10, 6), weights["linear1.weight"])
    assert card["weights"]["bytes"] == 4 * len(numbers)
