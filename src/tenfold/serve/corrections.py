"""Corrections, kept as `tenfold adapt` takes them: pictures, and a table of what is written on them."""

from __future__ import annotations

import csv
import errno
import os
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tenfold.errors import DataError
from tenfold.files import csv_line, replace_file
from tenfold.reader.decode import CHARACTERS, OTHER
from tenfold.serve.settings import Refusal

__all__ = ["Corrections"]

_MOST = 10_000  # kept in one folder: clients must not fill the server's disk
NOT_A_DIGIT = "not a digit"
LINE_LENGTH = 32  # characters of each line of a label
_LINE = f"[{re.escape(CHARACTERS.replace(OTHER, ''))}]{{1,{LINE_LENGTH}}}"
LINES = rf"{_LINE}(\n{_LINE}){{0,15}}"  # of a picture, as `tenfold adapt` takes them
_COLUMNS = ("path", "label", "read", "kept")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Corrections:
    """A folder with pictures/ and labels.csv, for `tenfold adapt --labels FOLDER/labels.csv`.

    most_bytes: of all that is in it. Raises DataError where the folder cannot be written.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self.folder, self.table, self.most_bytes = folder, folder / "labels.csv", most_bytes
        try:
            (folder / "pictures").mkdir(parents=True, exist_ok=True)
            if not self.table.exists():
                self._append(_COLUMNS)
            with self.table.open(encoding="utf-8", newline="") as file:
                self.count = max(0, sum(1 for _ in csv.reader(file)) - 1)
            files = [self.table, *(folder / "pictures").iterdir()]
            self.size = sum(path.stat().st_size for path in files)
        except OSError as error:
            found = f"{folder} cannot be written ({error.strerror})"
            raise DataError(found, expected="a folder for corrections") from error

    @staticmethod
    def takes_lines(text: str) -> bool:
        """Whether it may be what is written on the lines of a picture, as `tenfold adapt` takes them."""
        return re.fullmatch(LINES, text) is not None

    def check_capacity(self, more: int = 0) -> None:
        """Raises Refusal 507 where the folder holds as many as it may, or `more` bytes were too many."""
        if self.count >= _MOST:
            raise Refusal(507, f"{self.count:,} corrections are kept", remedy="move some of them elsewhere")
        if self.size + more >= self.most_bytes:
            found, expected = f"{self.size:,} bytes of corrections are kept", f"at most {self.most_bytes:,}"
            remedy = "move some of them elsewhere, or allow more with --max-collected"
            raise Refusal(507, found, expected=expected, remedy=remedy)

    def add(self, label: str, read: str, png: bytes) -> str:
        """The name of its picture in the table. Raises Refusal 507, and then nothing is kept of it.

        label: what is written there. read: what was read instead. png: the picture as it is kept.
        """
        name = f"pictures/{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:8]}.png"
        row = (name, label, read, time.strftime("%Y-%m-%dT%H:%M:%S%z"))
        self.check_capacity(len(png))
        with _said_when_full():
            with replace_file(self.folder / name) as beside:
                beside.write_bytes(png)
            try:
                written = self._append(row)
            except OSError:
                (self.folder / name).unlink(missing_ok=True)
                raise
        self.count += 1
        self.size += len(png) + written
        return name

    def remove(self, name: str) -> None:
        """Takes back what `add` named. Raises Refusal 507 where the table cannot be written."""
        with _said_when_full():
            with self.table.open(encoding="utf-8", newline="") as file:
                rows = [row for row in csv.reader(file) if row[:1] != [name]]
            with replace_file(self.table) as beside:
                beside.write_text("".join(map(csv_line, rows)), encoding="utf-8", newline="")
            (self.folder / name).unlink(missing_ok=True)
        self.count -= 1

    def _append(self, row: tuple[str, ...]) -> int:
        """The bytes of a line that stands in the table as a whole, or not at all."""
        line = csv_line(row).encode()
        with self.table.open("ab", buffering=0) as file:
            before = os.fstat(file.fileno()).st_size
            try:
                if (written := file.write(line)) != len(line):
                    raise OSError(errno.ENOSPC, f"only {written} of {len(line)} bytes were written")
                os.fsync(file.fileno())
            except OSError:
                file.truncate(before)
                raise
        return len(line)


@contextmanager
def _said_when_full() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = "the disk is full" if error.errno in _FULL else error.strerror or type(error).__name__
        found, remedy = f"the correction cannot be kept ({reason})", "free space in the folder of --collect"
        raise Refusal(507, found, remedy=remedy) from error
