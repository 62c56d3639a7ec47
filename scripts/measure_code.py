"""How large the code is, and how far it is from a command to its work.

    python scripts/measure_code.py [--json]

Lines, files and public names (those of `__all__`) of src/tenfold; the functions of tenfold, and their files,
that `tenfold read`, `tenfold train` and `DigitClassifier.fit` enter; and hops: functions of tenfold on the
stack when the first matrix product of the network is computed and, for `tenfold read`, when the network
(`NumpyEngine.logits`) is entered, that one included.
"""

from __future__ import annotations

import argparse
import ast
import json
import sys
import tempfile
import unittest.mock
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

import tenfold

SOURCE = Path(__file__).resolve().parents[1] / "src" / "tenfold"
NETWORK = "NumpyEngine.logits"
NOTE = Path(__file__).resolve().parents[1] / "examples" / "note.jpg"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = measure_size() | {name: trace(work) for name, work in WORKS.items()}
    print(json.dumps(found, indent=2) if given.json else show(found))


def measure_size() -> dict[str, Any]:
    files = sorted(SOURCE.rglob("*.py"))
    lines = [path.read_text(encoding="utf-8").count("\n") for path in files]
    names = {f"{path}:{name}" for path in files for name in public_names(path)}
    return {"files": len(files), "lines": sum(lines), "public names": len(names)}


def public_names(path: Path) -> list[str]:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            if path == SOURCE / "__init__.py":
                return list(tenfold.__all__)
            return [str(name) for name in ast.literal_eval(node.value)]
    return []


def trace(work: Callable[[Path], Any]) -> dict[str, int]:
    """Functions and files of tenfold that are entered, and hops to the network and the first product."""
    entered: set[tuple[str, str]] = set()
    hops: list[int] = []
    network: list[int] = []
    matmul = np.matmul

    def look(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and is_ours(frame):
            entered.add((frame.f_code.co_filename, frame.f_code.co_qualname))
            if frame.f_code.co_qualname == NETWORK and not network:
                network.append(depth_of(frame))

    def count(*operands: Any, **options: Any) -> Any:
        if not hops:
            hops.append(depth_of(sys._getframe(1)))
        return matmul(*operands, **options)

    with tempfile.TemporaryDirectory() as folder, unittest.mock.patch.object(np, "matmul", count):
        sys.setprofile(look)
        try:
            work(Path(folder))
        finally:
            sys.setprofile(None)
    found = {"functions": len(entered), "files": len({file for file, _ in entered})}
    if work is read:
        found["hops to the network"] = network[0] if network else 0
    return found | {"hops to the first product": hops[0] if hops else 0}


def is_ours(frame: FrameType) -> bool:
    code = frame.f_code
    return code.co_filename.startswith(str(SOURCE)) and not code.co_name.startswith("<")


def depth_of(frame: FrameType | None) -> int:
    depth = 0
    while frame is not None:
        depth, frame = depth + is_ours(frame), frame.f_back
    return depth


def run_command(*words: str) -> None:
    from typer.testing import CliRunner

    from tenfold.cli.app import app

    done = CliRunner().invoke(app, list(words))
    if done.exit_code:
        raise SystemExit(f"tenfold {' '.join(words)}: {done.output}")


def read(_: Path) -> None:
    run_command("read", str(NOTE))


def train(folder: Path) -> None:
    options = ("--engine", "numpy", "--data", "sample", "--epochs", "1", "--no-report")
    run_command("train", "mlp-small", *options, "--run-dir", str(folder / "run"))


def fit(_: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 64)).astype(np.float64)
    tenfold.DigitClassifier("mlp-small", epochs=1, engine="numpy").fit(images, np.arange(40) % 4)


WORKS: dict[str, Callable[[Path], Any]] = {"tenfold read": read, "tenfold train": train, "fit": fit}


def show(found: dict[str, Any]) -> str:
    return "\n".join(
        f"{name}: {value}"
        if not isinstance(value, dict)
        else f"{name}: " + ", ".join(f"{count} {what}" for what, count in value.items())
        for name, value in found.items()
    )


if __name__ == "__main__":
    main()
