"""The first weights, drawn in NumPy for both engines, so that one seed means one network."""

from __future__ import annotations

import math

import numpy as np

from tenfold.errors import RecipeError, nearest
from tenfold.networks.shapes import Network, Parameter

__all__ = ["INITIALISATIONS", "initial_weights"]


def _normal(parameter: Parameter, rng: np.random.Generator) -> np.ndarray:
    """N(0, 1) for weights and biases alike (the softmax regression and sigmoid loss tutorials)."""
    return rng.standard_normal(parameter.shape, dtype=np.float32)


def _xavier(parameter: Parameter, rng: np.random.Generator) -> np.ndarray:
    """Uniform in +-sqrt(6 / (fan_in + fan_out)), biases 0 (Glorot & Bengio 2010)."""
    bound = math.sqrt(6 / (parameter.fan_in + parameter.fan_out))
    return _uniform(parameter, bound if parameter.role == "weight" else 0.0, rng)


def _kaiming(parameter: Parameter, rng: np.random.Generator) -> np.ndarray:
    """N(0, 2 / fan_in), biases 0 (He et al. 2015)."""
    deviation = math.sqrt(2 / parameter.fan_in) if parameter.role == "weight" else 0.0
    return np.float32(deviation) * rng.standard_normal(parameter.shape, dtype=np.float32)


def _torch(parameter: Parameter, rng: np.random.Generator) -> np.ndarray:
    """PyTorch's default for Linear and Conv2d: uniform in +-1 / sqrt(fan_in), biases too."""
    return _uniform(parameter, 1 / math.sqrt(parameter.fan_in), rng)


def _uniform(parameter: Parameter, bound: float, rng: np.random.Generator) -> np.ndarray:
    return ((2 * rng.random(parameter.shape, dtype=np.float32) - 1) * np.float32(bound)).astype(np.float32)


INITIALISATIONS = {"normal": _normal, "xavier": _xavier, "kaiming": _kaiming, "torch": _torch}

_CONSTANT = {"scale": 1.0, "shift": 0.0, "running-mean": 0.0, "running-variance": 1.0}


def initial_weights(network: Network, scheme: str, *, seed: int) -> dict[str, np.ndarray]:
    """float32 arrays by parameter name. Each parameter has a random stream of its own, so that a
    layer added elsewhere changes no other layer's start."""
    if scheme not in INITIALISATIONS:
        raise RecipeError(f"unknown initialisation {scheme!r}", remedy=nearest(scheme, INITIALISATIONS))
    weights = {}
    for parameter in network.parameters():
        if parameter.role in _CONSTANT:
            value = np.full(parameter.shape, _CONSTANT[parameter.role], dtype=np.float32)
        else:
            stream = [seed, *parameter.name.encode()]
            value = INITIALISATIONS[scheme](parameter, np.random.default_rng(stream))
        weights[parameter.name] = value
    return weights
