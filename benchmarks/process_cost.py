"""What a command costs: wall and CPU seconds, and the memory of its largest process.

The command is started by a small process of its own (this file, run as a program): on Linux the peak
memory of a child counts from the memory of the process that started it.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Cost", "run_measured"]

_BYTES_A_UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss


@dataclass(frozen=True)
class Cost:
    """wall, cpu: seconds (cpu: user and system, with those of its own children); peak_mib: MiB."""

    wall: float
    cpu: float
    peak_mib: float


def run_measured(command: Sequence[str], output: Path) -> Cost:
    """Runs `command` with its stdout going to `output`. Leaves the program where it fails."""
    launcher = [sys.executable, __file__, str(output), *command]
    done = subprocess.run(launcher, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}")
    return Cost(**json.loads(done.stdout))


def _launch(output: str, command: Sequence[str]) -> int:
    with Path(output).open("wb") as file:
        started = time.perf_counter()
        code = subprocess.call(command, stdout=file)
        wall = time.perf_counter() - started
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    peak = used.ru_maxrss * _BYTES_A_UNIT / 2**20
    print(json.dumps({"wall": wall, "cpu": used.ru_utime + used.ru_stime, "peak_mib": peak}))
    return code


if __name__ == "__main__":
    sys.exit(_launch(sys.argv[1], sys.argv[2:]))
