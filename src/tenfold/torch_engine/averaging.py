"""The exponential moving average of the weights (Polyak & Juditsky 1992; warm start as in TensorFlow)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from tenfold.torch_engine.modules import named_arrays

__all__ = ["WeightAverage", "decay_at"]


def decay_at(step: int, decay: float) -> float:
    """The decay of step 1, 2, ...: small at first, so that the random start is soon forgotten."""
    return min(decay, (1 + step) / (10 + step))


class WeightAverage:
    """Keeps `averages` following `learned`: after each step, average = d * average + (1 - d) * learned.

    Both by name, and equal at the start.
    """

    def __init__(
        self, learned: Mapping[str, torch.Tensor], averages: Mapping[str, torch.Tensor], decay: float
    ) -> None:
        self._learned = [learned[name] for name in averages]
        self._averages, self._decay, self._steps = dict(averages), decay, 0

    @torch.no_grad()
    def update(self) -> None:
        self._steps += 1
        weight = 1 - decay_at(self._steps, self._decay)
        torch._foreach_lerp_(list(self._averages.values()), self._learned, weight)

    def state(self) -> dict[str, np.ndarray]:
        return {"steps": np.array(self._steps, dtype=np.int64), **named_arrays(self._averages)}

    @torch.no_grad()
    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        self._steps = int(state["steps"])
        for name, tensor in self._averages.items():
            tensor.copy_(torch.tensor(state[name]))
