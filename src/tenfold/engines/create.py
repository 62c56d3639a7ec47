"""A recipe, sized for its data -> an engine. The engine's room is imported only here, only when asked."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from tenfold.engines.base import Engine, EngineOptions
from tenfold.errors import UsageError, nearest
from tenfold.networks.shapes import Network
from tenfold.recipes.schema import Recipe

__all__ = ["ENGINES", "choose_engine", "create_engine", "describe_engine", "preferred_engine"]

# name -> the module and class that make it
ENGINES = {
    "numpy": ("tenfold.numpy_engine.engine", "NumpyEngine"),
    "torch": ("tenfold.torch_engine.engine", "TorchEngine"),
}


def choose_engine(wanted: str, network: Network) -> str:
    """auto: torch for networks with convolutions where torch is installed, else numpy."""
    if wanted == "auto":
        convolutional = any(len(p.shape) == 4 for p in network.parameters())
        return "torch" if convolutional and find_spec("torch") else "numpy"
    if wanted not in ENGINES:
        raise UsageError(f"unknown engine {wanted!r}", remedy=nearest(wanted, [*ENGINES, "auto"]))
    return wanted


def preferred_engine(wanted: str, recipe: Recipe, device: str) -> str:
    """What is wanted for a training; for auto what the recipe prefers, on a processor, where the precision
    is not one that only PyTorch has."""
    free = wanted == "auto" and device == "cpu" and recipe.training.precision != "bfloat16"
    return recipe.training.engine if free else wanted


def create_engine(
    wanted: str, network: Network, weights: dict[str, np.ndarray], options: EngineOptions
) -> Engine:
    """An engine ("numpy", "torch" or "auto") that holds copies of these weights.

    Raises ModelError where weights and network do not fit, MissingDependencyError without torch.
    """
    module, name = ENGINES[choose_engine(wanted, network)]
    make: Callable[..., Engine] = getattr(import_module(module), name)
    return make(network, weights, options)


def describe_engine(name: str, device: str = "cpu") -> dict[str, Any]:
    """What an engine says of its libraries and threads, for the record of a run."""
    if name != "torch":
        return {}
    describe: Callable[[str], dict[str, Any]] = import_module("tenfold.torch_engine.machine").describe
    return describe(device)
