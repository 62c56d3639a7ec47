"""Learning one person's hand: what must come better, what must not be lost, and honest figures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hands import draw_hand, small_memory

from tenfold.classifier import Classifier, ModelCard
from tenfold.errors import DataError, UsageError
from tenfold.networks.initialise import initial_weights
from tenfold.reader import memory as memory_module
from tenfold.reader.adapt import AdaptSettings, adapt_reader
from tenfold.reader.adaptation import Adaptation, Forgetting, Score
from tenfold.reader.load import load_reader
from tenfold.reader.memory import Memory, gather_memory
from tenfold.recipes.load import change_recipe, get_recipe

SHORT = AdaptSettings(steps=40, folds=2, learning_rate=4e-3)


@pytest.fixture(scope="module")
def memory() -> Memory:
    return small_memory()


@pytest.fixture(scope="module")
def mirrored(memory: Memory) -> tuple[Classifier, Adaptation]:
    images, labels = draw_hand(3, seed=0)
    reader = load_reader()
    return reader, adapt_reader(reader, images, labels, engine="numpy", memory=memory, settings=SHORT)


@pytest.fixture(scope="module")
def tiny() -> Classifier:
    """An untrained network of three layers that could be a reader; answers and learns in no time."""
    layers = ["conv 4 5x5", "relu", "max-pool 4", "conv 6 3x3", "relu", "flatten", "linear classes"]
    recipe = change_recipe(get_recipe("cnn"), {"network.layers": layers})
    card = ModelCard(
        recipe, tuple("0123456789"), (28, 28), 0.1, 0.3, background="dark", rejects=True, most_none=0.5
    )
    weights = initial_weights(recipe.plan((28, 28), 11), "kaiming", seed=0)
    return Classifier.from_weights(card, weights, engine="numpy")


def linear(outputs: int) -> Classifier:
    """Untrained, one layer; with eleven outputs the last one is "none of them"."""
    recipe = change_recipe(get_recipe("cnn"), {"network.layers": ["flatten", "linear classes"]})
    card = ModelCard(
        recipe, tuple("0123456789"[:outputs]), (28, 28), 0.1, 0.3, background="dark", rejects=outputs == 11
    )
    weights = initial_weights(recipe.plan((28, 28), outputs), "kaiming", seed=0)
    return Classifier.from_weights(card, weights, engine="numpy")


def test_an_odd_hand_is_read_better_and_little_is_forgotten(mirrored: tuple[Classifier, Adaptation]) -> None:
    reader, done = mirrored
    assert done.before.n == done.after.n == 30 and done.folds == 2
    assert done.after.right >= done.before.right + 6
    assert done.after.refused < done.before.refused
    assert done.forgetting.lost <= 0.1
    assert not done.objection
    images, labels = draw_hand(3, seed=1)  # that no training saw
    assert (done.classifier.predict(images) == labels).sum() > (reader.predict(images) == labels).sum() + 6


def test_the_reader_itself_stays_as_it_was(mirrored: tuple[Classifier, Adaptation]) -> None:
    reader, done = mirrored
    untouched = load_reader().engine.weights()
    assert all(np.array_equal(value, untouched[name]) for name, value in reader.engine.weights().items())
    assert done.classifier.card == reader.card
    assert done.classifier.engine.name == reader.engine.name


def test_wrong_labels_are_found_out(memory: Memory) -> None:
    """Held-out digits show that shuffled labels teach nothing; and though all of them were learned, other
    people's digits stay: at most a fifth of their accuracy is lost, with 40 images to rehearse."""
    images, labels = draw_hand(3, seed=0)
    shuffled = np.random.default_rng(3).permutation(labels)
    done = adapt_reader(load_reader(), images, shuffled, engine="numpy", memory=memory, settings=SHORT)
    assert done.objection
    assert done.forgetting.lost <= 0.2


def test_a_single_wrong_label_is_named(memory: Memory) -> None:
    chosen = np.arange(40)[np.arange(40) % 4 < 2]
    images, labels = memory.held_images[chosen], memory.held_labels[chosen].copy()
    labels[6] = 8  # a 3
    few = AdaptSettings(steps=3, folds=2)
    done = adapt_reader(load_reader(), images, labels, engine="numpy", memory=memory, settings=few)
    assert done.doubtful == (6,)


def test_no_example_is_measured_by_a_reader_that_saw_it(memory: Memory) -> None:
    """Clouds with labels by chance: who has learned from them knows them, who has not can only guess."""
    rng = np.random.default_rng(0)
    images = np.kron(rng.integers(0, 2, (40, 7, 7)) * 255, np.ones((4, 4))).astype(np.uint8)
    labels = rng.permutation(np.arange(40) % 10)
    settings = AdaptSettings(steps=250, folds=4, own=1.0, learning_rate=1e-2)
    done = adapt_reader(linear(11), images, labels, engine="numpy", memory=memory, settings=settings)
    assert (done.classifier.predict(images) == labels).sum() >= 32
    assert done.after.n == 40 and done.after.right <= 12  # P(more than 12 of 40 at 1/10) < 1e-4


def test_the_same_seed_gives_the_same_reader(tiny: Classifier, memory: Memory) -> None:
    images, labels = draw_hand(2, seed=0)
    few = AdaptSettings(steps=3, folds=2)

    def weights(seed: int) -> dict[str, np.ndarray]:
        done = adapt_reader(tiny, images, labels, seed=seed, engine="numpy", memory=memory, settings=few)
        return done.classifier.engine.weights()

    first, again, other = weights(1), weights(1), weights(2)
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert any(not np.array_equal(first[name], other[name]) for name in first)


def test_both_engines_learn_the_same(tiny: Classifier, memory: Memory) -> None:
    pytest.importorskip("torch")
    images, labels = draw_hand(1, seed=0)
    few = AdaptSettings(steps=3)
    by = [
        adapt_reader(tiny, images, labels, engine=engine, memory=memory, settings=few).classifier
        for engine in ("numpy", "torch")
    ]
    assert by[1].engine.name == "numpy"  # as it was given
    np.testing.assert_allclose(by[0].logits(images), by[1].logits(images), atol=1e-3)


def test_first_layers_learn_more_slowly(tiny: Classifier, memory: Memory) -> None:
    """Adam's first step moves every weight by its learning rate (but for epsilon), whatever the gradient;
    the factors of three layers are 1/4, 1/2 (the geometric mean) and 1."""
    images, labels = draw_hand(1, seed=0)
    one = AdaptSettings(steps=2, first_factor=0.25)  # the rate of the last step is 0
    done = adapt_reader(tiny, images, labels, engine="numpy", memory=memory, settings=one)
    old, new = tiny.engine.weights(), done.classifier.engine.weights()
    moved = {name: float(np.abs(new[name] - old[name]).max()) for name in old}
    for name, factor in (("conv1", 0.25), ("conv2", 0.5), ("linear1", 1.0)):
        assert moved[f"{name}.weight"] / moved["linear1.weight"] == pytest.approx(factor, rel=0.02)


def test_a_digit_that_is_there_once_is_not_held_out(tiny: Classifier, memory: Memory) -> None:
    images, labels = draw_hand(2, seed=0)
    few = AdaptSettings(steps=1, folds=3)
    once = adapt_reader(tiny, images[:10], labels[:10], engine="numpy", memory=memory, settings=few)
    assert once.folds == once.before.n == once.after.n == 0 and once.before.accuracy is None
    assert "changes nothing" not in once.objection
    json.dumps(once.to_dict(), allow_nan=False)
    mixed = adapt_reader(tiny, images[:14], labels[:14], engine="numpy", memory=memory, settings=few)
    assert mixed.before.n == 8  # two of each of four digits


def test_a_reader_without_a_refusing_output_learns_from_digits_alone(memory: Memory) -> None:
    images, labels = draw_hand(1, seed=0)
    done = adapt_reader(
        linear(10), images, labels, engine="numpy", memory=memory, settings=AdaptSettings(steps=2)
    )
    assert done.classifier.predict_proba(images).shape == (10, 10)


def test_what_cannot_be_learned_from(tiny: Classifier, memory: Memory) -> None:
    images, labels = draw_hand(1, seed=0)
    with pytest.raises(DataError, match="9 labelled digits; expected at least 10"):
        adapt_reader(tiny, images[:9], labels[:9], memory=memory)
    with pytest.raises(DataError, match="labels from 1 to 10"):
        adapt_reader(tiny, images, labels + 1, memory=memory)
    with pytest.raises(DataError, match="one integer label an image"):
        adapt_reader(tiny, images, labels[:5], memory=memory)
    with pytest.raises(DataError, match=r"uint8 of shape \(N, 28, 28\)"):
        adapt_reader(tiny, images.astype(np.float32), labels, memory=memory)
    with pytest.raises(UsageError, match="no reader of handwritten digits"):
        adapt_reader(linear(9), images, labels, memory=memory)


def test_an_ensemble_does_not_learn_a_hand(memory: Memory) -> None:
    one = linear(10)
    weights = {f"member{i}.{name}": value for i in (1, 2) for name, value in one.engine.weights().items()}
    with pytest.raises(UsageError, match=r"ensemble of 2 networks.*member-1"):
        adapt_reader(one.with_weights(weights), *draw_hand(1, seed=0), memory=memory)


def _adaptation(tiny: Classifier, before: int, after: int, *, lost: int = 0, read: int = 0) -> Adaptation:
    old, new = Score(1000, 990, 5, 985), Score(1000, 990 - lost, 5, 985 - lost)
    scores = Score(20, before, 2, before), Score(20, after, 2, after - read)
    forgetting = Forgetting("old digits", old, new, 10, 9, 8)
    return Adaptation(tiny, *scores, forgetting, folds=4, counts=(2,) * 10, doubtful=(), seed=0)


def test_objections(tiny: Classifier) -> None:
    assert not _adaptation(tiny, 15, 16).objection
    assert "makes it worse" in _adaptation(tiny, 16, 15).objection
    assert "changes nothing" in _adaptation(tiny, 16, 16).objection
    assert "makes it worse" in _adaptation(tiny, 16, 16, read=1).objection
    assert "costs 3.0 points of the accuracy on old digits" in _adaptation(tiny, 15, 20, lost=30).objection
    assert not _adaptation(tiny, 15, 20, lost=20).objection


def test_a_saved_reader_answers_the_same_and_nothing_is_replaced(tiny: Classifier, tmp_path: Path) -> None:
    images, _ = draw_hand(1, seed=0)
    place = _adaptation(tiny, 15, 16).save(tmp_path / "mine", {"began_with": "tiny"})
    np.testing.assert_array_equal(Classifier.load(place).predict(images), tiny.predict(images))
    figures = json.loads((place / "adaptation.json").read_text())
    assert figures["before"]["right"] == 15 and figures["began_with"] == "tiny"
    held = {path.name: path.read_bytes() for path in place.iterdir()}
    with pytest.raises(UsageError, match="mine is there already"):
        _adaptation(tiny, 15, 20).save(place)
    assert held == {path.name: path.read_bytes() for path in place.iterdir()}
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="file is there already"):
        _adaptation(tiny, 15, 20).save(tmp_path / "file")
    with pytest.raises(UsageError, match="cannot be"):
        _adaptation(tiny, 15, 20).save(tmp_path / "file" / "below")


def test_memory_of_the_package_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without MNIST: what is measured is of styles and kinds that are not rehearsed."""
    for name, value in {"_OTHERS": 12, "_HELD_OTHERS": 6, "_PAIRS": 3}.items():
        monkeypatch.setattr(memory_module, name, value)
    drawn: list[list[tuple[str, str]]] = []

    def note(drawings: list, count: int, rng: np.random.Generator) -> np.ndarray:
        drawn.append([(each.label, each.writer) for each in drawings])
        return np.full((len(drawings) * count, 28, 28), 9, np.uint8)

    monkeypatch.setattr(memory_module, "draw_lessons", note)
    monkeypatch.setattr(memory_module, "find_dataset", lambda name, data_dir=None: None)
    found = gather_memory(seed=1)
    digits, others, held_digits, held_others = drawn
    assert not set(digits) & set(held_digits)
    assert {label for label, _ in digits} == {label for label, _ in held_digits} == set("0123456789")
    assert not {label for label, _ in others} & {label for label, _ in held_others}
    assert found.images.shape == (len(found.labels), 28, 28) and found.images.dtype == np.uint8
    assert np.bincount(found.labels)[10] == 12 + 3 and len(found.held_others) == 6
    assert len(found.held_images) == len(found.held_labels) and "styles" in found.name
