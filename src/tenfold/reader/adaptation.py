"""What learning one person's hand brought, and what it cost: measured, told and kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.classifier import Classifier
from tenfold.errors import UsageError
from tenfold.files import write_text
from tenfold.metrics import wilson_interval

__all__ = ["MOST_FORGOTTEN", "Adaptation", "Forgetting", "Score", "check_free", "refused", "score"]

MOST_FORGOTTEN = 0.02  # of the accuracy on other people's digits: what a hand may cost


@dataclass(frozen=True)
class Score:
    """Of n digits: right, whether refused or not; refused, shown as "?"; read: right and not refused."""

    n: int
    right: int
    refused: int
    read: int

    @property
    def accuracy(self) -> float | None:
        """None of no digits."""
        return self.right / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float]:
        """95 %, of the accuracy."""
        return wilson_interval(self.right, self.n)

    def to_dict(self) -> dict[str, Any]:
        return {
            "n": self.n,
            "right": self.right,
            "accuracy": self.accuracy,
            "interval": list(self.interval),
            "refused": self.refused,
            "read": self.read,
        }


@dataclass(frozen=True)
class Forgetting:
    """What the reader knows of other hands. data: which digits it was asked.

    others: how many letters and symbols; others_before, others_after: how many of them were refused.
    """

    data: str
    before: Score
    after: Score
    others: int
    others_before: int
    others_after: int

    @property
    def lost(self) -> float:
        """Of the accuracy on other people's digits; below 0 where it gained."""
        return (self.before.right - self.after.right) / self.before.n

    def to_dict(self) -> dict[str, Any]:
        return {
            "data": self.data,
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
            "others": {"n": self.others, "before": self.others_before, "after": self.others_after},
        }


@dataclass(frozen=True, eq=False)
class Adaptation:
    """classifier: learned from all examples. before, after: on examples that were held out, each once.

    A digit that is there only once is never held out: its shape cannot be learned from the others.
    folds: into how many parts the rest was parted; 0 where there was none. counts: examples of each
    class. doubtful: indices of held-out examples whose label neither reader can believe.
    """

    classifier: Classifier
    before: Score
    after: Score
    forgetting: Forgetting
    folds: int
    counts: tuple[int, ...]
    doubtful: tuple[int, ...]
    seed: int

    @property
    def objection(self) -> str:
        """Why it should not be used, in a few words; "" where it helps, or nothing could be held out."""
        before, after = (self.before.right, self.before.read), (self.after.right, self.after.read)
        if self.folds and after <= before:
            what = "makes it worse" if after < before else "changes nothing"
            return f"learning this hand {what}: {_told(self.before)} before, {_told(self.after)} after"
        if self.folds and 2 * self.after.right < self.after.n:
            return f"few held-out digits are read as labelled ({_told(self.after)}): are the labels right?"
        if self.forgetting.lost > MOST_FORGOTTEN:
            return (
                f"learning this hand costs {100 * self.forgetting.lost:.1f} points of the accuracy on "
                f"{self.forgetting.data}"
            )
        return ""

    def to_dict(self) -> dict[str, Any]:
        return {
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
            "forgetting": self.forgetting.to_dict(),
            "folds": self.folds,
            "counts": list(self.counts),
            "seed": self.seed,
            "objection": self.objection or None,
        }

    def save(self, folder: str | Path, about: Mapping[str, Any] | None = None) -> Path:
        """The model, and its figures with what `about` adds as `adaptation.json`, in a new folder.

        Raises UsageError where something lies there already, or nothing can be written.
        """
        place = check_free(folder)
        try:
            self.classifier.save(place)
            figures = self.to_dict() | dict(about or {})
            write_text(place / "adaptation.json", json.dumps(figures, indent=2) + "\n")
        except OSError as error:
            raise UsageError(
                f"{place} cannot be written ({error.strerror})", expected="a new folder"
            ) from error
        return place


def check_free(folder: str | Path) -> Path:
    """The folder, which is not there or empty. Raises UsageError: nothing is ever replaced."""
    place = Path(folder)
    try:
        taken = place.is_symlink() or (place.exists() and (not place.is_dir() or any(place.iterdir())))
    except OSError as error:
        raise UsageError(f"{place} cannot be read ({error.strerror})", expected="a new folder") from error
    if taken:
        raise UsageError(f"{place} is there already", expected="a new folder", remedy="choose another --out")
    return place


def score(classifier: Classifier, judged: tuple[np.ndarray, np.ndarray], labels: np.ndarray) -> Score:
    """What `classifier` would say of probabilities (N, K) and (N,), as its `judge` gives them."""
    right = judged[0].argmax(axis=1) == labels
    doubted = refused(classifier, judged)
    return Score(len(labels), int(right.sum()), int(doubted.sum()), int((right & ~doubted).sum()))


def refused(classifier: Classifier, judged: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """bool (N,): whether the verdict is "unsure" or "not a digit"."""
    probs, none = judged
    card = classifier.card
    return (none > card.most_none) | (probs.max(axis=1) < card.least_confidence)


def _told(measured: Score) -> str:
    return f"{measured.right} of {measured.n} right, {measured.refused} refused"
