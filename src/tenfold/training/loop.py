"""Training a recipe: the one loop over networks, epochs and steps, for both engines."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from itertools import islice, takewhile
from math import isfinite
from pathlib import Path

import numpy as np

from tenfold.arrays import Batch, ImageDataset
from tenfold.classifier import Classifier
from tenfold.data.batches import change_batches
from tenfold.data.stream import BatchStream
from tenfold.errors import RecipeError, UsageError
from tenfold.files import Claim
from tenfold.helpers import Ranks
from tenfold.networks.engine import EnsembleEngine, StepResult
from tenfold.networks.own import OwnParts
from tenfold.recipes.schema import EnsembleSettings, Recipe
from tenfold.training.prepare import Setup, calibrate, prepare_training, prepare_validation, validate
from tenfold.training.progress import (
    Callback,
    Checkpoint,
    EpochRecord,
    Steps,
    StopRequest,
    TrainingObserver,
    TrainingPlan,
    as_observers,
    find_failure,
    refuse_diverged,
    stop_on_interrupt,
    write_history,
)
from tenfold.training.steps import epoch_batches, quiet, run_steps

__all__ = ["TrainResult", "has_checkpoint", "train"]

STOP = "stop"
CHECKPOINT = Path("checkpoint") / "latest.safetensors"


@dataclass(frozen=True, eq=False)
class TrainResult:
    """status: finished, stopped early, or interrupted. seconds: of training and validating.
    best_epoch: the epoch (from 1) whose weights were kept, which is the last without early stopping; of an
    ensemble that of its last network.
    problem: what shows that nothing was learned (chance level, a loss above the start), in words; else "".
    """

    classifier: Classifier
    history: list[EpochRecord]
    seconds: float
    status: str
    best_epoch: int
    run_dir: Path | None
    problem: str = ""


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
    callbacks: Sequence[Callback] = (),
    weights: dict[str, np.ndarray] | None = None,
    own: OwnParts | None = None,
    stream: BatchStream | None = None,
    checkpoint_every: int = 0,
    ranks: Ranks | None = None,
) -> TrainResult:
    """One network, or those of an ensemble one after another: `tenfold.train`, which says what it takes and
    raises, without the record that makes run_dir a run.

    stream: gives the batches of each epoch. ranks: the processes that all call this alike; only the first of
    them has a run_dir.
    """
    folder = None if run_dir is None else Path(run_dir)
    with Claim.folder(folder) if folder else nullcontext(), stop_on_interrupt() as stop, quiet():
        job = _Job(
            recipe, train_set, val_set, seed, engine, device, folder, as_observers(callbacks), weights, stop,
            checkpoint_every, ranks or Ranks(), own or OwnParts(), stream,
        )  # fmt: skip
        job.read_saved(resume)
        try:
            for network in job.networks():
                while network.progress.status == "running":
                    rates, done = network.rates(), network.begin_epoch()
                    run_steps(
                        network.setup.engine, network.batches(), rates[done.steps :], network.after_step, done
                    )
                    if done.steps < len(rates) and not job.halted:
                        network.keep()
                        break
                    network.end_epoch(done)
            return job.finish()
        except BaseException:
            job.tell_of_failure()
            raise


def has_checkpoint(folder: Path) -> bool:
    """Whether there is anything in a run's folder to go on from."""
    return any((place / CHECKPOINT).is_file() for place in (folder, folder / "member-1"))


@dataclass(eq=False)
class _Job:
    """All that is trained: observers and history see its networks as one training, epochs counted on.

    saved: the checkpoint of each network that has one. results: of the networks that have ended.
    """

    recipe: Recipe
    train_set: ImageDataset
    val_set: ImageDataset | None
    seed: int
    engine: str
    device: str
    folder: Path | None
    callbacks: Sequence[TrainingObserver]
    weights: dict[str, np.ndarray] | None
    stop: StopRequest
    checkpoint_every: int
    ranks: Ranks
    own: OwnParts
    stream: BatchStream | None
    saved: dict[int, Checkpoint] = field(default_factory=dict)
    results: list[TrainResult] = field(default_factory=list)
    announced: bool = False
    halted: bool = False  # an observer said "stop"

    @property
    def members(self) -> int:
        return self.recipe.ensemble.members

    def place(self, number: int) -> Path | None:
        """The folder of the network of that number, from 0."""
        return self.folder / f"member-{number + 1}" if self.folder and self.members > 1 else self.folder

    def stopping(self) -> bool:
        """Whether a process was asked to stop: all hear of it before the same step."""
        return self.ranks.any(bool(self.stop))

    def read_saved(self, resume: bool) -> None:
        self.saved = self.ranks.first(lambda: self._read_saved(resume))

    def _read_saved(self, resume: bool) -> dict[int, Checkpoint]:
        """What a killed process left half-written is removed."""
        if self.folder is None:
            return {}
        if not resume and (has_checkpoint(self.folder) or (self.folder / "model.safetensors").exists()):
            remedy = "name another, or continue that training: resume=True"
            raise UsageError(f"a training is kept in {self.folder}", expected="a new folder", remedy=remedy)
        if not resume:
            return {}
        Claim.remove_parts(self.folder)
        paths = {number: Path(self.place(number) or "", CHECKPOINT) for number in range(self.members)}
        return {number: Checkpoint.read(path) for number, path in paths.items() if path.is_file()}

    def networks(self) -> Iterator[_Network]:
        """Each when the one before it has ended; none after a stop, but the first."""
        single = self.recipe
        starts: Sequence[dict[str, np.ndarray] | None] = [self.weights] * self.members
        if self.members > 1:
            single = self.recipe.model_copy(update={"ensemble": EnsembleSettings()})
            starts = EnsembleEngine.split(self.weights) if self.weights is not None else starts
        for number in range(self.members):
            if self.results and (self.halted or self.stopping()):
                return
            network = _Network.begin(self, single, number, starts[number])
            if not self.announced:
                self._announce(network.setup)
            yield network
            self.results.append(network.finish())

    def _announce(self, setup: Setup) -> None:
        plan = TrainingPlan(
            recipe=self.recipe.name, engine=setup.engine.name,
            parameters=setup.engine.network.parameter_count, train_images=len(self.train_set),
            val_images=0 if self.val_set is None else len(self.val_set), epochs=setup.epochs * self.members,
            steps_per_epoch=setup.steps_per_epoch, total_steps=setup.total_steps * self.members,
            first_epoch=sum(len(saved.history) for saved in self.saved.values()), run_dir=self.folder,
            members=self.members, device=setup.engine.options.device, precision=setup.engine.precision,
            first_step=sum(saved.steps for saved in self.saved.values()), ranks=self.ranks.count,
        )  # fmt: skip
        for callback in self.callbacks:
            callback.on_start(plan)
        self.announced = True

    def history(self, *running: EpochRecord) -> list[EpochRecord]:
        """Of all networks, one after another. running: of the one that is trained."""
        counted: list[EpochRecord] = []
        for part in (*(result.history for result in self.results), running):
            epochs, steps = len(counted), counted[-1].steps if counted else 0
            counted += [replace(r, epoch=r.epoch + epochs, steps=r.steps + steps) for r in part]
        return counted

    def tell_of_failure(self) -> None:
        """The observers have their end too: a display gives back the cursor."""
        for callback in self.callbacks if self.announced else ():
            callback.on_end("failed")

    def finish(self) -> TrainResult:
        """The one network's result, or the classifier of the members that are whole."""
        result = self.results[0] if self.members == 1 else self._combine()
        if self.folder is not None:
            result.classifier.save(self.folder)
            write_history(self.folder / "history.jsonl", result.history)
        for callback in self.callbacks:
            callback.on_end(result.status)
        return result

    def calibrate(self, classifier: Classifier, val_set: ImageDataset | None) -> Classifier:
        """Measured in the first process alone."""
        found = self.ranks.first(lambda: calibrate(classifier, val_set).card.temperature)
        return classifier if found == classifier.card.temperature else classifier.with_temperature(found)

    def _combine(self) -> TrainResult:
        whole = [result for result in self.results if result.status != "interrupted"]
        status = "finished" if len(whole) == self.members else "interrupted"
        status = "stopped early" if self.halted else status
        kept = whole or self.results
        engine = EnsembleEngine.combine(
            [result.classifier.engine for result in kept], self.recipe.ensemble.views
        )
        classifier = Classifier(engine, replace(kept[0].classifier.card, recipe=self.recipe, temperature=1.0))
        if status != "interrupted":
            val_set = prepare_validation(self.recipe, self.val_set, seed=self.seed)
            classifier = self.calibrate(classifier, val_set)
        best_epoch = sum(len(result.history) for result in kept[:-1]) + kept[-1].best_epoch
        seconds = sum(result.seconds for result in self.results)
        problem = next((result.problem for result in kept if result.problem), "")
        return TrainResult(classifier, self.history(), seconds, status, best_epoch, self.folder, problem)


@dataclass(eq=False)
class _Network:
    """One network in training: what was settled before its first step, and how far it is."""

    job: _Job
    recipe: Recipe
    val_set: ImageDataset | None
    seed: int
    folder: Path | None
    setup: Setup
    progress: Checkpoint
    step: int = 0  # of all networks so far
    done: Steps = field(default_factory=Steps)  # of the epoch

    @classmethod
    def begin(cls, job: _Job, recipe: Recipe, number: int, weights: dict[str, np.ndarray] | None) -> _Network:
        """A fresh start, or the checkpoint of its folder, loaded into the engine."""
        saved, seed = job.saved.get(number), job.seed * job.members + number
        setup = prepare_training(
            recipe, job.train_set, job.val_set, seed=seed, engine=job.engine, device=job.device,
            precision=saved.identity["precision"] if saved else recipe.training.precision,
            fresh=saved is None, weights=weights, own=job.own, ranks=job.ranks,
            batches=job.stream.count if job.stream else 0,
        )  # fmt: skip
        identity = {
            "recipe": recipe.model_dump_json(exclude=set(Recipe.NOT_TRAINED)), "engine": setup.engine.name,
            "precision": setup.engine.precision, "seed": str(seed),
            "training images": job.train_set.sha256() if job.folder or job.ranks.count > 1 else "",
        }  # fmt: skip
        if job.own.names:
            identity["own parts"] = str(sorted(job.own.names.items()))
        if theirs := [
            key for key, value in job.ranks.first(lambda: identity).items() if value != identity[key]
        ]:
            found = f"process {job.ranks.number} has another {' and '.join(theirs)} than process 0"
            raise UsageError(found, expected="the same command and the same data everywhere")
        if saved is not None:
            differing = [key for key in identity if saved.identity.get(key) != identity[key]]
            if differing:
                raise RecipeError(
                    f"{job.place(number)} was trained with another {' and '.join(differing)}",
                    expected="the same recipe, engine, seed and training images to resume",
                    remedy="train again into another folder",
                )
            setup.engine.load_state(saved.engine_state)
        elif job.ranks.count > 1:
            setup.engine.load_state(job.ranks.first(setup.engine.state))
        val_set = prepare_validation(recipe, job.val_set, seed=seed)
        progress = saved or Checkpoint(identity=identity, next_epoch=0, history=[], engine_state={})
        return cls(job, recipe, val_set, seed, job.place(number), setup, progress)

    def rates(self) -> list[float]:
        """The learning rate of each step of the epoch, of which the last one may be cut short."""
        optimiser, total = self.recipe.optimiser, self.setup.total_steps
        first = self.progress.next_epoch * self.setup.steps_per_epoch
        steps = range(first, min(first + self.setup.steps_per_epoch, total))
        return [self.recipe.schedule.learning_rate_at(step, total, optimiser.learning_rate) for step in steps]

    def begin_epoch(self) -> Steps:
        """Those that a checkpoint has of it."""
        self.done = Steps.of(self.progress.begun)
        self.step = self.progress.next_epoch * self.setup.steps_per_epoch + self.done.steps
        self.step += sum(result.history[-1].steps for result in self.job.results)
        return self.done

    def batches(self) -> Iterator[Batch]:
        """Of the epoch, those that are left, until a stop is asked for."""
        epoch, stream = self.progress.next_epoch, self.job.stream
        if stream is not None:
            batches = stream.batches()
        else:
            batches = epoch_batches(self.recipe, self.job.train_set, seed=self.seed, epoch=epoch)
        if self.job.own.augmentation is not None:
            batches = change_batches(batches, self.job.own.augmentation, seed=self.seed, epoch=epoch)
        return takewhile(lambda _: not self.job.stopping(), islice(batches, self.done.steps, None))

    def after_step(self, _result: StepResult) -> bool:
        self.step += 1
        if STOP in [callback.on_step(self.step) for callback in self.job.callbacks]:
            self.job.halted = True
        every, last = self.job.checkpoint_every, self.done.steps == self.setup.steps_per_epoch
        if every and self.step % every == 0 and not last:
            self.keep()
        return self.job.halted

    def keep(self) -> None:
        """A checkpoint in the middle of the epoch."""
        if self.folder is not None and self.done.steps and isfinite(float(self.done.loss)):
            self.progress.begun = self.done.to_dict()
            self.progress.write(self.folder / CHECKPOINT, self.setup.engine)

    def end_epoch(self, done: Steps) -> None:
        """Validates, judges, keeps and tells what the epoch came to. Raises DivergedError."""
        val_loss, val_accuracy = self.job.ranks.first(
            lambda: validate(self.setup.engine, self.recipe, self.val_set)
        )
        progress = self.progress
        record = EpochRecord(
            epoch=progress.next_epoch + 1, train_loss=float(done.loss) / done.images,
            train_accuracy=float(done.correct) / done.images, val_loss=val_loss, val_accuracy=val_accuracy,
            learning_rate=done.rate, seconds=time.perf_counter() - done.started,
            steps=progress.next_epoch * self.setup.steps_per_epoch + done.steps,
            first_loss=float(done.first_loss),
        )  # fmt: skip
        refuse_diverged(self.recipe.name, record, self.setup.engine)
        progress.add(record, self.setup.engine, self.recipe.training.patience, self.setup.epochs)
        if self.job.halted:
            progress.status = "stopped early"
        history = self.job.history(*progress.history)
        if self.folder is not None and self.job.folder is not None:
            progress.write(self.folder / CHECKPOINT, self.setup.engine)
            if self.folder != self.job.folder:
                write_history(self.folder / "history.jsonl", progress.history)
            write_history(self.job.folder / "history.jsonl", history)
        if STOP in [callback.on_epoch(history[-1]) for callback in self.job.callbacks]:
            self.job.halted, progress.status = True, "stopped early"
            if self.folder is not None:
                progress.write(self.folder / CHECKPOINT, self.setup.engine)

    def finish(self) -> TrainResult:
        """The classifier of the last weights, or of early stopping's best."""
        progress, problem = self.progress, ""
        engine = EnsembleEngine.combine([self.setup.engine], self.recipe.ensemble.views)
        classifier = Classifier(engine, self.setup.card)
        status = "interrupted" if progress.status == "running" else progress.status
        if status != "interrupted":
            if progress.best_weights:
                classifier = classifier.with_weights(progress.best_weights)
            classifier = self.job.calibrate(classifier, self.val_set)
            problem = self.job.ranks.first(
                lambda: find_failure(classifier.engine, progress, self.job.train_set, self.val_set)
            )
        if self.folder is not None and self.folder != self.job.folder:
            classifier.save(self.folder)
            write_history(self.folder / "history.jsonl", progress.history)
        seconds = sum(record.seconds for record in progress.history)
        return TrainResult(
            classifier, progress.history, seconds, status, progress.best_epoch, self.folder, problem
        )
