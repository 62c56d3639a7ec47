"""The exception tree. Every message says what was found, what was expected, and the remedy.

TenfoldError                 exit code 1 on the command line
├── UsageError               exit code 2: an option or argument makes no sense
│   └── RecipeError          a recipe does not say what it should
├── DataError                a data file or picture is not what it should be
│   └── DataNotFoundError    a data set is not there and cannot be had
├── ModelError               a saved model or a run folder is not what it should be
├── MissingDependencyError   an optional package is not installed
├── DivergedError            a training's loss or weights are NaN or infinite
└── FigureNotMetError        exit code 3: a required figure was not reached

TenfoldWarning               a UserWarning: what was done for the user; one line on the command line
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "DataError",
    "DataNotFoundError",
    "DivergedError",
    "FigureNotMetError",
    "MissingDependencyError",
    "ModelError",
    "RecipeError",
    "TenfoldError",
    "TenfoldWarning",
    "UsageError",
    "nearest",
    "printable",
]


_LONGEST, _MANY = 350, 10  # characters of a list, and names of one that is cut short


class TenfoldError(Exception):
    """A mistake that its user can fix.

    `found` says what was met, `expected` what should have been there, `remedy` what to do.
    """

    exit_code = 1

    def __init__(self, found: str, *, expected: str = "", remedy: str = "") -> None:
        self.found, self.expected, self.remedy = found, expected, remedy
        parts = [found, f"expected {expected}" if expected else "", remedy]
        super().__init__("; ".join(" ".join(part.split()) for part in parts if part))


class TenfoldWarning(UserWarning):
    """Something that was done for the user and changes what is computed; one line."""


class UsageError(TenfoldError):
    exit_code = 2


class RecipeError(UsageError):
    pass


class DataError(TenfoldError):
    pass


class DataNotFoundError(DataError):
    pass


class ModelError(TenfoldError):
    pass


class MissingDependencyError(TenfoldError):
    def __init__(self, package: str, *, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package}, which is not installed",
            remedy=f"install it with: pip install 'tenfold[{extra}]'",
        )


class DivergedError(TenfoldError):
    pass


class FigureNotMetError(TenfoldError):
    exit_code = 3


def nearest(word: str, known: Iterable[str]) -> str:
    """A remedy that names the known word nearest to `word`, or all of them if none is near; the first of
    them where they are too many for a message."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    listed = ", ".join(names)
    return f"known: {listed}" if len(listed) <= _LONGEST else f"known: {', '.join(names[:_MANY])}, ..."


def printable(text: str) -> str:
    """One line without what a terminal would obey or hide: control characters and those that turn the
    direction of writing are spelled out, as in "\\x1b"."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
