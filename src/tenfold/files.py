"""Writing files so that nobody ever sees half of one."""

from __future__ import annotations

import csv
import io
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = ["csv_line", "remove_parts", "replace_file", "write_text"]


_LONGEST = 100  # characters of a name that its part repeats: names have a limit


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Yields a path beside `path`, to be written; on success it is flushed and renamed to it, else removed.

    Its name cannot be guessed, so that nobody can plant a link to another file in its place.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name[:_LONGEST]}.{secrets.token_hex(8)}.part")
    try:
        yield beside
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        beside.replace(path)
        _sync_folder(path.parent)
    finally:
        beside.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """The renames in it outlast a power cut; nothing happens where folders cannot be opened."""
    try:
        number = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(number)
    except OSError:  # some network file systems
        pass
    finally:
        os.close(number)


def remove_parts(folder: Path) -> None:
    """Removes what a killed process left beside its files, in `folder` and below."""
    for part in folder.rglob(".*.part"):
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text, beside and renamed."""
    with replace_file(path) as beside:
        beside.write_text(text, encoding="utf-8")


_FORMULA = re.compile(r"\s*[=+\-@|%\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")  # how one begins, in some spreadsheet
_NUMBER = re.compile(r"[\d.,:/+\-×÷=\n ]*(\de-?\d+)?")  # of figures and signs only: it calls nothing


def csv_line(cells: Sequence[object], end: str = "\n") -> str:
    """A line of a CSV table. A text that a spreadsheet would run as a formula gets an apostrophe in front."""
    line = io.StringIO(newline="")
    csv.writer(line).writerow([_as_text(cell) for cell in cells])  # which puts \r in quotes
    return line.getvalue().removesuffix("\r\n") + end


def _as_text(cell: object) -> object:
    if isinstance(cell, str) and _FORMULA.match(cell) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell
