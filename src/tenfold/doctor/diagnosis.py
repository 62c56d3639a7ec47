"""What the doctor hands over: what was looked at, what was found, and what fixes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from tenfold.doctor.recipe_under_test import RecipeUnderTest
from tenfold.doctor.words import WORDS
from tenfold.recipes.load import change_recipe, toml_value
from tenfold.recipes.schema import Recipe

__all__ = ["Diagnosis", "Finding", "LayerReading"]

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
    before: tuple[LayerReading, ...] = ()
    after: tuple[LayerReading, ...] = ()
    updates: Mapping[str, float] = field(default_factory=dict)
    losses: tuple[float, ...] = ()
    range_test: RangeTest | None = None
    references: tuple[str, ...] = ()

    @property
    def healthy(self) -> bool:
        """Whether no fault was found; warnings and notes do not count."""
        return not any(finding.severity == "fault" for finding in self.findings)

    @property
    def summary(self) -> str:
        """ "2 faults, 1 warning", or that nothing was found."""
        counts = [
            (sum(finding.severity == severity for finding in self.findings), severity)
            for severity in SEVERITIES
        ]
        parts = [f"{count} {severity}{'s' * (count > 1)}" for count, severity in counts if count]
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
            "range_test": self.range_test.to_dict() if self.range_test else None,
        }


def finite(value: float) -> float | None:
    """For JSON, which has no infinity."""
    return float(value) if np.isfinite(value) else None


# What is known so far, while a recipe is examined: one check after another writes into it.


def make_finding(
    code: str, severity: Severity, seen: str, changes: Mapping[str, Any] | None = None, **details: str
) -> Finding:
    """A finding in the words kept for `code`; details fill their braces."""
    words = WORDS[code]
    title, remedy = words.title.format(**details), words.remedy.format(**details)
    return Finding(code, severity, title, seen, words.why, remedy, changes or {})


@dataclass
class Examination:
    """under_test: who is examined. changes: what faults and warnings so far would
    change (a note only remarks); `recipe` is the recipe with
    them, so that no later check blames a number that only looks wrong because of an earlier fault.
    references: models from elsewhere whose answers were used, one line each."""

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
        *,
        expected: str,
        changes: Mapping[str, Any] | None = None,
        **details: str,
    ) -> None:
        """Writes a finding down, in the words kept for `code`; details fill their braces."""
        words = WORDS[code]
        changes = dict(changes or {})
        if severity != "note":
            self.changes |= changes
        self.checks.append(Check(words.check, seen, expected, False))
        self.findings.append(make_finding(code, severity, seen, changes, **details))

    def ordered(self) -> tuple[Finding, ...]:
        """The gravest first; among equals in the order of looking, which goes from causes to symptoms."""
        return tuple(sorted(self.findings, key=lambda finding: SEVERITIES.index(finding.severity)))
