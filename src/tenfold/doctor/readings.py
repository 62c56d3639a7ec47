"""What stands in the layers at one moment, in a few numbers each."""

from __future__ import annotations

import numpy as np

from tenfold.doctor.diagnosis import LayerReading
from tenfold.doctor.recipe_under_test import RecipeUnderTest
from tenfold.doctor.trials import without_dropout
from tenfold.numpy_engine.layers import sigmoid
from tenfold.numpy_engine.network import InsideView, LayerView, look_inside
from tenfold.recipes.load import change_recipe
from tenfold.recipes.schema import Recipe

__all__ = ["FLAT", "read_layers", "saturation", "view_inside"]

FLAT = 0.05  # of the largest derivative: below it a sigmoid or tanh counts as saturated
_IMAGES, _BINS = 128, 40
_SHOWN = ("linear", "conv", "batch-norm", "relu", "sigmoid", "tanh")


def view_inside(
    under_test: RecipeUnderTest, recipe: Recipe, weights: dict[str, np.ndarray] | None = None
) -> InsideView:
    """A batch of the training images in the NumPy engine, whichever engine trains; without dropout, whose
    chance would blur what is read. weights: by default the first ones of `recipe`."""
    plain = change_recipe(recipe, {"network.layers": without_dropout(recipe.network.layers)})
    engine = under_test.setup(plain).engine
    few = under_test.train.subset(
        np.random.default_rng(under_test.seed).permutation(len(under_test.train))[:_IMAGES]
    )
    with np.errstate(all="ignore"):
        return look_inside(
            engine.network, weights or engine.weights(), engine.options, few.images, few.labels
        )


def read_layers(view: InsideView) -> tuple[LayerReading, ...]:
    """Of the layers that compute something: linear, convolution, batch-norm and activations."""
    return tuple(_read(layer) for layer in view.layers if layer.kind in _SHOWN)


def _read(layer: LayerView) -> LayerReading:
    values = layer.outputs[np.isfinite(layer.outputs)].astype(np.float64)
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    counts, edges = np.histogram(values, bins=_BINS, range=(low, high) if high > low else (low, low + 1))
    with np.errstate(all="ignore"):
        back = 0.0 if layer.gradient is None else float(np.sqrt(np.square(layer.gradient).mean()))
        spread = float(np.sqrt(np.square(layer.outputs.astype(np.float64)).mean()))
    return LayerReading(
        name=layer.name,
        kind=layer.kind,
        outputs_std=spread,
        gradient_std=back,
        dead=_dead(layer) if layer.kind == "relu" else 0.0,
        saturated=saturation(layer.kind, layer.outputs),
        histogram=counts / max(counts.sum(), 1),
        edges=edges,
    )


def _dead(layer: LayerView) -> float:
    """A channel of a picture counts as one unit: it is dead where it is dark in all places."""
    units = layer.outputs.reshape(-1, layer.outputs.shape[-1])
    return float((units <= 0).all(axis=0).mean())


def saturation(kind: str, outputs: np.ndarray) -> float:
    """Share of outputs where the curve is flat. "logits": before the sigmoids of the sigmoid loss."""
    if kind == "logits":
        kind, outputs = "sigmoid", sigmoid(outputs)
    if kind == "sigmoid":
        return float((4 * outputs * (1 - outputs) < FLAT).mean())
    if kind == "tanh":
        return float((1 - outputs**2 < FLAT).mean())
    return 0.0
