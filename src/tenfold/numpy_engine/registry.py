"""Which class answers to which name of a recipe."""

from __future__ import annotations

import numpy as np

from tenfold.networks.shapes import Layer as LayerPlan
from tenfold.numpy_engine.activations import ReLU, Sigmoid, Tanh
from tenfold.numpy_engine.conv import Convolution
from tenfold.numpy_engine.ctc import ConnectionistTemporal
from tenfold.numpy_engine.dropout import Dropout
from tenfold.numpy_engine.flatten import Columns, Flatten
from tenfold.numpy_engine.layer import Layer
from tenfold.numpy_engine.linear import Linear
from tenfold.numpy_engine.losses import CrossEntropy, Loss, MeanSquaredError, SigmoidDistance
from tenfold.numpy_engine.norm import BatchNorm
from tenfold.numpy_engine.optimisers import SGD, Adam, AdamW, Optimiser
from tenfold.numpy_engine.pooling import AveragePool, MaxPool
from tenfold.numpy_engine.residual import Residual
from tenfold.numpy_engine.store import ParameterStore
from tenfold.numpy_engine.unshuffle import PixelUnshuffle
from tenfold.settings import LossSettings

__all__ = ["LAYERS", "LOSSES", "OPTIMISERS", "build_layer", "measure_loss"]

LAYERS: dict[str, type[Layer]] = {
    "flatten": Flatten,
    "linear": Linear,
    "relu": ReLU,
    "sigmoid": Sigmoid,
    "tanh": Tanh,
    "dropout": Dropout,
    "conv": Convolution,
    "batch-norm": BatchNorm,
    "max-pool": MaxPool,
    "average-pool": AveragePool,
    "pixel-unshuffle": PixelUnshuffle,
    "columns": Columns,
    "residual": Residual,
}

LOSSES: dict[str, type[Loss]] = {
    "cross-entropy": CrossEntropy,
    "sigmoid-distance": SigmoidDistance,
    "mean-squared-error": MeanSquaredError,
    "ctc": ConnectionistTemporal,
}

OPTIMISERS: dict[str, type[Optimiser]] = {"sgd": SGD, "adam": Adam, "adamw": AdamW}


def measure_loss(logits: np.ndarray, labels: np.ndarray, settings: LossSettings) -> float:
    """The loss of images that are not trained on: without label smoothing, columns in the order of
    the class names. logits: (N, K); labels: (N,); for ctc (N, T, K) and (N, L), padded with -1."""
    plain = settings.model_copy(update={"label_smoothing": 0.0, "label_shift": 0})
    loss, _ = LOSSES[settings.name](plain)(logits, labels)
    return loss


def build_layer(plan: LayerPlan, store: ParameterStore, *, seed: int = 0) -> Layer:
    """The runnable layer of a plan, with the layers inside it, on the parameters of `store`."""
    inner = [build_layer(layer, store, seed=seed) for layer in plan.inner]
    return LAYERS[plan.spec.kind](plan, store, inner=inner, seed=seed)
