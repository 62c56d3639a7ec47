"""A classifier with one output more than it has classes: "none of them", and what verdicts come of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

from tenfold.classifier import Classifier, ModelCard
from tenfold.errors import ModelError
from tenfold.networks.shapes import Network
from tenfold.recipes.load import get_recipe

RECIPE = get_recipe("mlp-small")
NAMES = tuple("abc")
IMAGES = np.random.default_rng(0).integers(0, 256, (40, 9, 8), dtype=np.uint8)


@pytest.fixture
def classifier() -> Classifier:
    card = ModelCard(RECIPE, NAMES, (9, 8), 0.2, 0.4, temperature=1.7, rejects=True)
    network = RECIPE.plan((9, 8), 4)
    return Classifier.from_weights(card, network.initial_weights("kaiming", seed=3), engine="numpy")


def test_the_last_output_is_none_of_the_classes(classifier: Classifier) -> None:
    outputs = classifier.engine.logits(IMAGES)
    assert outputs.shape == (40, 4)
    np.testing.assert_array_equal(classifier.logits(IMAGES), outputs[:, :3])
    probs, none = classifier.judge(IMAGES)
    np.testing.assert_allclose(probs, softmax(outputs[:, :3] / 1.7, axis=1), rtol=1e-5)
    np.testing.assert_allclose(none, softmax(outputs / 1.7, axis=1)[:, 3], rtol=1e-5)
    np.testing.assert_allclose(classifier.predict_proba(IMAGES), probs, rtol=1e-6)


def test_a_classifier_that_never_learned_to_refuse_finds_a_class_in_everything() -> None:
    card = ModelCard(RECIPE, NAMES, (9, 8), 0.2, 0.4)
    weights = Network.initial_weights(RECIPE.plan((9, 8), 3), "kaiming", seed=3)
    plain = Classifier.from_weights(card, weights, engine="numpy")
    assert not plain.judge(IMAGES)[1].any()
    assert {found.verdict for found in plain.predictions(IMAGES)} == {"digit"}


def test_verdicts_follow_the_thresholds(classifier: Classifier) -> None:
    probs, none = classifier.judge(IMAGES)
    least, most = float(np.median(probs.max(axis=1))), float(np.median(none))
    strict = Classifier(classifier.engine, replace(classifier.card, least_confidence=least, most_none=most))
    for found, row, doubt in zip(strict.predictions(IMAGES), probs, none, strict=True):
        wanted = "not a digit" if doubt > most else "unsure" if row.max() < least else "digit"
        assert found.verdict == wanted
        assert found.label == NAMES[int(row.argmax())]
        assert found.none == pytest.approx(doubt)
    assert {found.verdict for found in strict.predictions(IMAGES)} == {"not a digit", "unsure", "digit"}


def test_saved_and_loaded_it_says_the_same(classifier: Classifier, tmp_path: Path) -> None:
    settled = Classifier(classifier.engine, replace(classifier.card, least_confidence=0.4, most_none=0.3))
    settled.save(tmp_path)
    again = Classifier.load(tmp_path, engine="numpy")
    assert again.card == settled.card
    for one, other in zip(settled.predictions(IMAGES), again.predictions(IMAGES), strict=True):
        assert (one.label, one.verdict, one.none) == (other.label, other.verdict, other.none)


@pytest.mark.parametrize("change", [{"most_none": 1.5}, {"least_confidence": -0.1}, {"most_none": "no"}])
def test_thresholds_that_make_no_sense_are_refused(
    classifier: Classifier, tmp_path: Path, change: dict[str, object]
) -> None:
    classifier.save(tmp_path)
    document = json.loads((tmp_path / "model.json").read_text())
    document["verdict"] |= change
    (tmp_path / "model.json").write_text(json.dumps(document))
    with pytest.raises(ModelError, match=r"model\.json"):
        Classifier.load(tmp_path, engine="numpy")
