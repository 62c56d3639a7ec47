"""Answering: folded networks equal the layers one by one and PyTorch, and follow every change of weights."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.arrays import Batch
from tenfold.networks.engine import EngineOptions
from tenfold.networks.layers import LAYER_KINDS, LayerSpec
from tenfold.networks.shapes import Network
from tenfold.numpy_engine.engine import NumpyEngine
from tenfold.numpy_engine.runtime.answers import CHUNK_NUMBERS, AnsweringNetwork, fold_network
from tenfold.numpy_engine.runtime.products import _Blas, blas_threads, own_threads

OPTIONS = EngineOptions(mean=0.2, std=0.4)
READER = [
    "pixel-unshuffle 2",
    "conv 6 3x3 padding same no-bias", "batch-norm", "relu",
    "conv 8 3x3 padding same", "max-pool 2", "batch-norm", "relu",
    "conv 10 3x3 no-bias", "dropout 0.3", "batch-norm", "relu",
    "flatten", "linear 9", "batch-norm", "tanh", "linear classes",
]  # fmt: skip

# of pictures whatever their size, so that any order of them is a network
PICTURE_LAYERS = [
    "conv 3 3x3 padding same no-bias", "conv 2 1x1", "conv 4 5x5 padding same",
    "conv 3 3x3 stride 2 padding 1", "conv 2 2x2 stride 2 padding 1 no-bias",
    "conv 3 3x3 padding 2", "conv 3 1x3 padding same", "conv 2 2x3 padding 1x2 no-bias", "max-pool 2x1",
    "batch-norm", "relu", "sigmoid", "tanh", "gelu", "silu", "scale 0.3", "layer-norm",
    "depthwise 3x3 padding same", "depthwise 2x3 stride 2 padding 1 no-bias",
    "dropout 0.4", "max-pool 2 stride 1", "average-pool 2 stride 1", "pixel-unshuffle 1",
    {"residual": ["batch-norm", "relu"]}, {"residual": ["dropout 0.2"]},
    {"residual": ["tanh", {"residual": ["batch-norm"]}, "batch-norm"]},
]  # fmt: skip
ROW_LAYERS = ["linear 5", "batch-norm", "relu", "sigmoid", "tanh", "gelu", "silu", "scale 2", "layer-norm",
              "dropout 0.1", {"residual": ["batch-norm", "tanh"]}]  # fmt: skip


def network_of(layers: list, shape: tuple[int, int] = (12, 12)) -> Network:
    return Network.plan(LayerSpec.parse(layers), shape, 3)


def trained_weights(network: Network, seed: int = 0) -> dict[str, np.ndarray]:
    """As after training: batch-norm has scales of both signs, and statistics of its own."""
    rng = np.random.default_rng(seed)
    weights = network.initial_weights("torch", seed=seed)
    for parameter in network.parameters():
        shape = parameter.shape
        if parameter.role == "running-variance":
            weights[parameter.name] = rng.uniform(0.3, 2, shape).astype(np.float32)
        elif parameter.role in ("scale", "shift", "running-mean"):
            weights[parameter.name] = rng.normal(0, 0.8, shape).astype(np.float32)
    return weights


def images_of(network: Network, count: int, seed: int = 0) -> np.ndarray:
    shape = (count, *network.input_shape[1:])
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def layer_by_layer(engine: NumpyEngine, images: np.ndarray) -> np.ndarray:
    """The logits of the layers as they learn, in evaluation: nothing folded."""
    return engine.layers.forward(engine.scaled(images), training=False).copy()


def assert_equal(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(
        found, expected, rtol=1e-4, atol=1e-4 * max(1e-2, np.abs(expected).max(initial=0))
    )


def kinds_of(network: Network) -> list[str]:
    return [layer.spec.kind for layer in network.layers]


def test_batch_norm_and_dropout_are_gone_where_they_can_be() -> None:
    network = network_of(READER)
    folded, values = fold_network(network, trained_weights(network))
    assert kinds_of(folded).count("batch-norm") == 1  # behind a maximum its sign would matter
    assert "dropout" not in kinds_of(folded)
    assert list(values) == [p.name for p in folded.parameters()]
    assert folded.classes == network.classes and folded.input_shape == network.input_shape


def test_folding_leaves_what_it_was_given_alone() -> None:
    network = network_of(READER)
    weights = trained_weights(network)
    before = {name: value.copy() for name, value in weights.items()}
    fold_network(network, weights)
    assert list(weights) == list(before)
    assert all(np.array_equal(weights[name], before[name]) for name in before)


def test_a_channel_folded_by_hand() -> None:
    """3 x + 1 behind batch-norm with weight 2, bias 5, mean 4 and variance 1 is 6 x - 1 (up to epsilon)."""
    network = Network.plan(LayerSpec.parse(["flatten", "linear 2", "batch-norm"]), (1, 1), 2)
    vectors = {"weight": 2, "bias": 5, "running_mean": 4, "running_var": 1}
    values = {f"norm1.{name}": np.full(2, value, np.float32) for name, value in vectors.items()}
    values |= {"linear1.weight": np.full((2, 1), 3, np.float32), "linear1.bias": np.ones(2, np.float32)}
    folded, numbers = fold_network(network, values)
    assert kinds_of(folded) == ["flatten", "linear"]
    np.testing.assert_allclose(numbers["linear1.weight"], [[6], [6]], rtol=1e-5)
    np.testing.assert_allclose(numbers["linear1.bias"], [-1, -1], rtol=1e-4)


@st.composite
def random_layers(draw: st.DrawFn) -> list:
    pictures = draw(st.lists(st.sampled_from(PICTURE_LAYERS), max_size=5))
    rows = draw(st.lists(st.sampled_from(ROW_LAYERS), max_size=3))
    ends = draw(st.sampled_from(["flatten", "global-average-pool"]))
    return [*pictures, ends, *rows, "linear classes", *draw(st.sampled_from([[], ["batch-norm"]]))]


def test_the_random_networks_are_of_every_kind() -> None:
    lines = [*PICTURE_LAYERS, *ROW_LAYERS, "flatten", "global-average-pool"]
    found = {spec.kind for line in lines for spec in LayerSpec.parse([line])}
    assert found == set(LAYER_KINDS) - {"columns", "own"}


@settings(max_examples=60, deadline=None, derandomize=True)
@given(layers=random_layers(), height=st.integers(7, 10), width=st.integers(7, 10), seed=st.integers(0, 99))
def test_folded_equals_layer_by_layer_whatever_the_network(
    layers: list, height: int, width: int, seed: int
) -> None:
    """Also after a step of learning, and after going back to the state before it."""
    network = network_of(layers, (height, width))
    engine = NumpyEngine(network, trained_weights(network, seed), OPTIONS)
    images = images_of(network, 4, seed)
    first, state = engine.logits(images), engine.state()
    assert_equal(first, layer_by_layer(engine, images))
    engine.train_step(Batch(images, np.arange(4) % 3), 0.3)
    after = engine.logits(images)
    assert_equal(after, layer_by_layer(engine, images))
    assert not np.array_equal(after, first)
    engine.load_state(state)
    np.testing.assert_array_equal(engine.logits(images), first)


@pytest.mark.parametrize("layers", [READER, ["flatten", "linear 8", "relu", "linear classes"]], ids=len)
def test_equals_the_torch_engine(layers: list) -> None:
    pytest.importorskip("torch")
    from tenfold.torch_engine.engine import TorchEngine

    network = network_of(layers)
    weights, images = trained_weights(network), images_of(network, 30)
    theirs = TorchEngine(network, weights, OPTIONS).logits(images)
    assert_equal(NumpyEngine(network, weights, OPTIONS).logits(images), theirs)


def test_in_float64_folding_is_exact_to_rounding() -> None:
    network = network_of(READER)
    engine = NumpyEngine(
        network, trained_weights(network), EngineOptions(mean=0.2, std=0.4, precision="float64")
    )
    images = images_of(network, 20)
    expected = layer_by_layer(engine, images).astype(np.float32)
    np.testing.assert_allclose(engine.logits(images), expected, rtol=1e-6, atol=1e-7)


def test_the_average_answers_and_follows_every_step() -> None:
    network = network_of(READER)
    options = EngineOptions(average_decay=0.9)
    engine = NumpyEngine(network, trained_weights(network), options)
    images = images_of(network, 8)
    for _ in range(2):
        engine.train_step(Batch(images, np.arange(8) % 3), 0.1)
        answers = engine.logits(images)
        assert_equal(answers, NumpyEngine(network, engine.weights(), EngineOptions()).logits(images))


def test_learning_is_the_same_with_questions_in_between() -> None:
    network = network_of(READER)
    weights, images = trained_weights(network), images_of(network, 8)
    asked, silent = (NumpyEngine(network, weights, OPTIONS) for _ in range(2))
    for _ in range(3):
        losses = [engine.train_step(Batch(images, np.arange(8) % 3), 0.1).loss for engine in (asked, silent)]
        assert losses[0] == losses[1]
        asked.logits(images[:5])
    for name, value in asked.weights().items():
        np.testing.assert_array_equal(value, silent.weights()[name])


def test_large_batches_on_several_threads_and_many_askers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each image's answer is its own, whoever asks at the same time."""
    blas = _Blas(get=lambda: 3)
    monkeypatch.setattr("tenfold.numpy_engine.runtime.products._blas", lambda: blas)
    network = network_of(READER)
    answering = AnsweringNetwork(network, trained_weights(network), OPTIONS)
    answering.chunk = 7
    images = images_of(network, 60)
    alone = np.concatenate([answering.logits(image[None]) for image in images])
    found: list[np.ndarray] = []
    askers = [threading.Thread(target=lambda: found.append(answering.logits(images))) for _ in range(4)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert len(found) == 4
    for answers in found:
        assert_equal(answers, alone)


@pytest.mark.parametrize("count", [0, 1, 6, 7, 8, 50])
def test_any_number_of_images(count: int) -> None:
    network = network_of(READER)
    answering = AnsweringNetwork(network, trained_weights(network), OPTIONS)
    assert answering.chunk == CHUNK_NUMBERS // (8 * 6 * 6)
    images, whole = images_of(network, 50), answering.logits(images_of(network, 50))
    answering.chunk = 7
    answers = answering.logits(images[:count])
    assert answers.shape == (count, 3) and answers.dtype == np.float32
    assert_equal(answers, whole[:count])


def test_own_threads_inside_and_as_before_outside() -> None:
    before = blas_threads()
    with own_threads() as outer:
        assert outer == before and blas_threads() == 1
        with own_threads() as inner:
            assert inner == before and blas_threads() == 1
        assert blas_threads() == 1
    assert blas_threads() == before
    with pytest.raises(ValueError, match="inside"), own_threads():
        raise ValueError("inside")
    assert blas_threads() == before


def test_without_openblas_nothing_is_switched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenfold.numpy_engine.runtime.products._blas", _Blas)
    with own_threads() as threads:
        assert threads == blas_threads() == 1
