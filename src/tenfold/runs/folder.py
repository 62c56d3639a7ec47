"""A run is a folder; everything that reads a run reads only its files.

recipe.toml          complete, re-runnable
environment.json     versions, seed, engine, data (source, sha256, note), host's cores, command
history.jsonl        one line per epoch
model.safetensors    the weights, with model.json beside them
data_summary.json    and .npz: what the training images look like
evaluation.json      and .npz: scores and pictures on the test set
label_errors.json    and .npz: labels that are likely wrong (`tenfold label-errors`)
robustness.json      and .npz: accuracy on corrupted test pictures (`tenfold robustness`)
checkpoint/          what `--resume` needs
member-1/, ...       of an ensemble: checkpoint, history and model of each network by itself
report.html
"""

from __future__ import annotations

import json
import platform
import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.arguments import checked
from tenfold.arrays import ImageDataset
from tenfold.classifier import Classifier, ModelCard
from tenfold.data.batches import DataSummary, split_indices
from tenfold.data.catalogue import CATALOGUE
from tenfold.data.load import DataRequest
from tenfold.engines.create import Engines
from tenfold.errors import DataError, MissingDependencyError, ModelError, UsageError
from tenfold.evaluation.evaluate import Evaluation, evaluate
from tenfold.evaluation.label_errors import LabelErrors
from tenfold.evaluation.robustness import Robustness, measure_robustness
from tenfold.files import Claim, write_text
from tenfold.helpers import count_cores
from tenfold.recipes.load import get_recipe
from tenfold.recipes.schema import Recipe
from tenfold.records import pick, read_json, reading
from tenfold.training.progress import EpochRecord, TrainingPlan
from tenfold.version import __version__

__all__ = ["Run", "list_runs"]

_RECORD = {  # kinds of what the record of a run may hold, see `pick`
    "engine": "str", "device": "str", "precision": "str?", "status": "str", "command": "str", "seed": "int",
    "data": "dict?", "ranks": "dict?", "best_epoch": "int?", "stopped_early": "bool?", "seconds": "float?",
    "loading_seconds": "float?", "total_seconds": "float?", "peak_memory_mib": "float?",
}  # fmt: skip
_DATA = {
    "name": "str?", "source": "str?", "data_dir": "str?", "note": "str?", "sha256": "str", "train": "int",
    "val": "int", "options": "dict?",
}  # fmt: skip
_OPTIONS = {"colour": "bool", "size": "ints", "fit": "str", "skip_broken": "bool", "class_pattern": "str"}


@dataclass(frozen=True, init=False)
class Run:
    """What a training kept in its folder; each part is read when it is first asked for.

    `tenfold train` makes one, and `tenfold.train` with a run_dir. evaluation, label_errors, robustness and
    summary are None until they are measured. Raises ModelError where the folder is not that of a run.
    """

    folder: Path

    @checked
    def __init__(self, folder: str | Path) -> None:
        object.__setattr__(self, "folder", Path(folder))
        if not Run.is_at(self.folder):
            raise ModelError(
                f"{folder} is not a run's folder",
                expected="a folder with recipe.toml and environment.json",
                remedy="`tenfold runs` lists those there are",
            )

    @classmethod
    @checked
    def is_at(cls, folder: Path) -> bool:
        return (folder / "recipe.toml").is_file() and (folder / "environment.json").is_file()

    @classmethod
    @checked
    def open(cls, run: str | Path | Run) -> Run:
        """The run in a folder; a Run is given back. Raises ModelError where there is none."""
        return run if isinstance(run, Run) else cls(run)

    @property
    def name(self) -> str:
        """Of the folder."""
        return self.folder.resolve().name

    @cached_property
    def recipe(self) -> Recipe:
        """What was trained, whole."""
        return get_recipe(self.folder / "recipe.toml")

    @cached_property
    def environment(self) -> dict[str, Any]:
        """The record: versions, engine, seed, data, status, times."""
        path = self.folder / "environment.json"
        with reading(str(path), expected="a run's record", remedy="train again into another folder"):
            values = read_json(path)
            pick(values, {key: kind for key, kind in _RECORD.items() if key in values})
            data = values.get("data") or {}
            pick(data, {key: kind for key, kind in _DATA.items() if key in data})
            options = data.get("options") or {}
            pick(options, {key: kind for key, kind in _OPTIONS.items() if key in options})
        return values

    @property
    def record(self) -> dict[str, Any]:
        """`environment`, which here must say what the run continues with. Raises ModelError."""
        values, data = self.environment, self.environment.get("data") or {}
        missing = [key for key in ("engine", "device", "seed") if key not in values]
        missing += [f"data.{key}" for key in ("source", "sha256") if key not in data]
        if missing:
            raise ModelError(
                f"{self.folder / 'environment.json'} lacks {', '.join(missing)}",
                expected="a run's record",
                remedy="train again into another folder",
            )
        return values

    @property
    def in_memory(self) -> bool:
        """Whether its images were given in Python, so that no command can load them again."""
        return (self.environment.get("data") or {}).get("source", "") is None

    @cached_property
    def history(self) -> list[EpochRecord]:
        """An entry per epoch."""
        return EpochRecord.read_history(self.folder / "history.jsonl")

    @cached_property
    def model(self) -> tuple[ModelCard, dict[str, np.ndarray]]:
        """The card and the weights."""
        return ModelCard.with_weights(self.folder)

    @checked
    def classifier(self, engine: str = "auto") -> Classifier:
        """The model, to answer with. Raises ModelError."""
        return Classifier.load(self.folder, engine=engine)

    @checked
    def load_data(self, request: DataRequest) -> ImageDataset:
        """The data set it was trained on, or another part of it, from where its record says, unless `request`
        names another data_dir."""
        return self.request(request).load()

    @checked
    def request(self, request: DataRequest) -> DataRequest:
        """The same request, of the run's own data. Raises DataError where nothing says where they are."""
        record = self.record["data"]
        if record["source"] is None:
            raise DataError(
                f"the training images ({record['name']}) were given in Python, and nothing says where they "
                "lie",
                expected="a data set by name or path",
                remedy="name it with --data, or go on in Python: tenfold.train(..., resume=True)",
            )
        where = request.data_dir or record.get("data_dir") or None
        own = replace(request, source=record["source"], data_dir=where)
        return own.with_options(record.get("options") or {})

    @checked
    def load_training_data(self, request: DataRequest, remedy: str = "") -> ImageDataset:
        """`load_data`, which must be what it was trained on. Raises ModelError where it is not."""
        dataset = self.load_data(request)
        if dataset.sha256() != self.record["data"]["sha256"]:
            raise ModelError(
                f"the data set {self.record['data']['source']} is not what {self.folder} was trained on",
                expected="the same images in the same order",
                remedy=remedy,
            )
        return dataset

    @checked
    def load_learned(self, request: DataRequest) -> tuple[ImageDataset, np.ndarray]:
        """The data set, and which of its images were learned from: int64, ascending, all but those held out.
        Raises ModelError where the data are no longer those of the run, DataError where they are not to be
        had."""
        dataset, data = self.load_training_data(request), self.recipe.data
        if not data.validation:
            return dataset, np.arange(len(dataset))
        if len(dataset) == self.record["data"].get("train"):  # a validation part of its own
            return dataset, np.arange(len(dataset))
        seed, stratified = self.record["seed"], data.stratified
        return dataset, split_indices(dataset.labels, data.validation, seed=seed, stratified=stratified)[0]

    @cached_property
    def summary(self) -> DataSummary | None:
        """What the training images look like."""
        return self._part(DataSummary, "data_summary")

    @cached_property
    def evaluation(self) -> Evaluation | None:
        """Scores on the test images, where there are any."""
        return self._part(Evaluation, "evaluation")

    @cached_property
    def label_errors(self) -> LabelErrors | None:
        """Labels that are likely wrong, where they were looked for."""
        return self._part(LabelErrors, "label_errors")

    @cached_property
    def robustness(self) -> Robustness | None:
        """Accuracy on corrupted test images, where it was measured."""
        return self._part(Robustness, "robustness")

    @checked
    def complete(
        self, request: DataRequest | None = None, *, announce: Callable[[str], None] = lambda _line: None
    ) -> Run:
        """Measures robustness where it is missing, and the test set again where an earlier version kept no
        probabilities; on the run's own test images, where they are at hand. Nothing is downloaded.

        announce: gets a line for each thing measured, and for why nothing is.
        Raises ModelError where a part of the run is there but cannot be read.
        """
        robust = (self.folder / "robustness.json").is_file()
        evaluation = self.evaluation
        measured = evaluation is not None and evaluation.has_probs
        if not (self.folder / "model.safetensors").is_file() or (robust and measured):
            return self
        try:
            with Claim.folder(self.folder):
                test_set = self.load_data(replace(request or DataRequest(), split="test", offline=True))
                if evaluation is not None and evaluation.dataset_sha256 != test_set.sha256():
                    raise DataError(
                        f"{test_set.name} is not what {self.folder} was tested on",
                        expected="the same images and labels",
                    )
                classifier = self.classifier()
                if not measured:
                    announce(f"measuring {len(test_set):,} test images")
                    evaluate(classifier, test_set).save(self.folder)
                if not robust:
                    much = f"up to 1,000 test images{_expected(evaluation)} (kept in robustness.json)"
                    announce(f"measuring robustness on {much}")
                    measure_robustness(classifier, test_set).save(self.folder)
                return Run(self.folder)
        except (DataError, MissingDependencyError, UsageError) as error:
            announce(f"nothing more is measured: {error}")
            return self

    def _part(self, kind: Any, name: str) -> Any:
        return kind.load(self.folder) if (self.folder / f"{name}.json").is_file() else None


@checked
def list_runs(root: str | Path = "runs") -> list[Run]:
    """The runs in a folder of runs, oldest first."""
    folder = Path(root)
    found = [path for path in folder.iterdir() if Run.is_at(path)] if folder.is_dir() else []
    return [Run(path) for path in sorted(found, key=lambda path: (path / "environment.json").stat().st_mtime)]


def describe_environment(engine: str, device: str = "cpu") -> dict[str, Any]:
    """Versions, cores and threads; and what the engine says of itself. Raises UsageError for a device that
    is not there."""
    return {
        "tenfold": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "system": platform.system(),
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": count_cores(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "engine": engine,
    } | Engines.describe(engine, device)


def _processor() -> str:
    """The processor's name where the system tells it, else its architecture."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def peak_memory_mib() -> float:
    """Of this process so far (macOS counts bytes, Linux KiB)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def write_environment(folder: Path, values: dict[str, Any]) -> None:
    write_text(folder / "environment.json", json.dumps(values, indent=2) + "\n")


def _expected(evaluation: Evaluation | None) -> str:
    """How long fifteen corruptions of five severities may take, where one would wonder."""
    if evaluation is None:
        return ""
    seconds = 75 * min(evaluation.n, 1000) * evaluation.seconds / evaluation.n
    return f", about {seconds:.0f} s" if seconds > 20 else ""


def describe_ranks(environment: dict[str, Any], plan: TrainingPlan) -> dict[str, Any]:
    """How many processes trained from which step on, where they were ever several."""
    known = {"0": 1} | environment.get("ranks", {}) if plan.first_step else {}
    if plan.ranks != [1, *known.values()][-1] or not known:
        known = known | {str(plan.first_step): plan.ranks}
    return {"ranks": known} if max(known.values()) > 1 else {}


def resolve_source(source: str) -> str:
    return source if source == "sample" or source in CATALOGUE else str(Path(source).resolve())


def refuse_another(run: Run, recipe: Recipe, data: DataRequest, seed: int, engine: str) -> None:
    record = run.record
    differs = {"recipe": run.recipe != recipe, "seed": record["seed"] != seed}
    differs["engine"] = record["engine"] != engine
    if data.source is not None:
        differs["data set"] = record["data"]["source"] != resolve_source(str(data.source))
    if any(differs.values()):
        named = " and ".join(name for name, differ in differs.items() if differ)
        found = f"the run in {run.folder} has another {named}"
        raise UsageError(found, expected="the command it was started with", remedy="name another --run-dir")
