"""What a run must remember of where it happened, to be done again."""

from __future__ import annotations

import json
import platform
import resource
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.engines.create import describe_engine
from tenfold.files import write_text
from tenfold.helpers import count_cores
from tenfold.numpy_engine.runtime.threads import describe_blas
from tenfold.version import __version__

__all__ = ["describe_environment", "peak_memory_mib", "write_environment"]


def describe_environment(engine: str, device: str = "cpu") -> dict[str, Any]:
    """Versions, cores and threads; and what the engine says of itself. Raises UsageError for a device that
    is not there."""
    return {
        "tenfold": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": describe_blas(),
        "system": platform.system(),
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": count_cores(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "engine": engine,
    } | describe_engine(engine, device)


def _processor() -> str:
    """The processor's name where the system tells it, else its architecture."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def peak_memory_mib() -> float:
    """Of this process so far (macOS counts bytes, Linux KiB)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def write_environment(folder: Path, values: dict[str, Any]) -> None:
    write_text(folder / "environment.json", json.dumps(values, indent=2) + "\n")
