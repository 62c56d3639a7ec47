"""Figures of a reader: texts in, numbers out."""

from __future__ import annotations

__all__ = ["edit_distance", "has_digit", "is_refused", "keep_digits"]

_DIGITS = frozenset("0123456789")


def keep_digits(text: str, *, doubtful: str = "") -> str:
    """Without separators, operators, spaces and line ends; characters in `doubtful` are kept."""
    return "".join(character for character in text if character in _DIGITS or character in doubtful)


def has_digit(text: str) -> bool:
    return any(character in _DIGITS for character in text)


def is_refused(text: str) -> bool:
    """No digit was read, or a character is doubtful."""
    return "?" in text or not has_digit(text)


def edit_distance(read: str, label: str) -> int:
    """The fewest characters to insert, delete or replace (Levenshtein 1965)."""
    row = list(range(len(label) + 1))
    for i, character in enumerate(read, start=1):
        above, row = row, [i]
        for j, wanted in enumerate(label, start=1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (character != wanted)))
    return row[-1]
