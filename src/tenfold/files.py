"""Writing files so that nobody ever sees half of one; and what kind of file is there."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["is_special", "remove_parts", "replace_file", "write_text"]


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


def is_special(path: str | Path) -> bool:
    """Whether a pipe, a socket or a device is there: reading it might never end."""
    try:
        mode = Path(path).stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
