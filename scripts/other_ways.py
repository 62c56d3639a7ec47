"""Ways to the built-in reader besides Python: the HTTP server, and ONNX Runtime in the engine's place."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from tenfold.reader.constraint import Constraint
from tenfold.reader.decode import Decoded, Effort, decode
from tenfold.reader.line_reader import LineReader, load_reader

__all__ = ["OnnxReader", "serving"]


@contextmanager
def serving(*options: str) -> Iterator[str]:
    """`tenfold serve` on a free port, ready; yields its address, without a slash at its end."""
    command = [sys.executable, "-m", "tenfold", "serve", "--port", "0", "--quiet", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            said = server.stderr.readline() if server.stderr else ""
            yield re.findall(r"http://\S+", said)[0].rstrip("/")
        finally:
            server.terminate()


class OnnxReader(LineReader):
    """What the columns of a strip hold comes from the ONNX file."""

    def __init__(self, path: Path) -> None:
        import onnxruntime

        own = load_reader()
        super().__init__(own.engine, own.card)
        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def read_strip(
        self, strip: np.ndarray, constraint: Constraint | None = None, effort: Effort | None = None
    ) -> tuple[Decoded, np.ndarray]:
        (logs,) = self.session.run(["log_probabilities"], {"strips": strip[None]})
        return decode(logs[0], constraint, effort), logs[0]
