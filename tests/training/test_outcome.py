"""A training that has learned nothing says so, and a sound one does not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from chain_recipes import halves, make_recipe

from tenfold.arrays import ImageDataset
from tenfold.cli import main
from tenfold.errors import DivergedError
from tenfold.show.terminal import stdout
from tenfold.training.loop import train
from tenfold.training.progress import Checkpoint, EpochRecord, at_chance, find_failure


def test_chance_is_the_commonest_class_within_two_standard_errors() -> None:
    """900 of 1,000 labels are alike: a standard error is sqrt(0.9 * 0.1 / 1000) = 0.0095."""
    labels = np.repeat([0, 1], [900, 100])
    assert at_chance(0.1, labels, "test") and at_chance(0.918, labels, "test")
    assert at_chance(0.92, labels, "test") == ""
    tenth = np.arange(10_000) % 10  # 0.003
    assert at_chance(0.1059, tenth, "test") and not at_chance(0.107, tenth, "test")
    assert "9.80 % is chance level (naming the commonest class each time: 10.00 %)" in at_chance(
        0.098, tenth, "test"
    )


def test_too_few_images_say_nothing() -> None:
    assert at_chance(0.0, np.array([0, 0, 0, 1]), "test") == at_chance(1.0, np.zeros(5, int), "test") == ""


@pytest.mark.parametrize("rate", [0.1, 1e-9])
@pytest.mark.parametrize("held_out", [True, False])
def test_what_learns_and_what_does_not(blobs: ImageDataset, rate: float, held_out: bool) -> None:
    train_set, val_set = halves(blobs)
    recipe = make_recipe(optimiser={"learning_rate": rate}, training={"epochs": 1})
    result = train(recipe, train_set, val_set if held_out else None, engine="numpy", seed=4)
    assert bool(result.problem) == (rate < 0.1), result.problem
    if result.problem:
        assert ("validation" if held_out else "training") + " accuracy" in result.problem


def test_a_loss_above_the_start(blobs: ImageDataset) -> None:
    engine = train(make_recipe(), blobs, engine="numpy").classifier.engine

    def record(loss: float, steps: int) -> EpochRecord:
        return EpochRecord(1, loss, 0.9, 1.0, 0.9, 0.1, 0.1, steps, first_loss=1.0)

    for loss, steps, told in ((1.05, 50, False), (1.2, 50, True), (1.2, 9, False)):
        done = Checkpoint({}, 1, [record(loss, steps)], {}, best_epoch=1)
        found = find_failure(engine, done, blobs, blobs)
        assert found == ("the training loss rose from 1 to 1.2" if told else "")


@pytest.mark.parametrize("held_out", [True, False])
def test_nothing_is_kept_of_weights_that_are_no_numbers(
    blobs: ImageDataset, held_out: bool, tmp_path: Path
) -> None:
    """One step, whose loss is measured before it: only the weights show what it has done."""
    train_set, val_set = halves(blobs)
    recipe = make_recipe(
        loss={"reduction": "sum"}, optimiser={"learning_rate": 1e38}, training={"epochs": 1, "batch_size": 0}
    )
    with pytest.raises(DivergedError, match="tenfold doctor"):
        train(recipe, train_set, val_set if held_out else None, engine="numpy", run_dir=tmp_path / "run")
    assert not (tmp_path / "run" / "model.safetensors").exists()


TRAIN = ("train", "mlp-small", "--data", "sample", "--engine", "numpy", "--epochs", "1", "-q", "--no-report")


@pytest.mark.parametrize(("rate", "code"), [("1e-9", 0), ("1e38", 1)])
def test_the_last_line_points_to_the_doctor(
    rate: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for more in ((), ("--json",)):
        monkeypatch.setattr(
            "sys.argv", ["tenfold", *TRAIN, "--set", f"optimiser.learning_rate={rate}", *more]
        )
        with pytest.raises(SystemExit) as end:
            main()
        out, error = capsys.readouterr()
        assert end.value.code == code
        if more:
            document = json.loads(out)
            assert document["learned"] is False and document["problem"]
        else:
            assert "tenfold doctor" in (out + error).splitlines()[-1]


MEASURE = {
    "crossval": ("crossval", "mlp-120-84", "--folds", "2"),
    "search": ("search", "mlp-120-84", "--trials", "1"),
}


@pytest.mark.parametrize("command", list(MEASURE))
@pytest.mark.parametrize("sound", [True, False])
def test_trainings_of_other_commands_say_it(
    command: str,
    sound: bool,
    blobs: ImageDataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The labels belong to the images, or have been shuffled."""
    monkeypatch.chdir(tmp_path)
    labels = blobs.labels if sound else np.random.default_rng(1).permutation(blobs.labels)
    np.savez("data.npz", images=blobs.images, labels=labels)
    words = [*MEASURE[command], "--data", "data.npz", "--engine", "numpy", "--set", "training.epochs=5", "-q"]
    for more in ((), ("--json",)):
        monkeypatch.setattr("sys.argv", ["tenfold", *words, *more])
        with pytest.raises(SystemExit) as end:
            main()
        out = capsys.readouterr().out
        assert not end.value.code
        if more:
            document = json.loads(out)
            document = document["recipes"][0] if command == "crossval" else document
            assert document["learned"] is sound and bool(document["problem"]) is not sound
        else:
            assert ("mlp-120-84 did not learn: " in out and "tenfold doctor" in out) is not sound


def test_json_never_holds_nan(capsys: pytest.CaptureFixture[str]) -> None:
    stdout.json({"a": float("nan"), "b": [1.5, float("inf")], "c": {"d": (float("-inf"), 2)}})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [1.5, None], "c": {"d": [None, 2]}}
