"""A filled form: what was read in each field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tenfold.arguments import checked
from tenfold.ink.lines import Box
from tenfold.ink.open import Picture

__all__ = ["FieldReading", "FilledForm"]

DOUBTS = ("doubtful", "unfit", "sum")  # reasons to let a person look at a field


@dataclass(frozen=True, eq=False)
class FieldReading:
    """One field. text: the likeliest; "" where nothing is. confidence: that its digits are right. reason: why
    a person should look at it: "doubtful", "unfit" (nothing of the expected form), "sum" (a check does not
    hold); "empty", "unread" (a person who reviewed it could not read it), or "". box: around it, in the
    pixels of the upright original; corners: x and y of its four, from the upper left one of the form. crop:
    uint8 (H, W), the field cut out flat. reviewed: a person read it."""

    name: str
    text: str
    confidence: float
    reason: str
    box: Box
    corners: tuple[tuple[int, int], ...]
    crop: np.ndarray = field(repr=False)
    reviewed: bool = False

    @property
    def doubtful(self) -> bool:
        """Whether a person should look at it."""
        return self.reason in DOUBTS

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "text": self.text,
            "confidence": self.confidence,
            "reason": self.reason or None,
            "box": list(self.box),
            "corners": [list(corner) for corner in self.corners],
        } | ({"reviewed": True} if self.reviewed else {})


@dataclass(frozen=True, eq=False)
class FilledForm:
    """form: its name. fields: in the template's order. score: how much of the example's print was found again
    in the photo, 0 to 1. picture: the open photo, for explaining."""

    form: str
    fields: tuple[FieldReading, ...]
    score: float
    picture: Picture | None = field(default=None, repr=False)

    @property
    def values(self) -> dict[str, str]:
        """The likeliest text of each field, by its name; those in `doubtful` may be wrong."""
        return {each.name: each.text for each in self.fields}

    @property
    def doubtful(self) -> tuple[str, ...]:
        """Names of the fields that a person should look at."""
        return tuple(each.name for each in self.fields if each.doubtful)

    @checked
    def with_texts(self, texts: Sequence[str | None]) -> FilledForm:
        """With what a person said of the doubtful fields, in their order: None leaves one as it is, "" says
        that nothing can be read there. What was reviewed is sure."""
        said = iter(texts)

        def read(each: FieldReading) -> FieldReading:
            text = next(said) if each.doubtful else None
            if text is None:
                return each
            return replace(each, text=text, confidence=1.0, reason="" if text else "unread", reviewed=True)

        return replace(self, fields=tuple(map(read, self.fields)))

    def without_picture(self) -> FilledForm:
        """Small enough to be sent from process to process."""
        return replace(self, picture=None)

    def to_dict(self) -> dict[str, Any]:
        return {
            "form": self.form,
            "fields": [each.to_dict() for each in self.fields],
            "values": self.values,
            "doubtful": list(self.doubtful),
            "score": self.score,
        }
