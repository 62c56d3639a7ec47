"""A run as the pages see it: the parts that may not be there yet; and runs set side by side."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np

from tenfold.classifier import ModelCard
from tenfold.evaluation.evaluate import Evaluation
from tenfold.networks.shapes import Network
from tenfold.recipes.schema import Recipe
from tenfold.records import reading
from tenfold.runs.folder import Run
from tenfold.show.components import count_of
from tenfold.training.progress import EpochRecord

__all__ = ["RunComparison"]

HISTORY_NAMES = {
    "train_loss": "training loss",
    "train_accuracy": "training accuracy",
    "val_loss": "validation loss",
    "val_accuracy": "validation accuracy",
}

# The parts of a run: nothing where a file is missing, a ModelError where it cannot be read.


def history_of(run: Run) -> list[EpochRecord]:
    """The epochs so far."""
    return run.history if (run.folder / "history.jsonl").is_file() else []


def model_of(run: Run) -> tuple[ModelCard, dict[str, np.ndarray]] | None:
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
    shape = model[0].image_shape if model else run.summary.image_shape if run.summary else (0, 0)
    if "own" in run.recipe.kinds:  # written in Python: only the training knows it
        return None
    return run.recipe.plan(tuple(map(int, shape)), len(names))


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
    return next(iter(chosen or records[-1:]), None)


# Two runs tested on the same images: is the one really better, or was it lucky?

_LIKELY = 0.05  # a p below is called unlikely to be chance


@dataclass(frozen=True, eq=False)
class PairedTest:
    """McNemar's test of two runs on the same n images, exact.

    only_one, only_other: int64, places in the test set of the images that only the one, or only the
    other, reads rightly. p: by itself; adjusted: among all pairs that were tested (Holm).
    """

    one: str
    other: str
    n: int
    only_one: np.ndarray
    only_other: np.ndarray
    p: float
    adjusted: float
    tests: int = 1

    @property
    def real(self) -> bool:
        return self.adjusted < _LIKELY

    def sentence(self) -> str:
        """What the test says, in words."""
        one, other = len(self.only_one), len(self.only_other)
        if not one and not other:
            return f"{self.one} and {self.other} are right on the same images: no difference is seen."
        corrected = f" (corrected for {self.tests} comparisons)" if self.tests > 1 else ""
        said = (
            f"{self.one} is right on {count_of(one, 'image')} that {self.other} misses, "
            f"{self.other} on {other:,} that {self.one} misses: {_p_value(self.adjusted)}{corrected}, "
        )
        if not self.real:
            return said + "so the difference may well be chance."
        better = self.one if one > other else self.other
        return said + f"so the difference is unlikely to be chance: {better} is better."

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {
            "runs": [self.one, self.other],
            "n": self.n,
            "only_first_right": len(self.only_one),
            "only_second_right": len(self.only_other),
            "p": self.p,
            "p_adjusted": self.adjusted,
            "real": self.real,
            "words": self.sentence(),
        }


def _p_value(p: float) -> str:
    """0.0021 -> p = 0.002; never 0."""
    if p < 0.001:
        return "p < 0.001"
    return f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def mcnemar_p(only_one: int, only_other: int) -> float:
    """The chance of a split at least as uneven, were both equally good: McNemar's test, exact.

    only_one, only_other: images that the one gets right and the other wrong, and the reverse. The
    two-sided binomial test of a fair coin (McNemar 1947), summed in whole numbers.
    """
    total, fewer = only_one + only_other, min(only_one, only_other)
    ways, below = 1, 0
    for k in range(fewer + 1):
        below += ways
        ways = ways * (total - k) // (k + 1)
    return min(1.0, 2 * below / 2**total)


def holm_adjust(p_values: Sequence[float]) -> list[float]:
    """Each p as it counts among so many tests (Holm 1979): the chance of any false alarm is kept."""
    values = np.array(p_values, dtype=float)
    order = np.argsort(values, kind="stable")
    scaled = np.minimum(1.0, values[order] * np.arange(len(values), 0, -1))
    values[order] = np.maximum.accumulate(scaled)
    return values.tolist()


class RunComparison:
    """Runs side by side: plain figures, paired tests, and the keys in which their recipes differ."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs = list(runs)

    @cached_property
    def names(self) -> list[str]:
        """The runs' names; their folders where two have the same name, numbered where even those are the
        same."""
        names = [run.name for run in self.runs]
        if len(set(names)) < len(names):
            places = [run.folder.resolve() for run in self.runs]
            common = os.path.commonpath([place.parent for place in places])
            names = [str(place.relative_to(common)) for place in places]
        if len(set(names)) < len(names):
            names = [f"{name} ({place})" for place, name in enumerate(names, start=1)]
        return names

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """A row per run with the same keys in the same order; None where a run does not have the figure.

        Accuracies are shares, losses as trained, seconds of the whole training; test_interval: 95 %.
        Raises ModelError where a file is there but cannot be read.
        """
        rows = []
        for run in self.runs:
            with reading(f"the run {run.folder}", expected="files that belong together"):
                rows.append(_row(run))
        return rows

    @cached_property
    def differences(self) -> list[tuple[str, list[Any]]]:
        """(dotted key, the value of each run) for the keys that are not the same in all; prose left out."""
        flat = [_flatten(run.recipe) for run in self.runs]
        rows = {key: [values.get(key) for values in flat] for values in flat for key in values}
        return [(key, row) for key, row in rows.items() if any(value != row[0] for value in row)]

    @cached_property
    def tests(self) -> list[PairedTest]:
        """A test for each pair of runs that were tested on the same images."""
        pairs = [pair for pair in self._pairs if not isinstance(pair, str)]
        adjusted = holm_adjust([test.p for test in pairs])
        return [replace(test, adjusted=p, tests=len(pairs)) for test, p in zip(pairs, adjusted, strict=True)]

    @cached_property
    def notes(self) -> list[str]:
        """Why other pairs have no test."""
        return list(dict.fromkeys(pair for pair in self._pairs if isinstance(pair, str)))

    @cached_property
    def _pairs(self) -> list[PairedTest | str]:
        named = zip(self.names, [run.evaluation for run in self.runs], strict=True)
        return [_test_pair(*one, *other) for one, other in combinations(named, 2)]


def _test_pair(
    name: str, one: Evaluation | None, other_name: str, other: Evaluation | None
) -> PairedTest | str:
    """McNemar's test, or why there is none."""
    if one is None or other is None:
        return f"{name if one is None else other_name} was not tested: `tenfold evaluate` does it."
    if one.dataset_sha256 != other.dataset_sha256:
        return (
            f"{name} and {other_name} were not tested on the same images ({one.dataset}, {one.n:,}; "
            f"{other.dataset}, {other.n:,}), so there is no paired test, and their accuracies cannot be "
            "compared fairly."
        )
    only_one, only_other = np.flatnonzero(one.right & ~other.right), np.flatnonzero(other.right & ~one.right)
    p = mcnemar_p(len(only_one), len(only_other))
    return PairedTest(name, other_name, one.n, only_one, only_other, p, p)


def _row(run: Run) -> dict[str, Any]:
    environment, record, evaluation = run.environment, final_record(run), run.evaluation
    data = environment.get("data") or {}
    return {
        "name": run.name,
        "recipe": run.recipe.name,
        **{key: environment.get(key) for key in ("engine", "seed", "status")},
        "epochs": len(history_of(run)),
        "parameters": parameters_of(run),
        "seconds": environment.get("seconds"),
        **{key: getattr(record, key, None) for key in ("val_loss", "val_accuracy")},
        **{f"test_{key}": getattr(evaluation, key, None) for key in ("loss", "accuracy")},
        "test_interval": list(evaluation.interval) if evaluation else None,
        "data": data.get("name") or (run.summary.name if run.summary else None),
    }


def _flatten(recipe: Recipe) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in recipe.model_dump(mode="json", exclude=set(Recipe.NOT_TRAINED)).items():
        inner = value if isinstance(value, Mapping) else None
        flat |= {key: value} if inner is None else {f"{key}.{name}": each for name, each in inner.items()}
    return flat
