"""Figures of a reader: texts in, numbers out."""

from __future__ import annotations

__all__ = ["has_digit", "is_refused", "keep_digits"]

_DIGITS = frozenset("0123456789")


def keep_digits(text: str, *, doubtful: str = "") -> str:
    """Without separators, operators, spaces and line ends; characters in `doubtful` are kept."""
    return "".join(character for character in text if character in _DIGITS or character in doubtful)


def has_digit(text: str) -> bool:
    return any(character in _DIGITS for character in text)


def is_refused(text: str) -> bool:
    """No digit was read, or a character is doubtful."""
    return "?" in text or not has_digit(text)
