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
from typing import Any, NamedTuple, Protocol, runtime_checkable

from tenfold.errors import UsageError
from tenfold.reader.alphabet import CHARACTERS, DIGITS, OTHER

__all__ = ["LONGEST_PATTERN", "Both", "Constraint", "Length", "Pattern", "Range", "make_constraint"]

State = Hashable

LONGEST_PATTERN = 200  # characters
_MOST_REPEATS = 64
_MOST_PLACES = 256  # of a pattern whose repetitions are written out
_MOST_NESTED = 20  # groups of a pattern inside each other
_MOST_DIGITS = 18  # of the ends of a range
_LONGEST_NUMBER = 40  # characters of an end of a range
_WRITTEN = tuple(character for character in CHARACTERS if character != OTHER)


@runtime_checkable
class Constraint(Protocol):
    @property
    def start(self) -> State: ...

    def step(self, state: State, character: str) -> State | None: ...

    def accepts(self, state: State) -> bool: ...


def make_constraint(
    *,
    pattern: str | None = None,
    length: int | None = None,
    least: str | float | None = None,
    most: str | float | None = None,
) -> Constraint | None:
    """All constraints together; None where none is given. Raises UsageError.

    pattern: a regular expression for the whole text (see `Pattern`). length: the number of digits, however
    they are separated. least, most: of the number that the text spells, its last "," or "." being the
    decimal mark.
    """
    parts: list[Constraint] = []
    if pattern is not None:
        parts.append(Pattern(pattern))
    if length is not None:
        if not 1 <= length <= _MOST_REPEATS:
            raise UsageError(f"length {length}", expected=f"a number of digits from 1 to {_MOST_REPEATS}")
        parts.append(Length(length))
    if least is not None or most is not None:
        parts.append(Range(_number(least, "min"), _number(most, "max")))
    return None if not parts else parts[0] if len(parts) == 1 else Both(tuple(parts))


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


@dataclass(frozen=True)
class Both:
    """Several constraints that hold together."""

    parts: tuple[Constraint, ...]

    @property
    def start(self) -> State:
        return tuple(part.start for part in self.parts)

    def step(self, state: Any, character: str) -> State | None:
        states = tuple(part.step(own, character) for part, own in zip(self.parts, state, strict=True))
        return None if None in states else states

    def accepts(self, state: Any) -> bool:
        return all(part.accepts(own) for part, own in zip(self.parts, state, strict=True))


@dataclass(frozen=True)
class Length:
    """So many digits; separators may stand between them. The state is the number of digits so far."""

    digits: int
    start: int = 0

    def step(self, state: Any, character: str) -> int | None:
        count = state + (character in DIGITS)
        return count if count <= self.digits and character in _WRITTEN else None

    def accepts(self, state: Any) -> bool:
        return bool(state == self.digits)


@dataclass(frozen=True)
class Range:
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


class Pattern:
    """A regular expression for the whole text, over the characters that the reader knows.

    Characters, `.`, `\\d`, `[...]`, `[^...]`, groups `(...)`, alternatives `|`, and the repetitions `?`, `*`,
    `+`, `{n}`, `{n,}`, `{n,m}`. A state is the set of places in the pattern that may come next, one bit each
    (Glushkov 1961; Navarro & Raffinot 2002): a step takes the same short time whatever the pattern.
    """

    def __init__(self, pattern: str) -> None:
        if len(pattern) > LONGEST_PATTERN:
            raise UsageError(
                f"a pattern of {len(pattern):,} characters", expected=f"at most {LONGEST_PATTERN}"
            )
        machine = _Machine()
        piece, end = _Parser(pattern, machine).parse()(), machine.place(frozenset())
        self.pattern, self._end = pattern, end.first
        self.start = machine.join(piece, end).first
        self._on = {character: machine.places_of(character) for character in _WRITTEN}
        self._tables = machine.tables()
        self.step = lru_cache(maxsize=4096)(self._step)

    def _step(self, state: Any, character: str) -> int | None:
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
            raise UsageError(
                f"a pattern of more than {_MOST_PLACES} characters, repeated ones counted each time",
                expected=f"at most {_MOST_PLACES}",
                remedy="ask for fewer repetitions",
            )
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
        """least to most times; no end where most is None."""
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
        return UsageError(
            f"pattern {self.pattern!r}: {found}",
            expected="characters, \\d, [...], (...), |, ?, *, +, {n}, {n,m}",
            remedy="for example '\\d{2}/\\d{2}'",
        )

    def _peek(self) -> str:
        return self.pattern[self.place : self.place + 1]

    def _alternatives(self) -> _Build:
        builds = [self._sequence()]
        while self._peek() == "|":
            self.place += 1
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
        found = re.match(r"[?*+]|\{(\d+)(,(\d*))?\}", self.pattern[self.place :], re.ASCII)
        if not found:
            return build
        self.place += found.end()
        least, most = _times(found)
        if least > _MOST_REPEATS or (most or 0) > _MOST_REPEATS or (most is not None and most < least):
            raise self._wrong(f"{found.group()} after {text!r}")
        return lambda: self.machine.repeat(build, least, most)

    def _one(self) -> _Build:
        character = self._peek()
        if character == "(":
            return self._group()
        if character in ("", "*", "+", "?", "{", "}", ")", "|"):
            raise self._wrong(f"{character or 'its end'!r} where a character is expected")
        characters = self._characters()
        return lambda: self.machine.place(characters)

    def _group(self) -> _Build:
        self.place += 1
        self.nested += 1
        if self.nested > _MOST_NESTED:
            raise self._wrong(f"more than {_MOST_NESTED} groups inside each other")
        build = self._alternatives()
        if self._peek() != ")":
            raise self._wrong("a group that is not closed")
        self.place += 1
        self.nested -= 1
        return build

    def _characters(self) -> frozenset[str]:
        character = self._peek()
        self.place += 1
        if character == ".":
            return frozenset(_WRITTEN)
        if character == "[":
            return self._class()
        return self._escaped() if character == "\\" else self._known(character)

    def _escaped(self) -> frozenset[str]:
        character = self._peek()
        self.place += 1
        if character == "d":
            return frozenset(DIGITS)
        if not character or character.isalnum():
            raise self._wrong(f"\\{character}")
        return self._known(character)

    def _known(self, character: str) -> frozenset[str]:
        if character not in _WRITTEN:
            raise self._wrong(f"{character!r}, which the reader cannot read ({''.join(_WRITTEN)})")
        return frozenset(character)

    def _class(self) -> frozenset[str]:
        negated = self._peek() == "^"
        self.place += negated
        members: set[str] = set()
        while (character := self._peek()) != "]":
            if not character:
                raise self._wrong("a [ that is not closed")
            self.place += 1
            end = self.pattern[self.place + 1 : self.place + 2]
            if self._peek() == "-" and end and {character, end} <= set(DIGITS):
                if end < character:
                    raise self._wrong(f"{character}-{end}")
                members |= set(DIGITS[int(character) : int(end) + 1])
                self.place += 2
            else:
                members |= self._escaped() if character == "\\" else self._known(character)
        self.place += 1
        return frozenset(_WRITTEN) - members if negated else frozenset(members)


def _times(found: re.Match[str]) -> tuple[int, int | None]:
    sign = found.group()
    if sign in "?*+":
        return int(sign == "+"), 1 if sign == "?" else None
    least = int(found[1])
    return least, least if found[2] is None else int(found[3]) if found[3] else None
