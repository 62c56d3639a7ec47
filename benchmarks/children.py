"""Programs that are timed are run in processes of their own: the peers, a recipe, and the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tenfold.data.load import DataRequest

__all__ = ["find_mnist", "last_lines", "run_command_line", "run_program"]

PEERS = Path(__file__).parent / "peers"


def find_mnist(data_dir: str | None = None) -> Path:
    """The folder of the four MNIST files."""
    folder = DataRequest("mnist", data_dir=data_dir).find()
    if folder is None:
        raise SystemExit("MNIST is not on this machine: run `tenfold data fetch mnist`, or give --data-dir")
    return folder


def last_lines(text: str, count: int = 5) -> str:
    return "\n".join(text.strip().splitlines()[-count:])


def run_program(name: str, data_dir: Path, *options: str) -> dict[str, Any]:
    """What benchmarks/peers/NAME.py wrote. Leaves the program, with its last lines, where it fails."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.json"
        command = [sys.executable, str(PEERS / f"{name}.py"), str(data_dir), str(out), *options]
        done = subprocess.run(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"{name} ended with {done.returncode}:\n{last_lines(done.stderr)}")
        document: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
        return document


def run_command_line(recipe: str, data_dir: Path, *options: str) -> dict[str, Any]:
    """`tenfold train RECIPE` as a user gives it, in the form of run_program.

    The clock runs until model.safetensors is in its place; CPU seconds and peak memory are those of the
    whole process, which tests the model afterwards.
    """
    with tempfile.TemporaryDirectory() as folder:
        run_dir, out = Path(folder) / "run", Path(folder) / "out.json"
        command = [sys.executable, "-m", "tenfold", "train", recipe, "--data-dir", str(data_dir.parent)]
        command += ["--run-dir", str(run_dir), "--json", "--quiet", "--no-report", *options]
        with out.open("wb") as file:
            started = time.time()
            process = subprocess.Popen(command, stdout=file)
            _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
        entry = {
            "epoch": 1,
            "seconds_since_start": (run_dir / "model.safetensors").stat().st_mtime - started,
            "cpu_seconds": used.ru_utime + used.ru_stime,
            "peak_mib": used.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10),
            "test_accuracy": json.loads(out.read_text(encoding="utf-8"))["test_accuracy"],
        }
    return {"program": "tenfold train", "recipe": recipe, "epochs": [entry]}
