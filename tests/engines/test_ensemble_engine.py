"""Several networks and several views that answer as one, against the mean written out plainly."""

from __future__ import annotations

from importlib.util import find_spec
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from scipy.special import softmax as scipy_softmax

from tenfold.arrays import Batch
from tenfold.classifier import Classifier, ModelCard
from tenfold.errors import ModelError, UsageError
from tenfold.networks import engine as ensemble
from tenfold.networks.engine import EnsembleEngine, move_images
from tenfold.recipes.schema import Recipe

SHAPE, NAMES = (9, 8), ("a", "b", "c")
ENGINES = [
    "numpy",
    pytest.param("torch", marks=pytest.mark.skipif(not find_spec("torch"), reason="torch is not installed")),
]


def recipe_of(members: int, views: int, **loss: int) -> Recipe:
    layers = ["conv 3 3x3 padding same", "batch-norm", "relu", "max-pool 2", "flatten", "linear classes"]
    return Recipe.from_dict(
        {
            "name": "small",
            "network": {"layers": layers},
            "loss": loss,
            "ensemble": {"members": members, "views": views},
        }
    )


def member_weights(recipe: Recipe, outputs: int = 3) -> list[dict[str, np.ndarray]]:
    """Far from each other, so that the mean is nobody's answer."""
    network = recipe.plan(SHAPE, outputs)
    starts = [network.initial_weights("torch", seed=seed) for seed in range(recipe.ensemble.members)]
    return [{name: value * 3 for name, value in weights.items()} for weights in starts]


def join(members: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {f"member{i}.{name}": value for i, each in enumerate(members, 1) for name, value in each.items()}


def classifier_of(recipe: Recipe, engine: str = "numpy", **card: object) -> Classifier:
    full = ModelCard(**{"recipe": recipe, "class_names": NAMES, "image_shape": SHAPE, **_CARD, **card})
    members = member_weights(recipe, full.outputs)
    weights = join(members) if len(members) > 1 else members[0]
    return Classifier.from_weights(full, weights, engine=engine)


_CARD: dict[str, object] = {"mean": 0.2, "std": 0.4, "temperature": 1.6}


def images_of(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, *SHAPE), dtype=np.uint8)


def moved_by_scipy(images: np.ndarray, rows: int, columns: int) -> np.ndarray:
    return np.stack([ndimage.shift(image, (rows, columns), order=0, cval=0) for image in images])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("members", "views"), [(1, 5), (1, 9), (3, 1), (2, 5), (2, 9)])
def test_the_mean_of_the_probabilities(members: int, views: int, engine: str) -> None:
    recipe, images = recipe_of(members, views), images_of(20)
    plain = Classifier.from_weights
    card = ModelCard(recipe_of(1, 1), NAMES, SHAPE, 0.2, 0.4)
    near = 1 if views == 5 else 2
    moves = [move for move in product((-1, 0, 1), repeat=2) if sum(map(abs, move)) <= near and views > 1]
    probs = [
        plain(card, weights, engine=engine).predict_proba(moved_by_scipy(images, *move)).astype(float)
        for weights in member_weights(recipe)
        for move in moves or [(0, 0)]
    ]
    assert len(probs) == members * views
    classifier = classifier_of(recipe, engine)
    assert isinstance(classifier.engine, EnsembleEngine) and classifier.engine.name == engine
    logits = classifier.logits(images)
    assert logits.dtype == np.float32 and logits.shape == (20, 3)
    np.testing.assert_allclose(np.exp(logits), np.mean(probs, axis=0), rtol=1e-5)
    expected = scipy_softmax(np.log(np.mean(probs, axis=0)) / 1.6, axis=1)  # the card's temperature
    np.testing.assert_allclose(classifier.predict_proba(images), expected, rtol=1e-5)


def test_moving_is_moving_with_black_at_the_edge() -> None:
    images = images_of(3)
    for rows, columns in EnsembleEngine.MOVES:
        np.testing.assert_array_equal(
            move_images(images, rows, columns), moved_by_scipy(images, rows, columns)
        )
    assert len(set(EnsembleEngine.MOVES)) == 9 and EnsembleEngine.MOVES[0] == (0, 0)
    assert all(abs(rows) + abs(columns) == 1 for rows, columns in EnsembleEngine.MOVES[1:5])
    assert move_images(images[:, :1, :1], 1, -1).tolist() == [[[0]]] * 3


def test_one_network_and_one_view_cost_nothing() -> None:
    classifier = classifier_of(recipe_of(1, 1))
    assert not isinstance(classifier.engine, EnsembleEngine)
    assert not isinstance(classifier.with_weights(classifier.engine.weights()).engine, EnsembleEngine)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("members", "views"), [(1, 5), (3, 1), (2, 9)])
def test_saved_and_loaded(members: int, views: int, engine: str, tmp_path: Path) -> None:
    classifier, images = classifier_of(recipe_of(members, views), engine), images_of(30)
    classifier.save(tmp_path)
    loaded = Classifier.load(tmp_path, engine=engine)
    np.testing.assert_array_equal(loaded.logits(images), classifier.logits(images))
    np.testing.assert_array_equal(
        classifier.with_weights(loaded.engine.weights()).logits(images), loaded.logits(images)
    )
    other = Classifier.load(tmp_path, engine="numpy")
    np.testing.assert_allclose(other.predict_proba(images), loaded.predict_proba(images), atol=1e-5)
    names = list(loaded.engine.weights())
    prefixes = {name.partition(".")[0] for name in names}
    assert prefixes == ({f"member{i + 1}" for i in range(members)} if members > 1 else {*prefixes})
    assert members > 1 or names == list(classifier_of(recipe_of(1, 1)).engine.weights())


def test_two_of_four_still_answer(tmp_path: Path) -> None:
    """How many networks there are is told by the weights, not by what the recipe asked for."""
    recipe = recipe_of(4, 1)
    card = ModelCard(recipe, NAMES, SHAPE, 0.2, 0.4)
    two = Classifier.from_weights(card, join(member_weights(recipe)[:2]), engine="numpy")
    two.save(tmp_path)
    images = images_of(5)
    np.testing.assert_array_equal(
        Classifier.load(tmp_path, engine="numpy").logits(images), two.logits(images)
    )
    one = Classifier.from_weights(card, member_weights(recipe)[0], engine="numpy")
    assert not isinstance(one.engine, EnsembleEngine)


@pytest.mark.parametrize("rejects", [False, True])
def test_moved_columns_and_none_of_them(rejects: bool) -> None:
    classifier = classifier_of(recipe_of(2, 5, label_shift=-1), rejects=rejects)
    images = images_of(4)
    probs, none = classifier.judge(images)
    np.testing.assert_allclose(probs.sum(axis=1), 1, rtol=1e-6)
    single = [
        Classifier.from_weights(classifier.card, weights, engine="numpy").engine.members[0]  # type: ignore[attr-defined]
        for weights in EnsembleEngine.split(classifier.engine.weights())
    ]
    mean = np.mean(
        [
            scipy_softmax(each.logits(moved_by_scipy(images, *move)).astype(float), axis=1)
            for each in single
            for move in EnsembleEngine.MOVES[:5]
        ],
        axis=0,
    )
    expected = scipy_softmax(np.log(mean) / 1.6, axis=1)[:, 3:].sum(axis=1)
    np.testing.assert_allclose(none, expected, atol=1e-6)


def test_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    classifier, images = classifier_of(recipe_of(2, 5)), images_of(23)
    whole = classifier.logits(images)
    monkeypatch.setattr(ensemble, "_CHUNK", 5)
    np.testing.assert_allclose(classifier.logits(images), whole, rtol=1e-6, atol=1e-6)
    assert classifier.logits(images[:0]).shape == (0, 3)


class _Sure:
    """Answers with logits so far apart that float32's softmax of them is 0 and 1."""

    name, precision, options = "numpy", "float32", None
    network = recipe_of(1, 1).plan(SHAPE, 3)

    def __init__(self, best: int) -> None:
        self.row = np.full(3, -300, np.float32)
        self.row[best] = 300

    def logits(self, images: np.ndarray) -> np.ndarray:
        return np.tile(self.row, (len(images), 1))


def test_no_logarithm_of_zero() -> None:
    engine = EnsembleEngine([_Sure(0), _Sure(1)])  # type: ignore[list-item]
    expected = [-np.log(2), -np.log(2), -600]
    np.testing.assert_allclose(engine.logits(images_of(2)), [expected] * 2, rtol=1e-6)


def test_weights_that_are_no_ensembles() -> None:
    weights = join(member_weights(recipe_of(3, 1)))
    assert [len(each) for each in EnsembleEngine.split(weights)] == [8] * 3
    assert EnsembleEngine.split({"linear1.weight": np.zeros(1)})[0].keys() == {"linear1.weight"}
    without_second = {name: value for name, value in weights.items() if not name.startswith("member2.")}
    with pytest.raises(ModelError, match="'member3', but are not those of members 1, 2"):
        EnsembleEngine.split(without_second)
    with pytest.raises(ModelError, match=r"'conv1.weight', but are not those"):
        EnsembleEngine.split(weights | {"conv1.weight": np.zeros(1)})
    card = ModelCard(recipe_of(3, 1), NAMES, SHAPE, 0.2, 0.4)
    weights.pop("member2.linear1.bias")
    with pytest.raises(ModelError, match=r"lack 'linear1.bias'"):
        Classifier.from_weights(card, weights, engine="numpy")


def test_an_ensemble_does_not_learn() -> None:
    engine = classifier_of(recipe_of(2, 1)).engine
    batch = Batch(images_of(2), np.array([0, 1]))
    for act in (lambda: engine.train_step(batch, 0.1), engine.state, lambda: engine.load_state({})):
        with pytest.raises(UsageError, match=r"does not learn as a whole.*one by one"):
            act()
