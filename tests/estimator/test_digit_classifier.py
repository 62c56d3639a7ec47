"""DigitClassifier on pictures: what it learns, what it says, and how it goes on."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.metrics import log_loss

from tenfold import Classifier, DigitClassifier, ImageDataset, get_recipe, train
from tenfold.errors import RecipeError, TenfoldError
from tenfold.estimator import classifier
from tenfold.estimator.classifier import EpochLines
from tenfold.recipes.load import change_recipe
from tenfold.training.progress import Steps

ENGINES = ["numpy", "torch"]
Pair = tuple[ImageDataset, ImageDataset]


def blob_rows(blobs: ImageDataset) -> tuple[np.ndarray, np.ndarray]:
    return blobs.images.reshape(600, 120), np.array(blobs.class_names)[blobs.labels]


def quick(**parameters: Any) -> DigitClassifier:
    return DigitClassifier(**{"recipe": "mlp-small", "epochs": 4, "random_state": 0} | parameters)


def assert_same_weights(one: DigitClassifier, other: DigitClassifier) -> None:
    theirs = other.classifier_.engine.weights()
    for name, value in one.classifier_.engine.weights().items():
        np.testing.assert_array_equal(value, theirs[name])


@pytest.mark.parametrize(
    ("recipe", "engine", "epochs", "least"),
    [
        ("softmax-sgd", "numpy", 20, 0.82),
        ("mlp-small", "torch", 20, 0.84),
        ("cnn", "torch", 3, 0.88),
        ("fast", "torch", 12, 0.90),
    ],
)
def test_recipes_learn_the_sample(sample: Pair, recipe: str, engine: str, epochs: int, least: float) -> None:
    learn, test = sample
    model = DigitClassifier(recipe, engine=engine, epochs=epochs, random_state=0)
    model.fit(learn.images, learn.labels)
    assert least <= model.score(test.images, test.labels) < 1
    assert model.classifier_.engine.name == engine and model.image_shape_ == (28, 28)
    assert len(model.loss_curve_) == model.n_iter_ and model.loss_curve_[-1] < model.loss_curve_[0]


def test_it_is_tenfolds_own_training(sample: Pair) -> None:
    """The same seed and bytes: the very weights that tenfold.train gives, and its probabilities."""
    learn, test = sample
    recipe = change_recipe(get_recipe("mlp-small"), {"training.epochs": 2, "optimiser.learning_rate": 0.001})
    model = DigitClassifier("mlp-small", epochs=2, learning_rate=0.001, random_state=7)
    model.fit(learn.images, learn.labels)
    own = train(recipe, learn, seed=7).classifier
    for name, value in own.engine.weights().items():
        np.testing.assert_array_equal(value, model.classifier_.engine.weights()[name])
    np.testing.assert_array_equal(model.predict_proba(test.images), own.predict_proba(test.images))
    assert model.recipe_ == recipe


def test_rows_and_pictures_are_the_same(sample: Pair) -> None:
    learn, test = sample
    by_rows = quick().fit(learn.images.reshape(-1, 784), learn.labels)
    by_pictures = quick().fit(learn.images, learn.labels)
    by_numbers = quick(value_range=(0, 255)).fit(learn.images.reshape(-1, 784).astype(float), learn.labels)
    by_shares = quick(value_range=(0, 1)).fit(learn.images / 255, learn.labels)
    assert_same_weights(by_rows, by_pictures)
    assert_same_weights(by_rows, by_numbers)
    expected = by_rows.predict_proba(test.images)
    np.testing.assert_array_equal(by_pictures.predict_proba(test.images.reshape(-1, 784)), expected)
    np.testing.assert_array_equal(by_pictures.predict_proba(test.images.astype(float)), expected)
    np.testing.assert_allclose(by_shares.predict_proba(test.images / 255), expected, atol=1e-3)


@pytest.mark.parametrize("engine", ENGINES)
def test_what_values_mean_is_settled_by_fit(blobs: ImageDataset, engine: str) -> None:
    """The smallest and the largest value of all; a single row settles nothing anew."""
    rows, names = blob_rows(blobs)
    model = quick(engine=engine, epochs=1).fit(rows * 0.5 - 3, names)
    assert model.value_range_ == (rows.min() * 0.5 - 3, rows.max() * 0.5 - 3)
    dim = rows[:1] * 0.1
    both = model.predict_proba(np.concatenate([dim, rows[1:2] * 0.5 - 3]))
    np.testing.assert_allclose(model.predict_proba(dim), both[:1], rtol=1e-5)
    assert quick(engine=engine, epochs=1).fit(rows, names).value_range_ == (0, 255)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_line_through_the_values_changes_nothing(blobs: ImageDataset, engine: str) -> None:
    """And it may fall: dark ink gives the same as light ink, bit for bit."""
    rows, names = blob_rows(blobs)
    bytes_ = quick(engine=engine, epochs=2).fit(rows, names)
    turned = quick(engine=engine, epochs=2, value_range=(0, -255)).fit(-rows.astype(float), names)
    assert_same_weights(bytes_, turned)
    plain, moved = (quick(engine=engine, recipe=None, epochs=2) for _ in range(2))
    plain.fit(rows.astype(float), names)
    moved.fit(rows * 0.125 + 40.0, names)
    np.testing.assert_allclose(
        moved.predict_proba(rows * 0.125 + 40.0), plain.predict_proba(rows), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("shape", [(12, 10), None])
def test_shapes_of_rows(blobs: ImageDataset, shape: tuple[int, int] | None) -> None:
    """120 is not a square number: one row, unless it is said how the pictures lie."""
    rows, names = blob_rows(blobs)
    model = quick(image_shape=shape, epochs=1).fit(rows, names)
    assert model.image_shape_ == model.classifier_.card.image_shape == (shape or (1, 120))
    if shape:
        np.testing.assert_array_equal(model.predict(blobs.images), model.predict(rows))


@pytest.mark.parametrize("engine", ENGINES)
def test_one_random_state_one_network(blobs: ImageDataset, engine: str) -> None:
    rows, names = blob_rows(blobs)
    first, again, other = (
        quick(engine=engine, epochs=1, random_state=state).fit(rows, names) for state in (3, 3, 4)
    )
    assert_same_weights(first, again)
    assert (first.predict_proba(rows) != other.predict_proba(rows)).any()
    drawn = [quick(epochs=1, random_state=np.random.RandomState(5)).fit(rows, names) for _ in range(2)]
    assert_same_weights(*drawn)


def test_scores_and_probabilities_agree(blobs: ImageDataset) -> None:
    rows, names = blob_rows(blobs)
    model = quick(epochs=1).fit(rows, names)
    probs, scores = model.predict_proba(rows), model.decision_function(rows)
    powers = np.exp(scores.astype(float))
    np.testing.assert_allclose(probs, powers / powers.sum(axis=1, keepdims=True), rtol=1e-5)
    np.testing.assert_allclose(model.predict_log_proba(rows), np.log(probs), atol=1e-5)
    assert model.classes_.tolist() == ["left", "middle", "right"]
    np.testing.assert_array_equal(model.predict(rows), model.classes_[scores.argmax(axis=1)])
    two = names != "left"
    pair = quick(epochs=1).fit(rows[two], names[two])
    margin, share = pair.decision_function(rows[two]), pair.predict_proba(rows[two])[:, 1]
    np.testing.assert_allclose(share, 1 / (1 + np.exp(-margin.astype(float))), rtol=1e-4)


def test_epochs_and_steps(blobs: ImageDataset) -> None:
    """600 rows in batches of 128 are 5 steps per epoch: a recipe by its name takes 500 steps."""
    rows, names = blob_rows(blobs)
    assert quick(epochs=None).fit(rows, names).n_iter_ == 100
    assert quick(epochs=2).fit(rows, names).n_iter_ == 2
    assert quick(epochs=None, changes={"training.epochs": 3}).fit(rows, names).n_iter_ == 3
    recipe = change_recipe(get_recipe("mlp-small"), {"training.epochs": 4})
    assert quick(recipe=recipe, epochs=None).fit(rows, names).n_iter_ == 4
    model = quick(recipe="softmax-sgd", epochs=1, batch_size=100, learning_rate=0.5).fit(rows, names)
    assert (model.recipe_.training.batch_size, model.recipe_.optimiser.learning_rate) == (100, 0.5)


@pytest.mark.parametrize("engine", ENGINES)
def test_sample_weight_is_repetition(blobs: ImageDataset, engine: str) -> None:
    rows, names = blob_rows(blobs)
    counts = np.random.default_rng(0).integers(0, 4, 60)
    few, named = rows[:60], names[:60]
    changes = {"training.precision": "float64", "input.scaling": "standardise"}
    models = [quick(engine=engine, epochs=10, batch_size=0, changes=changes) for _ in range(3)]
    weighted = models[0].fit(few, named, sample_weight=counts)
    repeated = models[1].fit(few.repeat(counts, axis=0), named.repeat(counts))
    scaled = models[2].fit(few, named, sample_weight=1000.0 * counts)
    np.testing.assert_allclose(weighted.predict_proba(rows), repeated.predict_proba(rows), rtol=1e-5)
    np.testing.assert_allclose(weighted.predict_proba(rows), scaled.predict_proba(rows), rtol=1e-5)
    assert weighted.loss_curve_ == pytest.approx(repeated.loss_curve_, rel=1e-9)


def test_class_weight_multiplies(blobs: ImageDataset) -> None:
    rows, names = blob_rows(blobs)
    few = np.r_[0:300, 300:600:3]  # fewer of "left" behind the 300th
    weight = {"left": 2.0, "right": 0.5}
    by_class = quick(epochs=2, class_weight=weight).fit(
        rows[few], names[few], sample_weight=np.full(400, 3.0)
    )
    own = np.array([weight.get(name, 1.0) for name in names[few]])
    assert_same_weights(by_class, quick(epochs=2).fit(rows[few], names[few], sample_weight=3 * own))
    with pytest.raises(ValueError, match="never sees all of the data"):
        quick(class_weight="balanced").partial_fit(rows, names, classes=np.unique(names))


@pytest.mark.parametrize("engine", ENGINES)
def test_warm_start_goes_on(blobs: ImageDataset, engine: str) -> None:
    rows, names = blob_rows(blobs)
    model = quick(engine=engine, epochs=2, warm_start=True).fit(rows, names)
    before = model.loss_curve_
    model.fit(rows, names)
    assert model.loss_curve_[0] < before[-1]
    cold = quick(engine=engine, epochs=2).fit(rows, names)
    assert cold.fit(rows, names).loss_curve_ == before
    with pytest.raises(ValueError, match="warm_start with the classes"):
        model.fit(rows, np.where(names == "left", "top", names))


def test_warm_start_of_an_ensemble(blobs: ImageDataset) -> None:
    rows, names = blob_rows(blobs)
    model = quick(epochs=1, warm_start=True, changes={"ensemble.members": 2}).fit(rows, names)
    before = model.loss_curve_
    assert len(before) == 2 and len(model.classifier_.engine.members) == 2
    assert max(model.fit(rows, names).loss_curve_) < min(before)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("members", [1, 2])
def test_partial_fit_equals_training_without_a_schedule(
    blobs: ImageDataset, engine: str, members: int
) -> None:
    """Passes over the same rows are the epochs of a training at a constant rate, bit for bit."""
    rows, names = blob_rows(blobs)
    changes = {"schedule.name": "constant", "ensemble.members": members}
    model = quick(engine=engine, changes=changes)
    for _ in range(3):
        model.partial_fit(rows, names, classes=np.unique(names))
    whole = quick(engine=engine, changes=changes, epochs=3).fit(rows, names)
    assert_same_weights(model, whole)
    assert model.n_iter_ == 3
    if members == 1:
        assert model.loss_curve_ == pytest.approx(whole.loss_curve_, rel=1e-12)


def test_partial_fit_goes_on_from_fit_and_meets_classes_later(blobs: ImageDataset) -> None:
    rows, names = blob_rows(blobs)
    model = quick(epochs=2).fit(rows, names)
    loss = model.loss_curve_[-1]
    assert model.partial_fit(rows, names).loss_curve_[-1] < loss and model.n_iter_ == 3
    later = quick()
    for start in range(0, 600, 100):
        part = slice(start, start + 100)
        one = names[part] == names[start]  # of one class at a time, to begin with
        later.partial_fit(rows[part][one], names[part][one], classes=["right", "middle", "left"])
    for _ in range(5):
        later.partial_fit(rows, names)
    assert later.score(rows, names) > 0.9
    with pytest.raises(ValueError, match="y holds the label 'top'"):
        later.partial_fit(rows[:2], ["top", "left"])


def test_held_out_images_stop_early(blobs: ImageDataset) -> None:
    rows, names = blob_rows(blobs)
    stopping = {"training.patience": 2}
    nonsense = np.random.default_rng(0).permutation(names)  # memorised, which held-out images tell
    model = quick(epochs=60, learning_rate=0.01, validation=0.2, changes=stopping).fit(rows, nonsense)
    assert model.n_iter_ < 60
    assert quick(epochs=1, changes=stopping).fit(rows, names).n_iter_ == 1  # the recipe's own share
    with pytest.raises(RecipeError, match="without validation images"):
        quick(epochs=1, validation=0.0, changes=stopping).fit(rows, names)


def test_calibration_by_held_out_images(sample: Pair) -> None:
    """500 images and more settle a temperature, also where pixels are not bytes."""
    learn, test = sample
    model = quick(epochs=30, validation=0.6).fit(learn.images / 255, learn.labels)
    assert model.classifier_.card.temperature != 1
    probs = model.predict_proba(test.images / 255).astype(float)
    raw = model.classifier_.with_temperature(1.0).predict_proba(test.images).astype(float)
    sharp, calibrated = (log_loss(test.labels, p / p.sum(axis=1, keepdims=True)) for p in (raw, probs))
    assert calibrated < sharp


def test_what_was_fitted_is_a_tenfold_classifier(sample: Pair, tmp_path: Path) -> None:
    learn, test = sample
    model = quick(epochs=1).fit(learn.images, learn.labels)
    model.classifier_.save(tmp_path / "model")
    loaded = Classifier.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_proba(test.images), model.predict_proba(test.images))
    assert loaded.class_names == tuple("0123456789")


def test_verbose_says_a_line_an_epoch(blobs: ImageDataset, capsys: pytest.CaptureFixture[str]) -> None:
    rows, names = blob_rows(blobs)
    quick(epochs=2, verbose=True, validation=0.1).fit(rows, names)
    told = capsys.readouterr()
    assert told.out == "" and [line.split(":")[0] for line in told.err.splitlines()] == ["epoch 1", "epoch 2"]
    assert "held out" in told.err


def test_an_interrupted_fit_keeps_what_it_has_and_ends_a_search_too(
    blobs: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, names = blob_rows(blobs)
    monkeypatch.setattr(EpochLines, "on_epoch", lambda self, record: signal.raise_signal(signal.SIGINT))
    model = quick(epochs=50, verbose=True)
    with pytest.raises(KeyboardInterrupt):
        model.fit(rows, names)
    assert model.n_iter_ == 1 and model.predict(rows[:5]).shape == (5,)


MISTAKES: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"recipe": "mlp-smal"}, RecipeError, "did you mean 'mlp-small'"),
    ({"changes": {"training.epoch": 1}}, RecipeError, "did you mean 'training.epochs'"),
    ({"engine": "jax"}, TenfoldError, "unknown engine"),
    ({"image_shape": (10, 10)}, ValueError, "100 pixels, and X has 120 features"),
    ({"value_range": (1, 1)}, ValueError, "two numbers that differ"),
    ({"recipe": "cnn"}, RecipeError, "expected|does not fit|divisible"),
    ({"epochs": 0}, RecipeError, "training.epochs"),
    (
        {"learning_rate": 1e6, "recipe": "softmax-sgd", "changes": {"loss.name": "mean-squared-error"}},
        TenfoldError,
        "smaller optimiser.learning_rate",
    ),
]


@pytest.mark.parametrize(("parameters", "kind", "words"), MISTAKES, ids=lambda value: str(value)[:30])
def test_mistakes_are_said_in_one_line(
    blobs: ImageDataset, parameters: dict[str, Any], kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words) as caught:
        quick(**parameters).fit(*blob_rows(blobs))
    assert "\n" not in str(caught.value)


def test_data_that_do_not_fit(blobs: ImageDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, names = blob_rows(blobs)
    with pytest.raises(NotFittedError):
        quick().predict(blobs.images)
    with pytest.raises(ValueError, match="only 1 class"):
        quick().fit(rows[::3], names[::3])
    with pytest.raises(ValueError, match="all sample weights are zero"):
        quick(class_weight=dict.fromkeys(names, 0)).fit(rows, names)
    with pytest.raises(ValueError, match="negative sample weights"):
        quick().fit(rows, names, sample_weight=np.linspace(-1, 1, 600))
    with pytest.raises(ValueError, match="image_shape"):
        quick(image_shape=(10, 12)).fit(blobs.images, names)
    model = quick(epochs=1).fit(blobs.images, names)
    with pytest.raises(ValueError, match=r"pictures of \(10, 12\)"):
        model.predict(blobs.images.transpose(0, 2, 1))
    monkeypatch.setattr(classifier, "run_steps", lambda *_: Steps(images=1, loss=float("nan")))
    with pytest.raises(TenfoldError, match="take a smaller learning_rate"):
        model.partial_fit(blobs.images, names)
