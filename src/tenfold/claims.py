"""Folders that one process writes at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tenfold.errors import UsageError

try:
    import fcntl
except ImportError:  # Windows: folders are not locked there
    fcntl = None  # type: ignore[assignment]

__all__ = ["LOCK", "claim_folder", "is_taken"]

LOCK = ".lock"  # the file of a folder that is held by the process that writes there


@contextmanager
def claim_folder(folder: Path, *, wait: bool = False) -> Iterator[None]:
    """Makes the folder, and keeps other processes from writing there until the end of it; a new folder in
    which nothing was written is removed.

    The lock ends with the process, however it ends. One process may claim a folder several times.
    wait: until another process that holds it is done. Raises UsageError where one holds it otherwise.
    """
    new, key = not folder.exists(), folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if key in _held or fcntl is None:
        yield
        return
    number = _lock(folder, wait)
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


def _lock(folder: Path, wait: bool) -> int:
    path = folder / LOCK
    while True:
        number = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
        try:
            fcntl.flock(number, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
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
