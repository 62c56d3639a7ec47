"""The parts of a run that may not be there yet: nothing where a file is missing, an error where it is bad."""

from __future__ import annotations

import numpy as np

from tenfold.classifier import ModelCard
from tenfold.evaluation.label_errors import LabelErrors
from tenfold.evaluation.robustness import Robustness
from tenfold.networks.shapes import Network
from tenfold.runs.folder import Run
from tenfold.training.history import EpochRecord

__all__ = [
    "class_names_of",
    "final_record",
    "history_of",
    "label_errors_of",
    "model_of",
    "network_of",
    "parameters_of",
    "robustness_of",
]


def history_of(run: Run) -> list[EpochRecord]:
    """The epochs so far; none before the first. Raises ModelError where the file cannot be read."""
    return run.history if (run.folder / "history.jsonl").is_file() else []


def label_errors_of(run: Run) -> LabelErrors | None:
    """The likely label errors of the training set, where they were looked for. Raises ModelError."""
    there = (run.folder / "label_errors.json").is_file()
    return LabelErrors.load(run.folder) if there else None


def robustness_of(run: Run) -> Robustness | None:
    """Accuracy under corruptions, where it was measured. Raises ModelError."""
    there = (run.folder / "robustness.json").is_file()
    return Robustness.load(run.folder) if there else None


def model_of(run: Run) -> tuple[ModelCard, dict[str, np.ndarray]] | None:
    """The saved model, or None before it is saved. Raises ModelError where it cannot be read."""
    names = ("model.json", "model.safetensors")
    return run.model if all((run.folder / name).is_file() for name in names) else None


def class_names_of(run: Run) -> tuple[str, ...] | None:
    model = model_of(run)
    if model is not None:
        return model[0].class_names
    return None if run.summary is None else tuple(run.summary.class_names)


def network_of(run: Run) -> Network | None:
    """The network at the size of the run's images, or None where neither model nor summary tells it."""
    model, names = model_of(run), class_names_of(run)
    if names is None:
        return None
    if model is not None:
        return run.recipe.plan(model[0].image_shape, len(names))
    height, width = run.summary.image_shape if run.summary else (0, 0)
    return run.recipe.plan((int(height), int(width)), len(names))


def parameters_of(run: Run) -> int | None:
    """Learned numbers of all networks that the recipe asks for."""
    network = network_of(run)
    return None if network is None else network.parameter_count * run.recipe.ensemble.members


def final_record(run: Run) -> EpochRecord | None:
    """The epoch whose weights the model holds: the best where patience keeps it, else the last.

    Of an ensemble it is that of the last network.
    """
    records = history_of(run)
    best = run.environment.get("best_epoch") if run.recipe.training.patience else None
    chosen = [record for record in records if record.epoch == best]
    found = chosen or records[-1:]
    return found[0] if found else None
