"""A picture read: its text, its digits, and in words what may have gone wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from tenfold.arrays import Prediction
from tenfold.classifier import Classifier
from tenfold.errors import UsageError
from tenfold.ink.lift import Ink, lift_ink
from tenfold.ink.open import Picture, open_picture
from tenfold.reader.troubles import find_troubles

__all__ = ["Reading", "Transcript", "check_reads_ink", "read_picture", "to_text"]


@dataclass(frozen=True, eq=False)
class Transcript:
    """text: the digits in reading order, "?" for a mark that is no sure digit, rows parted by newlines.

    digits: boxes in the pixels of the upright original. troubles: what makes the answer doubtful, in
    words.
    """

    text: str
    digits: tuple[Prediction, ...]
    troubles: tuple[str, ...]

    @property
    def confidence(self) -> float | None:
        """Of the digit that is least sure; None where there is none."""
        return min((digit.confidence for digit in self.digits), default=None)

    def to_dict(self) -> dict[str, Any]:
        return {
            "text": self.text,
            "digits": [digit.to_dict() for digit in self.digits],
            "troubles": list(self.troubles),
        }


@dataclass(frozen=True, eq=False)
class Reading(Transcript):
    """A transcript with the steps that led to it, for explaining: picture, ink."""

    picture: Picture = field(repr=False)
    ink: Ink = field(repr=False)

    def transcript(self) -> Transcript:
        """Without the steps, which are as large as the picture."""
        return Transcript(self.text, self.digits, self.troubles)


def read_picture(classifier: Classifier, picture: Any) -> Reading:
    """Any picture (path, file, PIL image, array) -> what is written there.

    Raises DataError for what is no picture, UsageError for a classifier that reads no ink.
    """
    check_reads_ink(classifier)
    opened = open_picture(picture)
    ink = lift_ink(opened.pixels)
    digits = tuple(classifier.read_ink(ink, scale=opened.scale))
    return Reading(to_text(digits), digits, find_troubles(opened, ink, digits), opened, ink)


def check_reads_ink(classifier: Classifier) -> None:
    """Raises UsageError for a classifier that reads no ink."""
    if not classifier.card.reads_ink:
        height, width = classifier.card.image_shape
        raise UsageError(
            f"this model knows pictures of {width}x{height} on {classifier.card.background} ground",
            expected="one that reads handwriting: light ink on 28x28 dark pixels",
            remedy="ask it with `tenfold predict`",
        )


def to_text(digits: Sequence[Prediction]) -> str:
    """The digits as text: "?" for each that is refused or unsure, a newline between rows."""
    rows = groupby(digits, key=lambda digit: digit.row)
    return "\n".join("".join(d.label if d.verdict == "digit" else "?" for d in row) for _, row in rows)
