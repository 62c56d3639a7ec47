"""A training in Python that is kept in a folder is a run like those of the command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_chain import NAMES, RECIPE, Command, write_npz

from tenfold import (
    EpochRecord,
    Recipe,
    Run,
    TenfoldError,
    TrainingObserver,
    TrainingPlan,
    evaluate,
    list_runs,
    load_dataset,
    train,
    write_report,
)
from tenfold.recipes.load import change_recipe, parse_recipe


class Seen(TrainingObserver):
    """Notes what it is shown; fails after the epoch of that number."""

    def __init__(self, fails_after: int = 0) -> None:
        self.notes: list[object] = []
        self.fails_after = fails_after

    def on_start(self, plan: TrainingPlan) -> None:
        self.notes.append(plan.first_epoch)

    def on_epoch(self, record: EpochRecord) -> None:
        self.notes.append(record.epoch)
        if record.epoch == self.fails_after:
            raise RuntimeError("the power is gone")

    def on_end(self, status: str) -> None:
        self.notes.append(status)


class Broken(TrainingObserver):
    """Fails before there is a checkpoint."""

    def on_step(self, step: int) -> None:
        raise RuntimeError("no power")


@pytest.fixture
def recipe() -> Recipe:
    return parse_recipe(RECIPE)


def test_the_command_finds_a_run_made_in_python(tenfold: Command, recipe: Recipe) -> None:
    data = write_npz(Path("data.npz"))
    train_set, test_set = load_dataset(data), load_dataset(data, split="test")
    result = train(recipe, train_set, test_set, engine="numpy", seed=3, run_dir="runs/mine")

    (row,) = tenfold("runs", "--json").json
    assert (row["name"], row["recipe"], row["engine"], row["seed"]) == ("mine", "tiny", "numpy", 3)
    assert (row["status"], row["epochs"], row["data"]) == ("finished", 2, train_set.name)
    shown = tenfold("runs", "show", "runs/mine", "--json").json
    assert shown["environment"]["data"]["sha256"] == train_set.sha256()
    assert shown["environment"]["seconds"] == result.seconds and shown["evaluation"] is None
    assert tenfold("report", "runs/mine", "--no-measure").code == 0
    page = Path("runs/mine/report.html").read_text(encoding="utf-8")
    assert "tenfold.train(&#34;recipe.toml&#34;, train_set, val_set, seed=3" in page
    assert "tenfold evaluate runs/mine --data DATA" in page

    evaluate(result.classifier, test_set).save(str(result.run_dir))
    assert tenfold("runs", "--json").json[0]["test_accuracy"] is not None
    write_report("runs/mine")
    assert "has not been evaluated" not in Path("runs/mine/report.html").read_text(encoding="utf-8")


def test_scores_on_data_that_are_named_belong_to_the_run(tenfold: Command, recipe: Recipe) -> None:
    data = write_npz(Path("data.npz"))
    train(recipe, load_dataset(data), engine="numpy", run_dir="runs/mine")
    tenfold("evaluate", "runs/mine").complaint(1, "were given in Python", "--data")
    tenfold("train", "--resume", "runs/mine").complaint(1, "were given in Python", "resume=True")
    assert tenfold("evaluate", "runs/mine", "--data", data).code == 0
    found = Run("runs/mine").evaluation
    assert found is not None and found.class_names == load_dataset(data).class_names


def test_runs_of_both_kinds_hold_the_same_files(tenfold: Command, recipe: Recipe) -> None:
    data = write_npz(Path("data.npz"))
    done = tenfold("train", "tiny.toml", "--data", data, "--engine", "numpy", "--run-dir", "runs/one", "-q")
    assert done.code == 0, done.err
    result = train(recipe, load_dataset(data), engine="numpy", run_dir=Path("runs/two"))
    evaluate(result.classifier, load_dataset(data, split="test")).save("runs/two")
    write_report("runs/two")
    one, two = ({path.name for path in (run.folder).iterdir()} for run in list_runs())
    assert one == two
    kept = [json.loads((run.folder / "environment.json").read_text()) for run in list_runs()]
    assert set(kept[0]) - set(kept[1]) <= {"loading_seconds"}
    assert set(kept[0]["data"]) == set(kept[1]["data"])


def test_a_training_goes_on_where_it_was_stopped(recipe: Recipe) -> None:
    longer = change_recipe(recipe, {"training.epochs": 4})
    digits = load_dataset(write_npz(Path("data.npz")))
    with pytest.raises(RuntimeError, match="power"):
        train(longer, digits, engine="numpy", run_dir="runs/mine", callbacks=[Seen(fails_after=2)])
    assert Run("runs/mine").environment["status"] == "running"
    with pytest.raises(TenfoldError, match=r"a training is kept in .*resume=True"):
        train(longer, digits, engine="numpy", run_dir="runs/mine")
    seen = Seen()
    result = train(longer, digits, engine="numpy", run_dir="runs/mine", resume=True, callbacks=[seen])
    assert seen.notes == [2, 3, 4, "finished"] and result.status == "finished"
    assert Run("runs/mine").environment["status"] == "finished"
    whole = train(longer, digits, engine="numpy")
    images = digits.images[:20]
    assert (result.classifier.logits(images) == whole.classifier.logits(images)).all()


def test_a_training_that_cannot_begin_leaves_nothing(recipe: Recipe) -> None:
    digits = load_dataset(write_npz(Path("data.npz")))
    with pytest.raises(RuntimeError, match="no power"):
        train(recipe, digits, engine="numpy", run_dir="runs/mine", callbacks=[Broken()])
    with pytest.raises(TenfoldError, match="early stopping"):
        train(change_recipe(recipe, {"training.patience": 2}), digits, engine="numpy", run_dir="runs/mine")
    assert not Path("runs/mine").exists() and list_runs() == []
    Path("file").touch()
    with pytest.raises(TenfoldError, match="is not a folder"):
        train(recipe, digits, engine="numpy", run_dir="file")


def test_a_run_is_opened_by_its_folder(tenfold: Command, recipe: Recipe) -> None:
    with pytest.raises(TenfoldError, match="is not a run's folder"):
        Run("nowhere")
    train(recipe, load_dataset(write_npz(Path("data.npz"))), engine="numpy", run_dir="runs/mine")
    run = Run("runs/mine")
    assert run.recipe == recipe and run.classifier().class_names == run.model[0].class_names
    assert len(run.history) == 2 and run.summary is not None and len(NAMES) == len(run.summary.class_names)
    assert tenfold("runs", "compare", "runs/mine", "runs/mine", "--json").code == 0
