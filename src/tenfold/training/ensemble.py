"""Training as it is asked for: one network, or the networks of an ensemble one after another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np

from tenfold.arrays import ImageDataset
from tenfold.classifier import Classifier
from tenfold.engines.ensemble import combine_engines, split_members
from tenfold.errors import UsageError
from tenfold.files import claim_folder, remove_parts
from tenfold.recipes.schema import EnsembleSettings, Recipe
from tenfold.training import loop
from tenfold.training.checkpoint import EpochRecord, read_checkpoint, write_history
from tenfold.training.loop import CHECKPOINT, TrainResult
from tenfold.training.observers import TrainingObserver, TrainingPlan, stop_on_interrupt, tell_of_failure
from tenfold.training.prepare import calibrate, prepare_validation

__all__ = ["has_checkpoint", "train"]


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
    """One network, or those of an ensemble: `tenfold.train`, which says what it takes and raises, without the
    record that makes run_dir a run."""
    folder = None if run_dir is None else Path(run_dir)
    with claim_folder(folder) if folder is not None else nullcontext():
        if folder is not None and not resume:
            _refuse_trained(folder)
        return _train_members(
            recipe, train_set, val_set, seed=seed, engine=engine, device=device, folder=folder,
            resume=resume, callbacks=callbacks, weights=weights,
        )  # fmt: skip


def _refuse_trained(folder: Path) -> None:
    if has_checkpoint(folder) or (folder / "model.safetensors").exists():
        raise UsageError(
            f"a training is kept in {folder}",
            expected="a new folder",
            remedy="name another, or continue that training: resume=True",
        )


def _train_members(
    recipe: Recipe,
    train_set: ImageDataset,
    val_set: ImageDataset | None,
    *,
    seed: int,
    engine: str,
    device: str,
    folder: Path | None,
    resume: bool,
    callbacks: Sequence[TrainingObserver],
    weights: dict[str, np.ndarray] | None,
) -> TrainResult:
    members = recipe.ensemble.members
    if members == 1:
        return loop.train(
            recipe, train_set, val_set, seed=seed, engine=engine, device=device, run_dir=folder,
            resume=resume, callbacks=callbacks, weights=weights,
        )  # fmt: skip
    single = recipe.model_copy(update={"ensemble": EnsembleSettings()})
    folders = [None if folder is None else _member_folder(folder, index) for index in range(members)]
    starts = split_members(weights) if weights is not None else [None] * members
    together = _Together(folder, _saved_histories(folder, folders) if resume else {}, members, callbacks)
    with stop_on_interrupt() as stop:
        for index, place in enumerate(folders):
            if stop and together.results:
                break
            result = loop.train(
                single, train_set, val_set, seed=seed * members + index, engine=engine, device=device,
                run_dir=place, resume=resume, callbacks=[together], weights=starts[index],
            )  # fmt: skip
            together.results.append(result)
        with tell_of_failure(callbacks):
            val_set = prepare_validation(recipe, val_set, seed=seed)
            return _finish(recipe, val_set, folder, together.results, callbacks)


def _member_folder(folder: Path, index: int) -> Path:
    return folder / f"member-{index + 1}"


def has_checkpoint(folder: Path) -> bool:
    """Whether there is anything in a run's folder to go on from."""
    return any((place / CHECKPOINT).is_file() for place in (folder, _member_folder(folder, 0)))


def _saved_histories(folder: Path | None, folders: Iterable[Path | None]) -> dict[int, list[EpochRecord]]:
    """The epochs that each member's checkpoint knows, where a run is resumed."""
    if folder is not None:
        remove_parts(folder)
    paths = {index: place / CHECKPOINT for index, place in enumerate(folders) if place is not None}
    return {index: read_checkpoint(path).history for index, path in paths.items() if path.is_file()}


class _Together(TrainingObserver):
    """Shows the trainings of all members to the observers as one, and writes their history."""

    def __init__(
        self,
        folder: Path | None,
        saved: dict[int, list[EpochRecord]],
        members: int,
        callbacks: Sequence[TrainingObserver],
    ) -> None:
        self.folder, self.saved, self.members, self.callbacks = folder, saved, members, callbacks
        self.results: list[TrainResult] = []  # of the members that have ended
        self.records: list[EpochRecord] = []  # of the member that is trained
        self.steps_before = 0

    def on_start(self, plan: TrainingPlan) -> None:
        self.records = list(self.saved.get(len(self.results), []))
        self.steps_before = sum(result.history[-1].steps for result in self.results)
        if self.results:
            return
        whole = replace(
            plan,
            members=self.members,
            epochs=plan.epochs * self.members,
            total_steps=plan.total_steps * self.members,
            first_epoch=sum(map(len, self.saved.values())),
            run_dir=self.folder,
        )
        for callback in self.callbacks:
            callback.on_start(whole)

    def on_step(self, step: int) -> None:
        for callback in self.callbacks:
            callback.on_step(self.steps_before + step)

    def on_epoch(self, record: EpochRecord) -> None:
        self.records.append(record)
        history = _count_on([*(result.history for result in self.results), self.records])
        if self.folder is not None:
            write_history(self.folder / "history.jsonl", history)
        for callback in self.callbacks:
            callback.on_epoch(history[-1])

    def on_end(self, status: str) -> None:
        if status == "failed":
            for callback in self.callbacks:
                callback.on_end(status)


def _count_on(histories: Iterable[Sequence[EpochRecord]]) -> list[EpochRecord]:
    """One history after another, as if they were one."""
    counted: list[EpochRecord] = []
    for history in histories:
        epochs, steps = len(counted), counted[-1].steps if counted else 0
        counted += [replace(r, epoch=r.epoch + epochs, steps=r.steps + steps) for r in history]
    return counted


def _finish(
    recipe: Recipe,
    val_set: ImageDataset | None,
    folder: Path | None,
    results: Sequence[TrainResult],
    callbacks: Sequence[TrainingObserver],
) -> TrainResult:
    """The classifier of the members that are whole; best_epoch is that of the last of them."""
    whole = [result for result in results if result.status != "interrupted"]
    status = "finished" if len(whole) == recipe.ensemble.members else "interrupted"
    kept = whole or results
    engine = combine_engines([result.classifier.engine for result in kept], recipe.ensemble.views)
    classifier = Classifier(engine, replace(kept[0].classifier.card, recipe=recipe, temperature=1.0))
    if status == "finished":
        classifier = calibrate(classifier, val_set)
    history = _count_on(result.history for result in results)
    if folder is not None:
        classifier.save(folder)
        write_history(folder / "history.jsonl", history)
    for callback in callbacks:
        callback.on_end(status)
    best_epoch = sum(len(result.history) for result in kept[:-1]) + kept[-1].best_epoch
    seconds = sum(result.seconds for result in results)
    problems = [result.problem for result in kept if result.problem]
    return TrainResult(classifier, history, seconds, status, best_epoch, folder, "".join(problems[:1]))
