"""PyTorch imported while data are read: a second that need not be waited for."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Thread

from tenfold.arguments import checked
from tenfold.engines.create import convolves, preferred_engine
from tenfold.errors import TenfoldError
from tenfold.helpers import wait_without_spinning
from tenfold.networks.layers import parse_layers
from tenfold.recipes.load import get_recipe
from tenfold.recipes.schema import Recipe

__all__ = ["preload_engine"]


@checked
def preload_engine(recipe: Recipe | str | Path, engine: str = "auto", device: str = "cpu") -> None:
    """Begins, in a thread, to import the engine that will train `recipe`: PyTorch takes about a second,
    in which data can be read. Whatever is wrong with it is said when the engine is made.
    """
    recipe = get_recipe(recipe)
    engine = preferred_engine(engine, recipe, device)
    only_torch = device not in ("cpu", "auto") or recipe.training.precision == "bfloat16"
    suits_torch = only_torch or convolves(parse_layers(recipe.network.layers))
    if (engine == "torch" or (engine == "auto" and suits_torch)) and find_spec("torch"):
        Thread(target=_import_quietly, args=("tenfold.torch_engine.engine",), daemon=True).start()


def _import_quietly(module: str) -> None:
    with suppress(OSError, AttributeError):
        _open_library()
    with suppress(TenfoldError, ImportError):
        import_module(module)


def _open_library() -> None:
    """Loads PyTorch's largest library without the GIL, which `import torch` holds meanwhile; that
    then finds the library there. Where this fails, the import says why."""
    torch = find_spec("torch")
    if not sys.platform.startswith("linux") or "torch" in sys.modules or torch is None or not torch.origin:
        return
    wait_without_spinning()
    library = Path(torch.origin).parent / "lib" / "libtorch_cpu.so"
    load = ctypes.CDLL(None).dlopen  # a call by ctypes releases the GIL; ctypes.CDLL(path) does not
    load.restype, load.argtypes = ctypes.c_void_p, (ctypes.c_char_p, ctypes.c_int)
    load(os.fsencode(library), os.RTLD_NOW)
