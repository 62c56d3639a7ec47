"""Constraints against `re` and `Decimal`, which say of whole texts what a constraint says step by step."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.errors import UsageError
from tenfold.reader.constraint import Constraint
from tenfold.reader.decode import CHARACTERS

WRITTEN = CHARACTERS[:-1]
PATTERNS = [
    r"\d{5}",
    r"\d{1,3}(\.\d{3})*",
    r"[1-3]\d?",
    r"\d{2}/\d{2}",
    r"[^0-4]+",
    r"-?\d+(,\d\d)?",
    r"(12|21)*0",
    ".",
]


def accepts(constraint: Constraint, text: str) -> bool:
    state = constraint.start
    for character in text:
        found = constraint.step(state, character)
        if found is None:
            return False
        state = found
    return constraint.accepts(state)


@pytest.mark.parametrize("pattern", PATTERNS)
@settings(max_examples=150, derandomize=True, deadline=None)
@given(text=st.text(alphabet="0123,./-", max_size=7))
def test_a_pattern_accepts_what_re_matches(pattern: str, text: str) -> None:
    constraint = Constraint.make(pattern=pattern)
    assert constraint is not None
    assert accepts(constraint, text) == bool(re.fullmatch(pattern, text))


@settings(max_examples=300, derandomize=True, deadline=None)
@given(
    value=st.decimals(0, 5000, places=2),
    ends=st.tuples(st.integers(0, 3000), st.integers(0, 3000)),
    mark=st.sampled_from(".,"),
)
def test_a_range_accepts_the_numbers_in_it(value: Decimal, ends: tuple[int, int], mark: str) -> None:
    least, most = min(ends), max(ends)
    constraint = Constraint.make(least=least, most=most)
    assert constraint is not None
    text = str(value).replace(".", mark)
    assert accepts(constraint, text) == (least <= value <= most)


def test_length_counts_digits_only() -> None:
    constraint = Constraint.make(length=4)
    assert constraint is not None
    assert accepts(constraint, "1.049") and accepts(constraint, "07/11") and not accepts(constraint, "104")


def test_all_parts_hold_at_once() -> None:
    constraint = Constraint.make(pattern=r"\d+", length=3, least=200)
    assert constraint is not None
    assert accepts(constraint, "250")
    assert (
        not accepts(constraint, "199") and not accepts(constraint, "2500") and not accepts(constraint, "2.50")
    )


def test_nothing_asked_is_no_constraint() -> None:
    assert Constraint.make() is None


@pytest.mark.parametrize("pattern", ["(", "[12", "*", "a", r"\w", "1{3,1}", "1{999}", "1)", "?", "\\"])
def test_a_wrong_pattern_is_one_line(pattern: str) -> None:
    with pytest.raises(UsageError, match=r"pattern .*expected"):
        Constraint.make(pattern=pattern)


@pytest.mark.parametrize(
    "asked", [{"length": 0}, {"least": "x"}, {"most": -1}, {"least": 5, "most": 4}, {"least": "nan"}]
)
def test_a_wrong_range_is_one_line(asked: dict) -> None:
    with pytest.raises(UsageError, match="expected"):
        Constraint.make(**asked)


def test_every_character_can_be_asked_for() -> None:
    for character in WRITTEN:
        constraint = Constraint.make(pattern=re.escape(character))
        assert constraint is not None and accepts(constraint, character)
