"""Optimisers: how the parameters w follow from their gradients g = d loss / d w, in PyTorch's formulations.

Each formula is for every parameter by itself, so all of them lie in one flat array. A step works through it
in pieces (see `tenfold.numpy_engine.runtime.memory.cut_pieces`), and `move` is the formula for one piece.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike

from tenfold.errors import RecipeError
from tenfold.networks.shapes import Parameter
from tenfold.numpy_engine.runtime.memory import cut_pieces
from tenfold.settings import OptimiserSettings


@dataclass(slots=True)
class Part:
    """A piece of the parameters, and what its step is computed from.

    weights, gradients: both change. rate: the learning rate. decay: the weight decay. memory: of the
    optimiser. scratch: an array for results in between.
    """

    weights: np.ndarray
    gradients: np.ndarray
    rate: float
    decay: float
    memory: list[np.ndarray]
    scratch: np.ndarray

    def add_decay(self) -> None:
        """g += decay w, the gradient of decay/2 |w|^2."""
        if self.decay:
            self.gradients += self.times(self.weights, self.decay)

    def times(self, array: np.ndarray, factor: float) -> np.ndarray:
        """array * factor, until `scratch` is needed again."""
        return np.multiply(array, factor, out=self.scratch)


class Optimiser(ABC):
    """Moves parameters along their gradients.

    memory: its arrays by name, as long as the parameters (momentum, moments). steps: done so far.
    """

    memory_names: tuple[str, ...] = ()

    def __init__(
        self, settings: OptimiserSettings, parameters: list[Parameter], dtype: DTypeLike = np.float32
    ) -> None:
        self.settings, self.steps = settings, 0
        self.pieces = cut_pieces(parameters, settings)
        size = sum(math.prod(p.shape) for p in parameters)
        self.memory = {name: np.zeros(size, dtype) for name in self.memory_names}
        self.scratch = np.empty(max((p.place.stop - p.place.start for p in self.pieces), default=0), dtype)

    @abstractmethod
    def move(self, part: Part) -> None:
        """The step of one piece, in place."""

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
                self.move(Part(values[place], gradients[place], rate, piece.decay, memory, scratch))

    def state(self) -> dict[str, np.ndarray]:
        """Copies of all that the next step depends on."""
        return {"steps": np.array(self.steps, np.int64)} | {k: v.copy() for k, v in self.memory.items()}

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        self.steps = int(state["steps"])
        for name, array in self.memory.items():
            np.copyto(array, state[name])


class SGD(Optimiser):
    """Stochastic gradient descent: w -= rate g.

    With momentum: v = momentum v + g; w -= rate v (Polyak 1964). With Nesterov: w -= rate (g + momentum v)
    (Sutskever et al. 2013).
    """

    memory_names = ("velocity",)

    def move(self, part: Part) -> None:
        part.add_decay()
        direction, momentum = part.gradients, self.settings.momentum
        if momentum:
            velocity = part.memory[0]
            velocity *= momentum
            velocity += part.gradients
            direction = velocity
            if self.settings.nesterov:
                direction = part.gradients
                direction += part.times(velocity, momentum)
        part.weights -= part.times(direction, part.rate)


class Adam(Optimiser):
    """Steps of about the same size for every parameter, however large its gradients are (Kingma & Ba 2015).

    With running means of the gradient and of its square, and t the number of the step,
    m = beta1 m + (1 - beta1) g,    m^ = m / (1 - beta1^t),
    v = beta2 v + (1 - beta2) g^2,  v^ = v / (1 - beta2^t),    w -= rate * m^ / (sqrt(v^) + epsilon).

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

    def move(self, part: Part) -> None:
        if part.decay and self.decoupled:
            part.weights *= 1 - part.rate * part.decay
        else:
            part.add_decay()
        (first, second), (beta1, beta2) = part.memory, self.settings.betas
        first *= beta1
        first += part.gradients
        second *= beta2
        second += np.square(part.gradients, out=part.scratch)
        # sqrt(v^) = spread * sqrt(V) and m^ = lean * M
        spread = math.sqrt((1 - beta2) / (1 - beta2**self.steps))
        lean = (1 - beta1) / (1 - beta1**self.steps)
        change = np.sqrt(second, out=part.scratch)
        change += self.settings.epsilon / spread
        np.divide(first, change, out=change)
        change *= part.rate * lean / spread
        part.weights -= change


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


OPTIMISERS: dict[str, type[Optimiser]] = {"sgd": SGD, "adam": Adam, "adamw": AdamW}
