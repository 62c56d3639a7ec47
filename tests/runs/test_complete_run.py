"""What `tenfold report` measures for itself, and what it leaves alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from tenfold.data.load import DataRequest
from tenfold.recipes.schema import Recipe
from tenfold.runs.folder import Run, describe_environment
from tenfold.runs.run import start_run


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data set and a run trained on it."""
    folder = tmp_path_factory.mktemp("complete")
    rng, labels = np.random.default_rng(0), np.arange(120) % 3
    images = rng.integers(0, 60, (120, 12, 12), dtype=np.uint8)
    for label in range(3):
        images[labels == label, 4 * label : 4 * label + 4] += 150
    np.savez(
        folder / "data.npz",
        x_train=images[:90], y_train=labels[:90], x_test=images[90:], y_test=labels[90:],
    )  # fmt: skip
    recipe = Recipe.from_dict(
        {"name": "tiny", "network": {"layers": ["flatten", "linear classes"]}, "training": {"epochs": 1}}
    )
    start_run(recipe, data=DataRequest(folder / "data.npz"), engine="numpy", run_dir=folder / "run")
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained / "run", tmp_path / "run"))


def test_robustness_is_measured_once_and_kept(folder: Path) -> None:
    lines: list[str] = []
    completed = Run(folder).complete(announce=lines.append)
    assert (completed.folder / "robustness.json").is_file()
    assert lines == ["measuring robustness on up to 1,000 test images (kept in robustness.json)"]
    lines.clear()
    assert completed.complete(announce=lines.append) is completed and lines == []


def test_an_old_evaluation_gets_its_probabilities(folder: Path) -> None:
    with np.load(folder / "evaluation.npz") as arrays:
        old = {key: arrays[key] for key in arrays if key not in ("labels", "probs")}
    before = Run(folder).evaluation
    np.savez_compressed(folder / "evaluation.npz", **old)
    lines: list[str] = []
    evaluation = Run(folder).complete(announce=lines.append).evaluation
    assert lines[0] == "measuring 30 test images"
    assert before is not None and evaluation is not None and evaluation.has_probs
    np.testing.assert_array_equal(evaluation.probs, before.probs)


def test_data_that_are_gone_or_changed_are_said_and_nothing_is_measured(folder: Path, trained: Path) -> None:
    lines: list[str] = []
    data = trained / "data.npz"
    with np.load(data) as arrays:
        kept = dict(arrays)
    try:
        np.savez(data, **(kept | {"x_test": 255 - kept["x_test"]}))
        Run(folder).complete(announce=lines.append)
        data.unlink()
        Run(folder).complete(announce=lines.append)
    finally:
        np.savez(data, **kept)
    assert "is not what" in lines[0] and "data.npz" in lines[1]
    assert all(line.startswith("nothing more is measured: ") for line in lines) and len(lines) == 2
    assert not (folder / "robustness.json").exists()


def test_a_run_without_a_model_is_left_alone(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    run = Run(folder)
    assert run.complete(announce=pytest.fail) is run


def test_a_run_says_how_long_its_parts_took(folder: Path) -> None:
    record = Run(folder).environment
    assert record["loading_seconds"] > 0 and record["seconds"] > 0
    assert record["total_seconds"] >= record["seconds"] + record["loading_seconds"] - 1e-3


@pytest.mark.parametrize("engine", ["numpy", "torch"])
def test_the_record_names_what_computed(engine: str) -> None:
    record = describe_environment(engine)
    assert record["engine"] == engine and record["threads"] >= 1
    assert record["blas"] and record["numpy"] == np.__version__
