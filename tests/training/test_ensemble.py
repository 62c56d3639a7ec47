"""Networks trained one after another and answering as one: seeds, folders, observers, going on."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chain_recipes import ENGINES, STATEFUL, assert_same, halves, make_recipe
from safetensors.numpy import load_file

from tenfold.arrays import ImageDataset
from tenfold.classifier import Classifier
from tenfold.data.load import DataRequest
from tenfold.errors import RecipeError, TenfoldError
from tenfold.networks.engine import EnsembleEngine
from tenfold.recipes.schema import Recipe
from tenfold.runs.run import resume_run, start_run
from tenfold.training import loop
from tenfold.training.loop import has_checkpoint, train
from tenfold.training.prepare import fit_temperature
from tenfold.training.progress import EpochRecord, TrainingObserver, TrainingPlan

FIGURES = ("epoch", "steps", "train_loss", "train_accuracy", "val_loss", "val_accuracy")


class Watcher(TrainingObserver):
    """Keeps all that it is told, and may act at a step."""

    def __init__(self, at_step: int = -1, act: Callable[[], None] = lambda: None) -> None:
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

    def of(self, kind: type) -> list[Any]:
        return [told for told in self.told if isinstance(told, kind)]


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def fail() -> None:
    raise RuntimeError("power cut")


def ensemble_of(members: int, views: int = 1, **tables: Any) -> Recipe:
    return make_recipe(ensemble={"members": members, "views": views}, **tables)


def alone(recipe: Recipe) -> Recipe:
    return recipe.model_copy(update={"ensemble": make_recipe().ensemble})


def figures(history: list[EpochRecord]) -> list[list[float]]:
    return [[getattr(record, name) for name in FIGURES] for record in history]


@pytest.mark.parametrize("engine", ENGINES)
def test_members_are_ordinary_networks_with_seeds_of_their_own(
    blobs: ImageDataset, engine: str, tmp_path: Path
) -> None:
    train_set, val_set = halves(blobs)
    recipe, watcher = ensemble_of(3, 5, **STATEFUL), Watcher()
    result = train(recipe, train_set, val_set, seed=4, engine=engine, run_dir=tmp_path, callbacks=[watcher])
    singles = [
        loop.train(alone(recipe), train_set, val_set, seed=seed, engine=engine) for seed in (12, 13, 14)
    ]
    members = EnsembleEngine.split(result.classifier.engine.weights())
    assert len(members) == 3 and result.status == "finished" and result.run_dir == tmp_path
    for member, single in zip(members, singles, strict=True):
        assert_same(member, single.classifier.engine.weights())
    counted = [
        replace(record, epoch=record.epoch + 4 * i, steps=record.steps + 32 * i)
        for i, single in enumerate(singles)
        for record in single.history
    ]
    assert figures(result.history) == figures(counted)
    assert EpochRecord.read_history(tmp_path / "history.jsonl") == result.history and result.best_epoch == 12
    assert result.seconds == pytest.approx(sum(record.seconds for record in result.history))

    (plan,) = watcher.of(TrainingPlan)
    assert (plan.members, plan.epochs, plan.total_steps, plan.first_epoch) == (3, 12, 96, 0)
    assert (plan.steps_per_epoch, plan.run_dir) == (8, tmp_path)
    assert watcher.of(int) == list(range(1, 97))
    assert watcher.of(EpochRecord) == result.history and watcher.of(str) == ["finished"]

    loaded = Classifier.load(tmp_path, engine=engine)
    np.testing.assert_array_equal(loaded.logits(blobs.images), result.classifier.logits(blobs.images))
    assert loaded.card.recipe == recipe and isinstance(loaded.engine, EnsembleEngine)
    member = Classifier.load(tmp_path / "member-2", engine=engine)
    assert_same(member.engine.weights(), members[1])
    assert not isinstance(member.engine, EnsembleEngine)


@pytest.mark.parametrize("engine", ENGINES)
def test_views_of_one_network(blobs: ImageDataset, engine: str, tmp_path: Path) -> None:
    """The ordinary loop, its weights as ever; only the answers see each image five times."""
    train_set, val_set = halves(blobs)
    stopping = {"training": {"patience": 3}}
    plain = train(make_recipe(**stopping), train_set, val_set, engine=engine)
    result = train(ensemble_of(1, 5, **stopping), train_set, val_set, engine=engine, run_dir=tmp_path)
    assert_same(result.classifier.engine.weights(), plain.classifier.engine.weights())
    assert figures(result.history) == figures(plain.history)
    assert isinstance(result.classifier.engine, EnsembleEngine) and result.classifier.engine.views == 5
    assert not (tmp_path / "member-1").exists() and has_checkpoint(tmp_path)
    loaded = Classifier.load(tmp_path, engine=engine)
    np.testing.assert_array_equal(loaded.logits(blobs.images), result.classifier.logits(blobs.images))
    assert not np.array_equal(loaded.logits(blobs.images), plain.classifier.logits(blobs.images))


def test_one_temperature_for_all(blobs: ImageDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenfold.training.prepare.LEAST_IMAGES", 100)
    train_set, val_set = halves(blobs)
    result = train(ensemble_of(2, 5), train_set, val_set, engine="numpy")
    expected = fit_temperature(result.classifier.engine.logits(val_set.images), val_set.labels)
    assert result.classifier.card.temperature == expected != 1
    too_few = train(ensemble_of(2), train_set, val_set.subset(np.arange(50)), engine="numpy")
    assert too_few.classifier.card.temperature == 1


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("step", [5, 32, 33, 52, 96], ids=lambda step: f"step {step}")
def test_broken_anywhere_it_goes_on_to_the_same_bits(
    blobs: ImageDataset, engine: str, step: int, tmp_path: Path
) -> None:
    train_set, val_set = halves(blobs)
    recipe = ensemble_of(3, **STATEFUL)
    options: dict[str, Any] = {"seed": 1, "engine": engine}
    whole = train(recipe, train_set, val_set, **options)
    broken = Watcher(step, fail)
    with pytest.raises(RuntimeError, match="power cut"):
        train(recipe, train_set, val_set, run_dir=tmp_path, callbacks=[broken], **options)
    assert broken.told[-1] == "failed" and broken.of(str) == ["failed"]
    epochs_done = (step - 1) // 8
    if epochs_done:
        assert len(EpochRecord.read_history(tmp_path / "history.jsonl")) == epochs_done
    stray = tmp_path / ".model.safetensors.12345.part"
    stray.write_bytes(b"half a model of a killed process")
    resumed = Watcher()
    result = train(recipe, train_set, val_set, run_dir=tmp_path, resume=True, callbacks=[resumed], **options)
    (plan,) = resumed.of(TrainingPlan)
    assert (plan.first_epoch, plan.epochs) == (epochs_done, 12)
    assert resumed.of(int) == list(range(8 * epochs_done + 1, 97))  # what was whole is not trained again
    assert_same(result.classifier.engine.weights(), whole.classifier.engine.weights())
    assert figures(result.history) == figures(whole.history)
    assert EpochRecord.read_history(tmp_path / "history.jsonl") == result.history and not stray.exists()


@pytest.mark.parametrize(("step", "kept"), [(10, 0), (40, 1), (63, 1), (64, 2), (90, 2)])
def test_control_c_keeps_the_members_that_are_whole(
    blobs: ImageDataset, step: int, kept: int, tmp_path: Path
) -> None:
    recipe = ensemble_of(3, **{**STATEFUL, "training": {"epochs": 4, "batch_size": 75}})
    handler = signal.getsignal(signal.SIGINT)
    watcher = Watcher(step, interrupt)
    stopped = train(recipe, blobs, engine="numpy", run_dir=tmp_path, callbacks=[watcher])
    assert signal.getsignal(signal.SIGINT) is handler
    assert stopped.status == "interrupted" and watcher.of(str) == ["interrupted"]
    members = EnsembleEngine.split(Classifier.load(tmp_path, engine="numpy").engine.weights())
    assert len(members) == max(1, kept)
    whole = train(recipe, blobs, engine="numpy")
    if kept:
        for one, two in zip(members, EnsembleEngine.split(whole.classifier.engine.weights()), strict=False):
            assert_same(one, two)
        assert stopped.best_epoch == 4 * kept
    resumed = train(recipe, blobs, engine="numpy", run_dir=tmp_path, resume=True)
    assert resumed.status == "finished"
    assert_same(resumed.classifier.engine.weights(), whole.classifier.engine.weights())


@pytest.mark.parametrize(("record", "kept"), [(1, 1), (2, 1), (4, 2), (5, 2)])
def test_control_c_between_two_members_is_heard(
    blobs: ImageDataset, record: int, kept: int, tmp_path: Path
) -> None:
    """After a member's last step too, when its own loop no longer asks; but a whole ensemble is whole."""

    class AtEpoch(TrainingObserver):
        def on_epoch(self, done: EpochRecord) -> None:
            if done.epoch == record:
                interrupt()

    recipe = ensemble_of(3, training={"epochs": 2})
    stopped = train(recipe, blobs, engine="numpy", run_dir=tmp_path, callbacks=[AtEpoch()])
    assert stopped.status == "interrupted" and len(stopped.history) == record
    assert len(EnsembleEngine.split(stopped.classifier.engine.weights())) == kept


def test_control_c_in_the_very_end_changes_nothing(blobs: ImageDataset) -> None:
    watcher = Watcher(2 * 36, interrupt)
    result = train(ensemble_of(2), blobs, engine="numpy", callbacks=[watcher])
    assert result.status == "finished" and watcher.of(str) == ["finished"]


def test_early_stopping_of_each(blobs: ImageDataset, tmp_path: Path) -> None:
    """Validation labels that lie: each member's best epoch is its first, and its fourth the last."""
    train_set, val_set = halves(blobs)
    liars = ImageDataset(val_set.images, (val_set.labels + 1) % 3, val_set.class_names, "liars")
    recipe = ensemble_of(2, training={"epochs": 9, "patience": 3})
    watcher = Watcher()
    result = train(recipe, train_set, liars, engine="numpy", run_dir=tmp_path, callbacks=[watcher])
    assert result.status == "finished" and [record.epoch for record in result.history] == list(range(1, 9))
    assert [record.steps for record in result.history] == list(range(9, 73, 9)) == watcher.of(int)[8::9]
    assert result.best_epoch == 5
    one_epoch = ensemble_of(2, training={"epochs": 1})
    first = train(one_epoch, train_set, liars, engine="numpy")
    assert_same(result.classifier.engine.weights(), first.classifier.engine.weights())
    again = train(recipe, train_set, liars, engine="numpy", run_dir=tmp_path, resume=True)
    assert figures(again.history) == figures(result.history) and again.best_epoch == 5


def test_transfer_from_an_ensemble_takes_its_first_network(blobs: ImageDataset, tmp_path: Path) -> None:
    base = train(ensemble_of(2), blobs, engine="numpy", run_dir=tmp_path)
    frozen = {"groups": [{"match": "linear", "factor": 0}]}
    recipe = make_recipe(start_from=str(tmp_path), optimiser=frozen, training={"epochs": 1})
    result = train(recipe, blobs, engine="numpy", seed=9)
    first = EnsembleEngine.split(base.classifier.engine.weights())[0]
    assert_same(result.classifier.engine.weights(), first)


def test_what_is_wrong_is_found_before_anything_is_written(blobs: ImageDataset, tmp_path: Path) -> None:
    watcher = Watcher()
    with pytest.raises(RecipeError, match="without validation images"):
        train(ensemble_of(2, training={"patience": 1}), blobs, run_dir=tmp_path / "run", callbacks=[watcher])
    assert not (tmp_path / "run").exists() and not watcher.told


@pytest.fixture
def source(blobs: ImageDataset, tmp_path: Path) -> Path:
    np.savez(tmp_path / "blobs.npz", images=blobs.images, labels=blobs.labels)
    return tmp_path / "blobs.npz"


def test_a_run_from_start_to_end(source: Path, tmp_path: Path) -> None:
    recipe = ensemble_of(3, 5)
    stop = Watcher(40, interrupt)
    stopped = start_run(
        recipe, data=DataRequest(source), engine="numpy", run_dir=tmp_path / "run", callbacks=[stop]
    )
    assert stopped.status == "interrupted" and stopped.evaluation is None
    done = resume_run(tmp_path / "run")
    whole = start_run(recipe, data=DataRequest(source), engine="numpy", run_dir=tmp_path / "whole")
    for name in ("model.safetensors", "model.json", "recipe.toml"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    document = done.to_dict()
    assert document["epochs"] == document["best_epoch"] == 9 and document["status"] == "finished"
    assert document["val_loss"] == whole.history[-1].val_loss
    assert done.evaluation is not None and whole.evaluation is not None
    scores, expected = done.evaluation.to_dict(), whole.evaluation.to_dict()
    assert scores | {"seconds": 0} == expected | {"seconds": 0}
    assert json.loads((tmp_path / "run" / "environment.json").read_text())["status"] == "finished"
    names = load_file(tmp_path / "run" / "model.safetensors")
    assert {name.partition(".")[0] for name in names} == {"member1", "member2", "member3"}


def test_members_that_were_trained_survive_one_that_fails(source: Path, tmp_path: Path) -> None:
    def diverge() -> None:
        raise TenfoldError("the loss is nan")

    watcher = Watcher(30, diverge)
    folder = tmp_path / "run"
    with pytest.raises(TenfoldError, match="the loss is nan"):
        start_run(ensemble_of(2), DataRequest(source), engine="numpy", run_dir=folder, callbacks=[watcher])
    assert has_checkpoint(folder) and (folder / "member-1" / "model.safetensors").is_file()
    assert resume_run(folder).status == "finished"
