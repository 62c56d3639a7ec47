"""`tenfold read --out`: a shard of many pictures, into a file of JSON lines."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenfold.cli.predict import to_the_end
from tenfold.errors import UsageError, printable
from tenfold.show.answers import Answer, Answers
from tenfold.show.terminal import stderr

if TYPE_CHECKING:
    from tenfold.forms.template import Form


def check_sources(
    pictures: Sequence[str] | None,
    listed: Path | None,
    shard: str,
    out: Path | None,
    excluded: Mapping[str, Any],
) -> None:
    """Raises UsageError where no pictures are named, or options do not go together. excluded: by --out."""
    if not pictures and listed is None:
        raise UsageError("no pictures are named", expected="pictures, folders of them, or --list FILE")
    if pictures and listed is not None:
        raise UsageError(f"--list and {pictures[0]}", expected="one of them", remedy="leave one out")
    if listed is not None and str(listed) != "-" and not listed.is_file():
        raise UsageError(f"the list {listed} is not there", expected="a file with one path per line")
    if out is None:
        if listed is not None or shard != "0/1":
            found = "--list" if listed is not None else "--shard"
            raise UsageError(f"{found} without --out", remedy="name a folder for the readings with --out")
        return
    if given := next((name for name, value in excluded.items() if value), None):
        raise UsageError(f"--out and {given} exclude each other", remedy=f"leave {given} out")
    if pictures and "-" in pictures:
        raise UsageError("--out and a picture from stdin", expected="paths", remedy="leave --out out")


def read_shard(
    shard: str,
    out: Path,
    pictures: Sequence[str] | None,
    listed: Path | None,
    settings: dict[str, Any],
    template: Form | None,
    answer: Callable[[Iterator[Any]], Generator[Answer]],
    *,
    quiet: bool,
) -> None:
    """settings: what all shards have in common; those without a value do not count."""
    from tenfold.reader.shards import Shard

    part, count, failed = Shard.parse(shard), 0, 0
    given = {"list": str(listed) if listed else None, "pictures": pictures or None}
    same = {key: value for key, value in given.items() if value}
    same |= {key: str(value) for key, value in settings.items() if value}
    with part.open(out, same) as file:
        if file is None:
            _say(f"{part.path(out)} is finished", quiet)
            return
        paths = part.find(pictures or (), listed)
        for line in part.resume(file, paths):
            count, failed = count + 1, failed + bool(line["error"])
        if count:
            _say(f"{count:,} pictures are read already", quiet)
        answers = Answers.in_lines(template or "reading", file)
        with (
            to_the_end(answers),
            stderr.progress_bar(quiet=quiet) as progress,
            closing(answer(paths)) as answered,
        ):
            for each in answered:
                answers.add(each.only_digits() if settings["digits"] else each)
                count, failed = count + 1, failed + bool(each.error)
                if progress:
                    progress("reading", count, 0)
    unread = f", {failed:,} of them could not be read" if failed else ""
    _say(f"{part.path(out)}: {count:,} pictures{unread}", quiet)


def _say(text: str, quiet: bool) -> None:
    if not quiet:
        sys.stderr.write(f"tenfold: {printable(text)}\n")
