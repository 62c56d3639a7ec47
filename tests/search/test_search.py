"""The search itself: it finds, gives up early, goes on, is shared; what it writes gives its score again."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from searched import SPACE, run_search, searched

from tenfold.arrays import ImageDataset
from tenfold.data.batches import split_dataset
from tenfold.data.load import load_dataset
from tenfold.errors import MissingDependencyError, ModelError, RecipeError, TenfoldError, UsageError
from tenfold.recipes.load import change_recipe, get_recipe
from tenfold.recipes.schema import Recipe
from tenfold.training import search_study as search_module
from tenfold.training import search_study as study
from tenfold.training.folds import cross_validate
from tenfold.training.loop import train
from tenfold.training.progress import EpochRecord, TrainingObserver, TrainingPlan
from tenfold.training.search_result import SearchTrial
from tenfold.training.search_space import Bench, Score


def plant(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials cost nothing; the loss is 0 at a learning rate of 0.01 and a dropout of 0.3."""

    def run(self: Bench, recipe: Recipe, report: Any) -> Score:
        rate, dropout = recipe.optimiser.learning_rate, float(str(recipe.network.layers[3]).split()[1])
        loss = (np.log10(rate) + 2) ** 2 + 4 * (dropout - 0.3) ** 2
        return Score(1 / (1 + loss), loss, 0.0)

    monkeypatch.setattr(Bench, "run", run)


@pytest.mark.parametrize("metric", ["loss", "accuracy"])
def test_a_planted_optimum_is_found(
    blobs: ImageDataset, monkeypatch: pytest.MonkeyPatch, metric: str
) -> None:
    """Closer than the best of as many random trials would be: a fiftieth of the square, by its area."""
    plant(monkeypatch)
    best = run_search(blobs, trials=50, metric=metric).best
    assert abs(np.log10(best.values["optimiser.learning_rate"]) + 2) < 0.25
    assert abs(best.values["network.layers.dropout"] - 0.3) < 0.08


def test_the_first_trial_is_the_recipe_and_the_best_is_better(blobs: ImageDataset) -> None:
    result = run_search(blobs, trials=12)
    first = result.trials[0]
    own = {"optimiser.learning_rate": 2e-4, "training.epochs": 4, "network.layers.dropout": 0.1}
    assert dict(first.values) == own and list(first.values) == list(SPACE)
    assert result.best.loss is not None and first.loss is not None and result.best.loss < 0.5 * first.loss
    assert [trial.loss for trial in result.ranked] == sorted(
        t.loss for t in result.trials if t.loss is not None
    )
    assert len(result.trials) == 12 and set(result.importances) <= set(SPACE)
    assert json.loads(json.dumps(result.to_dict()))["best"] == result.best.number


def test_what_does_worse_than_most_is_given_up_half_way(blobs: ImageDataset) -> None:
    """Every epoch that is trained is counted, over all trials."""
    epochs: list[tuple[int, int]] = []

    class Count(TrainingObserver):
        def on_start(self, plan: TrainingPlan) -> None:
            epochs.append((plan.epochs, 0))

        def on_epoch(self, record: EpochRecord) -> None:
            epochs[-1] = (epochs[-1][0], record.epoch)

    recipe = searched({"optimiser.learning_rate": SPACE["optimiser.learning_rate"]}, epochs=20)
    result = run_search(blobs, recipe, trials=14, callbacks=[Count()])
    pruned = [trial for trial in result.trials if trial.status == "pruned"]
    assert 0 < len(pruned) < 9 and result.count("complete") + len(pruned) == 14
    for trial, (planned, trained) in zip(result.trials, epochs, strict=True):
        assert planned == 20
        # Never before three tenths, of which the median takes no notice.
        assert trained == 20 if trial.status == "complete" else 6 <= trained < 20
    assert min(trial.number for trial in pruned) >= 5  # as many are needed to compare with
    assert all(trial.loss is None for trial in pruned)


def test_a_search_that_was_stopped_is_the_one_that_never_was(blobs: ImageDataset, tmp_path: Path) -> None:
    whole = run_search(blobs, trials=14)
    journal = tmp_path / "study.journal"
    run_search(blobs, trials=6, journal=journal)
    told: list[int] = []
    result = run_search(
        blobs, trials=14, journal=journal, after_trial=lambda trial, _: told.append(trial.number)
    )
    assert told == list(range(6, 14))
    assert [dict(t.values) for t in result.trials] == [dict(t.values) for t in whole.trials]
    assert [(t.status, t.loss) for t in result.trials] == [(t.status, t.loss) for t in whole.trials]
    assert run_search(blobs, trials=14, journal=journal).trials == result.trials
    values = [tuple(trial.values.values()) for trial in result.trials]
    assert len(set(values)) == len(values)


def test_ctrl_c_keeps_what_is_done(blobs: ImageDataset, tmp_path: Path) -> None:
    class Interrupt(TrainingObserver):
        starts = 0

        def on_start(self, plan: TrainingPlan) -> None:
            self.starts += 1

        def on_step(self, step: int) -> None:
            if self.starts == 4 and step == 3:
                os.kill(os.getpid(), signal.SIGINT)

    journal, before = tmp_path / "study.journal", signal.getsignal(signal.SIGINT)
    result = run_search(blobs, trials=10, journal=journal, callbacks=[Interrupt()])
    assert result.interrupted and [trial.status for trial in result.trials] == ["complete"] * 3 + [
        "interrupted"
    ]
    assert signal.getsignal(signal.SIGINT) is before
    again = run_search(blobs, trials=6, journal=journal)
    assert not again.interrupted and len(again.trials) == 7 and again.count("interrupted") == 1
    assert again.trials[:3] == result.trials[:3]


def test_no_trial_is_begun_after_the_time(blobs: ImageDataset) -> None:
    result = run_search(blobs, seconds=1e-9)
    assert not result.trials
    with pytest.raises(TenfoldError, match="none of 0 trials is complete"):
        _ = result.best


@pytest.mark.parametrize("metric", ["loss", "accuracy"])
def test_the_best_recipe_gives_its_score_again(blobs: ImageDataset, tmp_path: Path, metric: str) -> None:
    result = run_search(blobs, trials=8, metric=metric, seed=3)
    recipe = get_recipe(result.write_best(tmp_path / "best.toml"))
    assert recipe == result.best_recipe and recipe.name == "small-best" and recipe.search
    parts = split_dataset(blobs, recipe.data.validation, seed=3)
    last = train(recipe, *parts, seed=3, engine="numpy").history[-1]
    assert (last.val_accuracy, last.val_loss) == (result.best.accuracy, result.best.loss)


def test_over_folds_a_trial_is_a_cross_validation(blobs: ImageDataset) -> None:
    result = run_search(blobs, trials=3, folds=3, seed=2)
    for trial in result.ranked:
        again = cross_validate(
            change_recipe(searched(), trial.values), blobs, folds=3, seed=2, engine="numpy"
        )
        assert (again.mean, again.loss) == (trial.accuracy, trial.loss)


def test_folds_are_given_up_between_them(blobs: ImageDataset) -> None:
    starts: list[str] = []

    class Count(TrainingObserver):
        def on_start(self, plan: TrainingPlan) -> None:
            starts.append(plan.recipe)

    result = run_search(blobs, trials=12, folds=3, callbacks=[Count()])
    assert result.count("pruned") > 0
    assert 3 * len(result.ranked) + result.count("pruned") <= len(starts) < 3 * 12


def test_a_loss_that_is_no_number_counts_as_given_up(blobs: ImageDataset) -> None:
    """With ReLU nothing holds the weights: some rates are finite, some are not."""
    recipe = change_recipe(
        searched({"optimiser.learning_rate": {"low": 1e-3, "high": 1e30, "log": True}}),
        {"network.layers": ["flatten", "linear 8", "relu", "linear 8", "relu", "linear classes"]},
    )
    result = run_search(blobs, recipe, trials=10)
    failed = [trial for trial in result.trials if trial.status == "failed"]
    assert failed and result.ranked and "loss of epoch" in failed[0].reason
    assert result.best.values["optimiser.learning_rate"] < min(
        trial.values["optimiser.learning_rate"] for trial in failed
    )


def test_a_journal_of_something_else_is_refused(blobs: ImageDataset, tmp_path: Path) -> None:
    journal = tmp_path / "study.journal"
    run_search(blobs, trials=1, journal=journal)
    for change, words in (
        ({"seed": 1}, "another seed"),
        ({"folds": 3}, "another number of folds"),
        ({"recipe": searched(batch_size=20)}, "another recipe"),
        (
            {"recipe": searched({"training.epochs": {"low": 1, "high": 2, "integer": True}})},
            r"table \[search\]",
        ),
    ):
        with pytest.raises(RecipeError, match=words):
            run_search(blobs, trials=2, journal=journal, **change)
    (tmp_path / "other.txt").write_text("not a journal\n")
    with pytest.raises(ModelError, match=r"other\.txt cannot be read"):
        run_search(blobs, trials=2, journal=tmp_path / "other.txt")
    with pytest.raises(ModelError, match="cannot be read"):
        run_search(blobs, trials=2, journal=tmp_path)


def test_refuses(blobs: ImageDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="expected accuracy or loss"):
        run_search(blobs, metric="acuracy")
    with pytest.raises(UsageError, match="0 trials"):
        run_search(blobs, trials=0)
    with pytest.raises(UsageError, match="at least 2"):
        run_search(blobs, folds=1)
    with pytest.raises(RecipeError, match="holds out no images"):
        run_search(blobs, change_recipe(searched(), {"data.validation": 0}))
    monkeypatch.setattr(search_module, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'tenfold\[search\]'"):
        run_search(blobs)
    assert find_spec("optuna") is not None


def test_two_processes_share_a_study(blobs: ImageDataset, tmp_path: Path) -> None:
    """Two command lines at once; whoever comes afterwards has nothing left to do."""
    np.savez(tmp_path / "data.npz", images=blobs.images, labels=blobs.labels)
    (tmp_path / "small.toml").write_text(searched().to_toml())
    command = [
        sys.executable, "-m", "tenfold", "search", "small.toml", "--data", "data.npz", "--trials", "10",
        "--engine", "numpy", "--metric", "loss", "--storage", "shared.journal", "--json",
    ]  # fmt: skip
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    both = [
        subprocess.Popen(
            [*command, "--out", name], cwd=tmp_path, env=environment, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )
        for name in ("one", "two")
    ]  # fmt: skip
    documents, told = [], []
    for process in both:
        out, err = process.communicate(timeout=200)
        documents.append(json.loads(out))
        told += [line for line in err.splitlines() if line.startswith("trial")]
    dataset = load_dataset(tmp_path / "data.npz")
    trials = run_search(dataset, trials=10, journal=tmp_path / "shared.journal").trials
    assert [trial.number for trial in trials] == list(range(len(trials))) and 10 <= len(trials) <= 11
    assert sorted(int(line.split()[1]) for line in told) == [trial.number for trial in trials]
    assert len({tuple(trial.values.values()) for trial in trials}) == len(trials)
    for document in documents:
        for known in document["trials"]:
            assert known["status"] == "running" or known == asdict(trials[known["number"]])
    assert get_recipe(tmp_path / "one" / "best.toml").name == "small-best"


def test_the_trial_of_a_killed_process_is_gone_on_with(
    blobs: ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its number and values are tried again: the search is the one that never was killed."""
    whole = run_search(blobs, trials=8)
    journal, run_trial = tmp_path / "study.journal", Bench.run

    class Killed(BaseException):
        pass

    def killed(bench: Bench, recipe: Recipe, report: Any) -> Score:
        if len(begun) == 4:
            raise Killed
        begun.append(recipe)
        return run_trial(bench, recipe, report)

    begun: list[Recipe] = []
    monkeypatch.setattr(Bench, "run", killed)
    monkeypatch.setattr(study.ProcessName, "own", lambda: f"{socket.gethostname()} 999999999 1")
    with pytest.raises(Killed):
        run_search(blobs, trials=8, journal=journal)
    monkeypatch.undo()
    result = run_search(blobs, trials=8, journal=journal)
    assert [trial.status for trial in result.trials] == [trial.status for trial in whole.trials]
    assert [dict(trial.values) for trial in result.trials] == [dict(trial.values) for trial in whole.trials]
    assert [trial.loss for trial in result.trials] == [trial.loss for trial in whole.trials]


def test_a_trial_that_is_not_complete_has_no_score() -> None:
    with pytest.raises(ValueError, match="trial 3 is not complete"):
        SearchTrial(3, "pruned", {}).score("loss")
