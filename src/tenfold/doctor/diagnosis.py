"""What the doctor examines, how it writes down what it finds, and what it hands over in the end."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from math import ceil, prod
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from tenfold.arrays import ImageDataset
from tenfold.data.batches import split_dataset
from tenfold.files import write_text
from tenfold.networks.shapes import Network
from tenfold.recipes.load import change_recipe
from tenfold.recipes.schema import Recipe, toml_value
from tenfold.training.prepare import Setup, prepare_training

__all__ = ["Diagnosis", "LayerReading"]

_TABLES = tomllib.loads(files("tenfold.doctor").joinpath("words.toml").read_text(encoding="utf-8"))
# code -> check, title, why and remedy: what is said of each finding
WORDS = {
    code: {key: " ".join(text.split()) for key, text in table.items()} for code, table in _TABLES.items()
}

Severity = Literal["fault", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("fault", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """code: a short name that does not change. seen: the measurement in words, with its number.
    why: why it hurts. remedy: what to do. changes: values of the recipe by dotted key that do it;
    empty where the data have to be fixed.
    """

    code: str
    severity: Severity
    title: str
    seen: str
    why: str
    remedy: str
    changes: Mapping[str, Any] = field(default_factory=dict)

    def settings(self) -> list[tuple[str, str]]:
        """(dotted key, value as TOML) of the changes."""
        return [(key, toml_value(value)) for key, value in self.changes.items()]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at, found fault with or not. expected: what is sound."""

    name: str
    seen: str
    expected: str
    passed: bool


@dataclass(frozen=True, eq=False)
class LayerReading:
    """A layer at one moment. outputs_std, gradient_std: root mean squares of its outputs and of the gradient
    with respect to them (0 without one). dead: share of ReLUs that are 0 for every image.
    saturated: share of the outputs of sigmoid or tanh whose derivative is below a twentieth of its maximum.
    histogram, edges: of the outputs, shares (B,) and limits (B + 1,).
    """

    name: str
    kind: str
    outputs_std: float
    gradient_std: float
    dead: float
    saturated: float
    histogram: np.ndarray
    edges: np.ndarray

    def to_dict(self) -> dict[str, Any]:
        plain = {key: getattr(self, key) for key in ("name", "kind", "dead", "saturated")}
        return plain | {
            "outputs_std": finite(self.outputs_std),
            "gradient_std": finite(self.gradient_std),
            "histogram": [round(float(share), 6) for share in self.histogram],
            "edges": [finite(edge) for edge in self.edges],
        }


@dataclass(frozen=True, eq=False)
class RangeTest:
    """rates (R,) that grow from step to step, and the smoothed loss (R,) met with each.
    best: the rate at which the loss falls fastest. edge: the first at which it rises for good, or None.
    used: the recipe's own, at its highest.
    """

    rates: np.ndarray
    losses: np.ndarray
    best: float
    edge: float | None
    used: float

    def to_dict(self) -> dict[str, Any]:
        points = zip(self.rates.tolist(), self.losses.tolist(), strict=True)
        return {
            "best": self.best,
            "edge": self.edge,
            "used": self.used,
            "points": [[rate, finite(loss)] for rate, loss in points],
        }


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """findings: the gravest first, and of equal ones the likelier cause first. checks: all that was looked
    at. changes: those of all findings together, so that `fixed` is the recipe they lead to.
    before, after: layers at the start and after a short training (or the run's own weights).
    updates: |change of a step| / |weights| a parameter. losses: of the short training, a step each.
    references: models from elsewhere whose answers were used, one line each.
    """

    recipe: Recipe
    engine: str
    data: str
    images: int
    findings: tuple[Finding, ...]
    checks: tuple[Check, ...]
    changes: Mapping[str, Any]
    fixed: Recipe
    before: tuple[LayerReading, ...]
    after: tuple[LayerReading, ...]
    updates: Mapping[str, float]
    losses: tuple[float, ...]
    range_test: RangeTest
    references: tuple[str, ...]

    @property
    def healthy(self) -> bool:
        """Whether no fault was found; warnings and notes do not count."""
        return not any(finding.severity == "fault" for finding in self.findings)

    @property
    def summary(self) -> str:
        """ "2 faults, 1 warning", or that nothing was found."""
        counts = Counter(finding.severity for finding in self.findings)
        parts = [f"{counts[s]} {s}{'s' * (counts[s] > 1)}" for s in SEVERITIES if counts[s]]
        return ", ".join(parts) or f"nothing found in {len(self.checks)} checks"

    @property
    def codes(self) -> list[str]:
        """Of faults and warnings, in order."""
        return [finding.code for finding in self.findings if finding.severity != "note"]

    def to_dict(self) -> dict[str, Any]:
        """What `tenfold doctor --json` prints."""
        return {
            "recipe": self.recipe.name,
            "engine": self.engine,
            "data": self.data,
            "images": self.images,
            "healthy": self.healthy,
            "findings": [asdict(finding) for finding in self.findings],
            "checks": [asdict(check) for check in self.checks],
            "changes": dict(self.changes),
            "references": list(self.references),
            "before": [reading.to_dict() for reading in self.before],
            "after": [reading.to_dict() for reading in self.after],
            "updates": {name: finite(value) for name, value in self.updates.items()},
            "losses": [finite(loss) for loss in self.losses],
            "range_test": self.range_test.to_dict(),
        }

    def changed_values(self) -> list[tuple[str, Any, Any]]:
        """(dotted key, value before, value after) of what really changes."""
        rows = [(key, self.recipe.value_at(key), self.fixed.value_at(key)) for key in self.changes]
        return [row for row in rows if row[1] != row[2]]

    def write_fixed(self, path: str | Path) -> Path:
        """A whole recipe under the name RECIPE-fixed, with what was changed in comments at its head."""
        target = Path(path)
        lines = [f"# {self.recipe.name}, fixed by tenfold doctor:"]
        lines += [f"#   {key}: {old} -> {new}".replace("\n", " ") for key, old, new in self.changed_values()]
        renamed = change_recipe(self.fixed, {"name": f"{self.recipe.name}-fixed"})
        target.parent.mkdir(parents=True, exist_ok=True)
        write_text(target, "\n".join(lines) + "\n" + renamed.to_toml())
        return target


def finite(value: float) -> float | None:
    """For JSON, which has no infinity."""
    return float(value) if np.isfinite(value) else None


# A recipe and its data, made small enough to be examined in seconds: always the same part of them.

MOST_IMAGES, HELD_OUT = 2000, 500  # to train on, and to answer for
_PRODUCTS = 12e9  # multiplications of a trial: about a second of one core
_MOST_STEPS, _LEAST_STEPS = 80, 40
_MOST_BATCH, _LEAST_BATCH = 256, 16


class Sizing(NamedTuple):
    """Of a trial: images per step, and steps. Decided by counting, never by a clock, so that the same
    recipe is examined in the same way on every machine."""

    batch: int
    steps: int


@dataclass(frozen=True, eq=False)
class RecipeUnderTest:
    """recipe: as it was given. whole: all training images; train, held: the parts for trials.
    test: the test images, compared with the training images, without a score of the recipe.
    """

    recipe: Recipe
    whole: ImageDataset
    train: ImageDataset
    held: ImageDataset
    test: ImageDataset | None
    engine: str
    seed: int
    sizing: Sizing

    @property
    def classes(self) -> int:
        return len(self.whole.class_names)

    def batch_size(self, recipe: Recipe) -> int:
        """Images per step of the real training."""
        learned = self._learned(recipe)
        return min(recipe.training.batch_size, learned) or learned

    def _learned(self, recipe: Recipe) -> int:
        """Images that are not held out by the real training."""
        return len(self.whole) - round(recipe.data.validation * len(self.whole))

    def planned_steps(self, recipe: Recipe) -> int:
        """Steps of the real training."""
        training = recipe.training
        if training.steps:
            return training.steps
        steps = training.plan_steps(self._learned(recipe))[1]
        return max(training.epochs * steps, training.min_steps)

    def draw(self, data: ImageDataset, count: int) -> ImageDataset:
        """So many of the images, always the same."""
        return data.subset(np.random.default_rng(self.seed).permutation(len(data))[:count])

    def setup(self, recipe: Recipe, train: ImageDataset | None = None) -> Setup:
        """An engine with its first weights. Raises RecipeError and DataError as training would."""
        off = dict.fromkeys(("training.patience", "training.average_decay", "training.steps"), 0)
        plain = change_recipe(recipe, off | {"ensemble": {"members": 1, "views": 1}})
        return prepare_training(
            plain, train or self.train, None, seed=self.seed, engine=self.engine, device="cpu",
            precision="float32",
        )  # fmt: skip


def prepare_recipe(
    recipe: Recipe,
    dataset: ImageDataset,
    test: ImageDataset | None,
    *,
    engine: str,
    seed: int,
    effort: int = 1,
) -> RecipeUnderTest:
    """At most 2,000 images to train on and 500 to answer for, drawn by class where there are more; with a
    larger `effort` as many times the images, and trials of as many times the steps."""
    wanted = effort * (MOST_IMAGES + HELD_OUT)
    part = dataset
    if len(dataset) > wanted:
        part = split_dataset(dataset, wanted / len(dataset), seed=seed, stratified=True)[1]
    train, held = split_dataset(part, effort * HELD_OUT / wanted, seed=seed, stratified=True)
    network = recipe.plan(dataset.image_shape, len(dataset.class_names))
    size = recipe.training.batch_size or len(train)
    norms = any(parameter.role.startswith("running") for parameter in network.parameters())
    least = min(_LEAST_BATCH, len(train)) if norms else 1  # batch-norm cannot be tried on one image
    batch, steps = size_trials(network, min(max(size, least), len(train), _MOST_BATCH))
    sizing = Sizing(batch, effort * steps)
    return RecipeUnderTest(recipe, dataset, train, held, test, engine, seed, sizing)


def size_trials(network: Network, batch: int) -> Sizing:
    """A trial of about as much work for every network: smaller batches first, then fewer steps."""
    # multiplications of one image: forward, and twice backward
    image = 3 * sum(
        prod(parameter.shape) * prod(layer.output_shape[1:])
        for layer in network.walk()
        for parameter in layer.parameters
        if parameter.role == "weight"
    )
    while batch > _LEAST_BATCH and _PRODUCTS / (image * batch) < _LEAST_STEPS:
        batch = max(_LEAST_BATCH, batch // 2)
    steps = ceil(_PRODUCTS / max(image * batch, 1))
    many = ceil(_LEAST_BATCH / batch)  # times as many steps of very small batches
    return Sizing(batch, int(np.clip(steps, _LEAST_STEPS, many * _MOST_STEPS)))


# What is known so far, while a recipe is examined: one check after another writes into it.


def make_finding(
    code: str, severity: Severity, seen: str, changes: Mapping[str, Any] | None = None, **details: str
) -> Finding:
    """A finding in the words kept for `code`; details fill their braces."""
    words = WORDS[code]
    title, remedy = words["title"].format(**details), words["remedy"].format(**details)
    return Finding(code, severity, title, seen, words["why"], remedy, changes or {})


@dataclass
class Examination:
    """under_test: what is examined. changes: what faults and warnings so far would change (a note only
    remarks); `recipe` is the recipe with them, so that no later check blames a number that only looks wrong
    because of an earlier fault. references: models from elsewhere whose answers were used, one line each."""

    under_test: RecipeUnderTest
    findings: list[Finding] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    changes: dict[str, Any] = field(default_factory=dict)
    references: list[str] = field(default_factory=list)

    @property
    def recipe(self) -> Recipe:
        return change_recipe(self.under_test.recipe, self.changes)

    @property
    def faulty(self) -> bool:
        return any(finding.severity == "fault" for finding in self.findings)

    def passed(self, name: str, seen: str, expected: str) -> None:
        self.checks.append(Check(name, seen, expected, True))

    def found(
        self,
        code: str,
        severity: Severity,
        seen: str,
        expected: str,
        changes: Mapping[str, Any] | None = None,
        **details: str,
    ) -> None:
        """Writes a finding down; details fill the braces of its words."""
        changes = dict(changes or {})
        if severity != "note":
            self.changes |= changes
        self.checks.append(Check(WORDS[code]["check"], seen, expected, False))
        self.findings.append(make_finding(code, severity, seen, changes, **details))

    def judge(
        self,
        code: str,
        seen: str,
        expected: str,
        changes: Mapping[str, Any] | None = None,
        *,
        fault: bool | np.bool_ = False,
        warning: bool | np.bool_ = False,
        **details: str,
    ) -> bool:
        """Writes down what was seen: a finding where it is a fault or a warning, else a check that is passed.
        Returns whether it is a finding."""
        if fault or warning:
            self.found(code, "fault" if fault else "warning", seen, expected, changes, **details)
        else:
            self.passed(WORDS[code]["check"], seen, expected)
        return bool(fault or warning)

    def ordered(self) -> tuple[Finding, ...]:
        """The gravest first; among equals in the order of looking, which goes from causes to symptoms."""
        return tuple(sorted(self.findings, key=lambda finding: SEVERITIES.index(finding.severity)))
