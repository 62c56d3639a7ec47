"""The characters of the line reader; scores of columns -> text by CTC prefix beam search (Graves et al. 2006;
Hannun et al. 2014)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import exp, inf, log1p
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tenfold.reader.constraint import Constraint

__all__ = ["CHARACTERS", "OTHER", "OUTPUTS", "Decoded"]

DIGITS = "0123456789"
OTHER = "?"  # letters, words and scribbles: one for all that are connected
CHARACTERS = DIGITS + ".,-/:+×÷=" + OTHER
BLANK = len(CHARACTERS)  # the output of a column in which no character ends
OUTPUTS = BLANK + 1

_BEAMS, _BEAMS_HELD = 12, 40  # the latter under a constraint, whose answers may be unlikely ones
_LEAST = -7.0  # log-probability: characters less likely in a column are tried only where nothing else fits
_TIE = 1e-3  # log-probability: of columns that differ by no more the first is a character's place


@dataclass
class Effort:
    """What one picture may still cost. pixels: of strips, each 128 more than it is wide; eight steps of a
    search under a constraint, a text and a character each, count as one. steps: of searches for unlikely
    texts; what they do not find is taken not to fit."""

    pixels: int = 130_000
    steps: int = 500_000

    def search(self, steps: int, *, unlikely: bool) -> bool:
        """Takes so many steps; whether they were left."""
        self.pixels -= steps // 8  # of a search under a constraint take as long as a pixel of a strip
        self.steps -= steps if unlikely else 0
        return self.pixels >= 0 and (self.steps >= 0 or not unlikely)


@dataclass(frozen=True)
class Decoded:
    """text: the likeliest one of the likeliest digits; None where a constraint allows none. places: the
    column of each character.
    shares: the probability of each sequence of digits, over all ways to write it with separators or none."""

    text: str | None
    places: tuple[int, ...]
    shares: dict[str, float]

    @property
    def digits(self) -> str:
        """The text without its separators."""
        return digits_of(self.text or "")

    @property
    def confidence(self) -> float:
        """Of the digits of the text."""
        return 0.0 if self.text is None else self.shares[self.digits]


@dataclass(slots=True)
class _Beam:
    """A text so far. blank, character: log-probability of all paths to it that end in a blank, or in its
    last character. places: the column where each character was likeliest, and how likely (log)."""

    text: str
    blank: float
    character: float
    state: Hashable
    places: tuple[tuple[int, float], ...]

    @property
    def total(self) -> float:
        return _add(self.blank, self.character)


def decode(logs: np.ndarray, constraint: Constraint | None = None, effort: Effort | None = None) -> Decoded:
    """Log-probabilities (T, 21) of a strip's columns -> its text. Under a constraint no other is given.
    effort: what a search under a constraint may take, and is taken from; None is without end."""
    rows = logs.tolist()
    ended = _search(rows, constraint, _LEAST, effort)
    if not ended and constraint:
        ended = _search(rows, constraint, -inf, effort)
    if not ended:
        return Decoded(None, (), {})
    shares: dict[str, float] = {}
    for beam in ended:
        digits = digits_of(beam.text)
        shares[digits] = shares.get(digits, 0.0) + exp(beam.total)
    likeliest = max(shares, key=shares.__getitem__)
    best = max((beam for beam in ended if digits_of(beam.text) == likeliest), key=lambda beam: beam.total)
    every = sum(shares.values()) if constraint else 1.0  # what a constraint forbids is not an alternative
    shares = {digits: min(1.0, share / every) if every else 0.0 for digits, share in shares.items()}
    return Decoded(best.text, tuple(place for place, _ in best.places), shares)


def _search(
    rows: list[list[float]], constraint: Constraint | None, least: float, effort: Effort | None
) -> list[_Beam]:
    """The likeliest texts, of characters that are at least so likely in their columns."""
    beams = [_Beam("", 0.0, -inf, constraint.start if constraint else None, ())]
    for column, row in enumerate(rows):
        if row[BLANK] <= -1e-4 or least == -inf:  # else it is surely a blank
            if constraint and effort:
                steps = len(beams) * sum(value > least for value in row[:BLANK])
                if not effort.search(steps, unlikely=least == -inf):
                    return []
            beams = _advance(beams, row, column, constraint, least)
            continue
        for beam in beams:
            beam.blank, beam.character = beam.total + row[BLANK], -inf
    return [beam for beam in beams if not constraint or constraint.accepts(beam.state)]


def _advance(
    beams: list[_Beam], row: list[float], column: int, constraint: Constraint | None, least: float
) -> list[_Beam]:
    """All texts that this column may make of those so far, the likeliest kept."""
    likely = [(place, value) for place, value in enumerate(row[:BLANK]) if value > least]
    grown: dict[str, _Beam] = {}
    for beam in beams:
        total, last = beam.total, beam.text[-1:]
        kept = grown.setdefault(beam.text, _Beam(beam.text, -inf, -inf, beam.state, beam.places))
        kept.blank = _add(kept.blank, total + row[BLANK])
        for place, value in likely:
            character, came = CHARACTERS[place], total + value
            if character == last:
                kept.character = _add(kept.character, beam.character + value)
                if kept.places and value > kept.places[-1][1] + _TIE:  # seen here, too, and likelier
                    kept.places = (*kept.places[:-1], (column, value))
                came = beam.blank + value
            if came > -inf:
                _grow(grown, beam, character, came, (column, value), constraint)
    ordered = sorted(grown.values(), key=lambda beam: -beam.total)
    return ordered[: _BEAMS_HELD if constraint else _BEAMS]


def _grow(
    grown: dict[str, _Beam],
    beam: _Beam,
    character: str,
    came: float,
    place: tuple[int, float],
    constraint: Constraint | None,
) -> None:
    text = beam.text + character
    found = grown.get(text)
    if found is None:
        state = constraint.step(beam.state, character) if constraint else None
        if constraint and state is None:
            return
        found = grown[text] = _Beam(text, -inf, -inf, state, (*beam.places, place))
    elif len(found.places) < len(text) or place[1] > found.places[-1][1] + _TIE:
        found.places = (*beam.places, place)
    found.character = _add(found.character, came)


def encode_texts(texts: Sequence[str]) -> np.ndarray:
    """int64 (N, L): the places of the characters, then -1. Raises ValueError for others."""
    labels = np.full((len(texts), max([1, *map(len, texts)])), -1, np.int64)
    for row, text in zip(labels, texts, strict=True):
        row[: len(text)] = [CHARACTERS.index(character) for character in text]
    return labels


def digits_of(text: str) -> str:
    """A text without its separators."""
    return "".join(character for character in text if character in DIGITS)


def _add(one: float, other: float) -> float:
    """log(exp(one) + exp(other))"""
    if one < other:
        one, other = other, one
    return one if other == -inf else one + log1p(exp(other - one))
