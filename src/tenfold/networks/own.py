"""Parts that a user writes in Python: layers, a whole network, a loss, an augmentation.

A recipe names an own layer (`own NAME [NUMBER ...]`) and stays data: the class comes from Python alone.
"""

from __future__ import annotations

import copy
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np

from tenfold.arguments import describe_value
from tenfold.errors import RecipeError, UsageError
from tenfold.networks.layers import LayerSpec

__all__ = [
    "OwnParts",
    "call_numpy_loss",
    "call_torch_loss",
    "make_part",
    "measure_own_loss",
    "part_kind",
    "takes",
    "weights_of_part",
]

WHOLE = "network"  # the name of the one layer that is a whole network: its parameters have no prefix


@dataclass(frozen=True, eq=False)
class OwnParts:
    """network: a torch.nn.Module, images (N, C, H, W) -> logits (N, K). layers: name -> class, of a torch
    module or with forward and backward in NumPy. loss, augmentation: see `tenfold.train`."""

    network: Any = None
    layers: Mapping[str, Any] = field(default_factory=dict)
    loss: Callable[..., Any] | None = None
    augmentation: Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        """Raises UsageError for what is not such a part."""
        if self.network is not None and (
            isinstance(self.network, type) or part_kind(self.network) != "torch"
        ):
            found, remedy = f"network is {describe_value(self.network)}", "give an object, not its class"
            raise UsageError(found, expected="a torch.nn.Module", remedy=remedy)
        for name, part in self.layers.items():
            whole = hasattr(part, "forward") and (hasattr(part, "backward") or part_kind(part) == "torch")
            if not isinstance(part, type) or not whole:
                found = f"the layer {name!r} is {describe_value(part)}"
                expected = "a class with forward and backward in NumPy, or of a torch.nn.Module"
                raise UsageError(found, expected=expected)

    @property
    def engine(self) -> str:
        """The engine that the parts were written for, or "" where they do not tell."""
        kinds = [part_kind(part) for part in self.layers.values()]
        if self.network is not None or "torch" in kinds or part_kind(self.loss) == "torch":
            return "torch"
        return "numpy" if kinds else ""

    @property
    def names(self) -> dict[str, str]:
        """What is recorded of them: {"network": "my_module.Net", "layers.swish": "my_module.Swish"}."""
        named = {"network": self.network, "loss": self.loss, "augmentation": self.augmentation}
        named |= {f"layers.{name}": part for name, part in self.layers.items()}
        return {key: _name(part) for key, part in named.items() if part is not None}

    @property
    def arguments(self) -> list[str]:
        """Those of `tenfold.train` that were given."""
        return list(dict.fromkeys(key.partition(".")[0] for key in self.names))

    def lines(self, lines: tuple[Any, ...]) -> tuple[Any, ...]:
        """The layers that are trained: a recipe's, or the whole network in their place."""
        return lines if self.network is None else (f"own {WHOLE}",)

    def fill(self, specs: tuple[LayerSpec, ...]) -> tuple[LayerSpec, ...]:
        """The specs with their parts. Raises RecipeError for one that was not given."""
        return tuple(self._fill(spec) for spec in specs)

    def _fill(self, spec: LayerSpec) -> LayerSpec:
        if spec.kind != "own":
            return replace(spec, inner=self.fill(spec.inner)) if spec.inner else spec
        part = self.network if spec.own == WHOLE else self.layers.get(spec.own)
        if part is None:
            given = "network=my_module" if spec.own == WHOLE else f"layers={{{spec.own!r}: MyLayer}}"
            raise RecipeError(
                f"'own {spec.own}' is a part written in Python, which was not given",
                expected=f"{given}, from Python",
                remedy=f"tenfold.train(recipe, data, {given}), or tenfold.Classifier.load(path, {given})",
            )
        return replace(spec, part=part, name="" if spec.own == WHOLE else spec.name)


def part_kind(part: Any) -> str:
    """torch for a torch.nn.Module or a class of one, else numpy."""
    kind = part if isinstance(part, type) else type(part)
    return "torch" if any(each.__module__ == "torch.nn.modules.module" for each in kind.__mro__) else "numpy"


def takes(function: Callable[..., Any], name: str) -> bool:
    """Whether a function has a parameter of that name."""
    try:
        return name in inspect.signature(function).parameters
    except ValueError:  # of some that are written in C
        return False


def _name(part: Any) -> str:
    named = part if hasattr(part, "__qualname__") else type(part)
    return f"{named.__module__}.{named.__qualname__}"


def make_part(spec: LayerSpec, input_shape: tuple[int, ...], seed: int = 0) -> Any:
    """A new object of an own layer; of a whole network a copy. input_shape: (C, H, W) or (C,).

    A class gets the numbers of its line, and where it takes them input_shape= (a NumPy layer's with the
    channels last) and rng=; what a torch module draws follows from the seed.
    """
    if not isinstance(spec.part, type):
        return copy.deepcopy(spec.part)
    kind, options = part_kind(spec.part), dict[str, Any]()
    if takes(spec.part, "input_shape"):
        last = kind == "numpy" and len(input_shape) == 3
        options["input_shape"] = (*input_shape[1:], input_shape[0]) if last else input_shape
    if takes(spec.part, "rng"):
        options["rng"] = np.random.default_rng([seed, *spec.name.encode()])
    if kind == "numpy":
        return spec.part(*spec.numbers_given, **options)
    torch = sys.modules["torch"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(np.random.default_rng([seed, *spec.name.encode()]).integers(2**31)))
        return spec.part(*spec.numbers_given, **options)


def weights_of_part(part: Any, prefix: str) -> dict[str, tuple[np.ndarray, bool]]:
    """name -> its first numbers (float32), and whether it learns."""
    if part_kind(part) == "numpy":
        found = getattr(part, "parameters", {})
        return {f"{prefix}{key}": (np.asarray(value, np.float32), True) for key, value in found.items()}
    learned = {name for name, tensor in part.named_parameters() if tensor.requires_grad}
    return {
        prefix + name: (np.array(tensor.detach().cpu().numpy(), np.float32, order="C"), name in learned)
        for name, tensor in part.state_dict().items()
    }


def output_shape(spec: LayerSpec, part: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Of one image, found by asking for two. Raises RecipeError."""
    try:
        if part_kind(part) == "torch":
            torch = sys.modules["torch"]
            with torch.no_grad(), torch.random.fork_rng(devices=[]):
                device = next((tensor.device for tensor in part.state_dict().values()), "cpu")
                found = tuple(part.eval()(torch.zeros(2, *shape, device=device)).shape)
        else:
            lasting = (*shape[1:], shape[0]) if len(shape) == 3 else shape
            told = {"training": False} if takes(part.forward, "training") else {}
            found = tuple(np.shape(part.forward(np.zeros((2, *lasting), np.float32), **told)))
            found = (2, found[-1], *found[1:-1]) if len(found) == 4 else found
    except (ValueError, RuntimeError, IndexError) as error:
        problem = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RecipeError(f"own {spec.own} fails with inputs (2, {', '.join(map(str, shape))}): {problem}",
                          expected="a layer that takes them") from error  # fmt: skip
    if len(found) not in (2, 4) or found[0] != 2 or not prod(found):
        expected = "a row or a picture for each image"
        raise RecipeError(f"own {spec.own} turns 2 images {shape} into {found}", expected=expected)
    return found[1:]


def measure_own_loss(loss: Callable[..., Any], engine: str, logits: np.ndarray, labels: np.ndarray) -> float:
    """The value of an own loss for logits (N, K) and labels (N,) in memory."""
    if engine == "numpy":
        return call_numpy_loss(loss, logits, labels)[0]
    torch = sys.modules["torch"]
    with torch.no_grad():
        return float(call_torch_loss(loss, torch.tensor(logits), torch.tensor(labels)))


def call_numpy_loss(
    loss: Callable[..., Any], logits: np.ndarray, labels: np.ndarray
) -> tuple[float, np.ndarray]:
    """(loss, gradient (N, K)). Raises UsageError for anything else."""
    found = _call_loss(loss, logits, labels, "numpy")
    if not isinstance(found, tuple) or len(found) != 2 or np.shape(found[1]) != logits.shape:
        raise _wrong_loss(loss, "numpy", f"it returned {describe_value(found)}")
    return float(found[0]), np.asarray(found[1], logits.dtype)


def call_torch_loss(loss: Callable[..., Any], logits: Any, labels: Any) -> Any:
    """A tensor with one number. Raises UsageError for anything else."""
    found = _call_loss(loss, logits, labels, "torch")
    if getattr(found, "ndim", None) != 0 or not hasattr(found, "backward"):
        raise _wrong_loss(loss, "torch", f"it returned {describe_value(found)}")
    return found


def _call_loss(loss: Callable[..., Any], logits: Any, labels: Any, engine: str) -> Any:
    try:
        return loss(logits, labels)
    except (
        TypeError,
        AttributeError,
        RuntimeError,
    ) as error:  # arrays where it wants tensors, or the reverse
        raise _wrong_loss(loss, engine, str(error).partition("\n")[0]) from error


def _wrong_loss(loss: Callable[..., Any], engine: str, problem: str) -> UsageError:
    form = {
        "numpy": "(logits, labels) -> (loss, gradient) on arrays",
        "torch": "(logits, labels) -> a tensor with one number, on tensors",
    }
    other = "torch" if engine == "numpy" else "numpy"
    found = f"the loss {_name(loss)} does not fit the engine {engine}: {problem}"
    return UsageError(found, expected=form[engine], remedy=f"write it so, or train with engine={other!r}")
