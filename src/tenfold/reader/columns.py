"""What the lines of a picture must look like, or the columns of a table."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tenfold.errors import UsageError
from tenfold.reader.constraint import Constraint, Pattern, make_constraint

__all__ = ["Columns", "make_form"]

_MOST = 64  # columns
_SHOWN = 40  # characters, in a message


@dataclass(frozen=True)
class Columns:
    """What the cells of each column of a table must look like; None is any number. text: columns that are not
    read."""

    parts: tuple[Constraint | None, ...]
    text: frozenset[int]

    @classmethod
    def parse(cls, columns: str) -> Columns:
        """ "name,\\d{1,2},": a comma within {} or [] or () separates nothing."""
        words = [word.strip() for word in re.split(r",(?![^{\[(]*[}\])])", columns)]
        if not any(words) or len(words) > _MOST:
            raise UsageError(
                f"columns {columns[:_SHOWN]!r}", expected=r"a pattern each, as 'name,\d{1,2},\d+'"
            )
        text = frozenset(number for number, word in enumerate(words) if word.isidentifier())
        parts = [None if not word or i in text else Pattern(word) for i, word in enumerate(words)]
        return cls(tuple(parts), text)

    def of(self, column: int) -> Constraint | None:
        """Of columns beyond those that were named, any number."""
        return self.parts[column] if column < len(self.parts) else None


def make_form(
    *,
    pattern: str | None = None,
    length: int | None = None,
    least: str | float | None = None,
    most: str | float | None = None,
    columns: str | None = None,
) -> Constraint | Columns | None:
    """As `make_constraint`, or for a table. Raises UsageError.

    columns: instead of all these, a pattern for each column of a table, separated by commas; one that names
    no digit, as `name`, is a column of text, which is not read, and an empty one any number.
    """
    if columns is None:
        return make_constraint(pattern=pattern, length=length, least=least, most=most)
    if any(value is not None for value in (pattern, length, least, most)):
        raise UsageError("columns and another form are both asked for", expected="one of them")
    return Columns.parse(columns)
