"""How much memory one file may take: a limit checked before anything is read, which the user can raise."""

from __future__ import annotations

import os
import re
from typing import BinaryIO

from tenfold.errors import DataError, TenfoldError, UsageError

__all__ = ["MemoryLimit"]

VARIABLE = "TENFOLD_MAX_BYTES"
DEFAULT_BYTES = 2**30

_STEP = 2**20  # bytes
_FORM = re.compile(r"(\d{1,15})\s*([KMGT]?)(?:I?B)?", re.IGNORECASE)


class MemoryLimit:
    """Of what one file becomes in memory."""

    @staticmethod
    def most_bytes() -> int:
        """Of what one file becomes in memory: TENFOLD_MAX_BYTES, such as 500M or 8G, else 1 GiB.

        Raises UsageError where the variable is not a size.
        """
        text = os.environ.get(VARIABLE, "").strip()
        if not text:
            return DEFAULT_BYTES
        found = _FORM.fullmatch(text)
        if found is None or not int(found[1]):
            problem = f"{VARIABLE} is {text[:40]!r}"
            raise UsageError(problem, expected="a number of bytes above 0, such as 500M or 8G")
        return int(found[1]) * 1024 ** " KMGT".index(found[2].upper() or " ")

    @staticmethod
    def scale(value: int) -> int:
        """Another limit, given as it is by default: it grows and falls with the number of bytes."""
        return value * MemoryLimit.most_bytes() // DEFAULT_BYTES

    @staticmethod
    def remedy(need: int) -> str:
        """The remedy that names the variable and a value that suffices for so many bytes."""
        return f"if that is meant, set {VARIABLE}={max(1, -(-need // 2**20))}M"

    @staticmethod
    def check(need: int, name: object, *, share: int = 1, kind: type[TenfoldError] = DataError) -> None:
        """Raises `kind` where `name` needs more bytes than the limit. share: copies that exist at a time."""
        most = MemoryLimit.most_bytes() // share
        if need > most:
            found = f"{name} would take {_size(need)} of memory"
            raise kind(found, expected=f"at most {_size(most)}", remedy=MemoryLimit.remedy(need * share))

    @staticmethod
    def read(file: BinaryIO, most: int) -> bytes:
        """What is left of the file, `most` bytes of it. `file.read(most)` would reserve memory for all of
        them first, which a process with a limit of its own (ulimit -v) does not get.
        """
        parts = []
        while most > 0 and (part := file.read(min(most, _STEP))):
            parts.append(part)
            most -= len(part)
        return b"".join(parts)


def _size(count: int) -> str:
    return f"{count / 2**30:,.1f} GiB" if count >= 2**30 else f"{count / 2**20:,.0f} MiB"
