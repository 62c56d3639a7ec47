"""A Network and its weights -> the nodes and numbers of an ONNX graph, channels first as in PyTorch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import numpy as np

from tenfold.errors import MissingDependencyError
from tenfold.networks.shapes import Layer
from tenfold.numpy_engine.layers import scale_and_shift

__all__ = ["Graph", "add_layers", "import_onnx"]


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
    """Nodes and constants (initializers) in the order in which they are added.

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

    def initializers(self) -> list[Any]:
        return [self.onnx.numpy_helper.from_array(value, name) for name, value in self.constants.items()]


Values = Mapping[str, np.ndarray]


def add_layers(graph: Graph, layers: tuple[Layer, ...], values: Values, inputs: str) -> str:
    """Adds layers without dropout, fed by the value `inputs`; returns the name of what they answer."""
    for layer in layers:
        inputs = _ADDERS[layer.spec.kind](graph, layer, values, inputs)
    return inputs


def _linear(graph: Graph, layer: Layer, values: Values, inputs: str) -> str:
    return graph.add("Gemm", inputs, *_parameters(graph, layer, values), transB=1)


def _conv(graph: Graph, layer: Layer, values: Values, inputs: str) -> str:
    padding = [*layer.spec.padding] * 2
    return graph.add("Conv", inputs, *_parameters(graph, layer, values), pads=padding, **_window(layer))


def _parameters(graph: Graph, layer: Layer, values: Values) -> list[str]:
    return [graph.constant(parameter.name, values[parameter.name]) for parameter in layer.parameters]


def _window(layer: Layer) -> dict[str, Any]:
    return {"kernel_shape": [*layer.spec.kernel], "strides": [*layer.spec.stride]}


def _batch_norm(graph: Graph, layer: Layer, values: Values, inputs: str) -> str:
    """outputs = inputs * scale + shift, a pair of numbers per channel."""
    scale, shift = scale_and_shift(*(values[p.name].astype(np.float64) for p in layer.parameters))
    name, shape = layer.spec.name, (-1, *[1] * (len(layer.input_shape) - 1))
    scaled = graph.add("Mul", inputs, graph.constant(f"{name}.scale", scale.reshape(shape)))
    return graph.add("Add", scaled, graph.constant(f"{name}.shift", shift.reshape(shape)))


def _pool(operator: str) -> Callable[[Graph, Layer, Values, str], str]:
    return lambda graph, layer, _, inputs: graph.add(operator, inputs, **_window(layer))


def _plain(operator: str) -> Callable[[Graph, Layer, Values, str], str]:
    return lambda graph, _, __, inputs: graph.add(operator, inputs)


def _pixel_unshuffle(graph: Graph, layer: Layer, _: Values, inputs: str) -> str:
    """Not SpaceToDepth, whose channels come last in the new order and PyTorch's first."""
    k, (channels, height, width), name = layer.spec.kernel[0], layer.input_shape, layer.spec.name
    wide = -1 if graph.any_width else width // k
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


def _residual(graph: Graph, layer: Layer, values: Values, inputs: str) -> str:
    return graph.add("Add", inputs, add_layers(graph, layer.inner, values, inputs))


_ADDERS: dict[str, Callable[[Graph, Layer, Values, str], str]] = {
    "flatten": _plain("Flatten"),
    "linear": _linear,
    "relu": _plain("Relu"),
    "sigmoid": _plain("Sigmoid"),
    "tanh": _plain("Tanh"),
    "conv": _conv,
    "batch-norm": _batch_norm,
    "max-pool": _pool("MaxPool"),
    "average-pool": _pool("AveragePool"),
    "pixel-unshuffle": _pixel_unshuffle,
    "columns": _columns,
    "residual": _residual,
}
