"""Ways to the built-in reader besides Python: the HTTP server, and ONNX Runtime in the engine's place."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from tenfold.classifier import Classifier
from tenfold.reader.load import load_reader

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


class OnnxReader(Classifier):
    """Every judgement comes from the ONNX file, those that part digits from each other too."""

    def __init__(self, path: Path) -> None:
        import onnxruntime

        own = load_reader()
        super().__init__(own.engine, own.card)
        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def judge(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        probs, none = self.session.run(["probabilities", "none"], {"images": images})
        return probs, none
