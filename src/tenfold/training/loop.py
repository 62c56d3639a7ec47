"""The one training loop, for both engines."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tenfold.arrays import ImageDataset
from tenfold.classifier import Classifier
from tenfold.data.batches import iterate_batches
from tenfold.engines.ensemble import combine_engines
from tenfold.errors import DivergedError, RecipeError
from tenfold.files import remove_parts
from tenfold.recipes.schema import NOT_TRAINED, Recipe
from tenfold.settings import learning_rate_at
from tenfold.training.checkpoint import (
    POINTER,
    Checkpoint,
    EpochRecord,
    find_failure,
    read_checkpoint,
    write_checkpoint,
    write_history,
)
from tenfold.training.observers import (
    StopRequest,
    TrainingObserver,
    TrainingPlan,
    stop_on_interrupt,
    tell_of_failure,
)
from tenfold.training.prepare import Setup, calibrate, prepare_training, prepare_validation, validate

__all__ = ["TrainResult"]

CHECKPOINT = Path("checkpoint") / "latest.safetensors"


@dataclass(frozen=True, eq=False)
class TrainResult:
    """status: finished, stopped early, or interrupted. seconds: of training and validating.
    best_epoch: the epoch (from 1) whose weights were kept, which is the last without early stopping.
    problem: what shows that nothing was learned (chance level, a loss above the start), in words; else "".
    """

    classifier: Classifier
    history: list[EpochRecord]
    seconds: float
    status: str
    best_epoch: int
    run_dir: Path | None
    problem: str = ""


@dataclass(frozen=True, eq=False)
class _Job:
    """One training: what was asked for, and what was settled before the first step."""

    recipe: Recipe
    train_set: ImageDataset
    val_set: ImageDataset | None
    seed: int
    folder: Path | None
    callbacks: Sequence[TrainingObserver]
    setup: Setup


def train(
    recipe: Recipe,
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
    """Trains one network; arguments, files, interruption and errors are those of the public
    `tenfold.train`, which calls this once for each network of a recipe.
    """
    folder = None if run_dir is None else Path(run_dir)
    saved = _read_saved(folder) if resume else None
    precision = saved.identity["precision"] if saved else recipe.training.precision
    setup = prepare_training(
        recipe,
        train_set,
        val_set,
        seed=seed,
        engine=engine,
        device=device,
        precision=precision,
        fresh=saved is None,
        weights=weights,
    )
    val_set = prepare_validation(recipe, val_set, seed=seed)
    job = _Job(recipe, train_set, val_set, seed, folder, callbacks, setup)
    progress = _start(job, saved)
    with stop_on_interrupt() as stop, tell_of_failure(callbacks), _quiet_overflow():
        while progress.status == "running":
            record = _run_epoch(job, progress.next_epoch, stop)
            if record is None:
                break
            _refuse_diverged(job, record)
            progress.history.append(record)
            progress.next_epoch += 1
            _judge(job, progress, record)
            _write(job, progress)
            for callback in callbacks:
                callback.on_epoch(record)
        return _finish(job, progress)


def _read_saved(folder: Path | None) -> Checkpoint | None:
    """The checkpoint of a run that is resumed; what a killed process left half-written is removed."""
    if folder is None:
        return None
    remove_parts(folder)
    return read_checkpoint(folder / CHECKPOINT) if (folder / CHECKPOINT).is_file() else None


def _start(job: _Job, saved: Checkpoint | None) -> Checkpoint:
    """A fresh start, or the checkpoint of the run's folder, loaded into the engine."""
    identity = {
        "recipe": job.recipe.model_dump_json(exclude=set(NOT_TRAINED)),
        "engine": job.setup.engine.name,
        "precision": job.setup.engine.precision,
        "seed": str(job.seed),
        "training images": job.train_set.sha256() if job.folder else "",
    }
    progress = saved or Checkpoint(identity=identity, next_epoch=0, history=[], engine_state={})
    if saved is not None:
        differing = [key for key in identity if progress.identity.get(key) != identity[key]]
        if differing:
            raise RecipeError(
                f"{job.folder} was trained with another {' and '.join(differing)}",
                expected="the same recipe, engine, seed and training images to resume",
                remedy="train again into another folder",
            )
        job.setup.engine.load_state(progress.engine_state)
    _announce(job, progress.next_epoch)
    return progress


def _announce(job: _Job, first_epoch: int) -> None:
    plan = TrainingPlan(
        recipe=job.recipe.name,
        engine=job.setup.engine.name,
        parameters=job.setup.engine.network.parameter_count,
        train_images=len(job.train_set),
        val_images=0 if job.val_set is None else len(job.val_set),
        epochs=job.setup.epochs,
        steps_per_epoch=job.setup.steps_per_epoch,
        total_steps=job.setup.total_steps,
        first_epoch=first_epoch,
        run_dir=job.folder,
        device=job.setup.engine.options.device,
        precision=job.setup.engine.precision,
    )
    for callback in job.callbacks:
        callback.on_start(plan)


def _run_epoch(job: _Job, epoch: int, stop: StopRequest) -> EpochRecord | None:
    """One pass over the training images, one over the validation images; None where it was stopped."""
    started = time.perf_counter()
    recipe, engine, training = job.recipe, job.setup.engine, job.recipe.training
    total_steps = job.setup.total_steps
    step, images, loss, correct, rate = epoch * job.setup.steps_per_epoch, 0, 0.0, 0, 0.0
    first_loss = None
    batches = iterate_batches(
        job.train_set,
        batch_size=training.batch_size,
        shuffle=training.shuffle,
        drop_last=training.drop_last,
        augmentation=recipe.augmentation,
        seed=job.seed,
        epoch=epoch,
    )
    for batch in batches:
        if stop:
            return None
        rate = learning_rate_at(step, total_steps, recipe.optimiser.learning_rate, recipe.schedule)
        result = engine.train_step(batch, rate)
        first_loss = result.loss if first_loss is None else first_loss
        # Still the engine's own numbers: adding them up does not wait for the device.
        loss, correct = loss + result.loss * len(batch), correct + result.correct
        step, images = step + 1, images + len(batch)
        for callback in job.callbacks:
            callback.on_step(step)
        if step == total_steps:
            break
    val_loss, val_accuracy = validate(engine, recipe, job.val_set)
    return EpochRecord(
        epoch=epoch + 1,
        train_loss=float(loss) / images,
        train_accuracy=float(correct) / images,
        val_loss=val_loss,
        val_accuracy=val_accuracy,
        learning_rate=rate,
        seconds=time.perf_counter() - started,
        steps=step,
        first_loss=float(first_loss or 0.0),
    )


def _quiet_overflow() -> np.errstate:
    """NumPy's own warnings would repeat what _refuse_diverged says in one line."""
    return np.errstate(over="ignore", invalid="ignore", divide="ignore")


def _refuse_diverged(job: _Job, record: EpochRecord) -> None:
    losses = {"training loss": record.train_loss, "validation loss": record.val_loss}
    wrong = [
        f"{what} of epoch {record.epoch} is {v}"
        for what, v in losses.items()
        if v is not None and not math.isfinite(v)
    ]
    if not wrong and not all(np.isfinite(value).all() for value in job.setup.engine.weights().values()):
        wrong = [f"weights after epoch {record.epoch} are NaN or infinite"]
    if wrong:
        raise DivergedError(
            f"{job.recipe.name}: the {wrong[0]}",
            expected="a finite number",
            remedy=f"take a smaller optimiser.learning_rate, or set optimiser.clip_norm; {POINTER}",
        )


def _judge(job: _Job, progress: Checkpoint, record: EpochRecord) -> None:
    """Whether this was the last epoch; with early stopping, whether it was the best one."""
    patience = job.recipe.training.patience
    if not patience or record.val_loss is None:
        progress.best_epoch = record.epoch
    elif record.val_loss < progress.best_loss:
        progress.best_epoch, progress.best_loss = record.epoch, record.val_loss
        progress.best_weights = job.setup.engine.weights()
    elif record.epoch - progress.best_epoch >= patience:
        progress.status = "stopped early"
    if progress.next_epoch >= job.setup.epochs:
        progress.status = "finished"


def _write(job: _Job, progress: Checkpoint) -> None:
    if job.folder is None:
        return
    progress.engine_state = job.setup.engine.state()
    write_checkpoint(job.folder / CHECKPOINT, progress)
    write_history(job.folder / "history.jsonl", progress.history)


def _finish(job: _Job, progress: Checkpoint) -> TrainResult:
    """The classifier of the last weights, or of early stopping's best."""
    status = "interrupted" if progress.status == "running" else progress.status
    engine = combine_engines([job.setup.engine], job.recipe.ensemble.views)
    classifier = Classifier(engine, job.setup.card)
    if progress.best_weights and status != "interrupted":
        classifier = classifier.with_weights(progress.best_weights)
    problem = ""
    if status != "interrupted":
        classifier = calibrate(classifier, job.val_set)
        kept = progress.history[progress.best_epoch - 1]
        problem = find_failure(classifier.engine, progress.history, kept, job.train_set, job.val_set)
    if job.folder is not None:
        classifier.save(job.folder)
        write_history(job.folder / "history.jsonl", progress.history)
    for callback in job.callbacks:
        callback.on_end(status)
    seconds = sum(record.seconds for record in progress.history)
    return TrainResult(
        classifier, progress.history, seconds, status, progress.best_epoch, job.folder, problem
    )
