"""A review's answers, kept as they come for `tenfold adapt`."""

from __future__ import annotations

import re
from pathlib import Path

from tenfold.serve.corrections import LINES, Correction, Corrections

__all__ = ["Keeper"]

_MOST_BYTES = 2**30


class Keeper:
    """A folder of corrections (see `Corrections`). What is answered anew replaces the answer before. Raises
    DataError where the folder cannot be written."""

    def __init__(self, folder: Path) -> None:
        self._kept = Corrections(folder, _MOST_BYTES)
        self._names: dict[int, tuple[str, str]] = {}  # of each item's picture, and its text

    def keep(self, number: int, text: str, read: str, png: bytes) -> None:
        """text: "" is not kept, as it teaches nothing. Raises Refusal where there is no space."""
        name, before = self._names.get(number, ("", ""))
        if text == before:
            return
        if re.fullmatch(LINES, text):
            self._names[number] = (self._kept.add(Correction(text, read, png)), text)
        else:
            self._names.pop(number, None)
        if name:
            self._kept.remove(name)
