"""A recipe, sized for its data -> an engine. The engine's package is imported only here, and lazily."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np

from tenfold.arguments import checked
from tenfold.errors import MissingDependencyError, ModelError, TenfoldError, UsageError, nearest
from tenfold.helpers import wait_without_spinning
from tenfold.networks.engine import DEVICES, Engine, EngineOptions
from tenfold.networks.layers import LayerSpec, parse_layers
from tenfold.networks.shapes import Network
from tenfold.recipes.load import get_recipe
from tenfold.recipes.schema import Recipe

__all__ = [
    "check_device_name",
    "check_engine",
    "check_engine_name",
    "choose_engine",
    "create_engine",
    "describe_engine",
    "preferred_engine",
    "preload_engine",
    "refuse_infinite",
]

# name -> the module and class that make it
ENGINES = {
    "numpy": ("tenfold.numpy_engine.engine", "NumpyEngine"),
    "torch": ("tenfold.torch_engine.engine", "TorchEngine"),
}


def check_engine_name(wanted: str) -> str:
    """The name again. Raises UsageError for one that is not known, MissingDependencyError without torch."""
    if wanted not in (*ENGINES, "auto"):
        raise UsageError(f"unknown engine {wanted!r}", remedy=nearest(wanted, [*ENGINES, "auto"]))
    if wanted == "torch":
        _need_torch("the PyTorch engine")
    return wanted


def check_device_name(wanted: str) -> str:
    """The name again. Raises UsageError for one that is not known."""
    if wanted not in DEVICES:
        raise UsageError(f"unknown device {wanted!r}", remedy=nearest(wanted, DEVICES))
    return wanted


def check_engine(recipe: Recipe, engine: str = "auto", device: str = "cpu") -> None:
    """Before data are read: whether `recipe` can be trained as asked for.

    Raises UsageError for an engine or a device that is not known, a device that is not there, or a device or
    a precision that the engine does not have; MissingDependencyError without torch where it is needed.
    """
    wanted, precision = preferred_engine(engine, recipe, device), recipe.training.precision
    convolutional = convolves(parse_layers(recipe.network.layers))
    if _choose(wanted, convolutional, device, precision) == "torch" and device != "cpu":
        import_module("tenfold.torch_engine.machine").check_machine(device, precision)


def convolves(specs: tuple[LayerSpec, ...]) -> bool:
    """Whether there is a convolution among the layers, or inside one."""
    return any(spec.kind == "conv" or convolves(spec.inner) for spec in specs)


def choose_engine(wanted: str, network: Network, *, device: str = "cpu", precision: str = "float32") -> str:
    """auto: torch for a device or a precision that only PyTorch has, and for networks with convolutions
    where torch is installed; else numpy. Raises UsageError and MissingDependencyError as `check_engine`."""
    convolutional = any(len(parameter.shape) == 4 for parameter in network.parameters())
    return _choose(wanted, convolutional, device, precision)


def _choose(wanted: str, convolutional: bool, device: str, precision: str) -> str:
    check_engine_name(wanted)
    check_device_name(device)
    needs = _needs_torch(device, precision)
    if wanted == "auto":
        if needs:
            _need_torch(needs)
        return "torch" if needs or (convolutional and find_spec("torch")) else "numpy"
    if wanted == "numpy" and needs:
        raise UsageError(
            f"the NumPy engine and {needs}",
            expected="the processor (device cpu), in float32 or float64",
            remedy="take --engine torch, or leave out that device or precision",
        )
    return wanted


def _needs_torch(device: str, precision: str) -> str:
    """What only PyTorch has, in words; or nothing."""
    if device not in ("cpu", "auto"):
        return f"the device {device}"
    return "the precision bfloat16" if precision == "bfloat16" else ""


def _need_torch(purpose: str) -> None:
    if find_spec("torch") is None:
        raise MissingDependencyError("torch", extra="torch", purpose=purpose)


def preferred_engine(wanted: str, recipe: Recipe, device: str) -> str:
    """What is wanted for a training; for auto what the recipe prefers, on a processor, where the precision
    is not one that only PyTorch has."""
    free = wanted == "auto" and device == "cpu" and recipe.training.precision != "bfloat16"
    return recipe.training.engine if free else wanted


def create_engine(
    wanted: str, network: Network, weights: dict[str, np.ndarray], options: EngineOptions
) -> Engine:
    """An engine ("numpy", "torch" or "auto") that holds copies of these weights.

    Raises ModelError where weights and network do not fit or weights are not finite; UsageError for a device
    or a precision that the engine does not have, MissingDependencyError without torch.
    """
    chosen = choose_engine(wanted, network, device=options.device, precision=options.precision)
    refuse_infinite(weights, "the weights")
    module, name = ENGINES[chosen]
    make: Callable[..., Engine] = getattr(import_module(module), name)
    return make(network, weights, options)


def refuse_infinite(weights: Mapping[str, np.ndarray], where: object) -> None:
    """Raises ModelError where a weight is NaN or infinite: every answer would be nonsense."""
    for name, value in weights.items():
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise ModelError(
                f"{where}: {name!r} holds NaN or infinite numbers",
                expected="finite weights",
                remedy="train again; `tenfold doctor` says why a training diverged",
            )


def describe_engine(name: str, device: str = "cpu") -> dict[str, Any]:
    """What an engine says of its libraries and threads, for the record of a run."""
    if name != "torch":
        threads: Callable[[], int] = import_module("tenfold.numpy_engine.runtime.threads").most_threads
        return {"device": "cpu", "threads": threads()}
    describe: Callable[[str], dict[str, Any]] = import_module("tenfold.torch_engine.machine").describe
    return describe(device)


# PyTorch imported while data are read: a second that need not be waited for.


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
