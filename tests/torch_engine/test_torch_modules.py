"""Every layer kind, as built from a recipe's line, against plain torch.nn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from tenfold.errors import ModelError
from tenfold.networks.layers import LAYER_KINDS, LayerSpec
from tenfold.networks.shapes import Network
from tenfold.torch_engine.modules import Dropout, Residual, build_module, load_weights


def _built(lines: list, shape: tuple[int, int] = (8, 8)) -> tuple[Network, nn.Sequential]:
    network = Network.plan(LayerSpec.parse([*lines, "flatten", "linear classes"]), shape, 3)
    module = build_module(network, torch.Generator().manual_seed(0))
    weights = network.initial_weights("torch", seed=1)
    load_weights(module, weights)
    return network, module


# The line, what torch.nn has for it, and what must stand before it.
CASES = {
    "flatten": ([], "flatten", nn.Flatten()),
    "linear": (["flatten"], "linear 5", nn.Linear(64, 5)),
    "relu": ([], "relu", nn.ReLU()),
    "sigmoid": ([], "sigmoid", nn.Sigmoid()),
    "tanh": ([], "tanh", nn.Tanh()),
    "gelu": ([], "gelu", nn.GELU()),
    "silu": ([], "silu", nn.SiLU()),
    "depthwise": (["conv 4 1x1"], "depthwise 3x3 padding same", nn.Conv2d(4, 4, 3, padding=1, groups=4)),
    "layer-norm": (["flatten"], "layer-norm", nn.LayerNorm(64)),
    "conv": ([], "conv 4 3x3 stride 2 padding 1", nn.Conv2d(1, 4, 3, stride=2, padding=1)),
    "batch-norm": ([], "batch-norm", nn.BatchNorm2d(1)),
    "max-pool": ([], "max-pool 3 stride 2", nn.MaxPool2d(3, 2)),
    "average-pool": ([], "average-pool 2", nn.AvgPool2d(2)),
    "global-average-pool": ([], "global-average-pool", nn.Sequential(nn.AvgPool2d(8), nn.Flatten())),
    "pixel-unshuffle": ([], "pixel-unshuffle 2", nn.PixelUnshuffle(2)),
}


def test_every_kind_is_covered() -> None:
    assert set(LAYER_KINDS) == set(CASES) | {"dropout", "residual", "columns", "scale", "own"}


def test_layer_norm_of_pictures_is_over_the_channels_of_each_pixel() -> None:
    _, module = _built(["conv 4 1x1", "layer-norm", "scale 0.5"])
    inputs = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(2))
    before = module[0](inputs)
    mean, variance = before.mean(1, keepdim=True), before.var(1, keepdim=True, unbiased=False)
    expected = (before - mean) / torch.sqrt(variance + 1e-5)
    torch.testing.assert_close(module[:2](inputs), expected)
    torch.testing.assert_close(module[:3](inputs), expected / 2)


def test_parts_of_columns_stand_side_by_side() -> None:
    network = Network.plan(LayerSpec.parse(["conv 6 8x1", "columns 2"]), (8, 12), 3)
    module = build_module(network, torch.Generator())
    load_weights(module, network.initial_weights("torch", seed=3))
    inputs = torch.randn(4, 1, 8, 12, generator=torch.Generator().manual_seed(2))
    scores, found = module[0](inputs), module(inputs)
    assert network.output_shape == found.shape[1:] == (24, 3)
    torch.testing.assert_close(found[:, 0::2], scores[:, :3, 0].transpose(1, 2))
    torch.testing.assert_close(found[:, 1::2], scores[:, 3:, 0].transpose(1, 2))


def test_columns_and_windows_that_are_not_square() -> None:
    lines = ["conv 4 3x5 padding 1x0", "max-pool 4x1", "average-pool 2x1 stride 1", "conv classes 1x1"]
    network = Network.plan(LayerSpec.parse([*lines, "columns"]), (8, 12), 3)
    module = build_module(network, torch.Generator())
    load_weights(module, network.initial_weights("torch", seed=3))
    reference = nn.Sequential(
        nn.Conv2d(1, 4, (3, 5), padding=(1, 0)), nn.MaxPool2d((4, 1)), nn.AvgPool2d((2, 1), 1),
        nn.Conv2d(4, 3, 1),
    )  # fmt: skip
    reference.load_state_dict(dict(zip(reference.state_dict(), module.state_dict().values(), strict=True)))
    inputs = torch.randn(6, 1, 8, 12, generator=torch.Generator().manual_seed(2))
    assert network.output_shape == (8, 3)
    torch.testing.assert_close(module(inputs), reference(inputs)[:, :, 0].transpose(1, 2))


@pytest.mark.parametrize("kind", CASES)
def test_layer_equals_torch_nn(kind: str) -> None:
    before, line, reference = CASES[kind]
    lines = [*before, line]
    specs = LayerSpec.parse(lines)
    rows = before == ["flatten"]
    tail = [] if rows or kind in ("flatten", "global-average-pool") else ["flatten"]
    network = Network.plan(LayerSpec.parse([*lines, *tail, "linear classes"]), (8, 8), 3)
    module = build_module(network, torch.Generator())
    load_weights(module, network.initial_weights("normal", seed=3))
    layer = module[len(before)]
    if list(reference.parameters()):
        own = {name.split(".")[-1]: tensor for name, tensor in layer.state_dict().items()}
        reference.load_state_dict(own, strict=kind != "batch-norm")
    inputs = torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(2))
    if kind == "depthwise":
        inputs = (
            inputs.reshape(6, 1, 8, 8).expand(-1, 4, -1, -1) * torch.tensor([1.0, -2, 3, 0.5])[:, None, None]
        )
    inputs = inputs.flatten(1) if rows else inputs
    assert specs[-1].kind == kind
    torch.testing.assert_close(layer(inputs), reference(inputs))
    for name, tensor in layer.named_buffers():
        torch.testing.assert_close(tensor, dict(reference.named_buffers())[name])


def test_batch_norm_of_rows_is_torchs() -> None:
    rows = Network.plan(LayerSpec.parse(["flatten", "batch-norm", "linear classes"]), (8, 8), 3)
    norm = build_module(rows, torch.Generator())[1]
    assert isinstance(norm, nn.BatchNorm1d)
    assert (norm.eps, norm.momentum) == (1e-5, 0.1)


def test_parameter_names_are_the_networks() -> None:
    inner = ["conv 1 3x3 padding same no-bias", "batch-norm", "relu"]
    network, module = _built([{"residual": [*inner, {"residual": ["tanh", "conv 1 1x1"]}]}, "relu"])
    expected = {p.name: p.shape for p in network.parameters()}
    assert {name: tuple(t.shape) for name, t in module.state_dict().items()} == expected
    assert {p.name for p in network.parameters() if p.learned} == {n for n, _ in module.named_parameters()}


@pytest.mark.parametrize("first", ["relu", "sigmoid", "tanh"])
def test_residual_adds_its_unchanged_input(first: str) -> None:
    """A ReLU in place at the start of a residual would change what is still to be added."""
    _, module = _built(["conv 2 1x1", {"residual": [first, "relu", "conv 2 3x3 padding same"]}])
    block = module[1]
    assert isinstance(block, Residual)
    inputs = torch.randn(2, 2, 8, 8, generator=torch.Generator().manual_seed(1), requires_grad=True)
    kept = inputs.detach().clone()
    activation = {"relu": torch.relu, "sigmoid": torch.sigmoid, "tanh": torch.tanh}[first]
    conv = nn.functional.conv2d(torch.relu(activation(kept)), block[2].weight, block[2].bias, padding=1)
    output = block(inputs)
    torch.testing.assert_close(output, kept + conv)
    output.sum().backward()
    torch.testing.assert_close(inputs.detach(), kept)


def test_dropout_keeps_the_mean_and_draws_from_its_generator_only() -> None:
    generator = torch.Generator().manual_seed(5)
    layer = Dropout(0.25, generator)
    inputs = torch.ones(200, 500)
    before = torch.get_rng_state()
    output = layer(inputs)
    assert torch.equal(torch.get_rng_state(), before)
    zeros = (output == 0).float().mean().item()
    assert zeros == pytest.approx(0.25, abs=0.01)  # 100,000 draws: deviation 0.0014
    torch.testing.assert_close(output[output != 0].unique(), torch.tensor([1 / 0.75]))
    generator.manual_seed(5)
    assert torch.equal(layer(inputs), output)
    assert layer.eval()(inputs) is inputs


def test_weights_that_do_not_fit_are_refused() -> None:
    network, module = _built([])
    weights = network.initial_weights("torch", seed=1)
    with pytest.raises(ModelError, match=r"linear1\.weight has shape \(3, 9\)"):
        load_weights(module, weights | {"linear1.weight": np.zeros((3, 9), np.float32)})
    with pytest.raises(ModelError, match="differ in: extra"):
        load_weights(module, weights | {"extra": np.zeros(1, np.float32)})
