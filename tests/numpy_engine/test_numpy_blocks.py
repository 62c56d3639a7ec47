"""Large batches in blocks on threads: the same gradient as in one piece, and always the same bits."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tenfold.arrays import Batch
from tenfold.networks.engine import EngineOptions
from tenfold.networks.layers import LayerSpec
from tenfold.networks.shapes import Network
from tenfold.numpy_engine.engine import NumpyEngine
from tenfold.numpy_engine.runtime import batches, products
from tenfold.numpy_engine.runtime.batches import learns_by_image
from tenfold.numpy_engine.runtime.products import outer_sum, product
from tenfold.settings import LossSettings

MLP = ["flatten", "linear 12", "relu", "linear classes"]
CNN = [
    "conv 3 3x3 padding same",
    {"residual": ["conv 3 3x3 padding same", "tanh"]},
    "flatten",
    "linear classes",
]
LOSSES = [
    LossSettings(),
    LossSettings(reduction="sum", label_smoothing=0.1, label_shift=-1, probability_floor=1e-3),
    LossSettings(name="mean-squared-error"),
]


def network_of(layers: list) -> Network:
    return Network.plan(LayerSpec.parse(layers), (8, 8), 10)


def random_batch(count: int) -> Batch:
    rng = np.random.default_rng(count)
    return Batch(rng.integers(0, 256, (count, 8, 8), dtype=np.uint8), rng.integers(0, 10, count))


def differentiated(
    layers: list,
    batch: Batch,
    length: int,
    *,
    precision: str = "float64",
    loss: LossSettings = LOSSES[0],
    mean: float = 0.2,
) -> tuple[float, int, np.ndarray]:
    network = network_of(layers)
    options = EngineOptions(loss=loss, mean=mean, std=0.4, precision=precision)
    engine = NumpyEngine(network, network.initial_weights("torch", seed=1), options)
    engine.blocks.length = length
    result = engine.train_step(batch, learning_rate=0.0)
    return result.loss, result.correct, engine.store.gradients


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> int:
    """As if matrix products took so many threads."""

    @contextmanager
    def pretend() -> Iterator[int]:
        yield request.param

    monkeypatch.setattr(batches, "own_threads", pretend)
    return request.param


@pytest.mark.parametrize("threads", [1, 3], indirect=True)
@pytest.mark.parametrize("loss", LOSSES, ids=repr)
@pytest.mark.parametrize("layers", [MLP, CNN], ids=["mlp", "cnn"])
def test_blocks_give_the_gradient_of_the_whole(threads: int, layers: list, loss: LossSettings) -> None:
    batch = random_batch(37)  # blocks of 7 and 2 at last
    blocked = differentiated(layers, batch, 7, loss=loss)
    whole = differentiated(layers, batch, 37, loss=loss)
    assert blocked[0] == pytest.approx(whole[0], rel=1e-12)
    assert blocked[1] == whole[1]
    np.testing.assert_allclose(blocked[2], whole[2], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("threads", [2], indirect=True)
@pytest.mark.parametrize("mean", [0.0, 0.2])  # without a mean, the first layer scales the pixels
def test_blocks_give_the_gradient_of_autograd(threads: int, mean: float) -> None:
    batch, network = random_batch(50), network_of(["flatten", "linear classes"])
    weights = network.initial_weights("torch", seed=1)
    theirs = [torch.tensor(value).double().requires_grad_() for value in weights.values()]
    inputs = ((torch.tensor(batch.images).double() / 255 - mean) / 0.4).flatten(1)
    loss = F.cross_entropy(F.linear(inputs, *theirs), torch.tensor(batch.labels))
    loss.backward()
    ours = differentiated(["flatten", "linear classes"], batch, 8, mean=mean)
    assert ours[0] == pytest.approx(loss.item(), rel=1e-10)
    expected = np.concatenate([value.grad.numpy().ravel() for value in theirs])
    np.testing.assert_allclose(ours[2], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("threads", [1, 2, 4], indirect=True)
def test_the_same_bits_each_time(threads: int) -> None:
    batch = random_batch(100)
    first = differentiated(CNN, batch, 9, precision="float32")[2]
    for _ in range(3):
        np.testing.assert_array_equal(differentiated(CNN, batch, 9, precision="float32")[2], first)


@pytest.mark.parametrize("threads", [2], indirect=True)
def test_threads_are_as_quiet_about_overflow_as_their_caller(threads: int) -> None:
    network, batch = network_of(MLP), random_batch(30)
    weights = {name: value * 1e30 for name, value in network.initial_weights("torch", seed=1).items()}
    engine = NumpyEngine(network, weights, EngineOptions())
    engine.blocks.length = 5
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("error")
        engine.train_step(batch, learning_rate=0.0)


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        (MLP, True),
        (CNN, True),
        (["flatten", "dropout 0.1", "linear classes"], False),
        ([{"residual": ["conv 1 3x3 padding same", "batch-norm"]}, "flatten", "linear classes"], False),
    ],
)
def test_what_depends_on_the_whole_batch_is_not_cut(layers: list, expected: bool) -> None:
    assert learns_by_image(network_of(layers)) is expected


SHAPES = [(128, 784, 128), (1000, 784, 10), (37, 5, 3), (1003, 288, 32), (1, 784, 10), (117, 784, 10)]


@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("rows", "inner", "units"), SHAPES)
def test_products_in_pieces(
    rows: int, inner: int, units: int, dtype: type, in_place: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    blas = products._Blas(kernels="SkylakeX" if in_place else "Haswell")
    monkeypatch.setattr(products, "_blas", lambda: blas)
    rng = np.random.default_rng(0)
    inputs, weight, gradient = (
        rng.standard_normal(shape).astype(dtype) for shape in ((rows, inner), (units, inner), (rows, units))
    )
    bound = 1e-12 if dtype is np.float64 else 3e-4
    outputs = product(inputs, weight.T, np.empty((rows, units), dtype))
    exact = np.einsum("mk,nk->mn", inputs.astype(float), weight.astype(float))
    np.testing.assert_allclose(outputs, exact, rtol=bound, atol=bound)
    sums = outer_sum(gradient, inputs, np.empty((units, inner), dtype))
    exact = np.einsum("mn,mk->nk", gradient.astype(float), inputs.astype(float))
    np.testing.assert_allclose(sums, exact, rtol=bound, atol=bound)
