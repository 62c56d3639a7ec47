"""Writes docs/commands.md from what `tenfold ... --help` says; a test holds the two together.

python scripts/write_commands.py
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "commands.md"
COMMANDS = (
    "", "train", "evaluate", "read", "adapt", "serve", "predict", "explain", "report", "doctor", "export",
    "crossval", "search",
    "runs", "runs show", "runs compare", "recipes", "recipes show",
    "data", "data info", "data show", "data fetch", "gradcheck",
)  # fmt: skip


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
    for command in COMMANDS:
        name = f"tenfold {command}".strip()
        parts += ["", f"## {name}", "", "```text", help_of(command), "```"]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
