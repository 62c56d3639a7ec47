"""What is seen inside a step, against the engine's own step and PyTorch's autograd."""

from __future__ import annotations

import numpy as np
import pytest

from tenfold.arrays import Batch
from tenfold.networks.engine import EngineOptions
from tenfold.networks.layers import LayerSpec
from tenfold.networks.shapes import Network
from tenfold.numpy_engine.engine import NumpyEngine
from tenfold.numpy_engine.gradcheck import InsideView
from tenfold.settings import LossSettings

LINES = ["conv 3 3x3", "relu", {"residual": ["conv 3 3x3 padding same", "batch-norm", "tanh"]}, "flatten",
         "linear 7", "sigmoid", "linear classes"]  # fmt: skip
RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.integers(0, 256, (9, 8, 8), dtype=np.uint8), RNG.integers(0, 4, 9)
NETWORK = Network.plan(LayerSpec.parse(LINES), (8, 8), 4)
WEIGHTS = NETWORK.initial_weights("torch", seed=1)
OPTIONS = EngineOptions(precision="float64", loss=LossSettings(label_shift=1))


def test_gradients_are_those_of_the_engine() -> None:
    view = InsideView.of(NETWORK, WEIGHTS, OPTIONS, IMAGES, LABELS)
    engine = NumpyEngine(NETWORK, WEIGHTS, OPTIONS)
    engine.train_step(Batch(IMAGES, LABELS), learning_rate=0.0)
    assert view.gradients.keys() == engine.store.named_gradients.keys()
    for name, gradient in engine.store.named_gradients.items():
        np.testing.assert_allclose(view.gradients[name], gradient, rtol=1e-12, atol=1e-15)


def test_layers_are_seen_with_their_gradients() -> None:
    """The loss's derivative by a layer's outputs, by central differences over what comes after."""
    view = InsideView.of(NETWORK, WEIGHTS, OPTIONS, IMAGES, LABELS)
    names = [layer.name for layer in view.layers]
    assert names == ["conv1", "relu1", "residual1.conv1", "residual1.norm1", "residual1.tanh1", "residual1",
                     "flatten1", "linear1", "sigmoid1", "linear2"]  # fmt: skip
    by_name = {layer.name: layer for layer in view.layers}
    last, hidden = by_name["linear2"], by_name["sigmoid1"]
    np.testing.assert_array_equal(last.outputs, view.logits)
    assert hidden.gradient is not None and last.gradient is not None

    def loss(outputs: np.ndarray) -> float:
        logits = outputs @ view.weights["linear2.weight"].T + view.weights["linear2.bias"]
        shifted = np.exp(logits)
        probs = shifted / shifted.sum(axis=1, keepdims=True)
        return float(-np.log(probs[np.arange(9), (LABELS + 1) % 4]).mean())

    assert loss(hidden.outputs) == pytest.approx(view.loss, rel=1e-12)
    for index in ((0, 0), (4, 3), (8, 6)):
        move = np.zeros_like(hidden.outputs)
        move[index] = 1e-5
        numeric = (loss(hidden.outputs + move) - loss(hidden.outputs - move)) / 2e-5
        assert numeric == pytest.approx(hidden.gradient[index], rel=1e-6, abs=1e-10)


def test_looking_changes_nothing() -> None:
    before = {name: value.copy() for name, value in WEIGHTS.items()}
    InsideView.of(NETWORK, WEIGHTS, OPTIONS, IMAGES, LABELS)
    assert all(np.array_equal(WEIGHTS[name], value) for name, value in before.items())
