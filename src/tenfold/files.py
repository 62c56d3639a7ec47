"""Writing files so that nobody ever sees half of one, and folders that one process writes at a time."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tenfold.errors import UsageError

try:
    import fcntl
except ImportError:  # Windows: folders are not locked there
    fcntl = None  # type: ignore[assignment]

__all__ = ["LOCK", "claim_folder", "is_taken", "remove_parts", "replace_file", "write_text"]

LOCK = ".lock"  # the file of a folder that is held by the process that writes there

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


@contextmanager
def claim_folder(folder: Path) -> Iterator[None]:
    """Makes the folder, and keeps other processes from writing there until the end of it; a new folder in
    which nothing was written is removed.

    The lock ends with the process, however it ends. One process may claim a folder several times.
    Raises UsageError where another process holds it.
    """
    new, key = not folder.exists(), folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if key in _held or fcntl is None:
        yield
        return
    number = _lock(folder)
    _held.add(key)
    try:
        yield
    finally:
        _held.discard(key)
        (folder / LOCK).unlink(missing_ok=True)
        os.close(number)
        if new:
            with suppress(OSError):  # something was written
                folder.rmdir()


_held: set[Path] = set()


def _lock(folder: Path) -> int:
    path = folder / LOCK
    while True:
        number = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(os.fstat(number), path.stat()):
                return number
        except BlockingIOError:
            os.close(number)
            raise UsageError(
                f"another process writes into {folder}",
                expected="a folder of its own for each",
                remedy="name another folder, or wait for the end of that process",
            ) from None
        os.close(number)  # its file was removed meanwhile: by the process that held it


def is_taken(folder: Path) -> bool:
    """Whether something stands there, other than an empty folder."""
    if folder.is_symlink() or not folder.is_dir():
        return folder.is_symlink() or folder.exists()
    return any(path.name != LOCK for path in folder.iterdir())
