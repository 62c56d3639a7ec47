"""Optimisers on the flat array of all parameters, in PyTorch's formulations.

They work through it in pieces that stay in the processor's cache, without allocating anything.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike

from tenfold.engines.base import decays, group_factor
from tenfold.errors import RecipeError
from tenfold.networks.shapes import Parameter
from tenfold.settings import OptimiserSettings

__all__ = ["SGD", "Adam", "AdamW", "Optimiser", "clip_gradients"]

# Numbers in a piece: 64 Ki of float32 are 256 KiB. With fewer, the calls of NumPy cost more than the
# cache saves.
PIECE = 1 << 16


@dataclass(frozen=True)
class _Piece:
    """A stretch of the flat array: the factor on its learning rate, and its weight decay."""

    place: slice
    factor: float
    decay: float


class Optimiser(ABC):
    """Moves parameters along their gradients.

    memory: its arrays by name, as long as the parameters (momentum, moments). steps: done so far.
    """

    memory_names: tuple[str, ...] = ()

    def __init__(
        self, settings: OptimiserSettings, parameters: list[Parameter], dtype: DTypeLike = np.float32
    ) -> None:
        self.settings, self.steps = settings, 0
        self.pieces = _cut(parameters, settings)
        size = sum(math.prod(p.shape) for p in parameters)
        self.memory = {name: np.zeros(size, dtype) for name in self.memory_names}
        self.scratch = np.empty(min(size, PIECE), dtype)

    def step(self, values: np.ndarray, gradients: np.ndarray, learning_rate: float) -> None:
        """One step; `values` and `gradients` are flat, and both change. Parameters with a factor of
        0 are frozen: they stay, and do not count in the norm that is clipped."""
        self.steps += 1
        for piece in self.pieces:
            if not piece.factor:
                gradients[piece.place] = 0
        if self.settings.clip_norm:
            clip_gradients(gradients, self.settings.clip_norm)
        for piece in self.pieces:
            if piece.factor:
                place, rate = piece.place, learning_rate * piece.factor
                memory = [array[place] for array in self.memory.values()]
                scratch = self.scratch[: place.stop - place.start]
                self.move(values[place], gradients[place], rate, piece.decay, memory, scratch)

    @abstractmethod
    def move(
        self,
        values: np.ndarray,
        gradients: np.ndarray,
        rate: float,
        decay: float,
        memory: list[np.ndarray],
        scratch: np.ndarray,
    ) -> None:
        """The step of one piece, in place."""

    def state(self) -> dict[str, np.ndarray]:
        """Copies of all that the next step depends on."""
        return {"steps": np.array(self.steps, np.int64)} | {k: v.copy() for k, v in self.memory.items()}

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        self.steps = int(state["steps"])
        for name, array in self.memory.items():
            np.copyto(array, state[name])


class SGD(Optimiser):
    """v = momentum v + g; w -= rate v. With Nesterov: w -= rate (g + momentum v)."""

    memory_names = ("velocity",)

    def move(
        self,
        values: np.ndarray,
        gradients: np.ndarray,
        rate: float,
        decay: float,
        memory: list[np.ndarray],
        scratch: np.ndarray,
    ) -> None:
        _add_decay(gradients, values, decay, scratch)
        direction, momentum = gradients, self.settings.momentum
        if momentum:
            velocity = memory[0]
            velocity *= momentum
            velocity += gradients
            direction = velocity
            if self.settings.nesterov:
                direction = gradients
                direction += np.multiply(velocity, momentum, out=scratch)
        values -= np.multiply(direction, rate, out=scratch)


class Adam(Optimiser):
    """Kingma & Ba 2015. With t the number of the step,
    w -= rate * m^ / (sqrt(v^) + epsilon),  m^ = m / (1 - beta1^t),  v^ = v / (1 - beta2^t).

    The memory holds M = m / (1 - beta1) and V = v / (1 - beta2): M = beta1 M + g is two operations
    where m takes three. The constants left over are put into the rate and epsilon.
    """

    memory_names = ("first", "second")
    decoupled = False  # weight decay is part of the gradient

    def __init__(
        self, settings: OptimiserSettings, parameters: list[Parameter], dtype: DTypeLike = np.float32
    ) -> None:
        if max(settings.betas) >= 1:
            raise RecipeError(f"optimiser: betas are {settings.betas}", expected="numbers below 1")
        super().__init__(settings, parameters, dtype)

    def move(
        self,
        values: np.ndarray,
        gradients: np.ndarray,
        rate: float,
        decay: float,
        memory: list[np.ndarray],
        scratch: np.ndarray,
    ) -> None:
        if decay and self.decoupled:
            values *= 1 - rate * decay
        else:
            _add_decay(gradients, values, decay, scratch)
        (first, second), (beta1, beta2) = memory, self.settings.betas
        first *= beta1
        first += gradients
        second *= beta2
        second += np.square(gradients, out=scratch)
        # sqrt(v^) = spread * sqrt(V) and m^ = lean * M
        spread = math.sqrt((1 - beta2) / (1 - beta2**self.steps))
        lean = (1 - beta1) / (1 - beta1**self.steps)
        np.sqrt(second, out=scratch)
        scratch += self.settings.epsilon / spread
        np.divide(first, scratch, out=scratch)
        scratch *= rate * lean / spread
        values -= scratch


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019): w -= rate * decay * w."""

    decoupled = True


def clip_gradients(gradients: np.ndarray, limit: float) -> float:
    """Scales the gradients down to the Euclidean norm `limit`, in place; returns the norm they had.
    As torch.nn.utils.clip_grad_norm_, with its 1e-6 (Pascanu et al. 2013)."""
    norm = float(np.sqrt(np.dot(gradients, gradients)))
    if norm + 1e-6 > limit:
        gradients *= limit / (norm + 1e-6)
    return norm


def _add_decay(gradients: np.ndarray, values: np.ndarray, decay: float, scratch: np.ndarray) -> None:
    if decay:
        gradients += np.multiply(values, decay, out=scratch)


def _cut(parameters: list[Parameter], settings: OptimiserSettings) -> list[_Piece]:
    """The pieces of the flat array; neighbours with the same factor and decay are cut as one."""
    stretches: list[_Piece] = []
    start = 0
    for parameter in parameters:
        stop = start + math.prod(parameter.shape)
        factor = group_factor(parameter.name, settings)
        decay = settings.weight_decay if decays(parameter.role, settings) else 0.0
        if stretches and (stretches[-1].factor, stretches[-1].decay) == (factor, decay):
            start = stretches.pop().place.start
        stretches.append(_Piece(slice(start, stop), factor, decay))
        start = stop
    return [
        _Piece(slice(begin, min(begin + PIECE, s.place.stop)), s.factor, s.decay)
        for s in stretches
        for begin in range(s.place.start, s.place.stop, PIECE)
    ]
