"""Scores of columns -> text: CTC prefix beam search (Graves et al. 2006; Hannun et al. 2014)."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from math import exp, inf, log1p

import numpy as np

from tenfold.reader.alphabet import BLANK, CHARACTERS, DIGITS
from tenfold.reader.constraint import Constraint

__all__ = ["Decoded", "decode"]

_BEAMS = 12
_BEAMS_HELD = 40  # under a constraint, whose answers may be unlikely ones
_LEAST = -7.0  # log-probability: characters less likely in a column are not tried, unless constrained


@dataclass(frozen=True)
class Decoded:
    """text: the likeliest; None where a constraint allows none. places: the column of each character.
    confidence: the probability of its digits, over all ways to write them with separators or none."""

    text: str | None
    places: tuple[int, ...]
    confidence: float


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


def decode(logs: np.ndarray, constraint: Constraint | None = None) -> Decoded:
    """Log-probabilities (T, 21) of a strip's columns -> its text. Under a constraint no other is given."""
    beams = [_Beam("", 0.0, -inf, constraint.start if constraint else None, ())]
    rows = logs.tolist()
    for column, row in enumerate(rows):
        if row[BLANK] > -1e-4 and not constraint:  # nothing ends here
            for beam in beams:
                beam.blank, beam.character = beam.total + row[BLANK], -inf
            continue
        beams = _advance(beams, row, column, constraint)
    ended = [beam for beam in beams if not constraint or constraint.accepts(beam.state)]
    if not ended:
        return Decoded(None, (), 0.0)
    best = max(ended, key=lambda beam: beam.total)
    digits = _digits(best.text)
    same = sum(exp(beam.total) for beam in ended if _digits(beam.text) == digits)
    every = max(1.0, sum(exp(beam.total) for beam in beams)) if not constraint else sum(exp(b.total) for b in ended)
    return Decoded(best.text, tuple(place for place, _ in best.places), min(1.0, same / every if every else 0.0))


def _advance(beams: list[_Beam], row: list[float], column: int, constraint: Constraint | None) -> list[_Beam]:
    """All texts that this column may make of those so far, the likeliest kept."""
    least = -inf if constraint else _LEAST
    likely = [(place, value) for place, value in enumerate(row[:BLANK]) if value > least]
    grown: dict[str, _Beam] = {}
    for beam in beams:
        total, last = beam.total, beam.text[-1:]
        kept = grown.setdefault(beam.text, _Beam(beam.text, -inf, -inf, beam.state, beam.places))
        kept.blank = _add(kept.blank, total + row[BLANK])
        for place, value in likely:
            character = CHARACTERS[place]
            if character == last:
                kept.character = _add(kept.character, beam.character + value)
                kept.places = _moved(kept.places, column, value)
                came = beam.blank + value
            else:
                came = total + value
            if came == -inf:
                continue
            _grow(grown, beam, character, came, (column, value), constraint)
    ordered = sorted(grown.values(), key=lambda beam: -beam.total)
    return ordered[: _BEAMS_HELD if constraint else _BEAMS]


def _grow(
    grown: dict[str, _Beam], beam: _Beam, character: str, came: float, place: tuple[int, float], constraint: Constraint | None
) -> None:
    text = beam.text + character
    found = grown.get(text)
    if found is None:
        state = constraint.step(beam.state, character) if constraint else None
        if constraint and state is None:
            return
        found = grown[text] = _Beam(text, -inf, -inf, state, (*beam.places, place))
    elif len(found.places) < len(text) or place[1] > found.places[-1][1]:
        found.places = (*beam.places, place)
    found.character = _add(found.character, came)


def _moved(places: tuple[tuple[int, float], ...], column: int, value: float) -> tuple[tuple[int, float], ...]:
    """The last character was seen in this column, too: where it is likelier, it stands here."""
    if places and value > places[-1][1]:
        return (*places[:-1], (column, value))
    return places


def _digits(text: str) -> str:
    return "".join(character for character in text if character in DIGITS)


def _add(one: float, other: float) -> float:
    """log(exp(one) + exp(other))"""
    if one < other:
        one, other = other, one
    return one if other == -inf else one + log1p(exp(other - one))


