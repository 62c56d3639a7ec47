"""What is known so far, while a recipe is examined: one check after another writes into it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tenfold.doctor.diagnosis import SEVERITIES, Check, Finding, Severity
from tenfold.doctor.recipe_under_test import RecipeUnderTest
from tenfold.doctor.words import WORDS
from tenfold.recipes.load import change_recipe
from tenfold.recipes.schema import Recipe

__all__ = ["Examination", "make_finding"]


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
