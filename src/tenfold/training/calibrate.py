"""The temperature that makes probabilities mean what they say."""

from __future__ import annotations

import numpy as np

from tenfold.arrays import ImageDataset
from tenfold.classifier import Classifier
from tenfold.metrics import cross_entropy
from tenfold.numerics import log_softmax
from tenfold.recipes.schema import Recipe

__all__ = ["LEAST_IMAGES", "calibrate", "fit_temperature", "suitable_temperature"]

LEAST_IMAGES = 500  # validation images below which chance, not the network, would be fitted
_LOG_RANGE = (-1.0, 3.0)


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature T of the lowest cross-entropy of softmax(logits / T), between 0.37 and 20.

    logits: (N, K) on images that were not trained on; labels: (N,). No prediction changes.
    (Guo et al. 2017: On Calibration of Modern Neural Networks.)
    """
    from scipy.optimize import minimize_scalar

    exact = logits.astype(np.float64)

    def loss(log_temperature: float) -> float:
        return cross_entropy(log_softmax(exact / np.exp(log_temperature)), labels)

    return float(np.exp(minimize_scalar(loss, bounds=_LOG_RANGE, method="bounded").x))


def calibrate(classifier: Classifier, val_set: ImageDataset | None) -> Classifier:
    """With the temperature of the validation images, where there are enough of them."""
    recipe = classifier.card.recipe
    if val_set is None or not _fits(recipe, len(val_set)):
        return classifier
    logits = classifier.engine.logits(val_set.images)  # their pixels may be float32
    return classifier.with_temperature(fit_temperature(logits, val_set.labels))


def suitable_temperature(recipe: Recipe, logits: np.ndarray, labels: np.ndarray) -> float:
    """What `fit_temperature` gives; 1 where there are too few images, or no softmax was trained."""
    return fit_temperature(logits, labels) if _fits(recipe, len(labels)) else 1.0


def _fits(recipe: Recipe, images: int) -> bool:
    return images >= LEAST_IMAGES and recipe.loss.name == "cross-entropy"
