"""Runs side by side."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from report_runs import make_dataset, make_recipe, make_run, start_run

from tenfold.show.runs import RunComparison

BLOBS = make_dataset(("a", "b", "c"), (12, 10))


def test_rows_hold_the_figures_of_the_files(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / "one", BLOBS), start_run(tmp_path / "two", make_recipe(), seed=8)]
    one, two = RunComparison(runs).rows
    evaluation = runs[0].evaluation
    assert evaluation is not None
    assert one == {
        "name": "one", "recipe": "softmax", "engine": "numpy", "seed": 7, "status": "finished", "epochs": 3,
        "parameters": 3 * 120 + 3, "seconds": 75.0, "val_loss": pytest.approx(1.1 / 3),
        "val_accuracy": pytest.approx(1 - 0.35 / 3), "test_loss": evaluation.loss,
        "test_accuracy": evaluation.accuracy, "test_interval": list(evaluation.interval), "data": "made up",
    }  # fmt: skip
    assert list(one) == list(two)
    assert [two[key] for key in ("seed", "epochs", "parameters", "val_loss", "test_loss")] == [
        8, 0, None, None, None,
    ]  # fmt: skip
    json.dumps([one, two])


def test_patience_counts_the_best_epoch(tmp_path: Path) -> None:
    stopping = make_recipe(training={"epochs": 3, "patience": 1})
    (row,) = RunComparison([make_run(tmp_path / "run", BLOBS, stopping)]).rows
    assert row["val_loss"] == pytest.approx(1.1 / 2)  # best_epoch is 2


def test_differences_name_the_keys(tmp_path: Path) -> None:
    plain = start_run(tmp_path / "a", make_recipe())
    other = make_recipe(optimiser={"learning_rate": 0.5}, training={"epochs": 4}, title="another title")
    changed = start_run(tmp_path / "b", other)
    assert RunComparison([plain, changed]).differences == [
        ("optimiser.learning_rate", [0.1, 0.5]),
        ("training.epochs", [3, 4]),
    ]
    assert RunComparison([plain, plain]).differences == RunComparison([]).differences == []
