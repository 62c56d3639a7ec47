"""A model -> one ONNX file: pixels in, probabilities out, preprocessing and temperature inside."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import log, sqrt
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from tenfold.arguments import checked
from tenfold.classifier import Classifier, ModelCard
from tenfold.errors import MissingDependencyError, UsageError
from tenfold.files import replace_file
from tenfold.networks.engine import EnsembleEngine
from tenfold.networks.shapes import Layer, Network
from tenfold.numpy_engine.layers import BatchNorm
from tenfold.numpy_engine.network import LayerNorm
from tenfold.numpy_engine.runtime.answers import fold_network
from tenfold.pictures.lines import Strip
from tenfold.reader.decode import CHARACTERS, OUTPUTS
from tenfold.reader.line_reader import AnyModel, LineReader
from tenfold.version import __version__

__all__ = ["export_onnx"]

_OPSET, _IR_VERSION = 17, 8  # what ONNX Runtime 1.18 and much older ones read

Values = Mapping[str, np.ndarray]
Adder = Callable[["Graph", Layer, Values, str], str]  # a layer's nodes, fed by a value -> what they answer


def import_onnx() -> ModuleType:
    """The package onnx. Raises MissingDependencyError."""
    try:
        import onnx
        import onnx.helper
        import onnx.numpy_helper
    except ImportError as error:
        raise MissingDependencyError("onnx", extra="onnx", purpose="writing an ONNX file") from error
    return onnx


class Graph:
    """Nodes and constants (initializers) in the order in which they are added, channels first as in PyTorch.

    A value is named after its operator and counted (Relu1, Relu2, ...), unless a name is given.
    prefix: stands before the names of constants that are added. any_width: pictures may have any width
    that the layers take, as those of line networks, and not only the planned one.
    """

    def __init__(self, *, any_width: bool = False) -> None:
        self.onnx = import_onnx()
        self.any_width = any_width
        self.prefix = ""
        self.nodes: list[Any] = []
        self.constants: dict[str, np.ndarray] = {}
        self._seen: Counter[str] = Counter()

    def add(self, operator: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Adds a node with one output; returns its name."""
        self._seen[operator] += 1
        output = name or f"{operator}{self._seen[operator]}"
        node = self.onnx.helper.make_node(operator, list(inputs), [output], name=output, **attributes)
        self.nodes.append(node)
        return output

    def constant(self, name: str, value: Any, dtype: type = np.float32) -> str:
        """Adds an array or a number under its name, which it returns with the prefix."""
        self.constants[self.prefix + name] = np.asarray(value, dtype)
        return self.prefix + name

    def to_model(self, inputs: list[Any], outputs: list[Any], **metadata: Any) -> Any:
        """inputs, outputs: as `describe` gives them."""
        helper, to_array = self.onnx.helper, self.onnx.numpy_helper.from_array
        constants = [to_array(value, name) for name, value in self.constants.items()]
        model = helper.make_model(
            helper.make_graph(self.nodes, "tenfold", inputs, outputs, constants),
            opset_imports=[helper.make_opsetid("", _OPSET)],
            ir_version=_IR_VERSION,
            producer_name="tenfold",
            producer_version=__version__,
        )
        told = metadata | {"tenfold_version": __version__}
        helper.set_model_props(model, {key: str(value) for key, value in told.items()})
        return model

    def describe(self, name: str, kind: str, shape: Sequence[int | str]) -> Any:
        """What the graph takes or gives under a name. kind: "UINT8" or "FLOAT"."""
        return self.onnx.helper.make_tensor_value_info(name, getattr(self.onnx.TensorProto, kind), shape)


def add_layers(graph: Graph, layers: tuple[Layer, ...], values: Values, inputs: str) -> str:
    """Adds layers without dropout, fed by the value `inputs`; returns the name of what they answer."""
    for layer in layers:
        inputs = _ADDERS[layer.spec.kind](graph, layer, values, inputs)
    return inputs


def _conv(graph: Graph, layer: Layer, values: Values, inputs: str) -> str:
    padding = [*layer.spec.padding] * 2
    group = layer.input_shape[0] if layer.spec.kind == "depthwise" else 1
    parameters = _parameters(graph, layer, values)
    return graph.add("Conv", inputs, *parameters, pads=padding, group=group, **_window(layer))


def _parameters(graph: Graph, layer: Layer, values: Values) -> list[str]:
    return [graph.constant(parameter.name, values[parameter.name]) for parameter in layer.parameters]


def _window(layer: Layer) -> dict[str, Any]:
    return {"kernel_shape": [*layer.spec.kernel], "strides": [*layer.spec.stride]}


def _batch_norm(graph: Graph, layer: Layer, values: Values, inputs: str) -> str:
    """outputs = inputs * scale + shift, a pair of numbers per channel."""
    scale, shift = BatchNorm.affine(*(values[p.name].astype(np.float64) for p in layer.parameters))
    name, shape = layer.spec.name, (-1, *[1] * (len(layer.input_shape) - 1))
    scaled = graph.add("Mul", inputs, graph.constant(f"{name}.scale", scale.reshape(shape)))
    return graph.add("Add", scaled, graph.constant(f"{name}.shift", shift.reshape(shape)))


def _layer_norm(graph: Graph, layer: Layer, values: Values, inputs: str) -> str:
    """Of pictures over the channels, which go to the end for it."""
    pictures = len(layer.input_shape) == 3
    turned = graph.add("Transpose", inputs, perm=[0, 2, 3, 1]) if pictures else inputs
    parameters = _parameters(graph, layer, values)
    normal = graph.add("LayerNormalization", turned, *parameters, axis=-1, epsilon=LayerNorm.EPSILON)
    return graph.add("Transpose", normal, perm=[0, 3, 1, 2]) if pictures else normal


def _gelu(graph: Graph, layer: Layer, _: Values, inputs: str) -> str:
    """x (1 + erf(x / sqrt 2)) / 2; ONNX has Gelu only from operator set 20 on."""
    one, half, root = (
        graph.constant(f"{layer.spec.name}.{name}", value)
        for name, value in (("one", 1), ("half", 0.5), ("root", sqrt(0.5)))
    )
    share = graph.add("Add", graph.add("Erf", graph.add("Mul", inputs, root)), one)
    return graph.add("Mul", inputs, graph.add("Mul", share, half))


def _single(operator: str, *, windowed: bool = False) -> Adder:
    return lambda graph, layer, _, inputs: graph.add(operator, inputs, **_window(layer) if windowed else {})


def _pixel_unshuffle(graph: Graph, layer: Layer, _: Values, inputs: str) -> str:
    """Not SpaceToDepth, whose channels come last in the new order and PyTorch's first."""
    k, (channels, height, width), name = layer.spec.kernel[0], layer.input_shape, layer.spec.name
    wide = -1 if graph.any_width else width // k
    if height % k or width % k:
        ends = ([0, 0], [height // k * k, width // k * k], [2, 3])
        cut = (
            graph.constant(f"{name}.{key}", end, np.int64)
            for key, end in zip(("starts", "ends", "axes"), ends, strict=True)
        )
        inputs = graph.add("Slice", inputs, *cut)
    blocks = (0, channels, height // k, k, wide, k)  # 0: as many images as there are, -1: what remains
    apart = graph.add("Reshape", inputs, graph.constant(f"{name}.blocks", blocks, np.int64))
    turned = graph.add("Transpose", apart, perm=[0, 1, 3, 5, 2, 4])
    shape = (0, *layer.output_shape[:2], wide)
    return graph.add("Reshape", turned, graph.constant(f"{name}.shape", shape, np.int64))


def _columns(graph: Graph, layer: Layer, _: Values, inputs: str) -> str:
    """(N, PARTS K, 1, T) -> (N, PARTS T, K)."""
    name = layer.spec.name
    flat = graph.add("Squeeze", inputs, graph.constant(f"{name}.axis", [2], np.int64))
    turned = graph.add("Transpose", flat, perm=[0, 2, 1])
    if layer.spec.units <= 1:
        return turned
    shape = (0, -1, layer.output_shape[1])  # 0: as many strips as there are
    return graph.add("Reshape", turned, graph.constant(f"{name}.shape", shape, np.int64))


_ADDERS: dict[str, Adder] = {
    "flatten": _single("Flatten"),
    "linear": lambda graph, layer, values, inputs: graph.add(
        "Gemm", inputs, *_parameters(graph, layer, values), transB=1
    ),
    "relu": _single("Relu"),
    "sigmoid": _single("Sigmoid"),
    "tanh": _single("Tanh"),
    "gelu": _gelu,
    "silu": lambda graph, _layer, _, inputs: graph.add("Mul", inputs, graph.add("Sigmoid", inputs)),
    "scale": lambda graph, layer, _, inputs: graph.add(
        "Mul", inputs, graph.constant(f"{layer.spec.name}.factor", layer.spec.rate)
    ),
    "conv": _conv,
    "depthwise": _conv,
    "batch-norm": _batch_norm,
    "layer-norm": _layer_norm,
    "max-pool": _single("MaxPool", windowed=True),
    "average-pool": _single("AveragePool", windowed=True),
    "global-average-pool": lambda graph, _layer, _, inputs: graph.add(
        "Flatten", graph.add("GlobalAveragePool", inputs)
    ),
    "pixel-unshuffle": _pixel_unshuffle,
    "columns": _columns,
    "residual": lambda graph, layer, values, inputs: graph.add(
        "Add", inputs, add_layers(graph, layer.inner, values, inputs)
    ),
}


@checked
def export_onnx(model: AnyModel, path: str | Path) -> Path:
    """Writes a model as ONNX, beside and renamed; returns the path.

    Of a classifier: input `images`, uint8 (N, H, W) or (N, H, W, 3), N any number.
    Outputs: `probabilities` float32 (N, K), as `Classifier.predict_proba` gives them, `logits` float32
    (N, K), and where the classifier refuses images, `none` float32 (N,), the probability
    of none of the classes, as `Classifier.judge` does.
    The file's metadata holds the class names (JSON), the thresholds of the verdict and the recipe's name.
    Of a line reader: input `strips`, uint8 (N, 32, W) as `make_strip` gives them, N and W any numbers, W a
    multiple of 8. Output: `log_probabilities` float32 (N, W / 2, 21), of a column's characters and last of
    the blank. The metadata holds the characters, the strips' height and the threshold.
    Raises UsageError where `path` is a folder, MissingDependencyError without the package onnx.
    """
    target = Path(path)
    if target.is_dir():
        raise UsageError(f"{target} is a folder", expected="a file's name, such as model.onnx")
    built = _build_reader(model) if isinstance(model, LineReader) else _build_model(model)
    with replace_file(target) as beside:
        beside.write_bytes(built.SerializeToString(deterministic=True))
    return target


def _build_model(classifier: Classifier) -> Any:
    card = classifier.card
    graph = Graph()
    members = EnsembleEngine.split(classifier.engine.weights())
    scaled = _add_scaling(graph, "images", card.mean, card.std, card)
    outputs = _add_mean(graph, card, _add_members(graph, classifier.network, members, scaled))
    if shift := card.recipe.loss.label_shift:  # column c again that of class c
        columns = (np.arange(card.outputs) + shift) % card.outputs
        outputs = graph.add("Gather", outputs, graph.constant("columns", columns, np.int64), axis=1)
    _add_answers(graph, card, outputs)
    each: list[int | str] = ["N", len(card.class_names)]
    answers = [graph.describe(name, "FLOAT", each) for name in ("probabilities", "logits")]
    answers += [graph.describe("none", "FLOAT", ["N"])] if card.rejects else []
    images = graph.describe("images", "UINT8", ["N", *card.image_shape])
    names = json.dumps(card.class_names, ensure_ascii=False)
    return graph.to_model(
        [images], answers, class_names=names, recipe=card.recipe.name,
        least_confidence=card.least_confidence, most_none=card.most_none,
    )  # fmt: skip


def _build_reader(reader: LineReader) -> Any:
    card = reader.card
    graph = Graph(any_width=True)
    scaled = _add_scaling(graph, "strips", card.recipe.input.mean, card.recipe.input.std)
    (logits,) = _add_members(graph, reader.network, [reader.engine.weights()], scaled)
    divided = graph.add("Div", logits, graph.constant("temperature", card.temperature))
    graph.add("LogSoftmax", divided, axis=2, name="log_probabilities")
    strips = graph.describe("strips", "UINT8", ["N", Strip.HEIGHT, "W"])
    answers = graph.describe("log_probabilities", "FLOAT", ["N", "T", OUTPUTS])
    return graph.to_model(
        [strips], [answers], characters=CHARACTERS, height=Strip.HEIGHT, recipe=card.recipe.name,
        least_confidence=card.least_confidence,
    )  # fmt: skip


def _add_scaling(graph: Graph, pixels: str, mean: float, std: float, card: ModelCard | None = None) -> str:
    """uint8 (N, H, W) -> float32 (views * N, 1, H, W), or (N, H, W, 3) -> (views * N, 3, H, W):
    (pixel / 255 - mean) / std, a view after another."""
    floats = graph.add("Cast", pixels, to=graph.onnx.TensorProto.FLOAT)
    if card and card.recipe.ensemble.views > 1:
        floats = _add_views(graph, floats, card)
    scaled = graph.add("Mul", floats, graph.constant("pixel.scale", 1 / (255 * std)))
    shifted = graph.add("Sub", scaled, graph.constant("pixel.shift", mean / std))
    if card and len(card.image_shape) == 3:
        return graph.add("Transpose", shifted, perm=[0, 3, 1, 2])
    return graph.add("Unsqueeze", shifted, graph.constant("channel", [1], np.int64))


def _add_views(graph: Graph, images: str, card: ModelCard) -> str:
    """(N, H, W) -> (views * N, H, W): moved by a pixel each, which leaves another window of a black frame."""
    frame = [0, 1, 1, *[0] * len(card.image_shape[2:])] * 2
    padded = graph.add("Pad", images, graph.constant("view.frame", frame, np.int64))
    axes = graph.constant("view.axes", [1, 2], np.int64)
    views = []
    for number, move in enumerate(EnsembleEngine.MOVES[: card.recipe.ensemble.views], 1):
        start = 1 - np.array(move)
        ends = start, start + card.image_shape[:2]
        window = [graph.constant(f"view{number}.{end}", ends[end], np.int64) for end in (0, 1)]
        views.append(graph.add("Slice", padded, *window, axes))
    return graph.add("Concat", *views, axis=0)


def _add_members(
    graph: Graph, network: Network, members: list[dict[str, np.ndarray]], inputs: str
) -> list[str]:
    """What each network answers, (views * N, outputs)."""
    answers = []
    for number, weights in enumerate(members, 1):
        graph.prefix = f"member{number}." if len(members) > 1 else ""
        folded, values = fold_network(network, weights)
        answers.append(add_layers(graph, folded.layers, values, inputs))
    graph.prefix = ""
    return answers


def _add_mean(graph: Graph, card: ModelCard, answers: list[str]) -> str:
    """Answers of all members, each of all views -> the logarithm of their mean probabilities (N, outputs)."""
    views = card.recipe.ensemble.views
    count = views * len(answers)
    if count == 1:
        return answers[0]
    shape = graph.constant("answers", [views, -1, card.outputs], np.int64)
    logs = [graph.add("LogSoftmax", each, axis=1) for each in answers]
    parts = [graph.add("Reshape", each, shape) for each in logs]
    total = graph.add("ReduceLogSumExp", graph.add("Concat", *parts, axis=0), axes=[0], keepdims=0)
    return graph.add("Sub", total, graph.constant("answers.count", log(count)))


def _add_answers(graph: Graph, card: ModelCard, outputs: str) -> None:
    """outputs (N, K, or K + 1 where the last is "none of them") -> the graph's outputs."""
    temperature = graph.constant("temperature", card.temperature)
    if card.rejects:
        classes = np.arange(len(card.class_names))
        everything = graph.add("Softmax", graph.add("Div", outputs, temperature), axis=1)
        last = graph.constant("none.column", len(classes), np.int64)
        graph.add("Gather", everything, last, axis=1, name="none")
        outputs = graph.add("Gather", outputs, graph.constant("classes", classes, np.int64), axis=1)
    logits = graph.add("Identity", outputs, name="logits")
    graph.add("Softmax", graph.add("Div", logits, temperature), axis=1, name="probabilities")
