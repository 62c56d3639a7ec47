"""`tenfold.train`: a recipe, data sets or batches, parts of your own -> a classifier, and perhaps a run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.arguments import checked
from tenfold.arrays import ImageDataset
from tenfold.data.hub import is_object
from tenfold.data.load import to_dataset
from tenfold.data.stream import BatchStream
from tenfold.engines.create import Engines
from tenfold.files import make_folder
from tenfold.networks.own import OwnParts
from tenfold.recipes.load import get_recipe, suit_recipe
from tenfold.recipes.schema import Recipe
from tenfold.runs.folder import (
    Run,
    describe_environment,
    describe_ranks,
    write_environment,
)
from tenfold.runs.run import BEFORE_RECORD, describe_end, write_start
from tenfold.training.loop import TrainResult, has_checkpoint
from tenfold.training.loop import train as train_recipe
from tenfold.training.progress import Callback, TrainingObserver, TrainingPlan

__all__ = ["train"]


@checked
def train(
    recipe: Recipe | str | Path,
    train_set: Any,
    val_set: Any = None,
    *,
    seed: int = 0,
    engine: str = "auto",
    device: str = "cpu",
    run_dir: str | Path | None = None,
    resume: bool = False,
    callbacks: Sequence[Callback] = (),
    weights: dict[str, np.ndarray] | None = None,
    network: Any = None,
    layers: Mapping[str, type] | None = None,
    loss: Callable | None = None,
    augmentation: Callable | None = None,
    checkpoint_every: int = 0,
) -> TrainResult:
    """Trains a recipe; with the same seed, data, engine and threads the weights are bit-identical.

    recipe: a Recipe, or the name or path of one.
    train_set, val_set: an ImageDataset; a data set of `datasets` or torchvision, or anything whose items are
    (picture, label); or an iterable of batches (images, labels), such as a DataLoader, which each epoch reads
    anew, after a first pass, and which decides on batch size and order.
    network: a torch.nn.Module, scaled inputs (N, 1 or 3, H, W) -> logits (N, K), in place of the layers.
    layers: classes of your own, by the NAME in lines `own NAME [NUMBER ...]`: torch modules, or in NumPy
    with forward(inputs) and backward(gradient), see `tenfold.check_layer`.
    loss: your own: (logits, labels) -> (mean loss, its gradient) in NumPy, a tensor of one number in PyTorch;
    test scores stay those of the recipe's loss. augmentation: (uint8 images, rng) -> images of the same
    shape, before the recipe's. callbacks: observers, or functions of an EpochRecord; "stop" ends it all.
    run_dir: a new folder, which becomes a run that `tenfold runs` and `Run` know, with record, checkpoints,
    history and model; `tenfold.evaluate(...).save(run_dir)` adds test scores. resume: goes on from the
    checkpoint in run_dir. weights: what to start from, named as in a saved model.
    checkpoint_every: steps after which a checkpoint is written, besides those after each epoch.
    Ctrl-C stops after the current step and keeps the weights of that moment, and a checkpoint of it.
    Processes that torchrun starts train one network, each on its rows of every batch; the first one writes.
    The i-th of the m networks of an ensemble (from 0) has the seed `seed * m + i` and run_dir/member-(i + 1).
    Raises RecipeError, DataError, ModelError; UsageError where another process trains in run_dir, a training
    is kept there and `resume` is not asked for, or the device is not there; and DivergedError where the loss
    is NaN or infinite, which leaves the checkpoint of the epoch before.
    """
    folder = None if run_dir is None else Path(run_dir)
    if folder is not None and folder.exists():
        make_folder(folder)  # raises where it is a file
    own = OwnParts(network, layers or {}, loss, augmentation)
    chosen, train_set, val_set, stream = _settle(get_recipe(recipe), own, train_set, val_set)
    given = [*(["weights"] if weights is not None else []), *own.arguments]
    told = "".join(f", {name}={name}" for name in given)
    call = f'tenfold.train("recipe.toml", train_set, val_set, seed={int(seed)}, device={device!r}{told})'
    record = _Record(chosen, train_set, seed=int(seed), resume=resume, command=call, own=own.names)
    how = {"seed": int(seed), "engine": engine, "device": device, "resume": resume, "weights": weights,
           "checkpoint_every": checkpoint_every, "own": own, "stream": stream}  # fmt: skip
    return _train(record, train_set, val_set, folder, callbacks, how)


def _train(
    record: _Record, train_set: ImageDataset, val_set: ImageDataset | None, folder: Path | None,
    callbacks: Sequence[Callback], how: dict[str, Any],
) -> TrainResult:  # fmt: skip
    """With the other processes, where there are any; the first one keeps the record in the folder."""
    with Engines.join_ranks() as ranks:
        if ranks.count > 1:
            Engines.check(record.recipe, how["engine"], how["device"], ranks.count)
        if ranks.number:
            folder, callbacks = None, ()
        observers = [record, *callbacks] if folder is not None else callbacks
        result = train_recipe(
            record.recipe, train_set, val_set, run_dir=folder, callbacks=observers, ranks=ranks, **how
        )
        if folder is not None:
            record.close(result)
        return result


def _settle(
    recipe: Recipe, own: OwnParts, train_set: Any, val_set: Any | None
) -> tuple[Recipe, ImageDataset, ImageDataset | None, BatchStream | None]:
    """The recipe for these images, with the layers that are trained; data sets of whatever was given."""
    stream = BatchStream(train_set) if _gives_batches(train_set) else None
    train_set = stream.dataset if stream else to_dataset(train_set, "train", "train_set")
    if val_set is not None:
        batches = BatchStream(val_set, train_set.class_names) if _gives_batches(val_set) else None
        val_set = batches.dataset if batches else to_dataset(val_set, "train", "val_set")
    recipe = suit_recipe(recipe, train_set.image_shape)
    lines = {"layers": own.lines(recipe.network.layers)}
    recipe = recipe.model_copy(update={"network": recipe.network.model_copy(update=lines)})
    return recipe, train_set, val_set, stream


def _gives_batches(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(isinstance(batch, tuple | list) and len(batch) == 2 for batch in value)
    known = isinstance(value, ImageDataset | np.ndarray | str | bytes | Path | tuple) or is_object(value)
    return not known and hasattr(value, "__iter__")


class _Record(TrainingObserver):
    """Writes what makes a folder a run: once recipe and data are known to fit, and at the end."""

    def __init__(
        self, recipe: Recipe, train_set: ImageDataset, *, seed: int, resume: bool, command: str,
        own: dict[str, str],
    ) -> None:  # fmt: skip
        self.recipe, self.train_set, self.seed = recipe, train_set, seed
        self.resume, self.command, self.started = resume, command, time.perf_counter()
        self.folder, self.environment, self.own = Path(), dict[str, Any](), own

    def on_start(self, plan: TrainingPlan) -> None:
        assert plan.run_dir is not None  # an observer of kept trainings only
        self.folder = plan.run_dir
        run = Run(self.folder) if self.resume and Run.is_at(self.folder) else None
        if run and (
            plan.first_epoch or (run.recipe == self.recipe and run.environment.get("seed") == self.seed)
        ):  # one without a checkpoint becomes what is trained now
            self.environment = run.environment | describe_ranks(run.environment, plan)
            return
        self.environment = (
            describe_environment(plan.engine, plan.device)
            | {
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
                    "options": {},
                },
            }
            | ({"own": self.own} if self.own else {})
            | describe_ranks({}, plan)
        )
        write_start(self.folder, self.recipe, self.environment, self.train_set)

    def on_end(self, status: str) -> None:
        if status == "failed" and not has_checkpoint(self.folder):  # nothing to continue from
            for name in ("environment.json", *BEFORE_RECORD):
                (self.folder / name).unlink(missing_ok=True)

    def close(self, result: TrainResult) -> None:
        """The record of a training that has ended. result: kept in the same folder."""
        self.environment |= describe_end(result, result.problem) | {
            "precision": result.classifier.engine.precision,
            "total_seconds": round(time.perf_counter() - self.started, 3),
        }
        write_environment(self.folder, self.environment)
