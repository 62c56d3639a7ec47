"""What learning one person's hand brought, and what it cost: measured, told and kept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from tenfold.errors import UsageError
from tenfold.files import Claim, fill_folder, write_text
from tenfold.numerics import wilson_interval
from tenfold.reader.decode import OTHER, digits_of
from tenfold.reader.line_reader import LineReader
from tenfold.reader.reading import read_line
from tenfold.synthesis.strips import StripMaker

__all__ = ["Adaptation", "gather_memory"]

MOST_FORGOTTEN = 0.03  # of the digits of others: what a hand may cost
MOST_ANSWERED = 0.2  # of words and blanks: may be answered with a number that were not before

Split = Literal["train", "held"]
SpeltStrip = tuple[np.ndarray, str]  # uint8 (32, W), and the text that it spells; "?" stands for words


class Answer(NamedTuple):
    """What was read in a line. text: without regard to doubt, "" without a number. refused: nothing
    was read, or a character is doubtful."""

    text: str
    confidence: float
    refused: bool


@dataclass(frozen=True)
class Score:
    """Of n lines: right, refused or not; refused; read: right and not refused. Of the digits in their
    labels: digits_right, all less the edits that make the text the label."""

    n: int
    right: int
    refused: int
    read: int
    digits: int
    digits_right: int

    @property
    def accuracy(self) -> float | None:
        """Of whole lines; None of no lines."""
        return self.right / self.n if self.n else None

    @property
    def digit_accuracy(self) -> float | None:
        return self.digits_right / self.digits if self.digits else None

    @property
    def interval(self) -> tuple[float, float]:
        """95 %, of the accuracy."""
        return wilson_interval(self.right, self.n)

    def to_dict(self) -> dict[str, Any]:
        shares = {"accuracy": self.accuracy, "digit_accuracy": self.digit_accuracy}
        return asdict(self) | shares | {"interval": list(self.interval)}


@dataclass(frozen=True)
class Forgetting:
    """What the reader knows of other hands. data: which strips it was shown. others: how many of them hold no
    number; others_before, others_after: of these, no digit was read."""

    data: str
    before: Score
    after: Score
    others: int
    others_before: int
    others_after: int

    @property
    def lost(self) -> float:
        """Of the digits of others; below 0 where it gained."""
        return (self.before.digits_right - self.after.digits_right) / max(1, self.before.digits)

    def to_dict(self) -> dict[str, Any]:
        return {
            "data": self.data,
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
            "others": {"n": self.others, "before": self.others_before, "after": self.others_after},
        }


@dataclass(frozen=True, eq=False)
class Adaptation:
    """reader: learned from all examples. before, after: on lines that were held out, each once. A line with a
    digit that no other line has is never held out: its shape cannot be learned from them. folds: into how
    many parts the rest was divided; 0 where there was none. counts: of each digit in the examples. doubtful:
    indices of held-out examples whose label neither reader can believe."""

    reader: LineReader
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
        before, after = ((s.right, s.digits_right, s.read) for s in (self.before, self.after))
        if self.folds and after <= before:
            what = "makes it worse" if after < before else "changes nothing"
            return f"learning this hand {what}: {_told(self.before)} before, {_told(self.after)} after"
        if self.folds and 2 * self.after.digits_right < self.after.digits:
            told = f"little that was held out is read as labelled ({_told(self.after)})"
            return f"{told}: are the labels right?"
        old = self.forgetting
        if old.lost > MOST_FORGOTTEN:
            return f"learning this hand costs {100 * old.lost:.1f} points of the digits of {old.data}"
        if old.others_before - old.others_after > MOST_ANSWERED * old.others:
            silent = f"{old.others_before} of {old.others} before, {old.others_after} after"
            return f"fewer words and blanks are left without an answer ({silent})"
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
        """The reader, and its figures with what `about` adds as `adaptation.json`, in a new folder. Raises
        UsageError where something lies there already, or nothing can be written."""
        place = self.check_free(folder)
        try:
            with Claim.place(place), fill_folder(place) as beside:
                figures = self.to_dict() | dict(about or {})
                write_text(beside / "adaptation.json", json.dumps(figures, indent=2) + "\n")
                self.reader.save(beside)
        except OSError as error:
            self.check_free(place)  # another process was first
            found = f"{place} cannot be written ({error.strerror})"
            raise UsageError(found, expected="a new folder") from error
        return place

    @staticmethod
    def check_free(folder: str | Path) -> Path:
        """The folder, which is not there or empty. Raises UsageError: nothing is ever replaced."""
        place = Path(folder)
        try:
            taken = Claim.is_taken(place)
        except OSError as error:
            raise UsageError(f"{place} cannot be read ({error.strerror})", expected="a new folder") from error
        if taken:
            found = f"{place} is there already"
            raise UsageError(found, expected="a new folder", remedy="choose another --out")
        return place


def read_views(reader: LineReader, views: Sequence[np.ndarray]) -> Answer:
    """What `reader` says of a line, given the strips uint8 (32, W) that it may be read in."""
    line = read_line(reader, views)
    text = "".join(OTHER if each.verdict == "not a digit" else each.label for each in line.characters)
    return Answer(text, line.confidence, not text or OTHER in line.text)


def score(answers: Sequence[Answer], labels: Sequence[str]) -> Score:
    """labels: what the lines spell; "?" at an end of a line is not read."""
    right = [answer.text == label.strip(OTHER) for answer, label in zip(answers, labels, strict=True)]
    wanted, given = list(map(digits_of, labels)), [digits_of(answer.text) for answer in answers]
    edits = sum(min(len(digits), edit_distance(*pair)) for digits, *pair in zip(wanted, given, wanted))
    refused = [answer.refused for answer in answers]
    read = sum(hit and not doubt for hit, doubt in zip(right, refused, strict=True))
    count = sum(map(len, wanted))
    return Score(len(answers), sum(right), sum(refused), read, count, count - edits)


def _told(measured: Score) -> str:
    lines, digits = f"{measured.right} of {measured.n}", f"{measured.digits_right} of {measured.digits}"
    return f"{lines} lines and {digits} digits right, {measured.refused} refused"


@dataclass(frozen=True, eq=False)
class Memory:
    """What a reader must not forget while it learns one person's hand: numbers and words of others, drawn
    from what the package has (see `package_sources`). rehearsed: strips that are learned again. held: strips
    of other glyphs and images, on which forgetting is measured; name: what these show."""

    rehearsed: tuple[SpeltStrip, ...]
    held: tuple[SpeltStrip, ...]
    name: str = "drawn numbers"


def gather_memory(
    *, seed: int = 0, rehearsed: int = 300, held: int = 150, data_dir: str | Path | None = None
) -> Memory:
    """So many strips each, in about five seconds."""
    return Memory(_draw("train", rehearsed, seed, data_dir), _draw("held", held, seed, data_dir))


def _draw(split: Split, count: int, seed: int, data_dir: str | Path | None) -> tuple[SpeltStrip, ...]:
    maker = StripMaker.from_package(split, data_dir=data_dir)
    rng = np.random.default_rng([seed, *b"memory", *split.encode()])
    strips: list[SpeltStrip] = []
    while len(strips) < count:
        strip, text = maker.make(rng)
        if strip.shape[1] <= 192:  # pixels of a strip: wider ones cost much time, and teach nothing else
            strips.append((strip, text))
    return tuple(strips)


def edit_distance(read: str, label: str) -> int:
    """The fewest characters to insert, delete or replace (Levenshtein 1965)."""
    row = list(range(len(label) + 1))
    for i, character in enumerate(read, start=1):
        above, row = row, [i]
        for j, wanted in enumerate(label, start=1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (character != wanted)))
    return row[-1]
