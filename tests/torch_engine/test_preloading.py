"""Importing PyTorch while the data are read: in a process of its own, since here it is there already."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys, threading
from tenfold import change_recipe, get_recipe, preload_engine
recipe = get_recipe({name!r})
preload_engine(recipe, {engine!r})
for thread in threading.enumerate():
    if thread is not threading.current_thread():
        thread.join()
print("torch" in sys.modules)
import gc
print(gc.isenabled())
"""


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
def test_only_what_will_be_used_is_imported(name: str, engine: str, loaded: bool) -> None:
    program = PROGRAM.format(name=name, engine=engine)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(loaded), "True"]
    assert done.stderr == ""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere the import does it all")
def test_the_library_is_there_before_the_import() -> None:
    program = """
import sys
from pathlib import Path
from tenfold.engines.preload import _open_library
_open_library()
print("libtorch_cpu" in Path("/proc/self/maps").read_text(), "torch" in sys.modules)
import torch
print(float(torch.ones(3) @ torch.ones(3)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout.split(), done.stderr) == (["True", "False", "3.0"], "")
