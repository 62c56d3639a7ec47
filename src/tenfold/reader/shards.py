"""Shards: each process of many reads its share of the pictures into a file, and continues it when stopped."""

from __future__ import annotations

import json
import os
import re
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Self

from tenfold.errors import UsageError, printable
from tenfold.files import Claim, grow_file, make_folder, write_text
from tenfold.pictures.formats import PdfPage, walk_pictures, walk_with_pages
from tenfold.records import read_json, reading

__all__ = ["Shard"]

_SETTINGS = "shards.json"  # what the shards of a folder have in common
_MOST = 99_999


class Shard(NamedTuple):
    """Share `number`, counted from 0, of `total`. Each path is in exactly one, whatever others there are."""

    number: int
    total: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """From "3/8". Raises UsageError."""
        found = re.fullmatch(r"(\d{1,5})/(\d{1,5})", text)
        shard = cls(int(found[1]), int(found[2])) if found else None
        if shard is None or not shard.number < shard.total <= _MOST:
            last = (
                f"0/{shard.total} to {shard.total - 1}/{shard.total}"
                if shard and shard.total
                else "0/8 to 7/8"
            )
            raise UsageError(f"--shard {text}", expected=f"i/n, counted from 0: {last}")
        return shard

    def takes(self, path: str) -> bool:
        return zlib.crc32(os.fsencode(path)) % self.total == self.number

    def find(self, sources: Sequence[str], listed: Path | None) -> Iterator[tuple[str | PdfPage, str]]:
        """Its pictures, each with what is wrong with it, as they are found: nothing holds all paths.

        sources: pictures and folders. listed: a file with one path per line, or - for standard input; paths
        are relative to the working folder. Raises UsageError for a file that cannot be read.
        """
        given = sources if listed is None else _lines(listed)
        found = (each for path in given for each in walk_pictures(path, besides=(".pdf",), wanted=self.takes))
        return walk_with_pages(found)

    @contextmanager
    def open(self, folder: Path, settings: Mapping[str, Any]) -> Iterator[BinaryIO | None]:
        """Yields its file in the folder, at the start of the lines of a process that was stopped; None where
        the shard is finished. It gets its name when all is written.

        settings: what all shards have in common, as JSON takes it. Raises UsageError where those of the
        folder have others, or where another process reads this shard.
        """
        make_folder(folder)
        with Claim.folder(folder, wait=True):
            _agree(folder / _SETTINGS, {"shards": self.total, **settings})
        path = self.path(folder)
        with ExitStack() as stack:
            if not path.exists():
                stack.enter_context(Claim.place(path))
            yield None if path.exists() else stack.enter_context(grow_file(path))

    def path(self, folder: Path) -> Path:
        return folder / f"shard-{self.number:05}-of-{self.total:05}.jsonl"

    @staticmethod
    def resume(file: BinaryIO, pictures: Iterator[tuple[str | PdfPage, str]]) -> Iterator[dict[str, Any]]:
        """The lines that the file holds, for the first of the pictures, which are taken from the iterator. A
        torn line, and what follows it, is cut off. Raises UsageError where they are of other pictures."""
        end = 0
        for line in file:
            try:
                kept: dict[str, Any] = json.loads(line if line.endswith(b"\n") else b"null")
                name = (kept["path"], kept["page"])
            except (ValueError, TypeError, KeyError):
                break
            path, _ = next(pictures, ("", ""))
            if name != ((path.path, path.number) if isinstance(path, PdfPage) else (path, None)):
                found = f"{printable(file.name)} holds {printable(str(name[0]))} where the list now has"
                found += f" {printable(str(path)) or 'nothing'}"
                raise UsageError(found, expected="the same pictures", remedy="delete it to start over")
            end += len(line)
            yield kept
        file.truncate(end)


def _agree(path: Path, settings: dict[str, Any]) -> None:
    if not path.exists():
        write_text(path, json.dumps(settings, indent=2) + "\n")
    with reading(str(path), expected="the settings of shards", remedy="name another folder", kind=UsageError):
        known = read_json(path)
    if differing := [key for key, value in settings.items() if known.get(key) != value]:
        found = f"{path.parent} holds shards with another {' and '.join(differing)}"
        raise UsageError(found, expected=f"what {path} says", remedy="name another folder")


def _lines(path: Path) -> Iterator[str]:
    """One path each, without empty lines. Bytes that are not UTF-8 stay what they are."""
    try:
        with ExitStack() as stack:
            number = sys.stdin.fileno() if str(path) == "-" else path
            how: dict[str, Any] = {
                "encoding": "utf-8",
                "errors": "surrogateescape",
                "closefd": str(path) != "-",
            }
            for line in stack.enter_context(open(number, **how)):  # noqa: PTH123 - stdin has no path
                if name := line.rstrip("\r\n"):
                    yield name
    except OSError as error:
        found = f"the list {path} cannot be read ({error.strerror})"
        raise UsageError(found, expected="a file with one path per line") from error
