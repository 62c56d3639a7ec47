"""Writing files and folders atomically: a reader never sees half of one; and kinds of files."""

from __future__ import annotations

import csv
import io
import os
import re
import secrets
import shutil
import stat
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO

from tenfold.errors import UsageError

__all__ = [
    "Claim",
    "csv_line",
    "fill_folder",
    "grow_file",
    "is_special",
    "make_folder",
    "replace_file",
    "replace_together",
    "shown_path",
    "write_text",
]

_LONGEST = 150  # bytes of a name that a hidden one repeats: names have a limit
_PART = ".part"


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Yields a path beside `path`, to be written; on success it is flushed and renamed to it, else removed.

    Its name cannot be guessed, so that nobody can plant a link to another file in its place.
    """
    _make_folder(path.parent)
    beside = _part_of(path)
    try:
        yield beside
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        beside.replace(path)
        _sync_folder(path.parent)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def fill_folder(folder: Path, *, add: bool = False) -> Iterator[Path]:
    """Yields a new folder beside `folder`, to be filled; on success it is renamed to it, else removed.

    `folder` is not there yet or empty: OSError where it holds something by then. The working folder and a
    mounted one cannot be renamed: they are yielded themselves, and with `add` one that holds something.
    """
    folder = folder.resolve() if folder.is_symlink() else folder
    if folder.is_dir() and (
        folder.is_mount() or folder.samefile(Path.cwd()) or (add and any(folder.iterdir()))
    ):
        Claim.remove_parts(folder)
        yield folder
        return
    _make_folder(folder.parent)
    beside = _part_of(folder)
    beside.mkdir()
    try:
        yield beside
        beside.rename(folder)
        _sync_folder(folder.parent)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


@contextmanager
def grow_file(path: Path) -> Iterator[BinaryIO]:
    """Yields the file `path`.unfinished, at its start: what is written goes behind what it holds. On success
    it is flushed and renamed to `path`; else, and where the process is killed, it stays to be continued."""
    _make_folder(path.parent)
    unfinished = path.with_name(f"{path.name}.unfinished")
    with unfinished.open("a+b") as file:
        file.seek(0)
        yield file
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    _sync_folder(path.parent)


def replace_together(first: tuple[Path, bytes], last: tuple[Path, bytes]) -> None:
    """Writes two files of one folder that belong together: where the last one is, there is its first."""
    with replace_file(last[0]) as beside:
        beside.write_bytes(last[1])
        with replace_file(first[0]) as beside_first:
            beside_first.write_bytes(first[1])
            last[0].unlink(missing_ok=True)


def make_folder(path: str | Path) -> Path:
    """The folder of this name, made where it is not there. Raises UsageError where a file stands there."""
    folder = Path(path)
    try:
        _make_folder(folder)
    except (FileExistsError, NotADirectoryError) as error:
        raise UsageError(f"{folder} is not a folder", expected="a folder", remedy="name another") from error
    return folder


def _make_folder(folder: Path) -> None:
    """The folder and those above it, where they are not there; a power cut does not take them away."""
    if not folder.is_dir():
        if folder.parent != folder:
            _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    """The renames in it outlast a power cut; nothing happens where folders cannot be opened."""
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)  # which some network file systems refuse
        finally:
            os.close(number)


def _part_of(path: Path) -> Path:
    return Claim.hidden_beside(path, f".{secrets.token_hex(8)}{_PART}")


def _remove(part: Path) -> None:
    if part.is_dir() and not part.is_symlink():
        shutil.rmtree(part, ignore_errors=True)
    else:
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


_FORMULA = re.compile(r"\s*[=+\-@|%\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")  # how one begins, in some spreadsheet
_NUMBER = re.compile(r"[\d.,:/+\-×÷=\n ]*(\de-?\d+)?")  # of figures and signs only: it calls nothing


def csv_line(cells: Sequence[object], end: str = "\n") -> str:
    """A line of a CSV table. A text that a spreadsheet would run as a formula gets an apostrophe in front."""
    line, safe = io.StringIO(newline=""), []
    for cell in cells:
        runs = isinstance(cell, str) and _FORMULA.match(cell) and not _NUMBER.fullmatch(cell)
        safe.append(f"'{cell}" if runs else cell)
    csv.writer(line).writerow(safe)  # which puts \r in quotes
    return line.getvalue().removesuffix("\r\n") + end


try:
    import fcntl
except ImportError:  # Windows: nothing is locked there
    fcntl = None  # type: ignore[assignment]


_held: set[Path] = set()


class Claim:
    """A place kept from other processes while it is written, and what killed ones left beside it."""

    LOCK = ".lock"  # the file of a folder that is held by the process that writes there

    @staticmethod
    @contextmanager
    def folder(folder: Path, *, wait: bool = False) -> Iterator[Path]:
        """Makes and yields the folder, and keeps other processes from writing there until the end of it; a
        new folder in which nothing was written is removed.

        The lock ends with the process, however it ends. One process may claim a folder several times.
        wait: until another process that holds it is done. Raises UsageError where one holds it otherwise.
        """
        with _hold(folder / Claim.LOCK, folder, wait=wait):
            yield folder

    @staticmethod
    @contextmanager
    def place(path: Path) -> Iterator[None]:
        """As `folder`, for a file or folder that is replaced as a whole: the lock lies beside it. Removes
        what a process that was killed there left beside it."""
        with _hold(Claim.hidden_beside(path, Claim.LOCK), path):
            own = re.compile(
                re.escape(Claim.hidden_beside(path, ".").name) + "[0-9a-f]{16}" + re.escape(_PART)
            )
            for part in [part for part in path.parent.iterdir() if own.fullmatch(part.name)]:
                _remove(part)
            yield

    @staticmethod
    @contextmanager
    def free(wanted: Path, own: Collection[str] = ()) -> Iterator[Path]:
        """Claims and yields the first of `free_names(wanted)` that is free (see `is_taken`)."""
        with ExitStack() as stack:
            for folder in Claim.free_names(wanted):
                if not Claim.is_taken(folder, own):
                    with suppress(UsageError):
                        stack.enter_context(_hold(folder / Claim.LOCK, folder, alone=True))
                        if not Claim.is_taken(folder, own):
                            break
                    stack.close()
            yield folder

    @staticmethod
    def free_names(wanted: Path) -> Iterator[Path]:
        """NAME, NAME-2, NAME-3, ... without end."""
        yield wanted
        for number in count(2):
            yield wanted.with_name(f"{wanted.name}-{number}")

    @staticmethod
    def is_taken(folder: Path, own: Collection[str] = ()) -> bool:
        """Whether something stands there, other than an empty folder, or than the files named in `own` that a
        process which was killed left in a folder that it had claimed."""
        if folder.is_symlink() or not folder.is_dir():
            return folder.is_symlink() or folder.exists()
        found = [path for path in folder.iterdir() if path.name != Claim.LOCK]
        if not (folder / Claim.LOCK).exists():
            return bool(found)
        return any(path.name not in own and not Claim.is_part(path) for path in found)

    @staticmethod
    def hidden_beside(path: Path, ending: str) -> Path:
        """ ".NAMEending" in the same folder."""
        named = path.resolve() if path.name in ("", "..") else path
        name = os.fsencode(named.name)[:_LONGEST].decode("utf-8", "ignore")
        return named.parent / f".{name}{ending}"

    @staticmethod
    def is_part(path: Path) -> bool:
        """Whether it is what a killed process left beside its files."""
        return path.name.startswith(".") and path.name.endswith(_PART)

    @staticmethod
    def remove_parts(folder: Path) -> None:
        """Removes what a killed process left beside its files, in `folder` and below."""
        for part in [path for path in folder.rglob(f".*{_PART}") if Claim.is_part(path)]:
            _remove(part)


@contextmanager
def _hold(lock: Path, what: Path, *, alone: bool = False, wait: bool = False) -> Iterator[None]:
    """The lock file `lock` of this process alone, which is removed at the end of it. alone: this process
    must not hold it yet. wait: for another process that holds it."""
    folder = lock.parent
    new, key = not folder.exists(), folder.resolve() / lock.name
    _make_folder(folder)
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


def _lock(path: Path, what: Path, wait: bool) -> int:
    while True:
        number = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
        try:
            fcntl.flock(number, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if path.exists() and os.path.samestat(os.fstat(number), path.stat()):
                return number
        except BlockingIOError:
            os.close(number)
            found = f"another process writes into {what}"
            remedy = "name another, or wait for the end of that process"
            raise UsageError(found, expected="a separate path for each", remedy=remedy) from None
        os.close(number)  # its file was removed meanwhile: by the process that held it


def shown_path(text: str) -> str:
    """For a text that others see: a relative path as it is; of an absolute one what lies below the working
    folder, else its last part."""
    if not (PurePosixPath(text).is_absolute() or PureWindowsPath(text).is_absolute()):
        return text
    here = Path.cwd()
    if Path(text).is_relative_to(here):
        return str(Path(text).relative_to(here))
    return PureWindowsPath(text).name or "."
