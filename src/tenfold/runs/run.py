"""One recipe, start to finish: data, split, training, the test set once; all kept in a folder."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tenfold.arrays import ImageDataset
from tenfold.data.batches import split_dataset, summarise
from tenfold.data.catalogue import CATALOGUE
from tenfold.data.load import find_dataset, load_dataset
from tenfold.engines.create import check_engine, choose_engine, preferred_engine, preload_engine
from tenfold.errors import DataError, ModelError, TenfoldError, UsageError
from tenfold.evaluation.evaluate import Evaluation, evaluate
from tenfold.files import LOCK, claim_folder, claim_free, is_taken, write_text
from tenfold.recipes.load import recipe_to_toml
from tenfold.recipes.schema import Recipe
from tenfold.runs.folder import (
    Run,
    describe_environment,
    is_run,
    open_run,
    peak_memory_mib,
    write_environment,
)
from tenfold.training.checkpoint import EpochRecord, at_chance
from tenfold.training.ensemble import has_checkpoint, train
from tenfold.training.observers import TrainingObserver, TrainingPlan

__all__ = ["RunOutcome", "load_for_run", "resume_run", "start_run"]

Progress = Callable[[str, int, int], None] | None

# What stands in a folder whose record is not written yet: a process that was killed there left no run.
_BEFORE_RECORD = ("recipe.toml", "data_summary.json", "data_summary.npz")


@dataclass(frozen=True, eq=False)
class RunOutcome:
    """seconds: of training and validating. total_seconds: with loading and evaluating.
    evaluation: on the test set; None where the training was interrupted. problem: what shows that nothing
    was learned, in words; else "".
    """

    run: Run
    status: str
    seconds: float
    total_seconds: float
    history: list[EpochRecord]
    best_epoch: int
    evaluation: Evaluation | None
    problem: str = ""

    def to_dict(self) -> dict[str, Any]:
        """What `tenfold train --json` prints."""
        kept = self.history[self.best_epoch - 1] if self.history else None
        test = self.evaluation
        return {
            "run": str(self.run.folder),
            "recipe": self.run.recipe.name,
            "status": self.status,
            "engine": self.run.environment["engine"],
            "seed": self.run.environment["seed"],
            "data": self.run.environment["data"],
            "epochs": len(self.history),
            "best_epoch": self.best_epoch,
            "seconds": self.seconds,
            "total_seconds": self.total_seconds,
            "train_loss": kept.train_loss if kept else None,
            "train_accuracy": kept.train_accuracy if kept else None,
            "val_loss": kept.val_loss if kept else None,
            "val_accuracy": kept.val_accuracy if kept else None,
            "test_loss": test.loss if test else None,
            "test_accuracy": test.accuracy if test else None,
            "test_accuracy_interval_95": list(test.interval) if test else None,
            "learned": None if self.status == "interrupted" else not self.problem,
            "problem": self.problem or None,
        }


def start_run(
    recipe: Recipe,
    *,
    source: str | Path | None = None,
    data_dir: Path | None = None,
    offline: bool = False,
    engine: str = "auto",
    device: str = "cpu",
    seed: int = 0,
    run_dir: Path | None = None,
    command: str = "",
    callbacks: Sequence[TrainingObserver] = (),
    progress: Progress = None,
    announce: Callable[[str], None] = lambda _line: None,
) -> RunOutcome:
    """Trains a recipe into a new folder. Raises UsageError where the folder holds something already.

    Whatever is wrong with recipe, data (its test part too) or device is found before anything is
    written; a training that fails before its first checkpoint leaves no folder behind.
    source: None is the recipe's own data set, and for mnist the embedded sample where it cannot
    be had; `announce` then gets the line that says so.
    """
    started = time.perf_counter()
    if run_dir is not None:
        _refuse_taken(run_dir)
    check_engine(recipe, engine, device)
    engine = preferred_engine(engine, recipe, device)
    preload_engine(recipe, engine, device)
    wanted = source if source is not None or recipe.data.default == "mnist" else recipe.data.default
    dataset = load_dataset(wanted, data_dir=data_dir, offline=offline, progress=progress)
    if dataset.note:
        announce(dataset.note)
    train_set, val_set = _split(recipe, dataset, seed)
    record = _data_record(dataset, wanted, data_dir, train_set, val_set)
    test_set = _test_set(record, train_set, data_dir=data_dir, offline=offline, progress=progress)
    network = recipe.plan(dataset.image_shape, len(dataset.class_names))
    chosen = choose_engine(engine, network, device=device, precision=recipe.training.precision)
    environment = describe_environment(chosen, device) | {
        "seed": seed,
        "command": command,
        "status": "running",
        "data": record,
    }
    with _claim_new(run_dir, f"{recipe.name}-{seed}") as folder:
        try:
            run = write_start(folder, recipe, environment, train_set)
            return _train_into(run, train_set, val_set, test_set, callbacks, started, resume=False)
        except BaseException as error:
            if not is_run(folder) or (isinstance(error, TenfoldError) and not has_checkpoint(folder)):
                _empty(folder)
            raise


def write_start(folder: Path, recipe: Recipe, environment: dict[str, Any], train_set: ImageDataset) -> Run:
    """What a run's folder holds before the first step; the record comes last and makes it a run."""
    _empty(folder)
    write_text(folder / "recipe.toml", recipe_to_toml(recipe))
    summarise(train_set, seed=environment["seed"]).save(folder)
    write_environment(folder, environment)
    return Run(folder)


def resume_run(
    path: str | Path,
    *,
    data_dir: Path | None = None,
    offline: bool = False,
    callbacks: Sequence[TrainingObserver] = (),
    progress: Progress = None,
) -> RunOutcome:
    """Goes on with a run that was stopped; the weights are those of one that never was.

    Raises UsageError where another process trains there.
    """
    with claim_folder(open_run(path).folder):
        return _resume(open_run(path), data_dir, offline, callbacks, progress)


def _resume(
    run: Run,
    data_dir: Path | None,
    offline: bool,
    callbacks: Sequence[TrainingObserver],
    progress: Progress,
) -> RunOutcome:
    started = time.perf_counter()
    record = run.record
    engine = record["engine"]
    if engine == "numpy":
        record["device"] = "cpu"  # earlier versions wrote down what was asked for
    device = record["device"]
    check_engine(run.recipe, engine, device)
    preload_engine(run.recipe, engine, device)
    dataset = load_for_run(run, data_dir=data_dir, offline=offline, progress=progress)
    if dataset.sha256() != record["data"]["sha256"]:
        raise ModelError(
            f"the data set {record['data']['source']} is not what {run.folder} was trained on",
            expected="the same images in the same order",
            remedy="train again into another folder",
        )
    train_set, val_set = _split(run.recipe, dataset, record["seed"])
    test_set = _test_set(record["data"], train_set, data_dir=data_dir, offline=offline, progress=progress)
    return _train_into(run, train_set, val_set, test_set, callbacks, started, resume=True)


def load_for_run(
    run: Run,
    *,
    split: str = "train",
    data_dir: Path | None = None,
    offline: bool = False,
    progress: Progress = None,
) -> ImageDataset:
    """The data set a run was trained on, from where its record says."""
    return _load_recorded(run.record["data"], split, data_dir=data_dir, offline=offline, progress=progress)


def _load_recorded(
    record: dict[str, Any], split: str, *, data_dir: Path | None, offline: bool, progress: Progress
) -> ImageDataset:
    if record["source"] is None:
        raise DataError(
            f"the training images ({record['name']}) were given in Python, and nothing says where they lie",
            expected="a data set by name or path",
            remedy="name it with --data, or go on in Python: tenfold.train(..., resume=True)",
        )
    where = data_dir or (Path(record["data_dir"]) if record.get("data_dir") else None)
    return load_dataset(record["source"], split=split, data_dir=where, offline=offline, progress=progress)


def _test_set(record: dict[str, Any], train_set: ImageDataset, **options: Any) -> ImageDataset:
    """Read before the training, so that what is wrong with it is not found at its end; used after it."""
    test_set = _load_recorded(record, "test", **options)
    if test_set.class_names != train_set.class_names or test_set.image_shape != train_set.image_shape:
        raise DataError(
            f"{test_set.name}: test images of {test_set.image_shape} in {len(test_set.class_names)} classes",
            expected=f"{train_set.image_shape} in {len(train_set.class_names)}, as those to train on",
        )
    return test_set


def _split(recipe: Recipe, dataset: ImageDataset, seed: int) -> tuple[ImageDataset, ImageDataset | None]:
    share = recipe.data.validation
    if share == 0:
        return dataset, None
    return split_dataset(dataset, share, seed=seed, stratified=recipe.data.stratified)


@contextmanager
def _claim_new(wanted: Path | None, name: str) -> Iterator[Path]:
    """The folder asked for, which must be new or empty; else runs/NAME, or runs/NAME-2, ...: for this
    process alone until the end of it."""
    if wanted is None:
        with claim_free(Path("runs", name), _BEFORE_RECORD) as folder:
            yield folder
        return
    with claim_folder(wanted):
        _refuse_taken(wanted)
        yield wanted


def _empty(folder: Path) -> None:
    """Removes what a training that came to nothing left in the folder that this process holds; the record
    first, so that it is not a run meanwhile."""
    (folder / "environment.json").unlink(missing_ok=True)
    for path in [path for path in folder.iterdir() if path.name != LOCK]:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _refuse_taken(folder: Path) -> None:
    if is_taken(folder, _BEFORE_RECORD):
        raise UsageError(
            f"{folder} holds something already",
            expected="a new or an empty folder",
            remedy="name another"
            + (f", or continue the run there: tenfold train --resume {folder}" if is_run(folder) else ""),
        )


def _data_record(
    dataset: ImageDataset,
    wanted: str | Path | None,
    data_dir: Path | None,
    train_set: ImageDataset,
    val_set: ImageDataset | None,
) -> dict[str, Any]:
    source = str(wanted) if wanted is not None else "sample" if dataset.note else "mnist"
    if source != "sample" and source not in CATALOGUE:  # a path, which load_dataset has found
        source = str(Path(source).resolve())
    return {
        "name": dataset.name,
        "source": source,
        "data_dir": _found_in(source, data_dir),
        "note": dataset.note,
        "sha256": dataset.sha256(),
        "train": len(train_set),
        "val": len(val_set) if val_set is not None else 0,
    }


def _found_in(source: str, data_dir: Path | None) -> str | None:
    """The folder that holds a named set, however it was found: a resumed run looks there first."""
    if source not in CATALOGUE:
        return None
    found = find_dataset(source, data_dir=data_dir)
    folder = found.parent if found is not None and found.name == source else found
    return str(folder.resolve()) if folder is not None else None


class _Recorder(TrainingObserver):
    """Writes down what runs, which may be less than the recipe says: "auto" is settled by then."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def on_start(self, plan: TrainingPlan) -> None:
        values = self.run.environment
        values |= {key: getattr(plan, key) for key in ("engine", "device", "precision")}
        write_environment(self.run.folder, values)


def _train_into(
    run: Run,
    train_set: ImageDataset,
    val_set: ImageDataset | None,
    test_set: ImageDataset,
    callbacks: Sequence[TrainingObserver],
    started: float,
    *,
    resume: bool,
) -> RunOutcome:
    environment, loading = run.environment, time.perf_counter() - started
    result = train(
        run.recipe,
        train_set,
        val_set,
        seed=environment["seed"],
        engine=environment["engine"],
        device=environment["device"],
        run_dir=run.folder,
        resume=resume,
        callbacks=[_Recorder(run), *callbacks],
    )
    earlier = max(result.seconds - (time.perf_counter() - started - loading), 0.0)  # where it was resumed
    evaluation, problem = None, result.problem
    if result.status != "interrupted":
        evaluation = evaluate(result.classifier, test_set)
        evaluation.save(run.folder)
        problem = problem or at_chance(evaluation.accuracy, test_set.labels, "test")
    environment |= {
        "status": result.status,
        "best_epoch": result.best_epoch,
        "epochs": len(result.history),
        "stopped_early": result.status == "stopped early",
        "problem": problem,
        "seconds": result.seconds,
        "loading_seconds": round(loading, 3),
        "total_seconds": round(time.perf_counter() - started + earlier, 3),
        "peak_memory_mib": round(peak_memory_mib(), 1),
    }
    write_environment(run.folder, environment)
    return RunOutcome(
        run=Run(run.folder),
        status=result.status,
        seconds=result.seconds,
        total_seconds=time.perf_counter() - started,
        history=result.history,
        best_epoch=result.best_epoch,
        evaluation=evaluation,
        problem=problem,
    )
