"""Importing PyTorch while the data are read: in a process of its own, since here it is there already."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys, threading
from tenfold import change_recipe, get_recipe, preload_engine
recipe = get_recipe({name!r})
preload_engine(recipe, {engine!r})
for thread in threading.enumerate():
    if thread is not threading.current_thread():
        thread.join()
print("torch" in sys.modules or "torch.wanted" in sys.modules)
import gc
print(gc.isenabled())
"""
STAND_IN = "import sys\nsys.modules['torch.wanted'] = sys\nraise ImportError"


@pytest.mark.parametrize(
    ("name", "engine", "loaded"),
    [
        ("cnn", "auto", True),
        ("cnn", "numpy", False),
        ("fast", "auto", False),  # which asks for NumPy itself
        ("fast", "torch", True),
        ("mlp-small", "auto", False),
        ("mlp-small", "torch", True),
        ("fast", "no such engine", False),
    ],
)
def test_only_what_will_be_used_is_imported(name: str, engine: str, loaded: bool, tmp_path: Path) -> None:
    """PyTorch itself once; then a module of its name that says that it was wanted, since it takes seconds."""
    program, surroundings = PROGRAM.format(name=name, engine=engine), dict(os.environ)
    if (name, engine) != ("cnn", "auto"):
        (tmp_path / "torch.py").write_text(STAND_IN)
        surroundings["PYTHONPATH"] = str(tmp_path)
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=surroundings)
    assert done.stdout.split() == [str(loaded), "True"]
    assert done.stderr == ""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere the import does it all")
def test_the_library_is_there_before_the_import() -> None:
    program = """
import sys
from pathlib import Path
from tenfold.engines.create import _open_library
_open_library()
print("libtorch_cpu" in Path("/proc/self/maps").read_text(), "torch" in sys.modules)
import torch
print(float(torch.ones(3) @ torch.ones(3)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout.split(), done.stderr) == (["True", "False", "3.0"], "")
