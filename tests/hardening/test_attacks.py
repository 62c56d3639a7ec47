"""A small part of `make harden`; and that its parts do what the table says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_quick_attacks() -> None:
    """In a process of its own, for it forks others."""
    words = [sys.executable, "-m", "hardening", "--quick"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = dict(
        line.strip("| ").split(" | ", 1) for line in done.stdout.splitlines() if line.startswith("| ")
    )
    assert {"killed at a file operation", "ENOMEM at a file operation", "hostile requests"} <= rows.keys()
    assert int(rows["all"].split(" | ")[0]) > 100, done.stdout
