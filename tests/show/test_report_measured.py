"""What the page says of label errors, robustness, time and progress; and what it says is missing."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report_runs import make_classifier, make_dataset, make_history, make_recipe, make_run, start_run

from tenfold.evaluation.label_errors import find_label_errors
from tenfold.evaluation.robustness import measure_robustness
from tenfold.runs.folder import Run
from tenfold.show.report import costs_section, progress_facts, write_report
from tenfold.show.scores import risk_section, suspects_section
from tenfold.training.progress import write_history

BLOBS = make_dataset(tuple("abcd"), (12, 12), count=400)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """With all that a folder may hold."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    made = make_run(folder, BLOBS)
    classifier = make_classifier(made.recipe, BLOBS)
    measure_robustness(classifier, BLOBS, n=50).save(folder)
    probs = classifier.predict_proba(BLOBS.images)
    find_label_errors(probs, BLOBS.labels).save(folder, images=BLOBS.images, note="out of fold, 5 folds")
    return Run(folder)


def test_every_part_is_shown_once_it_is_there(run: Run, tmp_path: Path) -> None:
    page = write_report(run, tmp_path / "whole.html").read_text(encoding="utf-8")
    for absent in ("Missing from this report", "has not been measured", "have not been looked at"):
        assert absent not in page
    assert "out of fold, 5 folds" in page
    rows = re.findall(r'<th scope="row">([^<]+)</th><td style="--shade', page)
    assert len(rows) == len(set(rows)) == 15 and len(page) < 3_000_000


def test_what_is_missing_is_named_with_its_command(tmp_path: Path) -> None:
    bare = make_run(tmp_path / "bare", BLOBS)
    page = write_report(bare).read_text(encoding="utf-8")
    commands = re.findall(r"<dd><code>([^<]+)</code></dd>", page)
    assert commands == [f"tenfold {name} {bare.folder.name}" for name in ("robustness", "label-errors")]
    young = write_report(start_run(tmp_path / "young", make_recipe())).read_text(encoding="utf-8")
    assert "tenfold train --resume young" in young


def test_suspects_of_the_test_set_are_the_least_likely_labels(run: Run) -> None:
    evaluation = run.evaluation
    assert evaluation is not None
    given = evaluation.probs[np.arange(evaluation.n), evaluation.labels]
    shown = suspects_section(run)["test"]["shown"]
    assert len(shown) == 24
    assert [item["index"] for item in shown] == np.argsort(given, kind="stable")[:24].tolist()
    for item in shown:
        others = evaluation.probs[item["index"]].copy()
        others[evaluation.labels[item["index"]]] = 0
        assert item["suggested"] == evaluation.class_names[others.argmax()]


def test_old_evaluations_say_how_to_get_the_curve(tmp_path: Path) -> None:
    old = make_run(tmp_path / "old", BLOBS)
    assert old.evaluation is not None
    none = np.zeros(0, dtype=np.int64)
    replace(
        old.evaluation,
        labels=none, probs=np.zeros((0, 4), np.float32), cell_index=none, cell_label=none,
        cell_predicted=none, cell_confidence=none.astype(float), cell_images=BLOBS.images[:0],
    ).save(old.folder)  # fmt: skip
    page = write_report(Run(old.folder)).read_text(encoding="utf-8")
    assert "kept no probabilities" in page and f"tenfold evaluate {old.folder.name}" in page
    assert "popovertarget" not in page and "Open a number" not in page


def test_risk_rows_say_what_can_be_answered(run: Run) -> None:
    evaluation = run.evaluation
    assert evaluation is not None
    confidence = evaluation.probs.max(axis=1)
    for row in risk_section(evaluation)["rows"]:
        bound = 0.0 if row["risk"] == "none" else float(row["risk"].split("\u00a0")[0]) / 100
        answered = evaluation.n - int(row["passed"].replace(",", ""))
        surest = np.argsort(-confidence, kind="stable")[:answered]
        assert (~evaluation.right[surest]).mean() <= bound
        assert row["coverage"] == f"{100 * answered / evaluation.n:.1f}\u00a0%"


@pytest.mark.parametrize(
    ("training", "members", "status", "epochs", "expected"),
    [
        ({"epochs": 5}, 1, "finished", 5, [("epochs", "5")]),
        ({"epochs": 5}, 1, "interrupted", 3, [("epochs", "3 of 5")]),
        ({"epochs": 5}, 4, "interrupted", 7, [("epochs", "7 of 20")]),
        ({"epochs": 5, "patience": 2}, 1, "running", 3, [("epochs", "3 of 5 at most")]),
        ({"epochs": 2, "min_steps": 100}, 1, "running", 3, [("epochs", "3 of 10")]),
        ({"epochs": 9, "steps": 25}, 1, "running", 2, [("epochs", "2 of 3"), ("steps", "20 of 25")]),
        ({"epochs": 9, "steps": 25}, 2, "interrupted", 2, [("epochs", "2 of 6"), ("steps", "20 of 50")]),
        ({"epochs": 9, "steps": 25}, 1, "finished", 3, [("epochs", "3"), ("steps", "30")]),
    ],
)
def test_progress(
    training: dict[str, Any], members: int, status: str, epochs: int, expected: list, tmp_path: Path
) -> None:
    """50 images in batches of 5 are 10 steps per epoch."""
    recipe = make_recipe(training={"batch_size": 5} | training, ensemble={"members": members})
    run = start_run(tmp_path / "run", recipe, status=status)
    write_history(run.folder / "history.jsonl", make_history(epochs))
    assert progress_facts(run) == expected


def test_an_unfinished_ensemble_says_how_many_networks_it_has(tmp_path: Path) -> None:
    several = make_run(
        tmp_path / "several", BLOBS, make_recipe(ensemble={"members": 3}), status="interrupted"
    )
    page = write_report(several).read_text(encoding="utf-8")
    assert "<dd>1 of 3 networks</dd>" in page and "<dd>3 of 9</dd>" in page


def test_time_and_memory(tmp_path: Path) -> None:
    times = {"loading_seconds": 2.0, "total_seconds": 100.0, "peak_memory_mib": 321.0}
    run = make_run(tmp_path / "run", BLOBS, make_recipe(training={"epochs": 3, "batch_size": 5}), **times)
    section = costs_section(run)
    rows = {row["name"]: row for row in section["rows"]}
    trained = rows["training and validation"]
    assert (trained["seconds"], trained["images"], trained["share"]) == ("1\u00a0min 15\u00a0s", "150", 1)
    assert trained["rate"] == "2"  # 3 epochs of 50 images in 75 seconds
    assert rows["reading the data"]["share"] == pytest.approx(2 / 75, abs=1e-4)
    assert rows["all else: start, checks, saving"]["seconds"] == "23.0\u00a0s"
    facts = dict(section["facts"])
    assert facts["peak memory"] == "321 MiB" and facts["parameters"] == f"{4 * 145:,}"
    assert facts["in all"] == "1\u00a0min 40\u00a0s"
