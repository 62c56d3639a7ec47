"""Trainings side by side: each has a folder of its own, and prints its own score."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tenfold import get_recipe, train
from tenfold.arrays import ImageDataset
from tenfold.errors import UsageError
from tenfold.files import Claim
from tenfold.recipes.load import change_recipe

TRAIN = [
    sys.executable,
    "-m",
    "tenfold",
    "train",
    "mlp-small",
    "--data",
    "sample",
    "--epochs",
    "1",
    "--json",
    "-q",
]
HOLD = """
import sys, time
from pathlib import Path
from tenfold.files import Claim
with Claim.folder(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def start(folder: Path, *options: str) -> subprocess.Popen[str]:
    command = [*TRAIN, "--json", "--quiet", "--no-report", *options]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_each_has_its_folder_and_its_score(tmp_path: Path) -> None:
    rates = ("0.00001", "0.001", "0.01")
    started = [start(tmp_path, "--set", f"optimiser.learning_rate={rate}") for rate in rates]
    told = [json.loads(each.communicate()[0]) for each in started]
    assert len({each["run"] for each in told}) == 3
    for rate, each in zip(rates, told, strict=True):
        folder = tmp_path / each["run"]
        assert f"learning_rate = {float(rate)}" in (folder / "recipe.toml").read_text()
        kept = json.loads((folder / "evaluation.json").read_text())
        assert kept["accuracy"] == each["test_accuracy"] and not (folder / Claim.LOCK).exists()
    assert len({each["test_accuracy"] for each in told}) == 3


def test_one_folder_named_twice_is_refused_once(tmp_path: Path) -> None:
    started = [start(tmp_path, "--run-dir", "one", "--seed", str(seed)) for seed in (0, 1)]
    ended = [(each.communicate(), each.returncode) for each in started]
    assert sorted(code for _, code in ended) == [0, 2]
    ((_, error), _), ((out, _), _) = sorted(ended, key=lambda each: -each[1])
    assert "one" in error and "Traceback" not in error and error.count("\n") == 1
    kept = json.loads((tmp_path / "one" / "environment.json").read_text())
    assert kept["seed"] == json.loads(out)["seed"]


@pytest.fixture
def held(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that writes into the folder `run`."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_folder_is_free_again_when_its_process_is_gone(
    held: subprocess.Popen[str], tmp_path: Path, blobs: ImageDataset
) -> None:
    recipe = change_recipe(get_recipe("mlp-small"), {"training.epochs": 1})
    for resume in (False, True):
        with pytest.raises(UsageError, match="another process writes"):
            train(recipe, blobs, run_dir=tmp_path / "run", resume=resume)
    os.kill(held.pid, signal.SIGKILL)
    held.wait()
    first = train(recipe, blobs, run_dir=tmp_path / "run")
    with pytest.raises(UsageError, match="a training is kept"):
        train(recipe, blobs, run_dir=tmp_path / "run", seed=1)
    again = train(recipe, blobs, run_dir=tmp_path / "run", resume=True)
    for name, value in first.classifier.engine.weights().items():
        np.testing.assert_array_equal(value, again.classifier.engine.weights()[name])


def test_a_claim_within_a_claim(tmp_path: Path) -> None:
    with Claim.folder(tmp_path), Claim.folder(tmp_path):
        assert (tmp_path / Claim.LOCK).exists()
    assert not list(tmp_path.iterdir())
