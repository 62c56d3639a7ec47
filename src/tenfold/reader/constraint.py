"""What an answer must look like: a pattern, a number of digits, a range. Held while decoding.

A constraint is a small machine over characters: `start` is its first state, `step` gives the next state or
None where no allowed text begins like that, `accepts` says whether a text may end here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache, reduce
from operator import or_
from typing import Any, NamedTuple

from tenfold.errors import UsageError
from tenfold.reader.decode import CHARACTERS, DIGITS, OTHER

__all__ = ["Constraint"]

State = Hashable

_MOST_REPEATS = 64
_MOST_PLACES = 256  # of a pattern whose repetitions are written out
_MOST_NESTED = 20  # groups of a pattern inside each other
_MOST_DIGITS = 18  # of the ends of a range
_LONGEST_NUMBER = 40  # characters of an end of a range
_WRITTEN = frozenset(CHARACTERS) - {OTHER}


class Constraint:
    LONGEST_PATTERN = 200  # characters

    start: State

    @staticmethod
    def make(
        *,
        pattern: str | None = None,
        length: int | None = None,
        least: str | float | None = None,
        most: str | float | None = None,
    ) -> Constraint | None:
        """All constraints together; None where none is given. Raises UsageError. pattern: a regular
        expression for the whole text (see `Pattern`). length: the number of digits, however they are
        separated. least, most: of the number that the text spells, its last "," or "." being the decimal
        mark."""
        parts: list[Constraint] = []
        if pattern is not None:
            parts.append(Pattern(pattern))
        if length is not None:
            if not 1 <= length <= _MOST_REPEATS:
                raise UsageError(f"length {length}", expected=f"a number of digits from 1 to {_MOST_REPEATS}")
            parts.append(Length(length))
        if least is not None or most is not None:
            parts.append(Range(_number(least, "min"), _number(most, "max")))
        return Both(parts) if len(parts) > 1 else parts[0] if parts else None

    def step(self, state: Any, character: str) -> State | None:
        raise NotImplementedError

    def accepts(self, state: Any) -> bool:
        raise NotImplementedError

    def describe(self) -> str:
        r"""In words: "the form \d{2}", "3 digits, a number from 0 to 100"."""
        return "the expected form"

    def fits(self, text: str) -> bool:
        """Whether a whole text is allowed."""
        state: State | None = self.start
        for character in text:
            state = self.step(state, character)
            if state is None:
                return False
        return self.accepts(state)


def _number(value: Any, name: str) -> Decimal | None:
    if value is None:
        return None
    text = str(value)
    try:
        number = Decimal(text[:_LONGEST_NUMBER])
    except InvalidOperation:
        number = Decimal("NaN")
    if len(text) > _LONGEST_NUMBER or not number.is_finite() or not 0 <= number < 10**_MOST_DIGITS:
        found = f"{name} {text[:_LONGEST_NUMBER]!r}"
        raise UsageError(found, expected=f"a number from 0 to under 10^{_MOST_DIGITS}")
    return number


class Both(Constraint):
    """Several constraints that hold together."""

    def __init__(self, parts: list[Constraint]) -> None:
        self.parts, self.start = parts, tuple(part.start for part in parts)

    def step(self, state: Any, character: str) -> State | None:
        states = tuple(part.step(own, character) for part, own in zip(self.parts, state, strict=True))
        return None if None in states else states

    def accepts(self, state: Any) -> bool:
        return all(part.accepts(own) for part, own in zip(self.parts, state, strict=True))

    def describe(self) -> str:
        return ", ".join(part.describe() for part in self.parts)


@dataclass(frozen=True)
class Length(Constraint):
    """So many digits; separators may stand between them. The state is the number of digits so far."""

    digits: int
    start: int = 0

    def step(self, state: Any, character: str) -> int | None:
        count = state + (character in DIGITS)
        return count if count <= self.digits and character in _WRITTEN else None

    def accepts(self, state: Any) -> bool:
        return bool(state == self.digits)

    def describe(self) -> str:
        return f"{self.digits} digit{'s' * (self.digits != 1)}"


@dataclass(frozen=True)
class Range(Constraint):
    """A number in least..most: digits, and one decimal mark. The state is what was written so far."""

    least: Decimal | None
    most: Decimal | None
    start: str = ""

    def __post_init__(self) -> None:
        if self.least is not None and self.most is not None and self.least > self.most:
            raise UsageError(f"min {self.least} is above max {self.most}", expected="min no larger than max")

    def step(self, state: Any, character: str) -> str | None:
        if character not in DIGITS and (character not in ".," or not state or "." in state):
            return None
        text = state + (character if character in DIGITS else ".")
        if len(text) > 2 * _MOST_DIGITS:
            return None
        return text if _may_grow(text, self.least, self.most) else None

    def accepts(self, state: Any) -> bool:
        if not state or state.endswith("."):
            return False
        value = Decimal(state)
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)

    def describe(self) -> str:
        ends = {"at least": self.least, "at most": self.most}
        return "a number of " + " and ".join(f"{name} {end}" for name, end in ends.items() if end is not None)


@lru_cache(maxsize=4096)
def _may_grow(text: str, least: Decimal | None, most: Decimal | None) -> bool:
    """Whether a number that begins like this can lie in the range."""
    whole, mark, part = text.partition(".")
    if mark:
        low = Decimal(f"{whole}.{part}0")
        ranges = [(low, low + Decimal(1).scaleb(-len(part)))]
    else:
        powers, value = (10**more for more in range(_MOST_DIGITS + 1)), int(whole)
        ranges = [(Decimal(value * power), Decimal((value + 1) * power)) for power in powers]
    return any((least is None or high > least) and (most is None or low <= most) for low, high in ranges)


class Pattern(Constraint):
    """A regular expression for the whole text, over the characters that the reader knows.

    Characters, `.`, `\\d`, `[...]`, `[^...]`, groups `(...)`, alternatives `|`, and the repetitions `?`, `*`,
    `+`, `{n}`, `{n,}`, `{n,m}`. A state is the set of places in the pattern that may come next, one bit each
    (Glushkov 1961; Navarro & Raffinot 2002): a step takes the same short time whatever the pattern.
    """

    start: int

    def __init__(self, pattern: str) -> None:
        if len(pattern) > self.LONGEST_PATTERN:
            found = f"a pattern of {len(pattern):,} characters"
            raise UsageError(found, expected=f"at most {self.LONGEST_PATTERN}")
        machine = _Machine()
        piece, end = _Parser(pattern, machine).parse()(), machine.place(frozenset())
        self.pattern, self._end = pattern, end.first
        self.start = machine.join(piece, end).first
        self._on = {character: machine.places_of(character) for character in _WRITTEN}
        self._tables = machine.tables()
        self._step = lru_cache(maxsize=4096)(self._look_up)

    def step(self, state: Any, character: str) -> int | None:
        return self._step(state, character)

    def _look_up(self, state: int, character: str) -> int | None:
        here = state & self._on.get(character, 0)
        if not here:
            return None
        reached = 0
        for table in self._tables:
            reached |= table[here & 255]
            here >>= 8
        return reached

    def accepts(self, state: Any) -> bool:
        return bool(state & self._end)

    def describe(self) -> str:
        return f"the form {self.pattern}"


class _Piece(NamedTuple):
    """A part of a pattern: the places where it begins and ends, a bit each, and whether it may be empty."""

    first: int
    last: int
    empty: bool


_NOTHING = _Piece(0, 0, True)
_Build = Callable[[], _Piece]  # each call adds the places of a part once more


class _Machine:
    """on: the characters of each place. after: the places that may follow it, a bit each."""

    def __init__(self) -> None:
        self.on: list[frozenset[str]] = []
        self.after: list[int] = []

    def place(self, characters: frozenset[str]) -> _Piece:
        if len(self.on) > _MOST_PLACES:
            found = f"a pattern of more than {_MOST_PLACES} characters, repeated ones counted each time"
            raise UsageError(found, expected=f"at most {_MOST_PLACES}", remedy="ask for fewer repetitions")
        self.on.append(characters)
        self.after.append(0)
        bit = 1 << (len(self.on) - 1)
        return _Piece(bit, bit, empty=False)

    def link(self, places: int, to: int) -> None:
        while places:
            place = places.bit_length() - 1
            self.after[place] |= to
            places ^= 1 << place

    def join(self, one: _Piece, other: _Piece) -> _Piece:
        """One after the other."""
        self.link(one.last, other.first)
        first = one.first | other.first if one.empty else one.first
        last = other.last | one.last if other.empty else other.last
        return _Piece(first, last, one.empty and other.empty)

    def repeat(self, build: _Build, least: int, most: int | None) -> _Piece:
        piece = build()
        if not piece.first or most == 0:
            return _NOTHING
        copies = [piece, *(build() for _ in range(max(least, most or 1) - 1))]
        if most is None:
            self.link(copies[-1].last, copies[-1].first)
        needed = [copy._replace(empty=copy.empty or n >= least) for n, copy in enumerate(copies)]
        return reduce(self.join, needed, _NOTHING)

    def places_of(self, character: str) -> int:
        return sum(1 << place for place, characters in enumerate(self.on) if character in characters)

    def tables(self) -> list[list[int]]:
        """For each eight places: what may follow, for each of their 256 sets."""
        tables = []
        for start in range(0, len(self.after), 8):
            table = [0]
            for after in self.after[start : start + 8]:
                table += [known | after for known in table]
            tables.append(table)
        return tables


class _Parser:
    def __init__(self, pattern: str, machine: _Machine) -> None:
        self.pattern, self.machine, self.place, self.nested = pattern, machine, 0, 0

    def parse(self) -> _Build:
        build = self._alternatives()
        if self.place < len(self.pattern):
            raise self._wrong(f"{self.pattern[self.place]!r} at {self.place + 1}")
        return build

    def _wrong(self, found: str) -> UsageError:
        expected = "characters, \\d, [...], (...), |, ?, *, +, {n}, {n,m}"
        remedy = "for example '\\d{2}/\\d{2}'"
        return UsageError(f"pattern {self.pattern!r}: {found}", expected=expected, remedy=remedy)

    def _peek(self) -> str:
        return self.pattern[self.place : self.place + 1]

    def _next(self) -> str:
        self.place += 1
        return self.pattern[self.place - 1 : self.place]

    def _take(self, wanted: str) -> re.Match[str] | None:
        found = re.compile(wanted, re.ASCII).match(self.pattern, self.place)
        self.place = found.end() if found else self.place
        return found

    def _alternatives(self) -> _Build:
        builds = [self._sequence()]
        while self._take(r"\|"):
            builds.append(self._sequence())

        def build() -> _Piece:
            firsts, lasts, empties = zip(*(each() for each in builds), strict=True)
            return _Piece(reduce(or_, firsts), reduce(or_, lasts), any(empties))

        return build

    def _sequence(self) -> _Build:
        builds: list[_Build] = []
        while self._peek() not in ("", "|", ")"):
            builds.append(self._repeated())
        return lambda: reduce(self.machine.join, (build() for build in builds), _NOTHING)

    def _repeated(self) -> _Build:
        begun = self.place
        build = self._one()
        text = self.pattern[begun : self.place]
        found = self._take(r"[?*+]|\{(\d+)(,(\d*))?\}")
        if not found:
            return build
        least = int(found[1] or found.group() == "+")
        endless = found.group() in "*+" or (found[2] and not found[3])
        most = None if endless else int(found[3] or found[1] or 1)
        if least > _MOST_REPEATS or (most or 0) > _MOST_REPEATS or (most is not None and most < least):
            raise self._wrong(f"{found.group()} after {text!r}")
        return lambda: self.machine.repeat(build, least, most)

    def _one(self) -> _Build:
        if self._take(r"\("):
            return self._group()
        if self._peek() in ("", "*", "+", "?", "{", "}", ")", "|"):
            raise self._wrong(f"{self._peek() or 'its end'!r} where a character is expected")
        if self._take(r"\."):
            characters = _WRITTEN
        else:
            characters = self._class() if self._take(r"\[") else self._character()
        return lambda: self.machine.place(characters)

    def _group(self) -> _Build:
        self.nested += 1
        if self.nested > _MOST_NESTED:
            raise self._wrong(f"more than {_MOST_NESTED} groups inside each other")
        build = self._alternatives()
        if not self._take(r"\)"):
            raise self._wrong("a group that is not closed")
        self.nested -= 1
        return build

    def _character(self) -> frozenset[str]:
        character = self._next()
        if character == "\\":
            character = self._next()
            if character == "d":
                return frozenset(DIGITS)
            if not character or character.isalnum():
                raise self._wrong(f"\\{character}")
        if character not in _WRITTEN:
            known = CHARACTERS.replace(OTHER, "")
            raise self._wrong(f"{character!r}, which the reader cannot read ({known})")
        return frozenset(character)

    def _class(self) -> frozenset[str]:
        negated = bool(self._take(r"\^"))
        members: set[str] = set()
        while not self._take(r"\]"):
            if not self._peek():
                raise self._wrong("a [ that is not closed")
            if span := self._take("([0-9])-([0-9])"):
                if span[2] < span[1]:
                    raise self._wrong(span.group())
                members |= set(DIGITS[int(span[1]) : int(span[2]) + 1])
            else:
                members |= self._character()
        return _WRITTEN - members if negated else frozenset(members)
