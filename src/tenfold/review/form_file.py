"""The boxes that a person drew, checked."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tenfold.errors import UsageError
from tenfold.forms.template import Check, Field, Share
from tenfold.reader.constraint import Pattern

__all__ = ["DrawnForm", "Mistake", "parse_form"]

_MOST_FIELDS = 500
_MOST_SUMS = 100
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_DIGITS = 4  # of a share


class Mistake(UsageError):
    """What is wrong, and where: part is "name", "pattern", "box" or "sums"; field its number, or None."""

    def __init__(self, found: str, *, expected: str = "", field: int | None = None, part: str = "") -> None:
        super().__init__(found, expected=expected)
        self.field, self.part = field, part


@dataclass(frozen=True)
class DrawnForm:
    fields: tuple[Field, ...]
    sums: tuple[Check, ...] = ()


def parse_form(document: dict[str, Any]) -> DrawnForm:
    """{"fields": [{"name", "box", "pattern"}], "sums": [...]} -> the form. Raises Mistake."""
    given, sums = document.get("fields"), document.get("sums", [])
    if not isinstance(given, list) or not given:
        raise Mistake("no box is drawn", expected="a box around each field")
    if len(given) > _MOST_FIELDS:
        raise Mistake(f"{len(given):,} boxes", expected=f"at most {_MOST_FIELDS}")
    fields = tuple(_parse_field(each, number) for number, each in enumerate(given))
    names = [field.name for field in fields]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise Mistake(f"two fields are named {name}", expected="a name of its own for each",
                          field=number, part="name")  # fmt: skip
    if (
        not isinstance(sums, list)
        or len(sums) > _MOST_SUMS
        or not all(isinstance(each, str) for each in sums)
    ):
        raise Mistake("no list of sums", expected=f"at most {_MOST_SUMS}", part="sums")
    return DrawnForm(fields, tuple(_parse_sum(each, names) for each in sums if each.strip()))


def _parse_field(given: Any, number: int) -> Field:
    if not isinstance(given, dict):
        raise Mistake("no field", expected='{"name": ..., "box": ...}', field=number)
    name, pattern = given.get("name"), given.get("pattern", "")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        shown = f"the name {ascii(name)[:60]}" if name else "a field without a name"
        raise Mistake(shown, expected="letters, digits and _, as points_1", field=number, part="name")
    if not isinstance(pattern, str):
        raise Mistake(f"field {name}: no pattern", expected="a text", field=number, part="pattern")
    try:
        if pattern:
            Pattern(pattern)
    except UsageError as error:
        raise Mistake(f"field {name}: {error.found}", expected=error.expected,
                      field=number, part="pattern") from error  # fmt: skip
    return Field(name, _parse_box(given.get("box"), name, number), pattern or None)


def _parse_box(given: Any, name: str, number: int) -> Share:
    numbers = given if isinstance(given, list) else []
    fine = len(numbers) == 4 and all(type(each) in (int, float) and math.isfinite(each) for each in numbers)
    left, top, right, bottom = (
        (round(float(each), _DIGITS) for each in numbers) if fine else (1.0, 1.0, 0.0, 0.0)
    )
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise Mistake(f"field {name}: a box of no size, or outside the picture",
                      expected="a box on the picture", field=number, part="box")  # fmt: skip
    return left, top, right, bottom


def _parse_sum(given: str, names: Sequence[str]) -> Check:
    """ "total = a + b". Raises Mistake."""
    try:
        check = Check.parse(given)
    except UsageError as error:
        raise Mistake(error.found, expected=error.expected, part="sums") from error
    if unknown := next((name for name in check.names if name not in names), None):
        raise Mistake(f"sum '{check}': no field is named {unknown}",
                      expected="names of fields", part="sums")  # fmt: skip
    return check
