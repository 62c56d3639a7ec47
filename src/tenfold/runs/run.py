"""One recipe, start to finish: data, split, training, the test set once; all kept in a folder. And
`tenfold.train`: a training in Python, which is kept likewise where a folder is named."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.arguments import checked
from tenfold.arrays import ImageDataset
from tenfold.data.batches import DataSummary, hold_out
from tenfold.data.catalogue import CATALOGUE
from tenfold.data.load import DataRequest
from tenfold.engines.create import Engines, preload_engine
from tenfold.errors import DataError, TenfoldError, UsageError
from tenfold.evaluation.evaluate import Evaluation, evaluate
from tenfold.files import Claim, make_folder, write_text
from tenfold.recipes.load import get_recipe
from tenfold.recipes.schema import Recipe
from tenfold.runs.folder import Run, describe_environment, peak_memory_mib, write_environment
from tenfold.training.loop import TrainResult, has_checkpoint
from tenfold.training.loop import train as train_recipe
from tenfold.training.progress import TrainingObserver, TrainingPlan, at_chance

__all__ = ["RunOutcome", "resume_run", "start_run", "train"]

# What stands in a folder whose record is not written yet: a process that was killed there left no run.
_BEFORE_RECORD = ("recipe.toml", "data_summary.json", "data_summary.npz")
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
) -> RunOutcome:
    """Trains a recipe into a new folder. Raises UsageError where the folder holds something already.

    Whatever is wrong with recipe, data (its test part too) or device is found before anything is
    written; a training that fails before its first checkpoint leaves no folder behind.
    data: without a source the recipe's own data set, and for mnist the embedded sample where it cannot
    be had; `announce` then gets the line that says so.
    """
    started = time.perf_counter()
    if run_dir is not None:
        _refuse_taken(run_dir)
    chosen = Engines.check(recipe, engine, device)
    preload_engine(recipe, engine, device)  # while the data are read
    if data.source is None and recipe.data.default != "mnist":
        data = replace(data, source=recipe.data.default)
    dataset = data.load()
    if dataset.note:
        announce(dataset.note)
    share, stratified = recipe.data.validation, recipe.data.stratified
    train_set, val_set = hold_out(dataset, share, seed=seed, stratified=stratified)
    record = _data_record(dataset, data, train_set, val_set)
    where = data.data_dir or record["data_dir"]
    test_set = replace(data, source=record["source"], split="test", data_dir=where).load()
    _check_test(test_set, train_set)
    recipe.plan(dataset.image_shape, len(dataset.class_names))  # refuses a recipe that does not fit
    own = {"seed": seed, "command": command, "status": "running", "data": record}
    environment = describe_environment(chosen, device) | own
    new = Path("runs", f"{recipe.name}-{seed}")
    with Claim.folder(run_dir) if run_dir else Claim.free(new, _BEFORE_RECORD) as folder:
        _refuse_taken(folder)
        try:
            run = _write_start(folder, recipe, environment, train_set)
            how, loading = _describe_training(run, callbacks), time.perf_counter() - started
            result = train_recipe(run.recipe, train_set, val_set, **how)
            return _finish(run, result, test_set, started, loading)
        except BaseException as error:
            if not Run.is_at(folder) or (isinstance(error, TenfoldError) and not has_checkpoint(folder)):
                _empty(folder)
            raise


def resume_run(
    path: str | Path, data: DataRequest | None = None, *, callbacks: Sequence[TrainingObserver] = ()
) -> RunOutcome:
    """Goes on with a run that was stopped; the weights are those of one that never was.

    Raises UsageError where another process trains there.
    """
    with Claim.folder(Run.open(path).folder):
        started, run, data = time.perf_counter(), Run.open(path), data or DataRequest()
        record = run.record
        if record["engine"] == "numpy":
            record["device"] = "cpu"  # earlier versions wrote down what was asked for
        Engines.check(run.recipe, record["engine"], record["device"])
        preload_engine(run.recipe, record["engine"], record["device"])
        dataset = run.load_training_data(data, remedy="train again into another folder")
        share, stratified = run.recipe.data.validation, run.recipe.data.stratified
        train_set, val_set = hold_out(dataset, share, seed=record["seed"], stratified=stratified)
        test_set = _check_test(run.load_data(replace(data, split="test")), train_set)
        how, loading = _describe_training(run, callbacks), time.perf_counter() - started
        result = train_recipe(run.recipe, train_set, val_set, resume=True, **how)
        return _finish(run, result, test_set, started, loading)


def _write_start(folder: Path, recipe: Recipe, environment: dict[str, Any], train_set: ImageDataset) -> Run:
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
    if Claim.is_taken(folder, _BEFORE_RECORD):
        more = f", or continue the run there: tenfold train --resume {folder}" if Run.is_at(folder) else ""
        found, expected = f"{folder} holds something already", "a new or an empty folder"
        raise UsageError(found, expected=expected, remedy=f"name another{more}")


def _data_record(
    dataset: ImageDataset, data: DataRequest, train_set: ImageDataset, val_set: ImageDataset | None
) -> dict[str, Any]:
    source = str(data.source or ("sample" if dataset.note else "mnist"))
    if source != "sample" and source not in CATALOGUE:  # a path, which was found
        source = str(Path(source).resolve())
    found = DataRequest(source, data_dir=data.data_dir).find() if source in CATALOGUE else None
    place = found.parent if found is not None and found.name == source else found  # where a resumed run looks
    return {
        "name": dataset.name, "source": source, "data_dir": str(place.resolve()) if place else None,
        "note": dataset.note, "sha256": dataset.sha256(), "train": len(train_set),
        "val": len(val_set) if val_set is not None else 0,
    }  # fmt: skip


class _Recorder(TrainingObserver):
    """Writes down what runs, which may be less than the recipe says: "auto" is settled by then."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def on_start(self, plan: TrainingPlan) -> None:
        values = self.run.environment
        values |= {key: getattr(plan, key) for key in ("engine", "device", "precision")}
        write_environment(self.run.folder, values)


def _describe_training(run: Run, callbacks: Sequence[TrainingObserver]) -> dict[str, Any]:
    """What `train` takes from a run's record."""
    how = {name: run.environment[name] for name in ("seed", "engine", "device")}
    return how | {"run_dir": run.folder, "callbacks": [_Recorder(run), *callbacks]}


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
    write_environment(run.folder, run.environment | _describe_end(result, problem) | times)
    own = {"run": Run(run.folder), "problem": problem, "total_seconds": total, "evaluation": evaluation}
    return RunOutcome(**vars(result) | own)


def _describe_end(result: TrainResult, problem: str) -> dict[str, Any]:
    told = {key: getattr(result, key) for key in ("status", "best_epoch", "seconds")}
    return told | {
        "epochs": len(result.history), "stopped_early": result.status == "stopped early", "problem": problem,
        "peak_memory_mib": round(peak_memory_mib(), 1),
    }  # fmt: skip


@checked
def train(
    recipe: Recipe | str | Path,
    train_set: ImageDataset,
    val_set: ImageDataset | None = None,
    *,
    seed: int = 0,
    engine: str = "auto",
    device: str = "cpu",
    run_dir: str | Path | None = None,
    resume: bool = False,
    callbacks: Sequence[TrainingObserver] = (),
    weights: dict[str, np.ndarray] | None = None,
) -> TrainResult:
    """Trains a recipe; with the same seed, data, engine and threads the weights are bit-identical.

    recipe: a Recipe, or the name or path of one.
    run_dir: a new folder, which becomes a run that `tenfold runs`, `tenfold report` and `Run` know: it
    gets the record of the training, a checkpoint and the history after each epoch, and the model at the
    end. Scores on test images are kept there by `tenfold.evaluate(...).save(run_dir)`.
    resume: goes on from the checkpoint in run_dir (from the start where there is none yet).
    weights: what to start from instead of the recipe's first weights, named as in a saved model.
    Ctrl-C stops after the current step and keeps the weights of that moment; the checkpoint stays
    that of the last whole epoch. Raises RecipeError, DataError, ModelError; UsageError where another process
    trains in run_dir, or a training is kept there and `resume` is not asked for, or the device is not there;
    and DivergedError where the loss is NaN or infinite, which leaves the checkpoint of the epoch before.
    `problem` of the result says in words where nothing was learned.

    The i-th of the m networks of an ensemble (i from 0) is trained with the seed `seed * m + i` in
    run_dir/member-(i + 1). History and observers see them as one training, their epochs counted on.
    Ctrl-C then keeps the networks that are whole, or else the one that was begun.
    """
    chosen, folder = get_recipe(recipe), None if run_dir is None else Path(run_dir)
    if folder is not None and folder.exists():
        make_folder(folder)  # raises where it is a file
    seed, given = int(seed), ", weights=weights" * (weights is not None)
    call = f'tenfold.train("recipe.toml", train_set, val_set, seed={seed}, device={device!r}{given})'
    record = _Record(chosen, train_set, seed=seed, resume=resume, command=call)
    result = train_recipe(
        chosen, train_set, val_set, seed=seed, engine=engine, device=device, run_dir=folder, resume=resume,
        callbacks=[record, *callbacks] if folder is not None else callbacks, weights=weights,
    )  # fmt: skip
    if folder is not None:
        record.close(result)
    return result


class _Record(TrainingObserver):
    """Writes what makes a folder a run: once recipe and data are known to fit, and at the end."""

    def __init__(
        self, recipe: Recipe, train_set: ImageDataset, *, seed: int, resume: bool, command: str
    ) -> None:
        self.recipe, self.train_set, self.seed = recipe, train_set, seed
        self.resume, self.command, self.started = resume, command, time.perf_counter()
        self.folder, self.environment = Path(), dict[str, Any]()

    def on_start(self, plan: TrainingPlan) -> None:
        assert plan.run_dir is not None  # an observer of kept trainings only
        self.folder = plan.run_dir
        run = Run(self.folder) if self.resume and Run.is_at(self.folder) else None
        if run and (
            plan.first_epoch or (run.recipe == self.recipe and run.environment.get("seed") == self.seed)
        ):  # one without a checkpoint becomes what is trained now
            self.environment = run.environment
            return
        self.environment = describe_environment(plan.engine, plan.device) | {
            "device": plan.device,
            "precision": plan.precision,
            "seed": self.seed,
            "command": self.command,
            "status": "running",
            "data": {
                "name": self.train_set.name,
                "source": None,  # images in memory: nobody can load them again
                "data_dir": None,
                "note": self.train_set.note,
                "sha256": self.train_set.sha256(),
                "train": plan.train_images,
                "val": plan.val_images,
            },
        }
        _write_start(self.folder, self.recipe, self.environment, self.train_set)

    def on_end(self, status: str) -> None:
        if status == "failed" and not has_checkpoint(self.folder):  # nothing to continue from
            for name in ("environment.json", *_BEFORE_RECORD):
                (self.folder / name).unlink(missing_ok=True)

    def close(self, result: TrainResult) -> None:
        """The record of a training that has ended. result: kept in the same folder."""
        self.environment |= _describe_end(result, result.problem) | {
            "precision": result.classifier.engine.precision,
            "total_seconds": round(time.perf_counter() - self.started, 3),
        }
        write_environment(self.folder, self.environment)
