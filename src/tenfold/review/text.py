"""What a person typed as the text of a reading: whether it can be one, and has the expected form."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from tenfold.reader.alphabet import CHARACTERS, OTHER
from tenfold.reader.constraint import Both, Length, Pattern, Range

if TYPE_CHECKING:
    from tenfold.reader.constraint import Constraint

__all__ = ["LONGEST_TEXT", "describe_form", "fits", "to_text", "why_not_text"]

LONGEST_TEXT = 100  # characters of an answer
_KNOWN = CHARACTERS.replace(OTHER, "")
_KEYS = str.maketrans({"x": "×", "X": "×", "*": "×", "−": "-", "–": "-"})  # what keyboards have instead


def to_text(typed: str) -> str:
    """As the reader would write it: without spaces, and with its own signs."""
    return "".join(unicodedata.normalize("NFKC", typed).split()).translate(_KEYS)


def why_not_text(text: str) -> str:
    """What makes it no text that the reader could have read, in words; "" where it is one."""
    if not text:
        return "Nothing is typed: type what is written there, or press Escape where nothing can be read."
    if OTHER in text:
        return "Type what stands in the place of ?, or press Escape where it cannot be read."
    if strange := next((each for each in text if each not in _KNOWN), ""):
        shown = strange if strange.isprintable() else ascii(strange)
        known = " ".join(_KNOWN[10:])
        return f"{shown} is not read here: digits and {known} are. Press Escape where something else stands."
    return f"Too long: at most {LONGEST_TEXT} characters." if len(text) > LONGEST_TEXT else ""


def fits(constraint: Constraint | None, text: str) -> bool:
    """Whether it is of the expected form."""
    if constraint is None:
        return True
    state = constraint.start
    for character in text:
        state = constraint.step(state, character)
        if state is None:
            return False
    return constraint.accepts(state)


def describe_form(constraint: Constraint | None) -> str:
    r"""In words: "the form \d{2}", "3 digits, a number from 0 to 100"; "" for any."""
    if isinstance(constraint, Both):
        return ", ".join(filter(None, map(describe_form, constraint.parts)))
    if isinstance(constraint, Pattern):
        return f"the form {constraint.pattern}"
    if isinstance(constraint, Length):
        return f"{constraint.digits} digit{'s' * (constraint.digits != 1)}"
    if isinstance(constraint, Range):
        ends = {"at least": constraint.least, "at most": constraint.most}
        words = [f"{name} {end}" for name, end in ends.items() if end is not None]
        return f"a number of {' and '.join(words)}"
    return "" if constraint is None else "the expected form"
