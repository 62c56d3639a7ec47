"""What an engine does, what it is made from, and several engines that answer as one."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import log
from typing import Any, NamedTuple, NoReturn, Protocol

import numpy as np

from tenfold.arrays import Batch
from tenfold.errors import ModelError, UsageError
from tenfold.helpers import Ranks
from tenfold.networks.shapes import Network
from tenfold.numerics import log_softmax
from tenfold.settings import LossSettings, OptimiserSettings

__all__ = ["Engine", "EngineOptions", "EnsembleEngine", "StepResult"]


class StepResult(NamedTuple):
    """loss: mean over the batch before the step. correct: right answers before the step.

    Numbers or 0-dimensional arrays of the engine; take float(...) only when they are shown.
    """

    loss: Any
    correct: Any


@dataclass(frozen=True)
class EngineOptions:
    """Everything but the network and its weights that decides what an engine computes.

    mean, std: the input is (pixel / 255 - mean) / std. seed: of dropout.
    average_decay: of the exponential moving average of the weights (0: none); when on, `logits`
    and `weights` are those of the average. precision: float32, float64, bfloat16 (PyTorch engine) or
    auto, which is float32 in the NumPy engine. device: cpu, cuda, mps or auto; of an engine that is made,
    the one that it computes on. own_loss: a user's function in place of `loss`.
    ranks: the processes that share each batch in `train_step`; of an engine that is made, this one alone.
    """

    mean: float = 0.0
    std: float = 1.0
    loss: LossSettings = field(default_factory=LossSettings)
    optimiser: OptimiserSettings = field(default_factory=OptimiserSettings)
    average_decay: float = 0.0
    seed: int = 0
    precision: str = "float32"
    device: str = "cpu"
    own_loss: Callable[..., Any] | None = None
    ranks: Ranks = field(default_factory=Ranks, compare=False)


class Engine(Protocol):
    """A network that can learn and answer."""

    name: str
    network: Network
    options: EngineOptions
    precision: str  # what it really computes in: float32, float64 or bfloat16

    def train_step(self, batch: Batch, learning_rate: float) -> StepResult:
        """One step of the optimiser on one batch."""

    def logits(self, images: np.ndarray) -> np.ndarray:
        """uint8 (N, H, W) -> float32 (N, K), columns in the order of the class names.

        Of a line network float32 (N, T, K), for images of any width that its layers take.
        """

    def input_gradient(self, images: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """d logit / d input of each pixel, float32 (N, H, W); an input is (pixel / 255 - mean) / std.

        images: pixels from 0 to 255 (N, H, W), uint8 or float. outputs: int64 (N,), the column of
        `logits` to differentiate for each image, or float (N, K), the weights of a sum of columns; for
        line networks float (N, T, K).
        As `logits`: without dropout, with the running statistics of batch-norm.
        """

    def features(self, images: np.ndarray) -> np.ndarray:
        """uint8 (N, H, W) -> float32 (N, D): what enters the last linear layer, as `logits` meets it.

        Of a linear network these are its inputs; of one without a linear layer its outputs.
        Raises UsageError for a line network.
        """

    def weights(self) -> dict[str, np.ndarray]:
        """Copies of all parameters, float32, by name: what a saved model holds."""

    def state(self) -> dict[str, np.ndarray]:
        """Copies of all that the next step depends on: weights, optimiser, averages, dropout's
        random state. `load_state` of it, then the same batches, gives bit-identical weights."""

    def load_state(self, state: dict[str, np.ndarray]) -> None: ...


_MEMBER = re.compile(r"member([1-9]\d*)\.(.+)", re.DOTALL)
_CHUNK = 4096  # images: bounds the moved copies and their answers


class EnsembleEngine:
    """Answers with the mean of the probabilities of all members for all views; it does not learn.

    members: engines for the same network. views: 1, 5 or 9, see EnsembleSettings.
    """

    # (rows, columns) that an image is moved by: the first 1, 5 or 9 are a recipe's views
    MOVES = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1))

    def __init__(self, members: Sequence[Engine], views: int = 1) -> None:
        self.members, self.views, first = tuple(members), views, members[0]
        self.name, self.network = first.name, first.network
        self.options, self.precision = first.options, first.precision

    @staticmethod
    def combine(members: Sequence[Engine], views: int) -> Engine:
        """The one engine itself where it answers alone and sees one view, else an EnsembleEngine."""
        return members[0] if len(members) == 1 and views == 1 else EnsembleEngine(members, views)

    @staticmethod
    def split(weights: dict[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
        """The weights of each network of a saved model: how many there are is told by the names alone.

        Raises ModelError where a member is missing, or a weight belongs to none of several.
        """
        found = {name: _MEMBER.fullmatch(name) for name in weights}
        if not any(found.values()):
            return [weights]
        parts: dict[int, dict[str, np.ndarray]] = {}
        for name, match in found.items():
            number, own = (int(match[1]), match[2]) if match else (0, name)
            parts.setdefault(number, {})[own] = weights[name]
        numbers = sorted(parts)
        if numbers != list(range(1, len(numbers) + 1)):
            odd = next(iter(parts[0])) if 0 in parts else f"member{numbers[-1]}"
            told = f"the weights of an ensemble hold {odd!r}, but are not those of members 1, 2, ..."
            raise ModelError(told, expected="names such as member1.linear1.weight, no member left out")
        return [parts[number] for number in numbers]

    def logits(self, images: np.ndarray) -> np.ndarray:
        """uint8 (N, H, W) -> float32 (N, K): the logarithm of the mean probabilities."""
        return np.concatenate([self._answer(images[part]) for part in _chunks(images)])

    def _answer(self, images: np.ndarray) -> np.ndarray:
        """Summed as logarithms, so that a tiny probability never becomes the logarithm of zero."""
        total = np.full((len(images), self.network.classes), -np.inf, np.float32)
        for rows, columns in self.MOVES[: self.views]:
            moved = move_images(images, rows, columns)
            for member in self.members:
                np.logaddexp(total, log_softmax(member.logits(moved)), out=total)
        return total - np.float32(log(self.views * len(self.members)))

    def input_gradient(self, images: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """d logit / d input of each pixel, float32 (N, H, W), of the logits that this engine gives.

        With p_m the probabilities that member m gives to one view and L_k = log sum over m of p_mk,
        dL_k = sum over m of r_mk dlog p_mk, where r_mk = p_mk / exp L_k is the member's share in k;
        a view's gradient is moved back to where its pixels came from.
        """
        weights = self.network.output_weights(outputs)
        return np.concatenate([self._differentiate(images[part], weights[part]) for part in _chunks(images)])

    def _differentiate(self, images: np.ndarray, weights: np.ndarray) -> np.ndarray:
        cases = [(move, member) for move in self.MOVES[: self.views] for member in self.members]
        logs = [log_softmax(member.logits(move_images(images, *move))) for move, member in cases]
        whole = np.logaddexp.reduce(logs, axis=0)
        total = np.zeros(images.shape, np.float32)
        for (move, member), log_probs in zip(cases, logs, strict=True):
            shares = weights * np.exp(log_probs - whole)
            # through the softmax: d log p_k / d z_j = [j = k] - p_j
            inner = shares - np.exp(log_probs) * shares.sum(axis=1, keepdims=True)
            gradient = member.input_gradient(move_images(images, *move), inner)
            total += move_images(gradient, -move[0], -move[1])
        return total

    def features(self, images: np.ndarray) -> np.ndarray:
        """uint8 (N, H, W) -> float32 (N, M D): each member's features of the image as it is, not moved,
        scaled to length 1, side by side, so that the cosine of two images is the mean of the members'."""
        found = [member.features(images) for member in self.members]
        lengths = [np.linalg.norm(rows, axis=1, keepdims=True) for rows in found]
        return np.concatenate([rows / np.maximum(n, 1e-12) for rows, n in zip(found, lengths)], axis=1)

    def weights(self) -> dict[str, np.ndarray]:
        """Of one member as they are; of several with `member1.`, `member2.`, ... before the names."""
        if len(self.members) == 1:
            return self.members[0].weights()
        return {
            f"member{number}.{name}": value
            for number, member in enumerate(self.members, 1)
            for name, value in member.weights().items()
        }

    def train_step(self, *_: object) -> NoReturn:
        """Raises UsageError, as `state` and `load_state` do."""
        found = "an ensemble does not learn as a whole"
        remedy = "train its members one by one, as tenfold.train does"
        raise UsageError(found, expected="an engine of one network, asked for one view", remedy=remedy)

    state = load_state = train_step


def _chunks(images: np.ndarray) -> list[slice]:
    return [slice(start, start + _CHUNK) for start in range(0, max(len(images), 1), _CHUNK)]


def move_images(images: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """(N, H, W) or (N, H, W, 3), moved by -1, 0 or 1 rows down and columns right; black comes in."""
    if not rows and not columns:
        return images
    height, width = images.shape[1:3]
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), *[(0, 0)] * (images.ndim - 3)))
    return padded[:, 1 - rows : 1 - rows + height, 1 - columns : 1 - columns + width]
