"""Paths in what is shown to others: none says where it lay on the machine that wrote it."""

from __future__ import annotations

import shlex
from pathlib import Path, PurePosixPath, PureWindowsPath

__all__ = ["shown_command", "shown_path"]


def shown_path(text: str) -> str:
    """A relative path as it is; of an absolute one what lies below the working folder, else its last part."""
    if not (PurePosixPath(text).is_absolute() or PureWindowsPath(text).is_absolute()):
        return text
    here = Path.cwd()
    if Path(text).is_relative_to(here):
        return str(Path(text).relative_to(here))
    return PureWindowsPath(text).name or "."


def shown_command(command: str) -> str:
    """A command line with its absolute paths as `shown_path`, also behind KEY= and --option=; a call in
    Python stays as it is."""
    if "(" in command.partition(" ")[0]:
        return command
    try:
        words = shlex.split(command)
    except ValueError:  # quotes that do not close
        words = command.split()
    return shlex.join(_shown_word(word) for word in words)


def _shown_word(word: str) -> str:
    before, equals, value = word.rpartition("=")
    return f"{before}{equals}{shown_path(value)}"
