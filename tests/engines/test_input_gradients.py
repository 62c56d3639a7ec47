"""Gradients with respect to the pixels, and features: both engines, ensembles and views."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from tenfold.arrays import Batch
from tenfold.engines.create import Engines
from tenfold.networks.engine import EngineOptions
from tenfold.networks.layers import LayerSpec
from tenfold.networks.shapes import Network
from tenfold.numpy_engine.network import RunningNetwork
from tenfold.numpy_engine.runtime.answers import AnsweringNetwork
from tenfold.numpy_engine.runtime.memory import ParameterStore
from tenfold.settings import LossSettings

SHAPE, CLASSES = (12, 12), 4
NETWORKS: dict[str, list[Any]] = {
    "linear": ["flatten", "linear classes"],
    "mlp": ["flatten", "linear 9", "tanh", "dropout 0.5", "linear 7", "sigmoid", "linear classes"],
    # batch-norm in every place: behind a layer it folds into, behind one it does not, first of all
    "cnn": [
        "batch-norm", "conv 5 3x3 padding same no-bias", "batch-norm", "tanh", "average-pool 2",
        {"residual": ["batch-norm", "conv 5 3x3 padding same", "sigmoid"]}, "pixel-unshuffle 2",
        "conv 6 3x3 stride 2 padding 1", "tanh", "dropout 0.3", "flatten", "batch-norm", "linear 8", "tanh",
        "linear classes",
    ],
    "kinks": [
        "conv 6 3x3", "batch-norm", "relu", "max-pool 2", "conv 6 3x3 padding 1", "relu", "flatten",
        "linear classes", "batch-norm",
    ],
    "no linear": ["conv 4 12x12", "flatten"],
}  # fmt: skip
torch_too = [
    "numpy",
    pytest.param("torch", marks=pytest.mark.skipif(not find_spec("torch"), reason="torch is not installed")),
]


def network_of(name: str) -> Network:
    return Network.plan(LayerSpec.parse(NETWORKS[name]), SHAPE, CLASSES)


def weights_of(network: Network, seed: int = 0) -> dict[str, np.ndarray]:
    """Running statistics and scales too are numbers of their own, not 0 and 1."""
    rng = np.random.default_rng(seed)
    weights = network.initial_weights("torch", seed=seed)
    for parameter in network.parameters():
        if parameter.role in ("scale", "running-variance"):
            weights[parameter.name] = rng.uniform(0.5, 2, parameter.shape).astype(np.float32)
        if parameter.role in ("shift", "running-mean"):
            weights[parameter.name] = rng.normal(0, 0.3, parameter.shape).astype(np.float32)
    return weights


def images_of(count: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *SHAPE), dtype=np.uint8)


OPTIONS = EngineOptions(mean=0.3, std=0.4)


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "kinks"])
def test_gradient_passes_central_differences(name: str) -> None:
    """Of smooth networks in float64, every entry of two images; the forward is the unfolded network's."""
    network = network_of(name)
    weights, images = weights_of(network), images_of(2)
    plain = RunningNetwork(network, ParameterStore.of(network, weights, np.float64))
    outputs = np.random.default_rng(2).normal(size=(2, CLASSES))
    answering = AnsweringNetwork(network, weights, OPTIONS, np.float64)
    found = answering.input_gradient(images, outputs)
    inputs, step = (images / 255 - 0.3) / 0.4, 1e-5
    expected = np.empty(inputs.shape)
    for place in np.ndindex(*SHAPE):
        sides = []
        for sign in (1, -1):
            moved = inputs.copy()
            moved[(slice(None), *place)] += sign * step
            sides.append((plain.forward(moved, training=False) * outputs).sum(axis=1))
        expected[(slice(None), *place)] = (sides[0] - sides[1]) / (2 * step)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7 * np.abs(expected).max())


@pytest.mark.skipif(not find_spec("torch"), reason="torch is not installed")
@pytest.mark.parametrize("shift", [0, -1])
@pytest.mark.parametrize("name", NETWORKS)
def test_engines_agree(name: str, shift: int) -> None:
    network = network_of(name)
    options = EngineOptions(mean=0.3, std=0.4, loss=LossSettings(label_shift=shift))
    ours, theirs = (
        Engines.create(kind, network, weights_of(network), options) for kind in ("numpy", "torch")
    )
    images, columns = images_of(70), np.arange(70) % CLASSES
    mixed = np.random.default_rng(3).normal(size=(70, CLASSES))
    for pixels, outputs in ((images, columns), (images, mixed), (images / 3 + 0.21, columns)):
        found, expected = ours.input_gradient(pixels, outputs), theirs.input_gradient(pixels, outputs)
        assert found.dtype == expected.dtype == np.float32 and found.shape == images.shape
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    found, expected = ours.features(images), theirs.features(images)
    assert found.dtype == expected.dtype == np.float32 and found.shape == (70, network.feature_count)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("engine", torch_too)
@pytest.mark.parametrize("name", NETWORKS)
def test_features_are_what_the_last_linear_layer_takes(name: str, engine: str) -> None:
    network = network_of(name)
    weights, images = weights_of(network), images_of(5)
    found = Engines.create(engine, network, weights, OPTIONS).features(images)
    logits = Engines.create(engine, network, weights, OPTIONS).logits(images)
    if name == "no linear":
        np.testing.assert_allclose(found, logits, rtol=1e-5, atol=1e-6)
        return
    head = network.layers[network.head].spec.name
    scores = found @ weights[f"{head}.weight"].T + weights[f"{head}.bias"]
    if name == "kinks":  # the last batch-norm, with its running statistics
        norm = network.layers[-1].spec.name
        spread = np.sqrt(weights[f"{norm}.running_var"] + 1e-5)
        scores = (scores - weights[f"{norm}.running_mean"]) / spread
        scores = scores * weights[f"{norm}.weight"] + weights[f"{norm}.bias"]
    np.testing.assert_allclose(scores, logits, rtol=1e-4, atol=1e-4)
    if name == "linear":
        np.testing.assert_allclose(found, (images.reshape(5, -1) / 255 - 0.3) / 0.4, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("engine", torch_too)
def test_asking_changes_nothing_of_the_training(engine: str) -> None:
    """The gradients of the parameters, dropout's random stream and batch-norm's statistics stay."""
    network = network_of("cnn")
    images, labels = images_of(16), np.arange(16) % CLASSES
    states = []
    for asks in (False, True):
        learner = Engines.create(engine, network, weights_of(network), OPTIONS)
        for _ in range(2):
            if asks:
                learner.input_gradient(images, labels)
                learner.features(images)
            learner.train_step(Batch(images, labels), 0.1)
        states.append(learner.state())
    for key, value in states[0].items():
        np.testing.assert_array_equal(value, states[1][key])


@pytest.mark.parametrize("engine", torch_too)
def test_gradients_follow_the_weights(engine: str) -> None:
    """After a step they are those of the new weights; with averaging those of the average."""
    network, images, labels = network_of("mlp"), images_of(8), np.arange(8) % CLASSES
    options = EngineOptions(mean=0.3, std=0.4, average_decay=0.9)
    learner = Engines.create(engine, network, weights_of(network), options)
    before = learner.input_gradient(images, labels)
    for _ in range(3):
        learner.train_step(Batch(images, labels), 0.5)
    after = learner.input_gradient(images, labels)
    fresh = Engines.create(engine, network, learner.weights(), OPTIONS).input_gradient(images, labels)
    assert np.abs(after - before).max() > 1e-3 * np.abs(before).max()
    np.testing.assert_allclose(after, fresh, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("engine", torch_too)
@pytest.mark.parametrize(("members", "views"), [(1, 5), (3, 1), (2, 9)])
def test_gradient_of_an_ensemble_is_that_of_its_own_logits(members: int, views: int, engine: str) -> None:
    """Against central differences of the mean probabilities' logarithm, in a smooth network."""
    network = network_of("mlp")
    parts = [{name: 2 * v for name, v in weights_of(network, seed).items()} for seed in range(members)]
    joined = {f"member{i}.{name}": v for i, part in enumerate(parts, 1) for name, v in part.items()}
    options = EngineOptions(mean=0.3, std=0.4, precision="float64")
    ensemble = Engines.create(engine, network, joined if members > 1 else parts[0], options, views=views)
    images, outputs = images_of(1).astype(float), np.array([[1.0, -1.0, 0.0, 0.5]])
    found = ensemble.input_gradient(images, outputs)[0]
    step = 12.0  # pixels; float32 logits, so a long way, and a curve of third order left over
    for place in [(0, 0), (3, 4), (11, 0), (6, 11), (7, 7)]:
        sides = []
        for length in (-2, -1, 1, 2):
            moved = images.copy()
            moved[(0, *place)] += length * step
            sides.append(float((ensemble.logits(moved) * outputs).sum()))
        numeric = (sides[0] - 8 * sides[1] + 8 * sides[2] - sides[3]) / 12
        assert found[place] * step / (255 * 0.4) == pytest.approx(numeric, rel=1e-3, abs=3e-6)


def test_features_of_an_ensemble_average_the_members_cosines() -> None:
    network, images = network_of("mlp"), images_of(6)
    parts = [weights_of(network, seed) for seed in range(3)]
    joined = {f"member{i}.{name}": v for i, part in enumerate(parts, 1) for name, v in part.items()}
    rows = Engines.create("numpy", network, joined, OPTIONS, views=5).features(images).astype(float)
    assert rows.shape == (6, 3 * 7)
    singles = [
        Engines.create("numpy", network, part, OPTIONS).features(images).astype(float) for part in parts
    ]
    np.testing.assert_allclose(
        _cosines(rows), np.mean([_cosines(each) for each in singles], axis=0), rtol=1e-5
    )


def _cosines(rows: np.ndarray) -> np.ndarray:
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit @ unit.T
