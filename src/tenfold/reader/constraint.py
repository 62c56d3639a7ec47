"""What an answer must look like: a pattern, a number of digits, a range. Held while decoding.

A constraint is a small machine over characters: `start` is its first state, `step` gives the next state or
None where no allowed text begins like that, `accepts` says whether a text may end here.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Protocol

from tenfold.errors import UsageError
from tenfold.reader.alphabet import CHARACTERS, DIGITS, OTHER

__all__ = ["Constraint", "make_constraint"]

State = Hashable

_MOST_REPEATS = 64
_MOST_DIGITS = 18  # of the ends of a range
_WRITTEN = tuple(character for character in CHARACTERS if character != OTHER)


class Constraint(Protocol):
    @property
    def start(self) -> State: ...

    def step(self, state: State, character: str) -> State | None: ...

    def accepts(self, state: State) -> bool: ...


def make_constraint(
    *, pattern: str | None = None, length: int | None = None, least: str | float | None = None, most: str | float | None = None
) -> Constraint | None:
    """All that is asked for, at once; None where nothing is. Raises UsageError.

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
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or number < 0 or number >= 10**_MOST_DIGITS:
        raise UsageError(f"{name} {value!r}", expected=f"a number from 0 to under 10^{_MOST_DIGITS}")
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
        return text if self._may_grow(text) else None

    def _may_grow(self, text: str) -> bool:
        """Whether a number that begins like this can lie in the range."""
        whole, mark, part = text.partition(".")
        if mark:
            low = Decimal(f"{whole}.{part}0")
            return self._meets(low, low + Decimal(1).scaleb(-len(part)))
        value = int(whole)
        return any(
            self._meets(Decimal(value * 10**more), Decimal((value + 1) * 10**more))
            for more in range(_MOST_DIGITS + 1)
        )

    def _meets(self, low: Decimal, high: Decimal) -> bool:
        """low..high, the end not among them, and the range."""
        return (self.least is None or high > self.least) and (self.most is None or low <= self.most)

    def accepts(self, state: Any) -> bool:
        if not state or state.endswith("."):
            return False
        value = Decimal(state)
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)


class Pattern:
    """A regular expression for the whole text, over the characters that the reader knows.

    Characters, `.`, `\\d`, `[...]`, `[^...]`, groups `(...)`, alternatives `|`, and the repetitions `?`, `*`, `+`,
    `{n}`, `{n,}`, `{n,m}`. States are sets of places in Thompson's machine (1968).
    """

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self._edges: list[list[tuple[frozenset[str] | None, int]]] = []
        first, last = _Parser(pattern, self._edges).parse()
        self._last = last
        self.start: frozenset[int] = self._close(frozenset([first]))
        self.step = lru_cache(maxsize=4096)(self._step)

    def _step(self, state: Any, character: str) -> frozenset[int] | None:
        reached = frozenset(
            target for place in state for on, target in self._edges[place] if on is not None and character in on
        )
        return self._close(reached) if reached else None

    def accepts(self, state: Any) -> bool:
        return self._last in state

    def _close(self, places: frozenset[int]) -> frozenset[int]:
        """With all places that are reached without a character."""
        reached, waiting = set(places), list(places)
        while waiting:
            for on, target in self._edges[waiting.pop()]:
                if on is None and target not in reached:
                    reached.add(target)
                    waiting.append(target)
        return frozenset(reached)


class _Parser:
    """A pattern -> edges of a machine; each piece is (its first place, its last place)."""

    def __init__(self, pattern: str, edges: list[list[tuple[frozenset[str] | None, int]]]) -> None:
        self.pattern, self.edges, self.place = pattern, edges, 0

    def parse(self) -> tuple[int, int]:
        piece = self._alternatives()
        if self.place < len(self.pattern):
            raise self._wrong(f"{self.pattern[self.place]!r} at {self.place + 1}")
        return piece

    def _wrong(self, found: str) -> UsageError:
        return UsageError(
            f"pattern {self.pattern!r}: {found}",
            expected="characters, \\d, [...], (...), |, ?, *, +, {n}, {n,m}",
            remedy="for example '\\d{2}/\\d{2}'",
        )

    def _new(self) -> int:
        self.edges.append([])
        return len(self.edges) - 1

    def _link(self, start: int, end: int, on: frozenset[str] | None = None) -> None:
        self.edges[start].append((on, end))

    def _peek(self) -> str:
        return self.pattern[self.place : self.place + 1]

    def _alternatives(self) -> tuple[int, int]:
        first, last = self._new(), self._new()
        while True:
            start, end = self._sequence()
            self._link(first, start)
            self._link(end, last)
            if self._peek() != "|":
                return first, last
            self.place += 1

    def _sequence(self) -> tuple[int, int]:
        first = last = self._new()
        while self._peek() not in ("", "|", ")"):
            start, end = self._repeated()
            self._link(last, start)
            last = end
        return first, last

    def _repeated(self) -> tuple[int, int]:
        begun = self.place
        piece = self._one()
        text = self.pattern[begun : self.place]
        found = re.match(r"[?*+]|\{(\d+)(,(\d*))?\}", self.pattern[self.place :])
        if not found:
            return piece
        self.place += found.end()
        least, most = _times(found)
        if least > _MOST_REPEATS or (most or 0) > _MOST_REPEATS or (most is not None and most < least):
            raise self._wrong(f"{found.group()} after {text!r}")
        return self._copies(text, least, most)

    def _copies(self, text: str, least: int, most: int | None) -> tuple[int, int]:
        """The piece that `text` spells, least to most times; no end where most is None."""
        first = last = self._new()
        for _ in range(least):
            start, end = self._again(text)
            self._link(last, start)
            last = end
        final = self._new()
        self._link(last, final)
        if most is None:
            start, end = self._again(text)
            self._link(final, start)
            self._link(end, final)
        for _ in range((most or least) - least):
            start, end = self._again(text)
            self._link(last, start)
            self._link(end, final)
            last = end
        return first, final

    def _again(self, text: str) -> tuple[int, int]:
        return _Parser(text, self.edges)._one()

    def _one(self) -> tuple[int, int]:
        character = self._peek()
        if character == "(":
            self.place += 1
            piece = self._alternatives()
            if self._peek() != ")":
                raise self._wrong("a group that is not closed")
            self.place += 1
            return piece
        if character in ("", "*", "+", "?", "{", "}", ")", "|"):
            raise self._wrong(f"{character or 'its end'!r} where a character is expected")
        first, last = self._new(), self._new()
        self._link(first, last, self._characters())
        return first, last

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
            if self._peek() == "-" and end.isdigit() and character.isdigit():
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
