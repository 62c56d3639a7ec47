"""The verbs at which the two engines meet, and what each of them is made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np

from tenfold.arrays import Batch
from tenfold.errors import UsageError
from tenfold.networks.shapes import Network
from tenfold.numerics import one_hot
from tenfold.settings import LossSettings, OptimiserSettings

__all__ = [
    "DEVICES",
    "Engine",
    "EngineOptions",
    "StepResult",
    "decays",
    "group_factor",
    "output_weights",
    "refuse_lines",
]

DEVICES = ("auto", "cpu", "cuda", "mps")


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
    the one that it computes on.
    """

    mean: float = 0.0
    std: float = 1.0
    loss: LossSettings = field(default_factory=LossSettings)
    optimiser: OptimiserSettings = field(default_factory=OptimiserSettings)
    average_decay: float = 0.0
    seed: int = 0
    precision: str = "float32"
    device: str = "cpu"


class Engine(Protocol):
    """A network that can learn and answer."""

    name: str
    network: Network
    options: EngineOptions
    precision: str  # what it really computes in: float32, float64 or bfloat16

    def train_step(self, batch: Batch, learning_rate: float) -> StepResult:
        """One step of the optimiser on one batch."""
        ...

    def logits(self, images: np.ndarray) -> np.ndarray:
        """uint8 (N, H, W) -> float32 (N, K), columns in the order of the class names.

        Of a line network float32 (N, T, K), for images of any width that its layers take.
        """
        ...

    def input_gradient(self, images: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """d logit / d input of each pixel, float32 (N, H, W); an input is (pixel / 255 - mean) / std.

        images: pixels from 0 to 255 (N, H, W), uint8 or float. outputs: int64 (N,), the column of
        `logits` to differentiate for each image, or float (N, K), the weights of a sum of columns; for
        line networks float (N, T, K).
        As `logits`: without dropout, with the running statistics of batch-norm.
        """
        ...

    def features(self, images: np.ndarray) -> np.ndarray:
        """uint8 (N, H, W) -> float32 (N, D): what enters the last linear layer, as `logits` meets it.

        Of a linear network these are its inputs; of one without a linear layer its outputs.
        Raises UsageError for a line network.
        """
        ...

    def weights(self) -> dict[str, np.ndarray]:
        """Copies of all parameters, float32, by name: what a saved model holds."""
        ...

    def state(self) -> dict[str, np.ndarray]:
        """Copies of all that the next step depends on: weights, optimiser, averages, dropout's
        random state. `load_state` of it, then the same batches, gives bit-identical weights."""
        ...

    def load_state(self, state: dict[str, np.ndarray]) -> None: ...


def output_weights(outputs: np.ndarray, network: Network) -> np.ndarray:
    """What `input_gradient` is asked for, as weights of the logits: (N, K), or (N, T, K) of a line
    network. Raises UsageError."""
    if outputs.ndim == len(network.output_shape) + 1:
        return outputs
    if network.reads_lines:
        raise UsageError(
            f"outputs of shape {outputs.shape} for a line network", expected="weights of shape (N, T, K)"
        )
    return one_hot(outputs, network.classes)


def refuse_lines(network: Network) -> None:
    """Raises UsageError for a network that has no features."""
    if network.reads_lines:
        raise UsageError("a line network has no features", expected="a network that ends with a linear layer")


def group_factor(name: str, optimiser: OptimiserSettings) -> float:
    """The factor on the learning rate of the parameter called `name`."""
    return next((group.factor for group in optimiser.groups if group.match in name), 1.0)


def decays(role: str, optimiser: OptimiserSettings) -> bool:
    """Whether weight decay acts on a parameter of this role."""
    return optimiser.weight_decay > 0 and (optimiser.decay_all or role == "weight")
