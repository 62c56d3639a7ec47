"""Commands in this process or in one of their own, and small data for them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tenfold.data.idx import write_idx

NAMES = ("left", "middle", "right")
RECIPE = """name = "tiny"
title = "Tiny"
[network]
layers = ["flatten", "linear 8", "tanh", "linear classes"]
[optimiser]
learning_rate = 0.5
[training]
epochs = 2
batch_size = 20
"""


@dataclass(frozen=True)
class Done:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        return json.loads(self.out)

    def complaint(self, code: int, *words: str) -> str:
        """The one line on stderr of a command that failed; nothing on stdout, no traceback."""
        assert self.code == code, (self.code, self.err)
        assert self.err.startswith("tenfold: ") and self.err.count("\n") == 1, self.err
        assert "Traceback" not in self.err and not self.out
        for word in words:
            assert word in self.err
        return self.err


Command = Callable[..., Done]


def in_process(capsys: Any, monkeypatch: Any) -> Command:
    """tenfold.cli.main with these arguments, here."""
    from tenfold.cli import main

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["tenfold", *map(str, arguments)])
        capsys.readouterr()
        code: Any = None
        try:
            main()
        except SystemExit as end:
            code = end.code
        out, err = capsys.readouterr()
        return Done(code, out, err)

    return run


def in_a_process_of_its_own(*arguments: object, cwd: Path, **environment: str) -> Done:
    done = subprocess.run(
        [sys.executable, "-m", "tenfold", *map(str, arguments)],
        cwd=cwd,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def pictures(count: int = 150, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (N, 12, 12) of three classes, a bright band each, and their labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    images = rng.integers(0, 60, (count, 12, 12), dtype=np.uint8)
    for label in range(3):
        images[labels == label, 4 * label : 4 * label + 4, 2:8] += 120
    return images, labels


def write_folder(path: Path, count: int = 150) -> Path:
    for number, (image, label) in enumerate(zip(*pictures(count), strict=True)):
        folder = path / NAMES[label]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{number:03}.png")
    return path


def write_npz(path: Path, count: int = 150) -> Path:
    images, labels = pictures(count)
    np.savez(path, images=images, labels=labels)
    return path


def write_csv(path: Path, count: int = 150) -> Path:
    images, labels = pictures(count)
    rows = np.column_stack([labels, images.reshape(count, -1)])
    header = ",".join(["label", *(f"pixel{k}" for k in range(144))])
    np.savetxt(path, rows, fmt="%d", delimiter=",", header=header, comments="")
    return path


def write_idx_folder(path: Path, count: int = 150) -> Path:
    path.mkdir(parents=True)
    for part, seed in (("train", 0), ("t10k", 1)):
        images, labels = pictures(count, seed)
        write_idx(path / f"{part}-images-idx3-ubyte.gz", images)
        write_idx(path / f"{part}-labels-idx1-ubyte.gz", labels.astype(np.uint8))
    return path
