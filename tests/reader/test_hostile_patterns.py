"""Patterns of any form mean what they mean to `re`, and none makes a machine that is large or slow."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.errors import UsageError
from tenfold.reader.constraint import Constraint, Pattern

ATOMS = st.sampled_from(["0", "1", r"\d", ".", "[12]", "[^1]", "[0-1,]", r"\.", ",", "()"])
TIMES = st.sampled_from(["?", "*", "+", "{0}", "{2}", "{1,}", "{0,2}", "{1,3}"])


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.tuples(inner, inner).map("|".join),
        st.tuples(inner, TIMES).map(lambda pair: f"({pair[0]}){pair[1]}"),
    )


def accepts(pattern: Pattern, text: str) -> bool:
    state: int | None = pattern.start
    for character in text:
        if state is not None:
            state = pattern.step(state, character)
    return state is not None and pattern.accepts(state)


@settings(max_examples=150, derandomize=True, deadline=None)
@given(
    written=st.recursive(ATOMS, _larger, max_leaves=6),
    texts=st.lists(st.text("012,.", max_size=6), max_size=8),
)
def test_a_pattern_means_what_it_means_to_re(written: str, texts: list[str]) -> None:
    pattern = Pattern(written)
    for text in ["", *texts]:
        assert accepts(pattern, text) == bool(re.fullmatch(written, text)), text


HOSTILE = [
    "(" * 100,
    "(" * 100 + ")" * 100,
    "(" * 66 + "1" + "?)" * 66,
    "(" * 40 + "1" + "*)" * 40,
    r"((((\d{64}){64}){64}){64}){64}",
    r"(\d{0,64}){0,64}",
    r"(((){64}){64}1){64}{64}",
    r"\d{99999999999999999999}",
    ".*1.{64}.{64}.{64}.{64}",
    "1" * (Constraint.LONGEST_PATTERN + 1),
    "[1-²]",
    "[9-0]",
    "1{²}",
]


@pytest.mark.parametrize("written", HOSTILE)
def test_what_would_grow_without_end_is_refused(written: str) -> None:
    with pytest.raises(UsageError, match="pattern"):
        Pattern(written)


@pytest.mark.parametrize(
    "written",
    [
        r".*1.{60}",
        r"(.?){64}",
        r"((.*)*)*",
        r"((((((((.?)?)?)?)?)?)?)?)?",
        r"(.*,){64}",
        "(((){64}){64}){64}",
        "(()|()|1?){64}",
        "|".join("1" * 100),
    ],
)
def test_what_is_accepted_stays_small(written: str) -> None:
    """A step looks once into a table for each eight places, of which there are at most 257."""
    pattern = Pattern(written)
    assert len(pattern._tables) <= 33 and all(len(table) <= 256 for table in pattern._tables)
    states = {pattern.start}
    for character in "1,1,1,":
        states |= {pattern.step(state, character) for state in states} - {None}
    assert all(state < 2**257 for state in states) and len(states) < 2**7
