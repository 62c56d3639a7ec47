"""Optimisers: how the parameters w follow from their gradients g = d loss / d w, in PyTorch's formulations.

Each formula is for every parameter by itself, so all of them lie in one flat array. A step works through it
in pieces (see `tenfold.numpy_engine.runtime.memory.cut_pieces`), and `move` is the formula for one piece.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tenfold.errors import RecipeError
from tenfold.networks.shapes import Parameter
from tenfold.numerics import orthogonalise
from tenfold.numpy_engine.runtime.memory import as_matrix, cut_pieces
from tenfold.settings import OptimiserSettings

Array = np.ndarray


class Optimiser(ABC):
    """Moves parameters along their gradients.

    memory: its arrays by name, as long as the parameters (momentum, moments). steps: done so far.
    decoupled: whether weight decay moves the weights themselves instead of being part of the gradient.
    """

    memory_names: tuple[str, ...] = ()
    decoupled = False

    def __init__(
        self, settings: OptimiserSettings, parameters: list[Parameter], dtype: DTypeLike = np.float32
    ) -> None:
        self.settings, self.steps = settings, 0
        self.pieces = cut_pieces(parameters, settings)
        size = sum(math.prod(p.shape) for p in parameters)
        self.memory = {name: np.zeros(size, dtype) for name in self.memory_names}
        self.scratch = np.empty(max((p.place.stop - p.place.start for p in self.pieces), default=0), dtype)

    @abstractmethod
    def move(self, w: Array, g: Array, memory: list[Array], scratch: Array, rate: float) -> None:
        """The step of one piece, in place. w, g: its parameters and their gradients; both change. scratch:
        for results in between. rate: the learning rate."""

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
                w, g, scratch = values[place], gradients[place], self.scratch[: place.stop - place.start]
                if piece.decay and self.decoupled:
                    w *= 1 - rate * piece.decay
                elif piece.decay:  # the gradient of decay/2 |w|^2
                    g += np.multiply(w, piece.decay, out=scratch)
                memory = [array[place] for array in self.memory.values()]
                if piece.matrix:
                    self.turn(piece.matrix, w, g, memory, rate)
                else:
                    self.move(w, g, memory, scratch, rate)

    def turn(self, matrix: Parameter, w: Array, g: Array, memory: list[Array], rate: float) -> None:
        """The step of a whole matrix, of muon alone."""
        raise NotImplementedError

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

    def move(self, w: Array, g: Array, memory: list[Array], scratch: Array, rate: float) -> None:
        direction, momentum = g, self.settings.momentum
        if momentum:
            (v,) = memory
            v *= momentum
            v += g
            direction = v
            if self.settings.nesterov:
                g += np.multiply(v, momentum, out=scratch)
                direction = g
        w -= np.multiply(direction, rate, out=scratch)


class Adam(Optimiser):
    """Steps of about the same size for every parameter, however large its gradients are (Kingma & Ba 2015).

    With running means of the gradient and of its square, and t the number of the step,
    m = beta1 m + (1 - beta1) g,    m^ = m / (1 - beta1^t),
    v = beta2 v + (1 - beta2) g^2,  v^ = v / (1 - beta2^t),    w -= rate * m^ / (sqrt(v^) + epsilon).

    The memory holds M = m / (1 - beta1) and V = v / (1 - beta2): M = beta1 M + g is two operations
    where m takes three. The constants left over are put into the rate and epsilon.
    """

    memory_names = ("first", "second")

    def __init__(self, settings: OptimiserSettings, *others: Any) -> None:
        if max(settings.betas) >= 1:
            raise RecipeError(f"optimiser: betas are {settings.betas}", expected="numbers below 1")
        super().__init__(settings, *others)

    def move(self, w: Array, g: Array, memory: list[Array], scratch: Array, rate: float) -> None:
        (first, second), (beta1, beta2) = memory, self.settings.betas
        first *= beta1
        first += g
        second *= beta2
        second += np.square(g, out=scratch)
        # sqrt(v^) = spread * sqrt(V) and m^ = lean * M
        spread = math.sqrt((1 - beta2) / (1 - beta2**self.steps))
        lean = (1 - beta1) / (1 - beta1**self.steps)
        change = np.sqrt(second, out=scratch)
        change += self.settings.epsilon / spread
        np.divide(first, change, out=change)
        change *= rate * lean / spread
        w -= change


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019): w -= rate * decay * w."""

    decoupled = True


class Muon(AdamW):
    """Momentum, made orthogonal (Jordan 2024): all directions of a weight matrix move equally far, not mainly
    the few that most gradients share. With u = g + beta1 (M of Adam), which is Nesterov's momentum up to a
    factor, of a matrix of (outputs, inputs),
    W -= rate * 0.2 sqrt(max(outputs, inputs)) * orthogonalise(u).

    The factor makes a step as long as AdamW's (Liu et al. 2025, "Muon is scalable for LLM training"), which
    moves all other parameters: biases, norms and the last layer.
    """

    def turn(self, matrix: Parameter, w: Array, g: Array, memory: list[Array], rate: float) -> None:
        first, beta = memory[0], self.settings.betas[0]
        first *= beta
        first += g
        g += beta * first
        change = orthogonalise(as_matrix(g, matrix))
        values = as_matrix(w, matrix)
        values -= rate * 0.2 * math.sqrt(max(change.shape)) * change


def clip_gradients(gradients: np.ndarray, limit: float) -> float:
    """Scales the gradients down to the Euclidean norm `limit`, in place; returns the norm they had.
    As torch.nn.utils.clip_grad_norm_, with its 1e-6 (Pascanu et al. 2013)."""
    norm = float(np.sqrt(np.dot(gradients, gradients)))
    if norm + 1e-6 > limit:
        gradients *= limit / (norm + 1e-6)
    return norm


OPTIMISERS: dict[str, type[Optimiser]] = {"sgd": SGD, "adam": Adam, "adamw": AdamW, "muon": Muon}
