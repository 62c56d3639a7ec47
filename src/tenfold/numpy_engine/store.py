"""All parameters of a network in one flat array, so that an optimiser's step is a few vector operations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import copy
from math import prod

import numpy as np
from numpy.typing import DTypeLike

from tenfold.errors import ModelError
from tenfold.networks.shapes import Network, Parameter

__all__ = ["ParameterStore"]

_WIDE = 32  # units


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
        for parameter in parameters:  # before memory is allocated for them: a card may claim any size
            _check(parameter, weights)
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
        for parameter in self.parameters:
            _check(parameter, weights)
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
        ordered = np.empty_like(flat)
        for place, view in self._places(flat):
            ordered[place] = view.ravel()
        return ordered

    def as_it_lies(self, ordered: np.ndarray) -> np.ndarray:
        """The other way round."""
        flat = np.empty_like(ordered)
        for place, view in self._places(flat):
            view[...] = ordered[place].reshape(view.shape)
        return flat

    def _places(self, flat: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        start = 0
        for view in _views(flat, self.learned_parameters).values():
            yield slice(start, start + view.size), view
            start += view.size


def _size(parameters: list[Parameter]) -> int:
    return sum(prod(p.shape) for p in parameters)


def _views(flat: np.ndarray, parameters: list[Parameter]) -> dict[str, np.ndarray]:
    views, start = {}, 0
    for parameter in parameters:
        stop = start + prod(parameter.shape)
        views[parameter.name] = _view(flat[start:stop], parameter.shape)
        start = stop
    return views


def _view(flat: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers in this shape. The matrix of a wide layer (units, C) lies in memory as (C, units): BLAS
    multiplies by it sooner."""
    if len(shape) == 2 and shape[0] >= _WIDE:
        return flat.reshape(shape[::-1]).T
    return flat.reshape(shape)


def _check(parameter: Parameter, weights: Mapping[str, np.ndarray]) -> None:
    if parameter.name not in weights:
        raise ModelError(
            f"the weights lack {parameter.name!r}",
            expected=f"an array of shape {parameter.shape}",
            remedy="load weights that were saved from the same network",
        )
    shape = np.shape(weights[parameter.name])
    if shape != parameter.shape:
        raise ModelError(
            f"the weights' {parameter.name!r} has shape {shape}",
            expected=str(parameter.shape),
            remedy="load weights that were saved from the same network",
        )
