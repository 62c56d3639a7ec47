"""`tenfold.train`: a training in Python, and where it is kept, a run like those of the command."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.arguments import checked, make_folder
from tenfold.arrays import ImageDataset
from tenfold.recipes.load import get_recipe
from tenfold.recipes.schema import Recipe
from tenfold.runs.environment import describe_environment, peak_memory_mib, write_environment
from tenfold.runs.folder import Run, is_run
from tenfold.runs.run import write_start
from tenfold.training import ensemble
from tenfold.training.loop import TrainResult
from tenfold.training.observers import TrainingObserver, TrainingPlan

__all__ = ["train"]

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
