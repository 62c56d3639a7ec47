"""A linear network explained exactly: each pixel's weight times its ink, and one number for blank paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tenfold.classifier import Classifier
from tenfold.engines.ensemble import EnsembleEngine
from tenfold.explain.gradient import paper_of
from tenfold.networks.shapes import Layer

__all__ = ["LinearParts", "explain_linear", "is_linear"]

_LINEAR = {
    "flatten", "linear", "conv", "batch-norm", "dropout", "average-pool", "pixel-unshuffle", "residual"
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class LinearParts:
    """What a score is the sum of: logits[k] = pixels[k].sum() + blank[k].

    weights: float32 (K, H, W), of full ink in each pixel. pixels: float32 (K, H, W), the weights times the
    ink that is there. blank: float32 (K,), the bias: the scores of paper without ink.
    """

    weights: np.ndarray
    pixels: np.ndarray
    blank: np.ndarray

    @property
    def logits(self) -> np.ndarray:
        """float64 (K,)."""
        return self.pixels.sum(axis=(1, 2), dtype=np.float64) + self.blank


def is_linear(classifier: Classifier) -> bool:
    """Whether every score is a weighted sum of the pixels, when the network answers."""
    one = not isinstance(classifier.engine, EnsembleEngine)  # which gives logarithms of mean probabilities
    return one and _all_linear(classifier.network.layers)


def _all_linear(layers: Sequence[Layer]) -> bool:
    return all(layer.spec.kind in _LINEAR and _all_linear(layer.inner) for layer in layers)


def explain_linear(classifier: Classifier, image: np.ndarray) -> LinearParts | None:
    """uint8 (H, W) -> the parts of its scores; None for a network that is not linear.

    The gradient of a linear score is its weights, wherever it is taken.
    """
    if not is_linear(classifier):
        return None
    engine, paper = classifier.engine, paper_of(classifier)
    outputs = classifier.network.classes
    blank = np.full((1, *image.shape), paper, np.uint8)
    gradients = engine.input_gradient(np.repeat(blank, outputs, axis=0), np.arange(outputs))
    a_pixel = gradients / np.float32(255 * classifier.card.std)  # for one step of the pixel's value
    ink = image.astype(np.float32) - paper
    return LinearParts(a_pixel * (-255 if paper else 255), a_pixel * ink, engine.logits(blank)[0])
