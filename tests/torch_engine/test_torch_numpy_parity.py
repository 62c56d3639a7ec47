"""The two engines, given the same seed, weights and batches: the same losses and weights."""

from __future__ import annotations

import numpy as np
import pytest

from tenfold.arrays import Batch
from tenfold.networks.engine import EngineOptions
from tenfold.networks.layers import LayerSpec
from tenfold.networks.shapes import Network
from tenfold.settings import LossSettings, OptimiserSettings, ParameterGroup
from tenfold.torch_engine.engine import TorchEngine

numpy_engine = pytest.importorskip("tenfold.numpy_engine.engine")

MLP = ["flatten", "linear 20", "relu", "linear 12", "tanh", "linear classes"]
# No bias stands before a batch-norm: its gradient would be rounding alone, which Adam blows up.
CNN = [
    "conv 6 3x3 padding same no-bias", "batch-norm", "relu", "max-pool 2", "pixel-unshuffle 2",
    { "residual": ["conv 24 3x3 padding 1 no-bias", "batch-norm", "sigmoid"] }, "average-pool 2", "flatten",
    "batch-norm", "linear 16", "relu", "linear classes",
]  # fmt: skip
GROUPS = (ParameterGroup(match="1.weight", factor=0.3), ParameterGroup(match="linear2.bias", factor=0))
CASES = {
    "sgd": (OptimiserSettings(name="sgd", momentum=0.9, nesterov=True, weight_decay=1e-3), 0.005, {}),
    "clipped": (OptimiserSettings(name="sgd", momentum=0.9, clip_norm=0.3, groups=GROUPS), 0.05, {}),
    "adam": (OptimiserSettings(name="adam", weight_decay=1e-3), 2e-3, {"label_smoothing": 0.1}),
    "adamw": (OptimiserSettings(name="adamw", weight_decay=0.1, groups=GROUPS), 2e-3, {"label_shift": -1}),
    "muon": (OptimiserSettings(name="muon", weight_decay=0.1, groups=GROUPS), 2e-3, {}),
    "softmax-regression": (
        OptimiserSettings(name="sgd"),
        1e-3,
        {"reduction": "sum", "probability_floor": 1e-2},
    ),
    "sigmoid-loss": (OptimiserSettings(name="sgd"), 5.0, {"name": "sigmoid-distance"}),
    "squares": (OptimiserSettings(name="sgd"), 0.1, {"name": "mean-squared-error", "reduction": "mean"}),
}


def _batches(count: int) -> list[Batch]:
    rng = np.random.default_rng(3)
    prototypes = rng.integers(0, 256, (5, 16, 16))
    batches = []
    for _ in range(count):
        labels = rng.integers(0, 5, 24)
        noisy = 0.5 * prototypes[labels] + 0.5 * rng.integers(0, 256, (24, 16, 16))
        batches.append(Batch(noisy.astype(np.uint8), labels))
    return batches


@pytest.mark.parametrize("lines", [MLP, CNN], ids=["mlp", "cnn"])
@pytest.mark.parametrize("case", CASES)
def test_same_losses_over_fifty_steps(lines: list, case: str) -> None:
    optimiser, rate, loss = CASES[case]
    network = Network.plan(LayerSpec.parse(lines), (16, 16), 5)
    weights = network.initial_weights("torch", seed=4)
    average = 0.9 if case == "adam" else 0.0
    options = EngineOptions(
        mean=0.5, std=0.3, loss=LossSettings(**loss), optimiser=optimiser, average_decay=average
    )
    ours = TorchEngine(network, weights, options)
    theirs = numpy_engine.NumpyEngine(network, weights, options)
    batches = _batches(50)
    results = [(ours.train_step(b, rate), theirs.train_step(b, rate)) for b in batches]
    losses = np.array([(float(a.loss), float(b.loss)) for a, b in results])
    correct = np.array([(int(a.correct), int(b.correct)) for a, b in results])
    np.testing.assert_allclose(losses[:, 0], losses[:, 1], rtol=1e-4)
    np.testing.assert_array_equal(correct[:, 0], correct[:, 1])
    assert losses[-5:].mean() < losses[0].mean()
    logits = ours.logits(batches[0].images), theirs.logits(batches[0].images)
    np.testing.assert_allclose(*logits, rtol=1e-4, atol=1e-3)
    assert ours.weights().keys() == theirs.weights().keys()
