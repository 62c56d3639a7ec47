"""One recipe, start to finish: data, split, training, the test set once; all kept in a folder. And
`tenfold.train`: a training in Python, which is kept likewise where a folder is named."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tenfold.arrays import ImageDataset
from tenfold.data.batches import DataSummary
from tenfold.data.catalogue import CATALOGUE
from tenfold.data.load import DataRequest
from tenfold.engines.create import Engines, preload_engine
from tenfold.errors import DataError, TenfoldError, UsageError
from tenfold.evaluation.evaluate import Evaluation, evaluate
from tenfold.files import Claim, write_text
from tenfold.helpers import Ranks
from tenfold.recipes.load import suit_recipe
from tenfold.recipes.schema import Recipe
from tenfold.runs.folder import (
    Run,
    describe_environment,
    describe_ranks,
    peak_memory_mib,
    refuse_another,
    resolve_source,
    write_environment,
)
from tenfold.training.loop import TrainResult, has_checkpoint
from tenfold.training.loop import train as train_recipe
from tenfold.training.progress import TrainingObserver, TrainingPlan, at_chance

__all__ = ["RunOutcome", "follow_run", "resume_run", "start_run"]

# What stands in a folder whose record is not written yet: a process that was killed there left no run.
BEFORE_RECORD = ("recipe.toml", "data_summary.json", "data_summary.npz")
_SCORES = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")


@dataclass(frozen=True, eq=False, kw_only=True)
class RunOutcome(TrainResult):
    """The training's result, and total_seconds: with loading and evaluating. evaluation: on the test set;
    None where the training was interrupted.
    """

    run: Run
    total_seconds: float
    evaluation: Evaluation | None

    def to_dict(self) -> dict[str, Any]:
        """What `tenfold train --json` prints."""
        kept = self.history[self.best_epoch - 1] if self.history else None
        test, environment = self.evaluation, self.run.environment
        return {
            "run": str(self.run.folder), "recipe": self.run.recipe.name, "status": self.status,
            **{key: environment[key] for key in ("engine", "seed", "data")}, "epochs": len(self.history),
            "best_epoch": self.best_epoch, "seconds": self.seconds, "total_seconds": self.total_seconds,
            **{key: getattr(kept, key, None) for key in _SCORES}, "test_loss": test.loss if test else None,
            "test_accuracy": test.accuracy if test else None,
            "test_accuracy_interval_95": list(test.interval) if test else None,
            "learned": None if self.status == "interrupted" else not self.problem,
            "problem": self.problem or None,
        }  # fmt: skip


def start_run(
    recipe: Recipe,
    data: DataRequest,
    *,
    engine: str = "auto",
    device: str = "cpu",
    seed: int = 0,
    run_dir: Path | None = None,
    command: str = "",
    callbacks: Sequence[TrainingObserver] = (),
    announce: Callable[[str], None] = lambda _line: None,
    checkpoint_every: int = 0,
    ranks: Ranks | None = None,
    resume_if_there: bool = False,
) -> RunOutcome:
    """Trains a recipe into a new folder. Raises UsageError where it holds something already. ranks: this is
    the first process; the others `follow_run`. resume_if_there: goes on with the same run."""
    started, ranks = time.perf_counter(), ranks or Ranks()
    if resume_if_there:
        run_dir = run_dir or Path("runs", f"{recipe.name}-{seed}")
        if Run.is_at(run_dir):
            there = Run(run_dir)
            suited = suit_recipe(recipe, there.summary.image_shape if there.summary else ())
            refuse_another(there, suited, data, seed, Engines.check(recipe, engine, device))
            return resume_run(
                run_dir, data, callbacks=callbacks, checkpoint_every=checkpoint_every, ranks=ranks
            )
    if run_dir is not None:
        _refuse_taken(run_dir)
    chosen = Engines.check(recipe, engine, device, ranks.count)
    preload_engine(recipe, engine, device)  # while the data are read
    recipe, record, (train_set, val_set, test_set) = _load(recipe, data, seed, announce)
    own = {"seed": seed, "command": command, "status": "running", "data": record}
    environment = describe_environment(chosen, device) | own
    new = Path("runs", f"{recipe.name}-{seed}")
    with Claim.folder(run_dir) if run_dir else Claim.free(new, BEFORE_RECORD) as folder:
        _refuse_taken(folder)
        try:
            run = write_start(folder, recipe, environment, train_set)
            how = _describe_training(run, callbacks, ranks, checkpoint_every)
            loading = time.perf_counter() - started
            result = train_recipe(run.recipe, train_set, val_set, **how)
            return _finish(run, result, test_set, started, loading)
        except BaseException as error:
            if not Run.is_at(folder) or (isinstance(error, TenfoldError) and not has_checkpoint(folder)):
                _empty(folder)
            raise


def resume_run(
    path: str | Path,
    data: DataRequest | None = None,
    *,
    callbacks: Sequence[TrainingObserver] = (),
    checkpoint_every: int = 0,
    ranks: Ranks | None = None,
) -> RunOutcome:
    """Goes on with a run that was stopped; the weights are those of one that never was, to rounding where the
    number of processes is another. checkpoint_every, ranks: as `start_run` has them.

    Raises UsageError where another process trains there.
    """
    with Claim.folder(Run.open(path).folder):
        started, run, data = time.perf_counter(), Run.open(path), data or DataRequest()
        record, ranks = run.record, ranks or Ranks()
        if record["engine"] == "numpy":
            record["device"] = "cpu"  # earlier versions wrote down what was asked for
        Engines.check(run.recipe, record["engine"], record["device"], ranks.count)
        preload_engine(run.recipe, record["engine"], record["device"])
        dataset = run.load_training_data(data, remedy="train again into another folder")
        share, stratified = run.recipe.data.validation, run.recipe.data.stratified
        train_set, val_set = run.request(data).hold_out(
            dataset, share, seed=record["seed"], stratified=stratified
        )
        test_set = _check_test(run.load_data(replace(data, split="test")), train_set)
        how = _describe_training(run, callbacks, ranks, checkpoint_every, resume=True)
        loading = time.perf_counter() - started
        result = train_recipe(run.recipe, train_set, val_set, **how)
        return _finish(run, result, test_set, started, loading)


def follow_run(ranks: Ranks, data: DataRequest, *, checkpoint_every: int = 0) -> TrainResult:
    """What the other processes do while the first one starts or resumes a run: they train on their rows, and
    write nothing. data: where this machine has what the first one trains on."""
    run, resume = ranks.first(lambda: (Run(""), False))  # what the first one says in `_describe_training`
    dataset = run.load_training_data(data, remedy="put the same data on each machine")
    record, share, stratified = run.record, run.recipe.data.validation, run.recipe.data.stratified
    train_set, val_set = run.request(data).hold_out(
        dataset, share, seed=record["seed"], stratified=stratified
    )
    how = {name: record[name] for name in ("seed", "engine", "device")} | {"resume": resume, "ranks": ranks}
    return train_recipe(run.recipe, train_set, val_set, checkpoint_every=checkpoint_every, **how)


def _load(
    recipe: Recipe, data: DataRequest, seed: int, announce: Callable[[str], None]
) -> tuple[Recipe, dict[str, Any], tuple[ImageDataset, ImageDataset | None, ImageDataset]]:
    """The recipe for these images, the record of the data, and what trains, validates and tests."""
    if data.source is None and recipe.data.default != "mnist":
        data = replace(data, source=recipe.data.default)
    data = replace(data, size=data.size or recipe.input.size, fit=recipe.input.fit)
    dataset = data.load()
    if dataset.note:
        announce(dataset.note)
    recipe = suit_recipe(recipe, dataset.image_shape)
    share, stratified = recipe.data.validation, recipe.data.stratified
    train_set, val_set = data.hold_out(dataset, share, seed=seed, stratified=stratified)
    record = _data_record(dataset, data, train_set, val_set)
    where = data.data_dir or record["data_dir"]
    test_set = replace(data, source=record["source"], split="test", data_dir=where).load()
    _check_test(test_set, train_set)
    recipe.plan(dataset.image_shape, len(dataset.class_names))  # refuses a recipe that does not fit
    return recipe, record, (train_set, val_set, test_set)


def _describe_training(
    run: Run,
    callbacks: Sequence[TrainingObserver],
    ranks: Ranks,
    checkpoint_every: int,
    *,
    resume: bool = False,
) -> dict[str, Any]:
    """How the run is trained, once the processes that `follow_run` know of it and of its files."""
    how = {name: run.environment[name] for name in ("seed", "engine", "device")}
    ranks.first(lambda: (run, resume))
    return how | {
        "run_dir": run.folder, "resume": resume, "callbacks": [_Recorder(run), *callbacks], "ranks": ranks,
        "checkpoint_every": checkpoint_every,
    }  # fmt: skip


def write_start(folder: Path, recipe: Recipe, environment: dict[str, Any], train_set: ImageDataset) -> Run:
    """What a run's folder holds before the first step; the record comes last and makes it a run."""
    _empty(folder)
    write_text(folder / "recipe.toml", recipe.to_toml())
    DataSummary.of(train_set, seed=environment["seed"]).save(folder)
    write_environment(folder, environment)
    return Run(folder)


def _check_test(test_set: ImageDataset, train_set: ImageDataset) -> ImageDataset:
    """Read before the training, so that what is wrong with it is not found at its end; used after it."""
    if test_set.class_names != train_set.class_names or test_set.image_shape != train_set.image_shape:
        raise DataError(
            f"{test_set.name}: test images of {test_set.image_shape} in {len(test_set.class_names)} classes",
            expected=f"{train_set.image_shape} in {len(train_set.class_names)}, as those to train on",
        )
    return test_set


def _empty(folder: Path) -> None:
    """Removes what a training that came to nothing left in the folder that this process holds; the record
    first, so that it is not a run meanwhile."""
    (folder / "environment.json").unlink(missing_ok=True)
    for path in [path for path in folder.iterdir() if path.name != Claim.LOCK]:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _refuse_taken(folder: Path) -> None:
    if Claim.is_taken(folder, BEFORE_RECORD):
        more = f", or continue the run there: tenfold train --resume {folder}" if Run.is_at(folder) else ""
        found, expected = f"{folder} holds something already", "a new or an empty folder"
        raise UsageError(found, expected=expected, remedy=f"name another{more}")


def _data_record(
    dataset: ImageDataset, data: DataRequest, train_set: ImageDataset, val_set: ImageDataset | None
) -> dict[str, Any]:
    source = resolve_source(str(data.source or ("sample" if dataset.note else "mnist")))
    found = DataRequest(source, data_dir=data.data_dir).find() if source in CATALOGUE else None
    place = found.parent if found is not None and found.name == source else found  # where a resumed run looks
    return {
        "name": dataset.name, "source": source, "data_dir": str(place.resolve()) if place else None,
        "note": dataset.note, "sha256": dataset.sha256(), "train": len(train_set),
        "val": len(val_set) if val_set is not None else 0, "options": data.options,
    }  # fmt: skip


class _Recorder(TrainingObserver):
    """Writes down what runs, which may be less than the recipe says: "auto" is settled by then."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def on_start(self, plan: TrainingPlan) -> None:
        values = self.run.environment
        values |= {key: getattr(plan, key) for key in ("engine", "device", "precision")}
        values |= describe_ranks(values, plan)
        write_environment(self.run.folder, values)


def _finish(
    run: Run, result: TrainResult, test_set: ImageDataset, started: float, loading: float
) -> RunOutcome:
    """Evaluates what was trained, and writes the record's end."""
    earlier = max(result.seconds - (time.perf_counter() - started - loading), 0.0)  # where it was resumed
    evaluation, problem = None, result.problem
    if result.status != "interrupted":
        evaluation = evaluate(result.classifier, test_set)
        evaluation.save(run.folder)
        problem = problem or at_chance(evaluation.accuracy, test_set.labels, "test")
    total = time.perf_counter() - started
    times = {"loading_seconds": round(loading, 3), "total_seconds": round(total + earlier, 3)}
    write_environment(run.folder, run.environment | describe_end(result, problem) | times)
    own = {"run": Run(run.folder), "problem": problem, "total_seconds": total, "evaluation": evaluation}
    return RunOutcome(**vars(result) | own)


def describe_end(result: TrainResult, problem: str) -> dict[str, Any]:
    told = {key: getattr(result, key) for key in ("status", "best_epoch", "seconds")}
    return told | {
        "epochs": len(result.history), "stopped_early": result.status == "stopped early", "problem": problem,
        "peak_memory_mib": round(peak_memory_mib(), 1),
    }  # fmt: skip
