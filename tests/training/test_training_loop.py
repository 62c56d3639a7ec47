"""The one training loop, with both engines."""

from __future__ import annotations

import math
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chain_recipes import ENGINES, STATEFUL, assert_same, halves, make_recipe
from scipy.special import log_softmax
from sklearn.metrics import log_loss

from tenfold.arrays import ImageDataset
from tenfold.errors import DataError, ModelError, RecipeError, TenfoldError
from tenfold.networks.shapes import Network
from tenfold.training.loop import CHECKPOINT, TrainResult, train
from tenfold.training.prepare import input_scaling
from tenfold.training.progress import Checkpoint, EpochRecord, TrainingObserver, TrainingPlan


class Watcher(TrainingObserver):
    """Keeps all that it is told, and may act at a step."""

    def __init__(self, at_step: int = -1, act: Any = None) -> None:
        self.told: list[Any] = []
        self.at_step, self.act = at_step, act

    def on_start(self, plan: TrainingPlan) -> None:
        self.told.append(plan)

    def on_step(self, step: int) -> None:
        self.told.append(step)
        if step == self.at_step:
            self.act()

    def on_epoch(self, record: EpochRecord) -> None:
        self.told.append(record)

    def on_end(self, status: str) -> None:
        self.told.append(status)


def weights_of(result: TrainResult) -> dict[str, np.ndarray]:
    return result.classifier.engine.weights()


@pytest.mark.parametrize("engine", ENGINES)
def test_history_and_observers(blobs: ImageDataset, engine: str, tmp_path: Path) -> None:
    train_set, val_set = halves(blobs)
    recipe = make_recipe(schedule={"name": "cosine"})
    watcher = Watcher()
    result = train(recipe, train_set, val_set, engine=engine, run_dir=tmp_path, callbacks=[watcher])
    assert result.status == "finished" and result.best_epoch == 3 and result.run_dir == tmp_path
    assert [record.epoch for record in result.history] == [1, 2, 3]
    assert [record.steps for record in result.history] == [9, 18, 27]
    for record in result.history:
        rate = recipe.schedule.learning_rate_at(record.steps - 1, 27, 0.1)
        assert record.learning_rate == pytest.approx(rate)
    losses = [record.train_loss for record in result.history]
    assert losses == sorted(losses, reverse=True) and result.history[-1].val_accuracy > 0.9
    assert result.seconds == pytest.approx(sum(record.seconds for record in result.history))
    assert EpochRecord.read_history(tmp_path / "history.jsonl") == result.history
    plan, *steps_and_records, status = watcher.told
    assert (plan.engine, plan.epochs, plan.steps_per_epoch, plan.total_steps) == (engine, 3, 9, 27)
    assert (plan.train_images, plan.val_images, plan.first_epoch) == (450, 150, 0)
    assert plan.parameters == 120 * 16 + 16 + 16 * 3 + 3
    assert status == "finished"
    assert [told for told in steps_and_records if isinstance(told, int)] == list(range(1, 28))
    assert [told for told in steps_and_records if isinstance(told, EpochRecord)] == result.history


@pytest.mark.parametrize(("steps", "epochs"), [(4, 1), (9, 1), (13, 2)])
def test_so_many_steps_end_within_an_epoch(blobs: ImageDataset, steps: int, epochs: int) -> None:
    """450 images in batches of 50 are 9 steps; the schedule ends with the last step that is made."""
    train_set, val_set = halves(blobs)
    recipe = make_recipe(schedule={"name": "linear"}, training={"steps": steps})
    watcher = Watcher()
    result = train(recipe, train_set, val_set, engine="numpy", callbacks=[watcher])
    assert (result.status, len(result.history), result.history[-1].steps) == ("finished", epochs, steps)
    assert [told for told in watcher.told if isinstance(told, int)] == list(range(1, steps + 1))
    assert watcher.told[0].total_steps == steps
    rate = recipe.schedule.learning_rate_at(steps - 1, steps, 0.1)
    assert result.history[-1].learning_rate == pytest.approx(rate)


def test_steps_replace_epochs(blobs: ImageDataset) -> None:
    """As many steps as three epochs have: the same weights, bit for bit."""
    train_set, val_set = halves(blobs)
    by_epochs, by_steps = (
        train(make_recipe(training=training), train_set, val_set, engine="numpy")
        for training in ({"epochs": 3}, {"epochs": 1, "steps": 27})
    )
    for name, value in weights_of(by_epochs).items():
        np.testing.assert_array_equal(value, weights_of(by_steps)[name])


@pytest.mark.parametrize("engine", ENGINES)
def test_softmax_regression_against_its_formulas(blobs: ImageDataset, engine: str) -> None:
    """Full-batch gradient descent, written out in float64: the same losses, accuracies and weights."""
    train_set, val_set = halves(blobs)
    recipe = make_recipe(layers=["flatten", "linear classes"], training={"epochs": 5, "batch_size": 0})
    result = train(recipe, train_set, val_set, seed=3, engine=engine)
    start = Network.initial_weights(recipe.plan((12, 10), 3), "torch", seed=3)
    weight, bias = start["linear1.weight"].T.astype(float), start["linear1.bias"].astype(float)
    inputs, targets = train_set.images.reshape(450, -1) / 255, np.eye(3)[train_set.labels]
    for record in result.history:
        log_probs = log_softmax(inputs @ weight + bias, axis=1)
        assert record.train_loss == pytest.approx(-(targets * log_probs).sum() / 450, rel=1e-5)
        assert record.train_accuracy == np.mean(log_probs.argmax(axis=1) == train_set.labels)
        error = (np.exp(log_probs) - targets) / 450
        weight, bias = weight - 0.1 * inputs.T @ error, bias - 0.1 * error.sum(axis=0)
        seen = log_softmax(val_set.images.reshape(150, -1) / 255 @ weight + bias, axis=1)
        assert record.val_loss == pytest.approx(-seen[np.arange(150), val_set.labels].mean(), rel=1e-5)
    learned = weights_of(result)
    np.testing.assert_allclose(learned["linear1.weight"], weight.T, atol=1e-5)
    np.testing.assert_allclose(learned["linear1.bias"], bias, atol=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_last_validation_is_of_the_weights_returned(blobs: ImageDataset, engine: str) -> None:
    train_set, val_set = halves(blobs)
    result = train(make_recipe(**STATEFUL), train_set, val_set, engine=engine)
    probs = result.classifier.predict_proba(val_set.images).astype(float)
    expected = log_loss(val_set.labels, probs / probs.sum(axis=1, keepdims=True), labels=range(3))
    assert result.history[-1].val_loss == pytest.approx(expected, rel=1e-5)
    assert result.history[-1].val_accuracy == np.mean(probs.argmax(axis=1) == val_set.labels)


@pytest.mark.parametrize("engine", ENGINES)
def test_one_seed_one_network(blobs: ImageDataset, engine: str) -> None:
    recipe = make_recipe(**STATEFUL)
    first, again, other = (train(recipe, blobs, seed=seed, engine=engine) for seed in (5, 5, 6))
    assert_same(weights_of(first), weights_of(again))
    assert [record.train_loss for record in first.history] == [record.train_loss for record in again.history]
    assert not np.array_equal(weights_of(first)["linear1.weight"], weights_of(other)["linear1.weight"])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("step", [1, 20, 31], ids=lambda step: f"step {step}")
def test_a_training_that_broke_goes_on_to_the_same_bits(
    blobs: ImageDataset, engine: str, step: int, tmp_path: Path
) -> None:
    """At any moment: dropout, Adam, averages, batch norm, augmentation and schedule come back."""
    train_set, val_set = halves(blobs)
    recipe = make_recipe(**STATEFUL)
    whole = train(recipe, train_set, val_set, seed=2, engine=engine)

    def fail() -> None:
        raise RuntimeError("power cut")

    watcher = Watcher(step, fail)
    with pytest.raises(RuntimeError, match="power cut"):
        train(recipe, train_set, val_set, seed=2, engine=engine, run_dir=tmp_path, callbacks=[watcher])
    assert watcher.told[-1] == "failed"
    resumed = Watcher()
    result = train(
        recipe, train_set, val_set, seed=2, engine=engine, run_dir=tmp_path, resume=True, callbacks=[resumed]
    )
    assert resumed.told[0].first_epoch == (step - 1) // 8
    assert_same(weights_of(result), weights_of(whole))
    for one, two in zip(result.history, whole.history, strict=True):
        assert (one.train_loss, one.val_loss, one.steps) == (two.train_loss, two.val_loss, two.steps)


@pytest.mark.parametrize("engine", ENGINES)
def test_control_c_keeps_the_weights_and_the_checkpoint(
    blobs: ImageDataset, engine: str, tmp_path: Path
) -> None:
    recipe = make_recipe(**STATEFUL)
    whole = train(recipe, blobs, engine=engine)
    watcher = Watcher(15, lambda: os.kill(os.getpid(), signal.SIGINT))
    handler = signal.getsignal(signal.SIGINT)
    stopped = train(recipe, blobs, engine=engine, run_dir=tmp_path, callbacks=[watcher])
    assert signal.getsignal(signal.SIGINT) is handler
    assert stopped.status == watcher.told[-1] == "interrupted" and len(stopped.history) == 1
    assert (tmp_path / "model.safetensors").is_file()
    assert Checkpoint.read(tmp_path / CHECKPOINT).next_epoch == 1
    assert_same(
        weights_of(train(recipe, blobs, engine=engine, run_dir=tmp_path, resume=True)), weights_of(whole)
    )


def test_control_c_twice_stops_at_once(blobs: ImageDataset) -> None:
    def twice() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    watcher = Watcher(3, twice)
    with pytest.raises(KeyboardInterrupt):
        train(make_recipe(), blobs, engine="numpy", callbacks=[watcher])
    assert watcher.told[-2:] == [3, "failed"]


@pytest.mark.parametrize("engine", ENGINES)
def test_early_stopping_restores_the_best_weights(blobs: ImageDataset, engine: str, tmp_path: Path) -> None:
    """Validation labels that lie: what is learned makes their loss rise from the first epoch on."""
    train_set, val_set = halves(blobs)
    liars = ImageDataset(val_set.images, (val_set.labels + 1) % 3, val_set.class_names, "liars")
    one_epoch = train(make_recipe(training={"epochs": 1}), train_set, liars, engine=engine)
    recipe = make_recipe(training={"epochs": 9, "patience": 3})
    result = train(recipe, train_set, liars, engine=engine, run_dir=tmp_path)
    losses = [record.val_loss for record in result.history]
    assert losses == sorted(losses)
    assert result.status == "stopped early" and len(losses) == 4 and result.best_epoch == 1
    assert_same(weights_of(result), weights_of(one_epoch))
    stop = Watcher(25, lambda: os.kill(os.getpid(), signal.SIGINT))
    train(recipe, train_set, liars, engine=engine, run_dir=tmp_path / "stopped", callbacks=[stop])
    for folder in (tmp_path, tmp_path / "stopped"):  # a finished run, and one in its third epoch
        again = train(recipe, train_set, liars, engine=engine, run_dir=folder, resume=True)
        assert again.status == "stopped early" and len(again.history) == 4 and again.best_epoch == 1
        assert_same(weights_of(again), weights_of(one_epoch))


def test_patience_that_is_not_needed_changes_nothing(blobs: ImageDataset) -> None:
    train_set, val_set = halves(blobs)
    plain = train(make_recipe(), train_set, val_set, engine="numpy")
    stopping = train(make_recipe(training={"patience": 2}), train_set, val_set, engine="numpy")
    assert stopping.status == "finished" and stopping.best_epoch == 3
    assert_same(weights_of(plain), weights_of(stopping))


def test_min_steps_asks_for_more_epochs(blobs: ImageDataset) -> None:
    recipe = make_recipe(training={"epochs": 2, "min_steps": 50, "batch_size": 64, "drop_last": True})
    result = train(recipe, blobs, engine="numpy")
    assert len(result.history) == math.ceil(50 / (600 // 64))
    assert result.history[-1].val_loss is None and result.history[-1].val_accuracy is None


def test_standardise_is_numpys_mean_and_deviation(blobs: ImageDataset) -> None:
    recipe = make_recipe(input={"scaling": "standardise"})
    mean, std = input_scaling(recipe, blobs)
    assert mean == pytest.approx((blobs.images / 255).mean(), rel=1e-12)
    assert std == pytest.approx((blobs.images / 255).std(), rel=1e-12)
    fixed = make_recipe(input={"scaling": "fixed", "mean": 0.1, "std": 0.3})
    assert input_scaling(fixed, blobs) == (0.1, 0.3)
    raw = input_scaling(make_recipe(input={"scaling": "none"}), blobs)
    assert (200 / 255 - raw[0]) / raw[1] == pytest.approx(200)
    assert input_scaling(make_recipe(), blobs) == (0, 1)
    blank = ImageDataset(np.zeros((4, 5, 5), np.uint8), np.arange(4) % 2, ("a", "b"))
    assert input_scaling(recipe, blank)[1] > 0


@pytest.mark.parametrize("engine", ENGINES)
def test_transfer(blobs: ImageDataset, engine: str, tmp_path: Path) -> None:
    """From three classes to two: the first layer is taken over and frozen, the head is new."""
    base = train(make_recipe(), blobs, engine="numpy", run_dir=tmp_path / "base")
    two = blobs.subset(np.flatnonzero(blobs.labels < 2))
    two = ImageDataset(two.images, two.labels, ("left", "middle"), "two")
    frozen = {"groups": [{"match": "linear1", "factor": 0}]}
    recipe = make_recipe(start_from=str(tmp_path / "base"), optimiser=frozen, training={"epochs": 2})
    result = train(recipe, two, engine=engine, seed=1)
    before, after = weights_of(base), weights_of(result)
    for name in ("linear1.weight", "linear1.bias"):
        np.testing.assert_array_equal(after[name], before[name])
    assert after["linear2.weight"].shape == (2, 16) and result.history[-1].train_accuracy > 0.9
    head = Network.initial_weights(recipe.plan((12, 10), 2), "torch", seed=1)["linear2.weight"]
    assert not np.array_equal(after["linear2.weight"], head)
    thawed = train(make_recipe(start_from=str(tmp_path / "base")), two, engine=engine)
    assert not np.array_equal(weights_of(thawed)["linear1.weight"], before["linear1.weight"])


def test_transfer_from_what_does_not_fit(blobs: ImageDataset, tmp_path: Path) -> None:
    train(make_recipe(), blobs, engine="numpy", run_dir=tmp_path / "base")
    other = make_recipe(
        layers=["flatten", "linear 7", "linear 7", "linear classes"], start_from=str(tmp_path / "base")
    )
    taken = ImageDataset(blobs.images[:, :9], blobs.labels, blobs.class_names)
    with pytest.raises(RecipeError, match="no parameter of"):
        train(make_recipe(layers=["flatten", "linear classes"], start_from=str(tmp_path / "base")), taken)
    with pytest.raises(RecipeError, match="no parameter of"):
        train(other.model_copy(update={"name": "other"}), taken.subset(np.arange(9)))
    with pytest.raises(ModelError, match="is not there"):
        train(make_recipe(start_from=str(tmp_path / "nothing")), blobs)


def test_recipe_and_data_that_do_not_fit(blobs: ImageDataset, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="without validation images"):
        train(make_recipe(training={"patience": 1}), blobs, run_dir=tmp_path / "run")
    small = ImageDataset(blobs.images[:, :9], blobs.labels, blobs.class_names)
    with pytest.raises(DataError, match=r"validation images of \(9, 10\)"):
        train(make_recipe(), blobs, small)
    renamed = ImageDataset(blobs.images, blobs.labels, ("x", "y", "z"))
    with pytest.raises(DataError, match="validation images"):
        train(make_recipe(), blobs, renamed)
    with pytest.raises(RecipeError, match="does not fit"):
        train(make_recipe(layers=["conv 3 20x20", "flatten", "linear classes"]), blobs)
    with pytest.raises(TenfoldError, match="did you mean 'numpy'"):
        train(make_recipe(), blobs, engine="numpie")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_loss_that_is_no_number_ends_the_training(blobs: ImageDataset, engine: str, tmp_path: Path) -> None:
    recipe = make_recipe(
        layers=["flatten", "linear 9", "relu", "linear classes"], optimiser={"learning_rate": 1e30}
    )
    watcher = Watcher()
    with pytest.raises(TenfoldError, match=r"loss of epoch 1 is (nan|inf).*smaller optimiser.learning_rate"):
        train(recipe, blobs, engine=engine, run_dir=tmp_path, callbacks=[watcher])
    assert watcher.told[-1] == "failed" and not list(tmp_path.iterdir())


def test_resuming_something_else_is_refused(blobs: ImageDataset, tmp_path: Path) -> None:
    recipe = make_recipe()
    train(recipe, blobs, engine="numpy", run_dir=tmp_path)
    kept = (tmp_path / CHECKPOINT).read_bytes()
    fewer = blobs.subset(np.arange(300))
    longer = make_recipe(training={"epochs": 4})
    for words, other, data, seed in (
        ("another recipe", longer, blobs, 0),
        ("another seed", recipe, blobs, 1),
        ("another training images", recipe, fewer, 0),
        ("another recipe and seed", longer, blobs, 1),
    ):
        with pytest.raises(RecipeError, match=words):
            train(other, data, seed=seed, engine="numpy", run_dir=tmp_path, resume=True)
    told = recipe.model_copy(update={"title": "another title"})
    assert train(told, blobs, engine="numpy", run_dir=tmp_path, resume=True).status == "finished"
    assert (tmp_path / CHECKPOINT).read_bytes() == kept


@pytest.mark.parametrize("damage", [b"", b"not a checkpoint", None])
def test_a_broken_checkpoint(blobs: ImageDataset, tmp_path: Path, damage: bytes | None) -> None:
    train(make_recipe(), blobs, engine="numpy", run_dir=tmp_path)
    path = tmp_path / CHECKPOINT
    whole = path.read_bytes()
    path.write_bytes(whole[:-50] if damage is None else damage)
    with pytest.raises(ModelError, match=r"cannot be read.*train again") as error:
        train(make_recipe(), blobs, engine="numpy", run_dir=tmp_path, resume=True)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_resume_without_a_checkpoint_starts_from_the_start(blobs: ImageDataset, tmp_path: Path) -> None:
    (tmp_path / "checkpoint").mkdir()
    stray = tmp_path / "checkpoint" / ".latest.safetensors.12345.part"
    stray.write_bytes(b"half a checkpoint of a killed process")
    result = train(make_recipe(), blobs, engine="numpy", run_dir=tmp_path, resume=True)
    assert_same(weights_of(result), weights_of(train(make_recipe(), blobs, engine="numpy")))
    assert not stray.exists()
