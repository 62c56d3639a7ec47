"""Writing files so that nobody ever sees half of one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["remove_parts", "replace_file", "write_text"]


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Yields a path beside `path`; on success it is flushed and renamed to it, else removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield beside
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def remove_parts(folder: Path) -> None:
    """Removes what a killed process left beside its files, in `folder` and below."""
    for part in folder.rglob(".*.part"):
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text, beside and renamed."""
    with replace_file(path) as beside:
        beside.write_text(text, encoding="utf-8")
