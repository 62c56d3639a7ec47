"""crossval, label-errors and robustness: what a person sees, what a program reads, what a run keeps."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from cli_chain import Command, pictures, write_npz

from tenfold.evaluation.robustness import CORRUPTIONS
from tenfold.runs.folder import Run


@pytest.fixture
def run(trained: Path, place: Path) -> Path:
    shutil.copytree(trained / "runs" / "one", place / "runs" / "one")
    return place / "runs" / "one"


def write_flipped(path: Path) -> list[int]:
    images, labels = pictures(300)
    flipped = [5, 50, 100, 150, 200, 250]
    labels[flipped] = (labels[flipped] + 1) % 3
    np.savez(path, images=images, labels=labels)
    return flipped


CROSSVAL = ("--data", "data.npz", "--folds", "3", "--engine", "numpy")


def test_crossval_of_one(tenfold: Command) -> None:
    write_npz(Path("data.npz"))
    done = tenfold("crossval", "tiny.toml", *CROSSVAL)
    assert done.code == 0 and not done.err
    lines = done.out.splitlines()
    assert lines[0] == "data.npz: 120 images in 3 folds"
    assert lines[1].split()[:3] == ["recipe", "accuracy", "deviation"] and lines[2].startswith("tiny")
    assert "better" not in done.out


def test_crossval_compares(tenfold: Command) -> None:
    write_npz(Path("data.npz"))
    Path("idle.toml").write_text(
        Path("tiny.toml").read_text().replace('"tiny"', '"idle"').replace("rate = 0.5", "rate = 1e-9")
    )
    arguments = ("crossval", "tiny.toml", "idle.toml", *CROSSVAL, "--set", "training.epochs=8")
    told = tenfold(*arguments)
    assert told.code == 0 and "tiny is" in told.out and "better than idle" in told.out
    assert "Nadeau and Bengio (2003)" in told.out
    document = tenfold(*arguments, "--json").json
    assert [recipe["recipe"] for recipe in document["recipes"]] == ["tiny", "idle"]
    assert all(len(recipe["folds"]) == 3 for recipe in document["recipes"])
    (comparison,) = document["comparisons"]
    first, second = (recipe["accuracy"] for recipe in document["recipes"])
    assert comparison["difference"] == pytest.approx(first - second)
    assert comparison["words"] in told.out
    assert document["images"] == sum(fold["val_images"] for fold in document["recipes"][0]["folds"])


def test_crossval_refuses(tenfold: Command) -> None:
    write_npz(Path("data.npz"))
    tenfold("crossval", "tiny.toml", "tiny.toml", *CROSSVAL).complaint(2, "called 'tiny'", "different name")
    tenfold("crossval", "tiny.toml", "--folds", "1").complaint(2, "--folds")
    tenfold("crossval", "tiny.toml", *CROSSVAL, "--set", "training.epoch=1").complaint(2, "training.epochs")
    tenfold("crossval", "tiny.toml", "--data", "data.npz", "--folds", "500").complaint(1, "500 folds")


def test_label_errors_of_a_data_set(tenfold: Command) -> None:
    flipped = write_flipped(Path("flipped.npz"))
    arguments = ("label-errors", "flipped.npz", "--split", "all", "--engine", "numpy")
    done = tenfold(*arguments, "--recipe", "tiny.toml", "--set", "training.epochs=60", "--out", "found.csv")
    assert done.code == 0 and " of 300 labels (" in done.out.splitlines()[0]
    assert "recipe tiny over 5 folds" in done.out and done.out.endswith("out: found.csv\n")
    with Path("found.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 5 and {int(row["index"]) for row in rows} <= set(flipped)
    assert all(row["suggested"] == str(int(row["index"]) % 3) for row in rows)


def test_label_errors_as_json_by_the_quick_recipe(tenfold: Command) -> None:
    """12 x 12 pixels are too few for `fast`."""
    flipped = write_flipped(Path("flipped.npz"))
    arguments = ("label-errors", "flipped.npz", "--split", "all", "--folds", "2", "--out", "found.json")
    document = tenfold(*arguments, "--json").json
    assert sorted(row["index"] for row in document["suspects"]) == flipped
    assert "mlp-small" in document["note"] and document["n"] == 300 and document["out"] == "found.json"
    assert json.loads(Path("found.json").read_text())["suspects"] == document["suspects"]


def test_label_errors_of_a_run_are_kept_and_shown(tenfold: Command, run: Path) -> None:
    done = tenfold("label-errors", run, "--recipe", "tiny.toml", "--folds", "2", "--engine", "numpy")
    assert done.code == 0 and f"report: {run / 'report.html'}" in done.out
    kept = Run.open(run).label_errors
    assert kept is not None and kept.n == 120
    assert "recipe tiny over 2 folds" in (run / "report.html").read_text()


def test_label_errors_refuses(tenfold: Command) -> None:
    tenfold("label-errors", "nothing.npz").complaint(1, "nothing.npz is not there")
    tenfold("label-errors", "sample", "--set", "a=1").complaint(2, "--recipe")
    tenfold("label-errors", "sample", "--out", "found.txt").complaint(2, ".csv")


def test_robustness_of_a_run_is_kept_and_shown(tenfold: Command, run: Path) -> None:
    done = tenfold("robustness", run, "--images", "20", "--engine", "numpy")
    assert done.code == 0 and done.out.splitlines()[0].startswith("accuracy ")
    assert all(f"\n{name} " in done.out for name in CORRUPTIONS)
    kept = Run.open(run).robustness
    assert kept is not None and kept.n == 20
    means = [float(line.split()[-2]) for line in done.out.splitlines()[2:17]]
    assert means == sorted(means)  # the hardest first
    document = tenfold("robustness", run, "--images", "20", "--engine", "numpy", "--json").json
    assert document["mean_accuracy"] == kept.mean_accuracy
    assert document["corruptions"]["fog"] == kept.accuracies[kept.corruptions.index("fog")].tolist()
    assert document["report"] == str(run / "report.html")


def test_robustness_on_other_data_leaves_the_run_alone(tenfold: Command, run: Path) -> None:
    write_npz(Path("data.npz"))
    arguments = ("robustness", run, "--data", "data.npz", "--split", "all", "--engine", "numpy", "--json")
    assert tenfold(*arguments).json["n"] == 150
    assert Run.open(run).robustness is None
    tenfold("robustness", "nowhere").complaint(1, "nowhere")
