"""Memory: arrays that are reused from step to step, and a network's parameters as one flat array."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, replace
from functools import wraps
from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tenfold.errors import ModelError
from tenfold.networks.shapes import Network, Parameter
from tenfold.settings import OptimiserSettings

# Numbers in a piece of the flat array: 64 Ki of float32 are 256 KiB, which stay in the processor's cache.
# With fewer, the calls of NumPy cost more than the cache saves.
PIECE = 1 << 16
_WIDE = 32  # units
_WORD = (1 << 64) - 1


class Space:
    """Named arrays, grown when needed, so that a step of training allocates nothing. A smaller batch takes
    the front part of the same memory.

    What a call returns holds whatever was in it before.
    """

    def __init__(self, dtype: DTypeLike) -> None:
        self.dtype = np.dtype(dtype)
        self._memory: dict[str, np.ndarray] = {}
        self._views: dict[str, np.ndarray] = {}
        self._others: dict[int, Space] = {}

    def of_worker(self, worker: int) -> Space:
        """The arrays of a thread of its own, kept here; those of worker 0 are these."""
        return self._others.setdefault(worker, Space(self.dtype)) if worker else self

    def __call__(self, name: str, shape: tuple[int, ...], dtype: DTypeLike | None = None) -> np.ndarray:
        """A contiguous array of `shape`, the same one each time it is asked for."""
        view = self._views.get(name)
        if view is not None and view.shape == shape:
            return view
        size = prod(shape)
        memory = self._memory.get(name)
        if memory is None or memory.size < size:
            memory = self._memory[name] = np.empty(size, dtype or self.dtype)
        view = self._views[name] = memory[:size].reshape(shape)
        return view


def from_parameters(compute: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """For a layer's method whose value follows from the parameters alone: where the layer is `settled`
    (they will not change), the value is computed once and kept."""

    @wraps(compute)
    def value(layer: Any) -> Any:
        if not layer.settled:
            return compute(layer)
        kept = layer.__dict__.setdefault("_kept", {})
        if compute.__name__ not in kept:
            kept[compute.__name__] = compute(layer)
        return kept[compute.__name__]

    return value


class ParameterStore:
    """Parameters by name, each a view into a flat array.

    learned, gradients: flat, in the order of `learned_parameters`. statistics: flat, the running
    means and variances of batch-norm. values, named_gradients: the same memory by name and in shape.
    """

    def __init__(self, parameters: list[Parameter], dtype: DTypeLike = np.float32) -> None:
        self.dtype = np.dtype(dtype)
        self.parameters = list(parameters)
        self.learned_parameters = [p for p in parameters if p.learned]
        running = [p for p in parameters if not p.learned]
        self.learned = np.zeros(_size(self.learned_parameters), self.dtype)
        self.gradients = np.zeros_like(self.learned)
        self.statistics = np.zeros(_size(running), self.dtype)
        self.named_gradients = _views(self.gradients, self.learned_parameters)
        self.values = _views(self.learned, self.learned_parameters) | _views(self.statistics, running)

    @classmethod
    def of(
        cls, network: Network, weights: Mapping[str, np.ndarray], dtype: DTypeLike = np.float32
    ) -> ParameterStore:
        """The store of a network, filled. Raises ModelError as `load` does."""
        parameters = network.parameters()
        _check(parameters, weights)  # before memory is allocated for them: a card may claim any size
        store = cls(parameters, dtype)
        store.load(weights)
        return store

    def twin(self) -> ParameterStore:
        """The same parameters in the same memory, with gradients of its own."""
        other = copy(self)
        other.gradients = np.zeros_like(self.gradients)
        other.named_gradients = _views(other.gradients, self.learned_parameters)
        return other

    def load(self, weights: Mapping[str, np.ndarray]) -> None:
        """Copies the weights in. Raises ModelError that names a missing, unknown or ill-shaped one."""
        _check(self.parameters, weights)
        unknown = sorted(set(weights) - set(self.values))
        if unknown:
            raise ModelError(f"the weights hold {unknown[0]!r}, which the network does not have")
        for name, value in self.values.items():
            np.copyto(value, weights[name], casting="same_kind")

    def copies(self) -> dict[str, np.ndarray]:
        """float32 copies by name, in the network's order."""
        return {p.name: self.values[p.name].astype(np.float32, order="C") for p in self.parameters}

    def row_by_row(self, flat: np.ndarray) -> np.ndarray:
        """A copy of numbers that lie like `learned`, every array row by row, as PyTorch has it."""
        views = _views(flat, self.learned_parameters).values()
        return np.concatenate([view.ravel() for view in views] or [flat])

    def as_it_lies(self, ordered: np.ndarray) -> np.ndarray:
        """The other way round."""
        flat = np.empty_like(ordered)
        start = 0
        for view in _views(flat, self.learned_parameters).values():
            view[...] = ordered[start : start + view.size].reshape(view.shape)
            start += view.size
        return flat


def _size(parameters: list[Parameter]) -> int:
    return sum(prod(p.shape) for p in parameters)


def _views(flat: np.ndarray, parameters: list[Parameter]) -> dict[str, np.ndarray]:
    """The numbers in the parameters' shapes. The matrix of a wide layer (units, C) lies in memory as
    (C, units): BLAS multiplies by it sooner."""
    views, start = {}, 0
    for parameter in parameters:
        shape, stop = parameter.shape, start + prod(parameter.shape)
        if len(shape) == 2 and shape[0] >= _WIDE:
            views[parameter.name] = flat[start:stop].reshape(shape[::-1]).T
        else:
            views[parameter.name] = flat[start:stop].reshape(shape)
        start = stop
    return views


def _check(parameters: list[Parameter], weights: Mapping[str, np.ndarray]) -> None:
    remedy = "load weights that were saved from the same network"
    for name, shape in ((parameter.name, parameter.shape) for parameter in parameters):
        if name not in weights:
            raise ModelError(
                f"the weights lack {name!r}", expected=f"an array of shape {shape}", remedy=remedy
            )
        if (found := np.shape(weights[name])) != shape:
            raise ModelError(f"the weights' {name!r} has shape {found}", expected=str(shape), remedy=remedy)


@dataclass(frozen=True)
class Piece:
    """A stretch of the flat array: the factor on its learning rate, and its weight decay. matrix: where it is
    one for muon, the parameter."""

    place: slice
    factor: float
    decay: float
    matrix: Parameter | None = None


def cut_pieces(parameters: list[Parameter], settings: OptimiserSettings) -> list[Piece]:
    """The pieces of the flat array; neighbours with the same factor and decay are cut as one, but for the
    matrices of muon, each a piece."""
    matrices = Parameter.matrices(parameters, settings)
    stretches: list[Piece] = []
    start = 0
    for parameter in parameters:
        stop = start + prod(parameter.shape)
        factor, decay = settings.factor_of(parameter.name), settings.decay_of(parameter.role)
        matrix = parameter if parameter.name in matrices else None
        if stretches and stretches[-1] == Piece(stretches[-1].place, factor, decay, matrix):
            start = stretches.pop().place.start
        stretches.append(Piece(slice(start, stop), factor, decay, matrix))
        start = stop
    pieces: list[Piece] = []
    for stretch in stretches:
        begin, end = stretch.place.start, stretch.place.stop
        steps = range(begin, end, end - begin if stretch.matrix else PIECE)
        pieces += [replace(stretch, place=slice(at, min(at + steps.step, end))) for at in steps]
    return pieces


def as_matrix(flat: np.ndarray, parameter: Parameter) -> np.ndarray:
    """Of one parameter, a view (outputs, inputs)."""
    view = _views(flat, [parameter])[parameter.name]
    return view.reshape(len(view), -1)


def pack_random_state(rng: np.random.Generator) -> np.ndarray:
    """uint64 (6,): PCG64's 128-bit state and increment, low word first, and the half-used draw."""
    state = rng.bit_generator.state
    words = [state["state"]["state"], state["state"]["inc"]]
    halves = [half for word in words for half in (word & _WORD, word >> 64)]
    return np.array([*halves, state["has_uint32"], state["uinteger"]], np.uint64)


def unpack_random_state(rng: np.random.Generator, packed: np.ndarray) -> None:
    """Sets a PCG64 generator (NumPy's default) to a packed state."""
    low, high, low_step, high_step, has_half, half = (int(word) for word in packed)
    rng.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": low | high << 64, "inc": low_step | high_step << 64},
        "has_uint32": has_half,
        "uinteger": half,
    }
