"""LayerSpecs + the images' shape + the number of classes -> a Network with every shape known."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import pairwise
from math import prod

import numpy as np

from tenfold.errors import RecipeError, UsageError, nearest
from tenfold.networks.layers import LayerSpec
from tenfold.networks.own import WHOLE, make_part, output_shape, part_kind, weights_of_part
from tenfold.numerics import one_hot
from tenfold.settings import OptimiserSettings

__all__ = ["Layer", "Network", "Parameter", "plan_own"]

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Parameter:
    """One array of a network. role: weight, bias (both learned), scale and shift (of batch-norm and
    layer-norm, learned), running-mean and running-variance (of batch-norm, not learned, not counted).
    fan_in, fan_out: for the initialisation (He et al. 2015); shape as in PyTorch.
    """

    name: str
    shape: Shape
    role: str
    fan_in: int = 1
    fan_out: int = 1

    @property
    def learned(self) -> bool:
        return not self.role.startswith("running")

    @staticmethod
    def matrices(parameters: Iterable[Parameter], settings: OptimiserSettings) -> frozenset[str]:
        """The names of those that muon moves as matrices (outputs, inputs): weights, but for the last."""
        weights = [each.name for each in parameters if each.role == "weight" and len(each.shape) > 1]
        return frozenset(weights[:-1] if settings.name == "muon" else ())


@dataclass(frozen=True)
class Layer:
    """A LayerSpec in its place: units resolved, shapes of one image before and after, parameters."""

    spec: LayerSpec
    input_shape: Shape
    output_shape: Shape
    parameters: tuple[Parameter, ...] = ()
    inner: tuple[Layer, ...] = ()

    def walk(self) -> Iterator[Layer]:
        """This layer, then those inside it."""
        yield self
        for layer in self.inner:
            yield from layer.walk()


@dataclass(frozen=True)
class Network:
    """A network sized for images of input_shape (1, H, W), in colour (3, H, W), and a number of classes.

    Its output is (classes,); that of a line network, which ends with `columns`, (T, classes).
    """

    layers: tuple[Layer, ...]
    input_shape: Shape
    classes: int

    @property
    def output_shape(self) -> Shape:
        """Of one image: (classes,), or of a line network (T, classes)."""
        return self.layers[-1].output_shape

    @property
    def reads_lines(self) -> bool:
        """Whether it gives a row of scores per column, and takes images of any width (see at_width)."""
        return self.layers[-1].spec.kind == "columns"

    @classmethod
    def plan(cls, specs: tuple[LayerSpec, ...], image_shape: tuple[int, ...], classes: int) -> Network:
        """Sizes every layer for images of (H, W), or of (H, W, 3) in colour. Raises RecipeError where a layer
        does not fit what comes before it."""
        height, width, *colours = image_shape
        input_shape = (*(colours or [1]), height, width)
        layers = _plan(specs, input_shape, classes)
        for before, layer in pairwise(layers):
            if before.spec.kind == "columns":
                raise RecipeError(f"{layer.spec.name} follows columns", expected="columns as the last layer")
        output = layers[-1].output_shape if layers else input_shape
        reads_lines = bool(layers) and layers[-1].spec.kind == "columns" and output[1] == classes
        if not reads_lines and output != (classes,):
            raise RecipeError(
                f"the network ends with shape {output}",
                expected=f"({classes},), one score per class",
                remedy="end the layers with 'flatten' (once) and 'linear classes'; those of a line network "
                "with 'conv classes 1x1' and 'columns'",
            )
        return cls(layers, input_shape, classes)

    def at_width(self, width: int) -> Network:
        """The same layers and parameters, sized for images of another width. Raises RecipeError where
        a layer does not fit, as those of a network that is not a line network may not."""
        if width == self.input_shape[2]:
            return self
        return _plan_kept(self._specs, (self.input_shape[1], width), self.classes)

    @cached_property
    def _specs(self) -> tuple[LayerSpec, ...]:
        return tuple(_spec_of(layer) for layer in self.layers)

    def walk(self) -> Iterator[Layer]:
        """All layers, those inside residuals too."""
        for layer in self.layers:
            yield from layer.walk()

    def parameters(self) -> list[Parameter]:
        return [parameter for layer in self.walk() for parameter in layer.parameters]

    @property
    def convolutional(self) -> bool:
        return any(layer.spec.kind in ("conv", "depthwise") for layer in self.walk())

    @property
    def parameter_count(self) -> int:
        """Learned numbers."""
        return sum(prod(p.shape) for p in self.parameters() if p.learned)

    @property
    def head(self) -> int:
        """The place of the last linear layer, which turns features into scores; where there is none,
        the number of layers."""
        linear = [place for place, layer in enumerate(self.layers) if layer.spec.kind == "linear"]
        return linear[-1] if linear else len(self.layers)

    @property
    def feature_count(self) -> int:
        """Numbers per image that enter the last linear layer; where there is none, the scores.

        Raises UsageError for a line network, which has no features.
        """
        if self.reads_lines:
            found = "a line network has no features"
            raise UsageError(found, expected="a network that ends with a linear layer")
        return self.layers[self.head].input_shape[0] if self.head < len(self.layers) else self.classes

    def output_weights(self, outputs: np.ndarray) -> np.ndarray:
        """What `Engine.input_gradient` is asked for, as weights of the logits: (N, K), or (N, T, K) of a line
        network. Raises UsageError."""
        if outputs.ndim == len(self.output_shape) + 1:
            return outputs
        if self.reads_lines:
            found = f"outputs of shape {outputs.shape} for a line network"
            raise UsageError(found, expected="weights of shape (N, T, K)")
        return one_hot(outputs, self.classes)

    def initial_weights(self, scheme: str, *, seed: int) -> dict[str, np.ndarray]:
        """float32 arrays by parameter name. Each parameter has a random stream of its own, so that a
        layer added elsewhere changes no other layer's start."""
        if scheme not in INITIALISATIONS:
            raise RecipeError(f"unknown initialisation {scheme!r}", remedy=nearest(scheme, INITIALISATIONS))
        drawn = {
            parameter.name: np.full(parameter.shape, _CONSTANT[parameter.role], dtype=np.float32)
            if parameter.role in _CONSTANT
            else INITIALISATIONS[scheme](parameter, np.random.default_rng([seed, *parameter.name.encode()]))
            for parameter in self.parameters()
        }
        for layer in self.walk():
            if layer.spec.part is not None:
                found = weights_of_part(
                    make_part(layer.spec, layer.input_shape, seed), own_prefix(layer.spec)
                )
                drawn |= {name: value for name, (value, _) in found.items()}
        return drawn

    @property
    def own_engine(self) -> str:
        """The engine that its layers written in Python are for, or "". Raises UsageError for both."""
        kinds = {part_kind(layer.spec.part) for layer in self.walk() if layer.spec.part is not None}
        if len(kinds) > 1:
            found, expected = "layers in NumPy and torch modules in one network", "all for one engine"
            raise UsageError(found, expected=expected)
        return next(iter(kinds), "")

    @property
    def whole(self) -> bool:
        """Whether it is one module that a user gave as the whole network."""
        return self.layers[0].spec.own == WHOLE


_plan_kept = lru_cache(256)(Network.plan)  # for lines of other widths; a plan takes about 50 kB


def _spec_of(layer: Layer) -> LayerSpec:
    """The spec of a layer as it is, be it changed (folded) since it was planned."""
    return replace(layer.spec, inner=tuple(_spec_of(inner) for inner in layer.inner))


def _plan(specs: tuple[LayerSpec, ...], shape: Shape, classes: int) -> tuple[Layer, ...]:
    layers: list[Layer] = []
    for spec in specs:
        layers.append(_plan_layer(spec, layers[-1].output_shape if layers else shape, classes))
    return tuple(layers)


_SAME_SHAPE = ("relu", "sigmoid", "tanh", "gelu", "silu", "scale", "dropout", "batch-norm", "layer-norm")


def _plan_layer(spec: LayerSpec, shape: Shape, classes: int) -> Layer:
    kind = spec.kind
    if kind == "own":
        return plan_own(spec, shape)
    if kind in ("linear", "conv"):
        spec = replace(spec, units=spec.units or classes)
    if kind == "linear" and len(shape) != 1:
        found = f"{spec.name} meets pictures of shape {shape}"
        raise RecipeError(found, expected="a row of numbers", remedy="put 'flatten' before it")
    if kind == "linear":
        return Layer(spec, shape, (spec.units,), _weight_and_bias(spec, (spec.units, shape[0])))
    if kind == "residual":
        inner = _plan(spec.inner, shape, classes)
        if inner[-1].output_shape != shape:
            found = f"{spec.name}: the inner layers turn {shape} into {inner[-1].output_shape}"
            raise RecipeError(found, expected="the shape that came in, so that the two can be added")
        return Layer(spec, shape, shape, inner=inner)
    if kind == "flatten":
        return Layer(spec, shape, (prod(shape),))
    if kind in _SAME_SHAPE:
        return Layer(spec, shape, shape, _norm_parameters(spec, shape[0]) if "norm" in kind else ())
    if len(shape) != 3:
        found, expected = f"{spec.name} meets the shape {shape}", "pictures (channels, height, width)"
        raise RecipeError(found, expected=expected, remedy="put it before 'flatten'")
    return _plan_picture_layer(spec, shape)


def own_prefix(spec: LayerSpec) -> str:
    return f"{spec.name}." if spec.name else ""


def plan_own(spec: LayerSpec, shape: Shape) -> Layer:
    part = make_part(spec, shape)
    parameters = [
        Parameter(name, value.shape, ("weight" if value.ndim > 1 else "bias") if learned else "running-own")
        for name, (value, learned) in weights_of_part(part, own_prefix(spec)).items()
    ]
    return Layer(spec, shape, output_shape(spec, part, shape), tuple(parameters))


def _plan_picture_layer(spec: LayerSpec, shape: Shape) -> Layer:
    channels, height, width = shape
    if spec.kind == "pixel-unshuffle":
        k, _ = spec.kernel
        if min(height, width) < k or ((height % k or width % k) and not spec.fit):
            raise RecipeError(f"{spec.name} meets {shape}", expected=f"height and width divisible by {k}")
        return Layer(spec, shape, (channels * k * k, height // k, width // k))
    if spec.kind == "global-average-pool":
        return Layer(spec, shape, (channels,))
    if spec.kind == "columns":
        return _plan_columns(spec, shape)
    spec = spec.fitted(height, width)
    places = spec.count_places(height, axis=0), spec.count_places(width, axis=1)
    if spec.kind == "conv":
        parameters = _weight_and_bias(spec, (spec.units, channels, *spec.kernel))
        return Layer(spec, shape, (spec.units, *places), parameters)
    own = _weight_and_bias(spec, (channels, 1, *spec.kernel)) if spec.kind == "depthwise" else ()
    return Layer(spec, shape, (channels, *places), own)


def _plan_columns(spec: LayerSpec, shape: Shape) -> Layer:
    channels, height, width = shape
    if height != 1:
        found = f"{spec.name} meets {shape}"
        remedy = "make them less high before it, with 'max-pool 2x1' or a convolution without padding"
        raise RecipeError(found, expected="(scores, 1, columns), pictures one pixel high", remedy=remedy)
    parts = spec.units or 1
    if channels % parts:
        raise RecipeError(f"{spec.name} meets {channels} scores", expected=f"a number divisible by {parts}")
    return Layer(spec, shape, (width * parts, channels // parts))


def _weight_and_bias(spec: LayerSpec, shape: Shape) -> tuple[Parameter, ...]:
    patch = prod(shape[2:])
    fans = (shape[1] * patch, shape[0] * patch)
    weight = Parameter(f"{spec.name}.weight", shape, "weight", *fans)
    bias = Parameter(f"{spec.name}.bias", shape[:1], "bias", *fans)
    return (weight, bias) if spec.bias else (weight,)


def _norm_parameters(spec: LayerSpec, channels: int) -> tuple[Parameter, ...]:
    roles = {"weight": "scale", "bias": "shift"}
    if spec.kind == "batch-norm":
        roles |= {"running_mean": "running-mean", "running_var": "running-variance"}
    return tuple(Parameter(f"{spec.name}.{key}", (channels,), role) for key, role in roles.items())


# The first weights, drawn in NumPy for both engines, so that one seed means one network.


def _normal(parameter: Parameter, rng: np.random.Generator, deviation: float = 1.0) -> np.ndarray:
    """N(0, 1) for weights and biases alike (the softmax regression and sigmoid loss tutorials)."""
    return np.float32(deviation) * rng.standard_normal(parameter.shape, dtype=np.float32)


def _xavier(parameter: Parameter, rng: np.random.Generator) -> np.ndarray:
    """Uniform in +-sqrt(6 / (fan_in + fan_out)), biases 0 (Glorot & Bengio 2010)."""
    bound = math.sqrt(6 / (parameter.fan_in + parameter.fan_out))
    return _uniform(parameter, rng, bound if parameter.role == "weight" else 0.0)


def _kaiming(parameter: Parameter, rng: np.random.Generator) -> np.ndarray:
    """N(0, 2 / fan_in), biases 0 (He et al. 2015)."""
    return _normal(parameter, rng, math.sqrt(2 / parameter.fan_in) if parameter.role == "weight" else 0.0)


def _torch(parameter: Parameter, rng: np.random.Generator) -> np.ndarray:
    """PyTorch's default for Linear and Conv2d: uniform in +-1 / sqrt(fan_in), biases too."""
    return _uniform(parameter, rng, 1 / math.sqrt(parameter.fan_in))


def _uniform(parameter: Parameter, rng: np.random.Generator, bound: float) -> np.ndarray:
    return ((2 * rng.random(parameter.shape, dtype=np.float32) - 1) * np.float32(bound)).astype(np.float32)


INITIALISATIONS = {"normal": _normal, "xavier": _xavier, "kaiming": _kaiming, "torch": _torch}

_CONSTANT = {"scale": 1.0, "shift": 0.0, "running-mean": 0.0, "running-variance": 1.0}
