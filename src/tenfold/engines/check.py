"""The hand-written gradients of a recipe's network against central differences and autograd."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np

from tenfold.networks.engine import EngineOptions
from tenfold.networks.layers import LayerSpec, parse_layers
from tenfold.networks.shapes import Network, initial_weights, plan_network
from tenfold.numpy_engine.gradcheck import TOLERANCE, check_network_gradients, network_gradients
from tenfold.recipes.schema import Recipe

__all__ = ["check_recipe"]

_IMAGES = 8


def check_recipe(
    recipe: Recipe,
    *,
    image_shape: tuple[int, int] = (28, 28),
    classes: int = 10,
    samples: int = 40,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """A row per parameter: shape, entries checked and left out at a kink, largest gradient, largest
    relative error against central differences and, where torch is installed, autograd (else None).

    The images are noise: what is right for any input is right for digits. The start is PyTorch's
    default, since N(0, 1) weights saturate and leave nothing to compare.
    """
    rng = np.random.default_rng(seed)
    network = recipe.plan(image_shape, classes)
    weights = initial_weights(network, "torch", seed=seed)
    options = EngineOptions(loss=recipe.loss, optimiser=recipe.optimiser, seed=seed)
    images = rng.integers(0, 256, (_IMAGES, *image_shape), dtype=np.uint8)
    labels = _draw_sequences(network, rng) if network.reads_lines else rng.integers(0, classes, _IMAGES)
    check = check_network_gradients(network, weights, options, images, labels, samples=samples, rng=rng)
    autograd = _against_autograd(recipe, image_shape, classes, weights, options, images, labels)
    rows = []
    for row in check.rows:
        error = autograd.get(row.name)
        passed = row.passed(TOLERANCE) and (error is None or error <= TOLERANCE)
        rows.append(
            {
                "parameter": row.name,
                "shape": list(row.shape),
                "checked": row.checked,
                "kinks": row.kinks,
                "largest": row.largest,
                "difference_error": row.error,
                "autograd_error": error,
                "passed": passed,
            }
        )
    return rows


def _draw_sequences(network: Network, rng: np.random.Generator) -> np.ndarray:
    """Labels (N, L) of a line network: of every length that is sure to fit into its columns."""
    longest = max(1, network.output_shape[0] // 2)
    labels = rng.integers(0, network.classes - 1, (_IMAGES, longest))
    labels[np.arange(longest) >= rng.integers(1, longest + 1, (_IMAGES, 1))] = -1
    return labels


def _against_autograd(
    recipe: Recipe,
    image_shape: tuple[int, int],
    classes: int,
    weights: dict[str, np.ndarray],
    options: EngineOptions,
    images: np.ndarray,
    labels: np.ndarray,
) -> dict[str, float]:
    """Largest difference a parameter, relative to its largest gradient; dropout left out."""
    if find_spec("torch") is None:
        return {}
    from tenfold.torch_engine.modules import autograd_gradients

    network = plan_network(_without_dropout(parse_layers(recipe.network.layers)), image_shape, classes)
    ours = network_gradients(network, weights, options, images, labels)
    theirs = autograd_gradients(network, weights, options, images, labels)
    return {
        name: float(np.abs(ours[name] - theirs[name]).max() / max(np.abs(theirs[name]).max(), 1e-12))
        for name in ours
    }


def _without_dropout(specs: tuple[LayerSpec, ...]) -> tuple[LayerSpec, ...]:
    kept = (spec for spec in specs if spec.kind != "dropout")
    return tuple(replace(spec, inner=_without_dropout(spec.inner)) for spec in kept)
