"""Folders and files that one process writes at a time."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path

from tenfold.errors import UsageError
from tenfold.files import hidden_beside, is_part, make_folder, remove_parts_of

try:
    import fcntl
except ImportError:  # Windows: nothing is locked there
    fcntl = None  # type: ignore[assignment]

__all__ = ["LOCK", "claim_folder", "claim_free", "claim_place", "free_names", "is_taken"]

LOCK = ".lock"  # the file of a folder that is held by the process that writes there

_held: set[Path] = set()


@contextmanager
def claim_folder(folder: Path, *, wait: bool = False) -> Iterator[None]:
    """Makes the folder, and keeps other processes from writing there until the end of it; a new folder in
    which nothing was written is removed.

    The lock ends with the process, however it ends. One process may claim a folder several times.
    wait: until another process that holds it is done. Raises UsageError where one holds it otherwise.
    """
    with _hold(folder / LOCK, folder, wait=wait):
        yield


@contextmanager
def claim_place(path: Path) -> Iterator[None]:
    """As `claim_folder`, for a file or folder that is replaced as a whole: the lock lies beside it. Removes
    what a process that was killed there left beside it."""
    with _hold(hidden_beside(path, LOCK), path):
        remove_parts_of(path)
        yield


@contextmanager
def claim_free(wanted: Path, own: Collection[str] = ()) -> Iterator[Path]:
    """Claims and yields the first of `free_names(wanted)` that is free (see `is_taken`)."""
    for folder in free_names(wanted):
        if is_taken(folder, own):
            continue
        with ExitStack() as stack:
            try:
                stack.enter_context(_hold(folder / LOCK, folder, alone=True))
            except UsageError:
                continue
            if is_taken(folder, own):
                continue
            yield folder
            return


def free_names(wanted: Path) -> Iterator[Path]:
    """NAME, NAME-2, NAME-3, ... without end."""
    yield wanted
    for number in count(2):
        yield wanted.with_name(f"{wanted.name}-{number}")


def is_taken(folder: Path, own: Collection[str] = ()) -> bool:
    """Whether something stands there, other than an empty folder, or than the files named in `own` that a
    process which was killed left in a folder that it had claimed."""
    if folder.is_symlink() or not folder.is_dir():
        return folder.is_symlink() or folder.exists()
    found = [path for path in folder.iterdir() if path.name != LOCK]
    if not (folder / LOCK).exists():
        return bool(found)
    return any(path.name not in own and not is_part(path) for path in found)


@contextmanager
def _hold(lock: Path, what: Path, *, alone: bool = False, wait: bool = False) -> Iterator[None]:
    """The lock file `lock` of this process alone, which is removed at the end of it. alone: this process
    must not hold it yet. wait: for another process that holds it."""
    folder = lock.parent
    new, key = not folder.exists(), _key(lock)
    make_folder(folder)
    if fcntl is None or (key in _held and not alone):
        yield
        return
    number = _lock(lock, what, wait)
    _held.add(key)
    try:
        yield
    finally:
        _held.discard(key)
        lock.unlink(missing_ok=True)
        os.close(number)
        if new:
            with suppress(OSError):  # something was written
                folder.rmdir()


def _key(lock: Path) -> Path:
    return lock.parent.resolve() / lock.name


def _lock(path: Path, what: Path, wait: bool) -> int:
    while True:
        number = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
        try:
            fcntl.flock(number, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if path.exists() and os.path.samestat(os.fstat(number), path.stat()):
                return number
        except BlockingIOError:
            os.close(number)
            raise UsageError(
                f"another process writes into {what}",
                expected="a separate path for each",
                remedy="name another, or wait for the end of that process",
            ) from None
        os.close(number)  # its file was removed meanwhile: by the process that held it
