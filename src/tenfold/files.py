"""Writing files and folders atomically: a reader never sees half of one; and kinds of files."""

from __future__ import annotations

import csv
import io
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = [
    "csv_line",
    "fill_folder",
    "hidden_beside",
    "is_part",
    "is_special",
    "make_folder",
    "remove_parts",
    "remove_parts_of",
    "replace_file",
    "replace_together",
    "write_text",
]


_LONGEST = 150  # bytes of a name that a hidden one repeats: names have a limit
_PART = ".part"
_TOKEN = re.compile("[0-9a-f]{16}")


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Yields a path beside `path`, to be written; on success it is flushed and renamed to it, else removed.

    Its name cannot be guessed, so that nobody can plant a link to another file in its place.
    """
    make_folder(path.parent)
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
        remove_parts(folder)
        yield folder
        return
    make_folder(folder.parent)
    beside = _part_of(folder)
    beside.mkdir()
    try:
        yield beside
        beside.rename(folder)
        _sync_folder(folder.parent)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def replace_together(first: tuple[Path, bytes], last: tuple[Path, bytes]) -> None:
    """Writes two files of one folder that belong together: where the last one is, there is its first."""
    with replace_file(last[0]) as beside:
        beside.write_bytes(last[1])
        with replace_file(first[0]) as beside_first:
            beside_first.write_bytes(first[1])
            last[0].unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """The folder and those above it, where they are not there; a power cut does not take them away."""
    if not folder.is_dir():
        if folder.parent != folder:
            make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)


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


def hidden_beside(path: Path, ending: str) -> Path:
    """ ".NAMEending" in the same folder."""
    named = path.resolve() if path.name in ("", "..") else path
    name = os.fsencode(named.name)[:_LONGEST].decode("utf-8", "ignore")
    return named.parent / f".{name}{ending}"


def _part_of(path: Path) -> Path:
    return hidden_beside(path, f".{secrets.token_hex(8)}{_PART}")


def is_part(path: Path) -> bool:
    """Whether it is what a killed process left beside its files."""
    return path.name.startswith(".") and path.name.endswith(_PART)


def remove_parts(folder: Path) -> None:
    """Removes what a killed process left beside its files, in `folder` and below."""
    for part in [path for path in folder.rglob(f".*{_PART}") if is_part(path)]:
        _remove(part)


def remove_parts_of(path: Path) -> None:
    """Removes what killed processes left beside `path`, of that file or folder alone."""
    start = hidden_beside(path, ".").name
    for part in path.parent.iterdir():
        middle = part.name.removeprefix(start).removesuffix(_PART)
        if is_part(part) and part.name == f"{start}{middle}{_PART}" and _TOKEN.fullmatch(middle):
            _remove(part)


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
    line = io.StringIO(newline="")
    csv.writer(line).writerow([_as_text(cell) for cell in cells])  # which puts \r in quotes
    return line.getvalue().removesuffix("\r\n") + end


def _as_text(cell: object) -> object:
    if isinstance(cell, str) and _FORMULA.match(cell) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell
