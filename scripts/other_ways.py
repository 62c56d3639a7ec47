"""Ways to the built-in reader besides Python: the HTTP server, and ONNX Runtime in the engine's place."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import numpy as np

from tenfold.networks.engine import Engine
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
        own = load_reader()
        super().__init__(cast(Engine, _OnnxEngine(path, own)), own.card)


class _OnnxEngine:
    name = "onnx"

    def __init__(self, path: Path, reader: LineReader) -> None:
        import onnxruntime

        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        self.network, self.temperature = reader.network, np.float32(reader.card.temperature)

    def logits(self, strips: np.ndarray) -> np.ndarray:
        """The log-probabilities, for a temperature that the reader divides by once more."""
        (logs,) = self.session.run(["log_probabilities"], {"strips": strips})
        return np.asarray(logs * self.temperature)
