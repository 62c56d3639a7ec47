"""Lines of a recipe -> layers -> shapes -> first weights."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tenfold.errors import RecipeError
from tenfold.networks.layers import LAYER_KINDS, LayerSpec
from tenfold.networks.shapes import INITIALISATIONS, Network, Parameter

ONE_OF_EACH = [
    "pixel-unshuffle 2", "conv 8 3x3 stride 2 padding 1", "batch-norm", "relu",
    {"residual": ["conv 8 3x3 padding same no-bias", "sigmoid", "dropout 0.2"]},
    "max-pool 2 stride 1", "average-pool 2", "flatten", "linear 12", "tanh", "linear classes",
]  # fmt: skip
OTHERS = ["conv 6 3x3", "layer-norm", "gelu", "depthwise 3x3 padding same", "silu", "global-average-pool",
          "linear classes", "scale 0.11"]  # fmt: skip
LINES = ["conv 4 3x5 padding same", "max-pool 2", "conv 5 8x3 padding 0x1", "conv classes 1x1", "columns"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("linear 120", LayerSpec("linear", "linear1", units=120)),
        ("  linear   classes ", LayerSpec("linear", "linear1", units=0)),
        ("dropout 0", LayerSpec("dropout", "dropout1", rate=0.0)),
        ("dropout .25", LayerSpec("dropout", "dropout1", rate=0.25)),
        ("conv 32 3x3", LayerSpec("conv", "conv1", units=32, kernel=(3, 3))),
        ("conv 32 5x5 padding same", LayerSpec("conv", "conv1", units=32, kernel=(5, 5), padding=(2, 2))),
        ("conv 8 1x5 padding same", LayerSpec("conv", "conv1", units=8, kernel=(1, 5), padding=(0, 2))),
        ("conv 8 2x3 padding 0x1", LayerSpec("conv", "conv1", units=8, kernel=(2, 3), padding=(0, 1))),
        ("conv classes 1x1", LayerSpec("conv", "conv1")),
        (
            "conv 4 2x2 stride 2 padding 1 no-bias",
            LayerSpec("conv", "conv1", units=4, kernel=(2, 2), stride=(2, 2), padding=(1, 1), bias=False),
        ),
        ("max-pool 3", LayerSpec("max-pool", "maxpool1", kernel=(3, 3), stride=(3, 3))),
        ("max-pool 2x1", LayerSpec("max-pool", "maxpool1", kernel=(2, 1), stride=(2, 1))),
        ("average-pool 3 stride 2", LayerSpec("average-pool", "avgpool1", kernel=(3, 3), stride=(2, 2))),
        ("pixel-unshuffle 2", LayerSpec("pixel-unshuffle", "unshuffle1", kernel=(2, 2))),
        ("columns", LayerSpec("columns", "columns1")),
        ("columns 2", LayerSpec("columns", "columns1", units=2)),
        ("batch-norm", LayerSpec("batch-norm", "norm1")),
        ("relu", LayerSpec("relu", "relu1")),
        ("max-pool 2 fit", LayerSpec("max-pool", "maxpool1", kernel=(2, 2), stride=(2, 2), fit=True)),
        ("scale 0.11", LayerSpec("scale", "scale1", rate=0.11)),
        ("layer-norm", LayerSpec("layer-norm", "layernorm1")),
        ("global-average-pool", LayerSpec("global-average-pool", "globalpool1")),
        (
            "depthwise 5x3 stride 2 padding 2x1 no-bias",
            LayerSpec("depthwise", "depthwise1", kernel=(5, 3), stride=(2, 2), padding=(2, 1), bias=False),
        ),
    ],
)
def test_good_lines(line: str, expected: LayerSpec) -> None:
    assert LayerSpec.parse([line]) == (expected,)


def test_names_are_counted_by_kind_and_nested_by_dots() -> None:
    lines = ["linear 3", "relu", "linear 4", {"residual": ["linear 4", "relu", {"residual": ["tanh"]}]}]
    specs = LayerSpec.parse(lines)
    assert [spec.name for spec in specs] == ["linear1", "relu1", "linear2", "residual1"]
    inner = specs[3].inner
    assert [spec.name for spec in inner] == ["residual1.linear1", "residual1.relu1", "residual1.residual1"]
    assert inner[2].inner[0].name == "residual1.residual1.tanh1"


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        ("", "known: flatten"),
        ("linaer 5", "did you mean 'linear'?"),
        ("Relu", "did you mean 'relu'?"),
        ("qqq", "known: flatten"),
        ("linear", "expected linear UNITS"),
        ("linear -3", "expected linear UNITS"),
        ("linear 1.5", "expected linear UNITS"),
        ("linear 0", "at least 1"),
        ("relu 3", "expected relu"),
        ("dropout 1", "0 <= P < 1"),
        ("dropout 1.0", "0 <= P < 1"),
        ("dropout -0.1", "0 <= P < 1"),
        ("dropout nan", "0 <= P < 1"),
        ("scale 0", "above 0"),
        ("scale -1", "above 0"),
        ("depthwise 8 3x3", "depthwise KxL"),
        ("depthwise 2x2 padding same", "odd kernel"),
        ("conv 8", "conv CHANNELS KxL"),
        ("conv 8 3", "conv CHANNELS KxL"),
        ("conv many 3x3", "conv CHANNELS KxL"),
        ("conv 8 3x5x7", "conv CHANNELS KxL"),
        ("conv 8 3x2 padding same", "odd kernel"),
        ("conv 0 3x3", "at least 1"),
        ("conv 8 0x0", "at least 1"),
        ("conv 8 3x3 stride 0", "at least 1"),
        ("conv 8 2x2 padding same", "odd kernel"),
        ("conv 8 3x3 stride 2 padding same", "stride 1"),
        ("conv 8 3x3 padding some", "conv CHANNELS KxL"),
        ("conv 8 0x3", "at least 1"),
        ("max-pool 2x0", "at least 1"),
        ("max-pool 2x", "max-pool KxL"),
        ("columns 0", "expected columns"),
        ("columns 2x1", "expected columns"),
        ("max-pool", "max-pool K"),
        ("max-pool 0", "at least 1"),
        ("average-pool 2 stride 0", "at least 1"),
        ("pixel-unshuffle 0", "at least 1"),
        ({"residual": []}, "residual = ["),
        ({"residual": "relu"}, "residual = ["),
        ({"residual": 5}, "residual = ["),
        ({"residual": True}, "residual = ["),
        ({"residual": {"a": 1}}, "residual = ["),
        ({"residuel": ["relu"]}, "residual = ["),
        ({"residual": ["relu", "linaer 3"]}, "did you mean 'linear'?"),
    ],
    ids=str,
)
def test_bad_lines_name_the_line_and_the_remedy(line: Any, remedy: str) -> None:
    with pytest.raises(RecipeError) as error:
        LayerSpec.parse(["flatten", line])
    message = str(error.value)
    assert remedy in message and "\n" not in message
    if isinstance(line, str):
        assert line in message


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "ends with shape (1, 12, 10)"),
        (["linear classes"], "put 'flatten' before it"),
        (["flatten", "linear 7"], "expected (3,)"),
        (["flatten", "conv 8 3x3", "linear classes"], "put it before 'flatten'"),
        (["flatten", "global-average-pool"], "put it before 'flatten'"),
        (["depthwise 13x3", "flatten", "linear classes"], "does not fit into 12 pixels"),
        (["flatten", "max-pool 2"], "put it before 'flatten'"),
        (["conv 8 13x13", "flatten", "linear classes"], "does not fit into 12 pixels"),
        (["conv 8 11x11", "flatten", "linear classes"], "does not fit into 10 pixels"),
        (["max-pool 4", "max-pool 3", "flatten", "linear classes"], "does not fit into 2 pixels"),
        (["pixel-unshuffle 5", "flatten", "linear classes"], "divisible by 5"),
        ([{"residual": ["conv 2 3x3 padding same"]}, "flatten", "linear classes"], "the shape that came in"),
        (["conv 3 12x11", "flatten"], "does not fit into 10 pixels"),
        (["conv classes 1x1", "columns"], "pictures one pixel high"),
        (["conv 7 12x1", "columns"], "expected (3,)"),
        (["conv 7 12x1", "columns 2"], "divisible by 2"),
        (["conv 3 12x1", "columns 3"], "expected (3,)"),
        (["conv 3 12x1", "columns", "relu"], "columns as the last layer"),
        (["flatten", "columns"], "put it before 'flatten'"),
    ],
    ids=str,
)
def test_layers_that_do_not_fit(lines: list[Any], words: str) -> None:
    with pytest.raises(RecipeError) as error:
        Network.plan(LayerSpec.parse(lines), (12, 10), 3)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_layers_that_fit_any_picture() -> None:
    lines = ["pixel-unshuffle 2 fit", "conv 5 3x5 no-bias fit", "max-pool 2 fit", "average-pool 3x2 fit"]
    specs = LayerSpec.parse([*lines, "flatten", "linear classes"])
    plans = {shape: Network.plan(specs, shape, 3) for shape in [(28, 28), (9, 9), (2, 3), (5, 40)]}
    shapes = {shape: [layer.output_shape for layer in plan.layers[:4]] for shape, plan in plans.items()}
    assert shapes == {
        (28, 28): [(4, 14, 14), (5, 12, 10), (5, 6, 5), (5, 2, 2)],
        (9, 9): [(4, 4, 4), (5, 4, 4), (5, 2, 2), (5, 1, 1)],
        (2, 3): [(4, 1, 1), (5, 1, 1), (5, 1, 1), (5, 1, 1)],
        (5, 40): [(4, 2, 20), (5, 2, 20), (5, 1, 10), (5, 1, 5)],
    }
    plain = Network.plan(LayerSpec.parse([*(line.removesuffix(" fit") for line in lines), "flatten",
                                          "linear classes"]), (28, 28), 3)  # fmt: skip
    assert plans[28, 28].parameters() == plain.parameters()
    with pytest.raises(RecipeError, match="meets"):
        Network.plan(specs, (1, 9), 3)


def test_every_kind_is_planned() -> None:
    networks = [Network.plan(LayerSpec.parse(lines), (16, 20), 5) for lines in (ONE_OF_EACH, OTHERS, LINES)]
    kinds = {layer.spec.kind for network in networks for layer in network.layers}
    kinds |= {inner.spec.kind for network in networks for layer in network.layers for inner in layer.inner}
    assert kinds == set(LAYER_KINDS) - {"own"}


def test_a_line_network_at_other_widths() -> None:
    network = Network.plan(LayerSpec.parse(LINES), (16, 20), 5)
    assert network.reads_lines and network.output_shape == (10, 5)
    wider = network.at_width(36)
    assert wider.output_shape == (18, 5) and wider.input_shape == (1, 16, 36)
    assert wider.parameters() == network.parameters()
    assert network.at_width(36) is wider and network.at_width(20) is network
    with pytest.raises(RecipeError, match="does not fit"):
        network.at_width(0)


def test_a_network_of_one_answer_has_no_other_width() -> None:
    network = Network.plan(LayerSpec.parse(ONE_OF_EACH), (16, 20), 5)
    assert not network.reads_lines and network.output_shape == (5,)


def test_numbers_to_change_are_single_ones() -> None:
    numbers = LayerSpec.numbers([*LINES, "max-pool 2x1"])
    assert numbers == {"conv": 4, "conv1": 4, "max-pool": 2, "maxpool1": 2, "conv2": 5}
    assert LayerSpec.change_numbers([*LINES, "max-pool 2x1"], "max-pool", 3) == [
        LINES[0], "max-pool 3", *LINES[2:], "max-pool 2x1",
    ]  # fmt: skip


@pytest.mark.parametrize("shape", [(16, 20), (28, 28), (12, 14)])
def test_shapes_and_counts_are_torchs(shape: tuple[int, int]) -> None:
    torch = pytest.importorskip("torch")
    nn = torch.nn
    torch.manual_seed(0)
    network = Network.plan(LayerSpec.parse(ONE_OF_EACH), shape, 5)
    values = torch.zeros(2, 1, *shape)
    flat = math.prod(network.layers[7].output_shape)
    modules = [
        nn.PixelUnshuffle(2), nn.Conv2d(4, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.MaxPool2d(2, stride=1), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(flat, 12), nn.Tanh(), nn.Linear(12, 5),
    ]  # fmt: skip
    for layer, module in zip(network.layers, modules, strict=True):
        values = module(values)
        assert layer.output_shape == tuple(values.shape[1:]), layer.spec.name
    learned = sum(p.numel() for module in modules for p in module.parameters())
    assert network.parameter_count == learned
    fans = [nn.init._calculate_fan_in_and_fan_out(m.weight) for m in modules if hasattr(m, "in_channels")]
    weights = [p for p in network.parameters() if p.role == "weight" and len(p.shape) == 4]
    assert [(p.fan_in, p.fan_out) for p in weights] == fans


LARGE = Parameter("linear1.weight", (300, 400), "weight", 400, 300)
BIAS = Parameter("linear1.bias", (5000,), "bias", 400, 300)


@pytest.mark.parametrize(
    ("scheme", "deviation", "bias_deviation"),
    [
        ("normal", 1.0, 1.0),
        ("xavier", math.sqrt(2 / 700), 0.0),
        ("kaiming", math.sqrt(2 / 400), 0.0),
        ("torch", 1 / math.sqrt(3 * 400), 1 / math.sqrt(3 * 400)),
    ],
)
def test_moments_of_the_first_weights(scheme: str, deviation: float, bias_deviation: float) -> None:
    weight = INITIALISATIONS[scheme](LARGE, np.random.default_rng(0))
    bias = INITIALISATIONS[scheme](BIAS, np.random.default_rng(1))
    assert weight.dtype == bias.dtype == np.float32 and weight.shape == LARGE.shape
    assert abs(weight.mean()) < 4 * deviation / math.sqrt(weight.size)
    assert weight.std() == pytest.approx(deviation, rel=0.01)
    assert bias.std() == pytest.approx(bias_deviation, rel=0.04, abs=1e-9)
    if scheme in ("xavier", "torch"):  # uniform: the bound is sqrt(3) deviations, and nearly reached
        assert 0.999 < np.abs(weight).max() / (math.sqrt(3) * deviation) <= 1 + 1e-6


def test_first_weights_depend_on_seed_and_name_alone() -> None:
    small = Network.plan(LayerSpec.parse(["flatten", "linear 8", "relu", "linear classes"]), (6, 6), 3)
    longer = Network.plan(
        LayerSpec.parse(["batch-norm", "flatten", "linear 8", "relu", "dropout 0.5", "linear classes"]),
        (6, 6),
        3,
    )
    first, again = small.initial_weights("torch", seed=3), longer.initial_weights("torch", seed=3)
    other = small.initial_weights("torch", seed=4)
    for name, value in first.items():
        np.testing.assert_array_equal(value, again[name])
        assert not np.array_equal(value, other[name])
    assert not np.array_equal(first["linear1.bias"][:3], first["linear2.bias"])
    norm = {key: value.tolist() for key, value in again.items() if key.startswith("norm1")}
    assert norm == {
        "norm1.weight": [1], "norm1.bias": [0], "norm1.running_mean": [0], "norm1.running_var": [1],
    }  # fmt: skip


def test_unknown_initialisation() -> None:
    network = Network.plan(LayerSpec.parse(["flatten", "linear classes"]), (6, 6), 3)
    with pytest.raises(RecipeError, match="did you mean 'kaiming'"):
        network.initial_weights("kaimin", seed=0)
