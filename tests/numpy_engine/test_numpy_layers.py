"""One contract for every layer: its gradient passes central differences, and it equals PyTorch's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from tenfold.errors import ModelError
from tenfold.networks.layers import LAYER_KINDS, LayerSpec
from tenfold.networks.shapes import Network
from tenfold.numpy_engine.gradcheck import check_gradients
from tenfold.numpy_engine.layers import Layer
from tenfold.numpy_engine.network import LAYERS, build_layer
from tenfold.numpy_engine.runtime.memory import ParameterStore

CASES = [
    ("linear 7", (1, 1, 5)),
    ("relu", (1, 6, 5)),
    ("relu", (1, 1, 9)),
    ("sigmoid", (1, 6, 5)),
    ("tanh", (1, 6, 5)),
    ("gelu", (1, 6, 5)),
    ("silu", (2, 6, 5)),
    ("scale 0.125", (2, 3, 4)),
    ("flatten", (1, 4, 3)),
    ("flatten", (3, 4, 5)),
    ("dropout 0", (2, 3, 3)),
    ("conv 4 3x3", (1, 7, 6)),
    ("conv 4 3x3 padding same", (3, 7, 6)),
    ("conv 5 5x5 stride 2 padding 2", (4, 9, 8)),
    ("conv 3 3x3 stride 3 padding 1 no-bias", (6, 10, 11)),
    ("conv 3 2x2 stride 2", (5, 7, 7)),
    ("conv 4 1x1", (5, 4, 4)),
    ("conv 2 3x3 padding 4", (5, 4, 4)),
    ("conv 2 5x5 stride 2 padding 2", (3, 2, 2)),  # places that are in the frame for all outputs
    ("conv 2 1x1 stride 3 padding 2", (2, 5, 5)),
    ("conv 4 3x5 padding same no-bias", (3, 6, 7)),
    ("conv 3 2x3 padding 0x1", (2, 2, 6)),
    ("conv 3 1x4 stride 2 padding 1x3", (2, 5, 9)),
    ("conv classes 1x5 padding 2x0", (3, 3, 8)),
    ("depthwise 3x3 padding same", (4, 6, 5)),
    ("depthwise 5x3 stride 2 padding 2x1 no-bias", (3, 9, 8)),
    ("depthwise 2x2 stride 3", (2, 8, 7)),
    ("layer-norm", (3, 4, 5)),
    ("layer-norm", (1, 1, 6)),
    ("global-average-pool", (3, 4, 5)),
    ("batch-norm", (3, 4, 5)),
    ("batch-norm", (1, 1, 6)),
    ("max-pool 2", (3, 6, 8)),
    ("max-pool 2", (3, 7, 5)),
    ("max-pool 3 stride 2", (2, 8, 7)),
    ("max-pool 2 stride 3", (2, 8, 7)),
    ("max-pool 2x1", (3, 6, 5)),
    ("max-pool 1x3", (2, 4, 9)),
    ("max-pool 2x3 stride 1", (2, 5, 6)),
    ("average-pool 2x1", (3, 6, 5)),
    ("average-pool 3x2 stride 2", (2, 7, 8)),
    ("columns", (2, 1, 7)),
    ("average-pool 2", (3, 6, 8)),
    ("average-pool 3", (3, 7, 8)),
    ("average-pool 3 stride 1", (2, 6, 5)),
    ("pixel-unshuffle 2", (3, 6, 4)),
    ("pixel-unshuffle 3", (1, 6, 9)),
    ("pixel-unshuffle 2 fit", (2, 7, 5)),
    ("conv 4 5x3 fit", (3, 2, 6)),
    ("max-pool 3x2 fit", (2, 2, 6)),
    ({"residual": ["conv 3 3x3 padding same", "batch-norm", "tanh", "conv 3 3x3 padding 1"]}, (3, 5, 4)),
    ({"residual": ["tanh", {"residual": ["batch-norm", "sigmoid"]}]}, (2, 4, 4)),
]

IDS = [f"{line if isinstance(line, str) else 'residual'} on {shape}" for line, shape in CASES]


def build(line: object, shape: tuple[int, int, int], rng: np.random.Generator) -> Layer:
    """The layer of a recipe's line on pictures of (C, H, W), or on rows of W where C = H = 1."""
    channels, height, width = shape
    before = ["flatten"] if (channels, height) == (1, 1) else [f"conv {channels} 1x1"]
    vector = before == ["flatten"] or line in ("flatten", "global-average-pool")
    behind = [] if line == "columns" else [*([] if vector else ["flatten"]), "linear classes"]
    network = Network.plan(LayerSpec.parse([*before, line, *behind]), (height, width), 2)
    plan = network.layers[1]
    store = ParameterStore([p for layer in plan.walk() for p in layer.parameters], np.float64)
    for value in store.values.values():
        value[...] = rng.uniform(0.5, 1.5, value.shape)
    store.learned[:] = rng.standard_normal(store.learned.size)
    return build_layer(plan, store)


def reference(spec: LayerSpec, layer: Layer) -> nn.Module:
    """The same layer in PyTorch, with the same parameters."""
    k, s, p = spec.kernel, spec.stride, spec.padding
    shape = layer.plan.input_shape
    modules = {
        "linear": lambda: nn.Linear(shape[0], spec.units),
        "relu": nn.ReLU,
        "sigmoid": nn.Sigmoid,
        "tanh": nn.Tanh,
        "flatten": nn.Flatten,
        "dropout": lambda: nn.Dropout(spec.rate),
        "conv": lambda: nn.Conv2d(shape[0], spec.units, k, s, p, bias=spec.bias),
        "gelu": nn.GELU,
        "silu": nn.SiLU,
        "scale": lambda: _Call(lambda x: spec.rate * x),
        "depthwise": lambda: nn.Conv2d(shape[0], shape[0], k, s, p, groups=shape[0], bias=spec.bias),
        "layer-norm": lambda: _ChannelNorm(shape[0]),
        "global-average-pool": lambda: _Call(lambda x: x.mean((2, 3))),
        "batch-norm": lambda: (nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d)(shape[0]),
        "max-pool": lambda: nn.MaxPool2d(k, s),
        "average-pool": lambda: nn.AvgPool2d(k, s),
        "pixel-unshuffle": lambda: nn.Sequential(
            _Call(lambda x: x[:, :, : shape[1] // k[0] * k[0], : shape[2] // k[0] * k[0]]),
            nn.PixelUnshuffle(k[0]),
        ),
        "columns": lambda: nn.Flatten(2),  # (N, K, T); the test turns the channels to the end
        "residual": lambda: _Residual([reference(one.spec, one) for one in layer.inner]),
    }
    module = modules[spec.kind]().double()
    with torch.no_grad():
        for name, value in layer.values.items():
            getattr(module, name).copy_(torch.tensor(value))
    return module


class _Call(nn.Module):
    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.function(inputs)


class _ChannelNorm(nn.LayerNorm):
    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return torch.movedim(super().forward(torch.movedim(inputs, 1, -1)), -1, 1)


class _Residual(nn.Module):
    def __init__(self, inner: list[nn.Module]) -> None:
        super().__init__()
        self.inner = nn.Sequential(*inner)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs + self.inner(inputs)


def last(array: np.ndarray) -> np.ndarray:
    """Channels last, as the engine has it."""
    return np.ascontiguousarray(np.moveaxis(array, 1, -1))


def gradients_of(layer: Layer) -> list[np.ndarray]:
    return [
        *layer.gradients.values(),
        *(gradient for inner in layer.inner for gradient in gradients_of(inner)),
    ]


def test_every_kind_is_there_and_tested() -> None:
    kinds = {line.split()[0] if isinstance(line, str) else "residual" for line, _ in CASES}
    assert set(LAYERS) == set(LAYER_KINDS) == kinds | {"own"}


@pytest.mark.parametrize(("line", "shape"), CASES, ids=IDS)
def test_gradient_passes_central_differences(line: object, shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(3)
    layer = build(line, shape, rng)
    check = check_gradients(layer, last(rng.standard_normal((4, *layer.plan.input_shape))), rng=rng)
    assert {row.name for row in check.rows} >= {"inputs"}
    assert len(check.rows) == 1 + len(gradients_of(layer))
    assert check.passed(1e-6), check


@pytest.mark.parametrize(("line", "shape"), CASES, ids=IDS)
def test_equals_torch(line: object, shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(4)
    layer = build(line, shape, rng)
    module = reference(layer.spec, layer)
    for count in (5, 3, 7):  # the kept buffers must suit every size of batch
        inputs = rng.standard_normal((count, *layer.plan.input_shape))
        theirs = torch.tensor(inputs, requires_grad=True)
        expected = module(theirs)
        gradient = rng.standard_normal(expected.shape)
        module.zero_grad()
        expected.backward(torch.tensor(gradient))
        outputs = layer.forward(last(inputs), training=True)
        np.testing.assert_allclose(outputs, last(expected.detach().numpy()), rtol=1e-9, atol=1e-9)
        back = layer.backward(last(gradient))
        np.testing.assert_allclose(back, last(theirs.grad.numpy()), rtol=1e-9, atol=1e-9)
        for ours, parameter in zip(gradients_of(layer), module.parameters(), strict=True):
            np.testing.assert_allclose(ours, parameter.grad.numpy(), rtol=1e-9, atol=1e-9)
    module.eval()
    answer = layer.forward(last(inputs), training=False)
    np.testing.assert_allclose(answer, last(module(theirs).detach().numpy()), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("line", "shape"), CASES, ids=IDS)
def test_writes_into_nothing_it_was_given(line: object, shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(5)
    layer = build(line, shape, rng)
    inputs = last(rng.standard_normal((3, *layer.plan.input_shape)))
    given = inputs.copy()
    outputs = layer.forward(inputs, training=True)
    gradient = rng.standard_normal(outputs.shape)
    kept = gradient.copy()
    layer.backward(gradient)
    np.testing.assert_array_equal(inputs, given)
    np.testing.assert_array_equal(gradient, kept)


def test_batch_norm_follows_the_statistics_as_torch() -> None:
    rng = np.random.default_rng(6)
    layer = build("batch-norm", (3, 4, 5), rng)
    module = reference(layer.spec, layer)
    for _ in range(3):
        inputs = 2 + 3 * rng.standard_normal((6, 3, 4, 5))
        layer.forward(last(inputs), training=True)
        module(torch.tensor(inputs))
    for name in ("running_mean", "running_var"):
        np.testing.assert_allclose(layer.values[name], getattr(module, name).numpy(), rtol=1e-12)


@pytest.mark.parametrize("line", ["max-pool 2", "max-pool 3 stride 2", "max-pool 3 stride 1"])
def test_a_tie_gives_its_gradient_to_the_first_largest(line: str) -> None:
    rng = np.random.default_rng(7)
    layer = build(line, (2, 7, 7), rng)
    inputs = rng.integers(0, 2, (3, 2, 7, 7)).astype(float)
    theirs = torch.tensor(inputs, requires_grad=True)
    expected = reference(layer.spec, layer)(theirs)
    gradient = rng.standard_normal(expected.shape)
    expected.backward(torch.tensor(gradient))
    layer.forward(last(inputs), training=True)
    np.testing.assert_allclose(layer.backward(last(gradient)), last(theirs.grad.numpy()), atol=1e-12)


def test_relu_has_gradient_zero_at_zero() -> None:
    layer = build("relu", (1, 1, 3), np.random.default_rng(0))
    layer.forward(np.array([[-1.0, 0.0, 2.0]]), training=True)
    np.testing.assert_array_equal(layer.backward(np.ones((1, 3))), [[0, 0, 1]])


def test_sigmoid_neither_overflows_nor_loses_small_numbers() -> None:
    layer = build("sigmoid", (1, 1, 4), np.random.default_rng(0))
    with np.errstate(all="raise"):
        outputs = layer.forward(np.array([[-700.0, -50.0, 0.0, 700.0]]), training=True)
    np.testing.assert_allclose(outputs, [[np.exp(-700), np.exp(-50), 0.5, 1]], rtol=1e-12)


def test_dropout_keeps_the_mean_and_its_share() -> None:
    layer = build("dropout 0.3", (1, 40, 50), np.random.default_rng(0))
    ones = np.ones((20, 40, 50, 1))
    outputs = layer.forward(ones, training=True)
    # 40,000 draws: the share dropped has a deviation of sqrt(.3 * .7 / 40000) = 0.0023
    assert abs((outputs == 0).mean() - 0.3) < 0.01
    np.testing.assert_allclose(outputs[outputs > 0], 1 / 0.7)
    np.testing.assert_array_equal(layer.backward(ones), outputs)
    assert layer.forward(ones, training=False) is ones


def test_dropout_passes_central_differences_with_its_mask_held() -> None:
    rng = np.random.default_rng(8)
    layer = build("dropout 0.4", (2, 4, 4), rng)
    assert check_gradients(layer, rng.standard_normal((3, 4, 4, 2)), rng=rng).passed()


def test_a_wrong_gradient_is_caught() -> None:
    rng = np.random.default_rng(9)
    layer = build("tanh", (1, 1, 6), rng)
    right = layer.backward
    layer.backward = lambda gradient, *, wanted=True: right(gradient) * (1 + 1e-5)
    check = check_gradients(layer, rng.standard_normal((3, 6)), rng=rng)
    assert not check.passed(1e-6)
    assert max(row.error for row in check.rows) == pytest.approx(1e-5, rel=0.1)


def test_a_network_larger_than_its_weights_is_refused_before_memory_is_allocated() -> None:
    network = Network.plan(
        LayerSpec.parse(["flatten", *["linear 999999"] * 9, "linear classes"]), (28, 28), 10
    )
    with pytest.raises(ModelError, match=r"the weights lack 'linear1\.weight'"):
        ParameterStore.of(network, {})
