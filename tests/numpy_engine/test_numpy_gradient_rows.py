"""A gradient check that left most entries out at kinks has shown nothing, and must not pass."""

from __future__ import annotations

import numpy as np
import pytest

from tenfold.networks.engine import EngineOptions
from tenfold.networks.layers import LayerSpec
from tenfold.networks.shapes import Network
from tenfold.numpy_engine.gradcheck import GradientCheck, GradientRow


@pytest.mark.parametrize(
    ("checked", "kinks", "error", "passed"),
    [
        (40, 0, 1e-8, True),
        (21, 19, 1e-8, True),
        (20, 20, 1e-8, False),
        (0, 0, 0.0, False),
        (40, 0, 1e-5, False),
    ],
)
def test_row_passes_when_most_was_compared_and_agrees(
    checked: int, kinks: int, error: float, passed: bool
) -> None:
    row = GradientRow("linear1.weight", (10, 4), checked, kinks, 1.0, error)
    assert row.passed(1e-6) is passed
    assert GradientCheck((row,)).passed(1e-6) is passed


def test_bias_before_batch_norm_is_compared_and_not_skipped() -> None:
    """Batch norm takes any constant away, so the gradient is exactly zero; differences must say so too."""
    network = Network.plan(
        LayerSpec.parse(["conv 4 3x3", "batch-norm", "relu", "flatten", "linear classes"]), (8, 8), 10
    )
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (6, 8, 8), dtype=np.uint8), rng.integers(0, 10, 6)
    weights = network.initial_weights("torch", seed=0)
    check = GradientCheck.of_network(network, weights, EngineOptions(), images, labels, rng=rng)
    (bias,) = (row for row in check.rows if row.name == "conv1.bias")
    assert bias.largest < 1e-12
    assert (bias.checked, bias.kinks) == (4, 0)
    assert bias.passed(1e-6)
