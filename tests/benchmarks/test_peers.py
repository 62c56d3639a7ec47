"""The peers under the clock, on a few pictures: the networks are the published ones, the clock is right."""

from __future__ import annotations

import argparse
import gzip
import json
import struct
import subprocess
import sys
import time
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

PEERS = Path(__file__).parents[2] / "benchmarks" / "peers"


@pytest.fixture
def stopwatch(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(PEERS))
    return import_module("stopwatch")


@pytest.fixture(scope="module")
def digits_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files like MNIST's with 600 and 50 pictures of noise, written without tenfold."""
    folder, rng = tmp_path_factory.mktemp("mnist"), np.random.default_rng(0)
    for part, count in (("train", 600), ("t10k", 50)):
        images, labels = rng.integers(0, 256, (count, 28, 28), np.uint8), np.arange(count) % 10
        header = struct.pack(">IIII", 0x803, count, 28, 28)
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(header + images.tobytes()))
        header = struct.pack(">II", 0x801, count)
        body = header + labels.astype(np.uint8).tobytes()
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(body))
    return folder


def run_peer(name: str, data_dir: Path, out: Path, *options: str) -> dict[str, Any]:
    command = [sys.executable, str(PEERS / f"{name}.py"), str(data_dir), str(out), *options]
    subprocess.run(command, check=True, capture_output=True)
    return dict(json.loads(out.read_text()))


def test_files_are_read(stopwatch: Any, digits_dir: Path) -> None:
    rng = np.random.default_rng(0)
    images, labels = stopwatch.read_mnist(digits_dir, "train")
    np.testing.assert_array_equal(images, rng.integers(0, 256, (600, 28, 28), np.uint8))
    np.testing.assert_array_equal(labels, np.arange(600) % 10)
    assert labels.dtype == np.int64
    images, labels = stopwatch.read_mnist(digits_dir, "train", 7)
    assert len(images) == len(labels) == 7


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="Linux tells when a process was started")
def test_the_clock_starts_with_the_process() -> None:
    """Older than what it slept, and no older than its parent's wait (and a tick of 10 ms)."""
    code = f"import sys, time; sys.path.insert(0, {str(PEERS)!r}); time.sleep(0.2)\n"
    code += "from stopwatch import process_age; print(process_age())"
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert 0.19 < float(done.stdout) <= time.perf_counter() - started + 0.02


def test_the_clock_stands_still_for_tests(
    stopwatch: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Ten seconds until training, three per epoch, saving one; a test of a hundred counts nowhere."""
    now = SimpleNamespace(wall=10.0)
    monkeypatch.setattr(stopwatch, "process_age", lambda: now.wall)
    clocks = SimpleNamespace(perf_counter=lambda: now.wall, process_time=lambda: 2 * now.wall)
    monkeypatch.setattr(stopwatch, "time", clocks)

    def spend(seconds: float) -> float:
        now.wall += seconds
        return 0.5 + now.wall / 1000

    trial = stopwatch.Trial(argparse.Namespace(out=tmp_path / "out.json", until=0.7, seed=3), ["numpy"])
    trial.begin_training()
    stopped = []
    for _ in range(2):
        spend(3)
        stopped.append(trial.end_epoch(lambda _path: spend(1), ".pt", lambda: spend(100)))
    assert stopped == [False, True]  # 0.614 and 0.718
    assert [entry["seconds_since_start"] for entry in trial.epochs] == [14, 18]
    assert [entry["train_seconds"] for entry in trial.epochs] == [4, 8]
    assert [entry["cpu_seconds"] for entry in trial.epochs] == [28, 36]
    trial.finish(threads=2)
    document = json.loads((tmp_path / "out.json").read_text())
    assert document["versions"]["numpy"] == np.__version__ and document["seed"] == 3


def count_torch(path: Path) -> int:
    torch = pytest.importorskip("torch")
    return sum(value.numel() for value in torch.load(path, weights_only=True).values())


def count_h5(path: Path) -> int:
    h5py = pytest.importorskip("h5py")
    sizes: list[int] = []
    with h5py.File(path) as file:
        file["layers"].visititems(lambda _, item: sizes.append(item.size) if hasattr(item, "size") else None)
    return sum(sizes)


# Parameters: of Keras as its page prints them; the others by hand from their sources.
PUBLISHED = {
    "keras_convnet": (34_826, ".weights.h5", count_h5, "keras"),
    "pytorch_example": (320 + 18_496 + 9216 * 128 + 128 + 1290, ".pt", count_torch, "torch"),
    "one_epoch_cnn": (624 + 24 * 32 * 9 + 32 + 800 * 256 + 256 + 2570, ".pt", count_torch, "torch"),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_peers_train_the_published_networks(name: str, digits_dir: Path, tmp_path: Path) -> None:
    parameters, suffix, count, package = PUBLISHED[name]
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    out = tmp_path / "out.json"
    document = run_peer(name, digits_dir, out, "--epochs", "2", "--limit-steps", "2", "--until", "0")
    assert len(document["epochs"]) == 1, "stops after the first epoch at --until"
    entry = document["epochs"][0]
    assert 0 <= entry["test_accuracy"] <= 1 and 50 * entry["test_accuracy"] == pytest.approx(
        round(50 * entry["test_accuracy"]), abs=1e-4
    )
    assert 0 < entry["train_seconds"] < entry["seconds_since_start"]
    assert entry["cpu_seconds"] > 0 and entry["peak_mib"] > 50 and document["threads"] >= 1
    assert count(out.with_suffix(suffix)) == parameters


def test_scikit_learns_example(digits_dir: Path, tmp_path: Path) -> None:
    document = run_peer("sklearn_mlp", digits_dir, tmp_path / "out.json", "--limit-steps", "2")
    with np.load(tmp_path / "out.npz") as weights:
        assert weights["coefs_0"].shape == (784, 40) and weights["coefs_1"].shape == (40, 10)
    assert [entry["epoch"] for entry in document["epochs"]] == [1]


def test_a_recipe_under_the_clock_is_the_recipe(digits_dir: Path, tmp_path: Path) -> None:
    """The same weights as `train` gives, and marks in the order in which things happen."""
    from tenfold import Classifier, change_recipe, get_recipe, load_dataset, split_dataset, train

    options = ["--recipe", "mlp-small", "--set", "training.epochs=1", "--engine", "numpy", "--marks"]
    document = run_peer(
        "tenfold_recipe", digits_dir, tmp_path / "out.json", *options, "--seed", "5", "--source", "sample"
    )
    times = list(document["marks"].values())
    assert list(document["marks"]) == [
        "interpreter", "names", "files", "engine", "first step", "steps", "training", "saving",
    ]  # fmt: skip
    assert times == sorted(times) and document["engine"] == "numpy" and document["passes"] >= 1
    recipe = change_recipe(get_recipe("mlp-small"), {"training.epochs": 1})
    share, stratified = recipe.data.validation, recipe.data.stratified
    parts = split_dataset(load_dataset("sample"), share, seed=5, stratified=stratified)
    expected = train(recipe, *parts, seed=5, engine="numpy").classifier.engine.weights()
    found = Classifier.load(tmp_path / "out", engine="numpy").engine.weights()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=1e-6)
