"""`tenfold.train`: a training in Python, and where it is kept, a run like those of the command."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.arguments import checked, make_folder
from tenfold.arrays import ImageDataset, image_place
from tenfold.data.batches import split_indices
from tenfold.errors import DataError, MissingDependencyError, ModelError, RecipeError, UsageError
from tenfold.evaluation.evaluate import evaluate
from tenfold.evaluation.label_errors import LabelErrors, find_label_errors
from tenfold.evaluation.robustness import measure_robustness
from tenfold.files import claim_folder, csv_line, replace_file, write_text
from tenfold.recipes.load import change_recipe, get_recipe
from tenfold.recipes.schema import Recipe
from tenfold.runs.folder import Run, describe_environment, is_run, peak_memory_mib, write_environment
from tenfold.runs.run import load_for_run, write_start
from tenfold.training import ensemble
from tenfold.training.folds import cross_validate
from tenfold.training.loop import TrainResult
from tenfold.training.observers import TrainingObserver, TrainingPlan

__all__ = ["complete_run", "load_learned", "search_labels", "suspect_rows", "train", "write_suspects"]

_RECORD = ("environment.json", "recipe.toml", "data_summary.json", "data_summary.npz")


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
    result = ensemble.train(
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
        if self.resume and is_run(self.folder) and (plan.first_epoch or self._is_the_same(Run(self.folder))):
            self.environment = Run(self.folder).environment
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
        write_start(self.folder, self.recipe, self.environment, self.train_set)

    def _is_the_same(self, run: Run) -> bool:
        """Whether a run that has no checkpoint yet is to become what is trained now."""
        return run.recipe == self.recipe and run.environment.get("seed") == self.seed

    def on_end(self, status: str) -> None:
        if status == "failed" and not ensemble.has_checkpoint(self.folder):  # nothing to continue from
            for name in _RECORD:
                (self.folder / name).unlink(missing_ok=True)

    def close(self, result: TrainResult) -> None:
        """The record of a training that has ended. result: kept in the same folder."""
        self.environment |= {
            "status": result.status,
            "best_epoch": result.best_epoch,
            "epochs": len(result.history),
            "problem": result.problem,
            "precision": result.classifier.engine.precision,
            "stopped_early": result.status == "stopped early",
            "seconds": result.seconds,
            "total_seconds": round(time.perf_counter() - self.started, 3),
            "peak_memory_mib": round(peak_memory_mib(), 1),
        }
        write_environment(self.folder, self.environment)


# What a report shows and a run's folder does not hold yet, measured and kept there.

_LONG = 20  # seconds


def complete_run(run: Run, *, announce: Callable[[str], None] = lambda _line: None, **options: Any) -> Run:
    """Measures robustness where it is missing, and the test set again where an earlier version kept no
    probabilities; on the run's own test images, where they are at hand. Nothing is downloaded.

    announce: gets a line for each thing measured, and for why nothing is. options: of load_for_run.
    Raises ModelError where a part of the run is there but cannot be read.
    """
    robust = (run.folder / "robustness.json").is_file()
    measured = run.evaluation is not None and run.evaluation.has_probs
    if not (run.folder / "model.safetensors").is_file() or (robust and measured):
        return run
    try:
        with claim_folder(run.folder):
            return _complete(run, announce, robust=robust, measured=measured, **options)
    except (DataError, MissingDependencyError, UsageError) as error:
        announce(f"nothing more is measured: {error}")
        return run


def _complete(
    run: Run, announce: Callable[[str], None], *, robust: bool, measured: bool, **options: Any
) -> Run:
    """In the run's folder, which this process holds."""
    test_set = load_for_run(run, split="test", **{"offline": True} | options)
    _refuse_other_images(run, test_set)
    classifier = run.classifier()
    if not measured:
        announce(f"measuring {len(test_set):,} test images")
        evaluate(classifier, test_set).save(run.folder)
    if not robust:
        announce(f"measuring robustness on up to 1,000 test images{_expected(run)} (kept in robustness.json)")
        measure_robustness(classifier, test_set).save(run.folder)
    return Run(run.folder)


def _expected(run: Run) -> str:
    """How long fifteen corruptions of five severities may take, where one would wonder."""
    evaluation = run.evaluation
    if evaluation is None:
        return ""
    seconds = 75 * min(evaluation.n, 1000) * evaluation.seconds / evaluation.n
    return f", about {seconds:.0f} s" if seconds > _LONG else ""


def _refuse_other_images(run: Run, test_set: ImageDataset) -> None:
    evaluation = run.evaluation
    if evaluation is not None and evaluation.dataset_sha256 != test_set.sha256():
        raise DataError(
            f"{test_set.name} is not what {run.folder} was tested on", expected="the same images and labels"
        )


# Labels of a data set that are likely wrong: a recipe over folds, then confident learning.

_SMALL = "mlp-small"
_LEAST_STEPS = 600  # of the small network


def quick_recipe(dataset: ImageDataset) -> Recipe:
    """`fast`, longer where there are many classes, or `mlp-small` where the images are too small for it."""
    classes = len(dataset.class_names)
    fast = get_recipe("fast")
    with suppress(RecipeError):
        fast.plan(dataset.image_shape, classes)
        steps = max(fast.training.steps, fast.training.steps * classes // 10)  # as many per class as MNIST's
        return change_recipe(fast, {"input.scaling": "standardise", "training.steps": steps})
    changes = {"input.scaling": "standardise", "training.min_steps": _LEAST_STEPS}
    return change_recipe(get_recipe(_SMALL), changes)


def search_labels(
    dataset: ImageDataset,
    recipe: Recipe | None = None,
    *,
    folds: int = 5,
    seed: int = 0,
    engine: str = "auto",
    callbacks: Sequence[TrainingObserver] = (),
) -> LabelErrors:
    """Cross-validates a recipe (a quick one where none is given) and judges every label by it."""
    chosen = recipe or quick_recipe(dataset)
    result = cross_validate(chosen, dataset, folds=folds, seed=seed, engine=engine, callbacks=callbacks)
    note = (
        f"Every image was judged by a network that never saw it: recipe {chosen.name} over {folds} folds, "
        f"which answers {100 * result.mean:.2f} % as labelled."
    )
    return find_label_errors(result.probs, dataset.labels, note=note, files=dataset.files)


def suspect_rows(
    found: LabelErrors, class_names: Sequence[str], count: int | None = None
) -> list[dict[str, Any]]:
    """A row a suspect, the most suspect first: index, file (where there are), given, suggested, quality."""
    columns = zip(found.index, found.given, found.suggested, found.quality, strict=True)
    return [
        image_place(index, found.files)
        | {
            "given": class_names[given],
            "suggested": class_names[suggested],
            "quality": round(float(quality), 6),
        }
        for index, given, suggested, quality in list(columns)[:count]
    ]


def write_suspects(found: LabelErrors, class_names: Sequence[str], path: Path) -> None:
    """All suspects as CSV or, where the name ends in .json, as JSON."""
    rows = suspect_rows(found, class_names)
    if path.suffix == ".json":
        document = {"n": found.n, "suspects": rows, "note": found.note}
        write_text(path, json.dumps(document, indent=2) + "\n")
        return
    with replace_file(path) as beside, beside.open("w", encoding="utf-8", newline="") as file:
        named = ("index", "file") if found.files else ("index",)
        columns = (*named, "given", "suggested", "quality")
        file.write(csv_line(columns, "\r\n"))
        file.writelines(csv_line([row[column] for column in columns], "\r\n") for row in rows)


# The images that a run learned from, found again by its record.


def load_learned(
    run: Run,
    *,
    data_dir: Path | None = None,
    offline: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
) -> tuple[ImageDataset, np.ndarray]:
    """The data set of a run, and which of its images it learned from: int64, ascending, all but those
    it held out. Raises ModelError where the data are no longer those of the run, DataError where they are
    not to be had.
    """
    dataset = load_for_run(run, data_dir=data_dir, offline=offline, progress=progress)
    if dataset.sha256() != run.record["data"]["sha256"]:
        raise ModelError(
            f"the data set {run.environment['data']['source']} is not what {run.folder} was trained on",
            expected="the same images in the same order",
        )
    data = run.recipe.data
    if data.validation == 0:
        return dataset, np.arange(len(dataset))
    classes = dataset.labels if data.stratified else np.zeros(len(dataset), np.int64)
    return dataset, split_indices(classes, data.validation, seed=run.environment["seed"])[0]
