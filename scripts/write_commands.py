"""Writes docs/commands.md from what `tenfold ... --help` says; a test holds the two together.

python scripts/write_commands.py
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from typer.main import get_command

from tenfold.cli.app import app

PAGE = Path(__file__).parents[1] / "docs" / "commands.md"


def commands() -> Iterator[str]:
    """Every command, as the help lists them; groups before what is in them."""
    yield ""
    for name, command in getattr(get_command(app), "commands", {}).items():
        yield name
        yield from (f"{name} {inner}" for inner in getattr(command, "commands", {}))


def help_of(command: str) -> str:
    """The help of a command, 90 columns wide and without colours."""
    surroundings = os.environ | {"COLUMNS": "90", "NO_COLOR": "1", "TERM": "dumb"}
    done = subprocess.run(
        [sys.executable, "-m", "tenfold", *command.split(), "--help"],
        check=True, capture_output=True, text=True, env=surroundings,
    )  # fmt: skip
    return "\n".join(line.rstrip() for line in done.stdout.strip("\n").splitlines())


def page() -> str:
    parts = ["# The commands", "", "Made by `python scripts/write_commands.py` from `--help`."]
    for command in commands():
        name = f"tenfold {command}".strip()
        parts += ["", f"## {name}", "", "```text", help_of(command), "```"]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
