"""sgd, adam and adamw in PyTorch's formulation, on PyTorch's fused kernels.

The first `torch.optim` constructor of a process imports torch._dynamo (about a second); the
kernels underneath do not, and a test holds that the results equal torch.optim's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from tenfold.networks.engine import decays, group_factor
from tenfold.networks.shapes import Parameter
from tenfold.settings import OptimiserSettings
from tenfold.torch_engine.modules import named_arrays


@dataclass
class _Group:
    """Parameters with the same factor on the learning rate and the same weight decay.

    buffers: sgd has one (momentum), adam two (means of the gradient and of its square), each in
    the order of `tensors`."""

    factor: float
    decay: float
    names: list[str] = field(default_factory=list)
    tensors: list[torch.Tensor] = field(default_factory=list)
    buffers: tuple[list[torch.Tensor], ...] = ()


class Optimiser:
    """Moves the learned parameters; its state is the number of steps and the buffers."""

    def __init__(
        self,
        parameters: Iterable[Parameter],
        tensors: Mapping[str, torch.Tensor],
        settings: OptimiserSettings,
    ) -> None:
        """`tensors` by name, leaves of autograd; those that a factor of 0 freezes ask for no gradient
        and do not count in the norm that is clipped."""
        self._settings = settings
        self._steps = 0
        self._groups = _group(parameters, tensors, settings)
        self._tensors = [tensor for group in self._groups for tensor in group.tensors]
        for group in self._groups:
            group.buffers = tuple(
                [torch.zeros_like(tensor, requires_grad=False) for tensor in group.tensors]
                for _ in _buffer_names(settings)
            )
        device = next(iter(tensors.values())).device
        self._step_tensor = torch.zeros((), dtype=torch.float32, device=device)

    def step(self, learning_rate: float) -> None:
        """One step along the gradients in `.grad`, which it clears."""
        if self._settings.clip_norm and self._tensors:
            clip_gradients([_gradient(tensor) for tensor in self._tensors], self._settings.clip_norm)
        self._steps += 1
        self._step_tensor.fill_(self._steps)
        with torch.no_grad():
            for group in self._groups:
                self._update(group, [_gradient(tensor) for tensor in group.tensors], learning_rate)
        for tensor in self._tensors:
            tensor.grad = None

    def _update(self, group: _Group, gradients: list[torch.Tensor], learning_rate: float) -> None:
        s, rate = self._settings, learning_rate * group.factor
        if s.name == "sgd":
            torch._fused_sgd_(
                group.tensors, gradients, group.buffers[0] if group.buffers else [],
                weight_decay=group.decay, momentum=s.momentum, lr=rate, dampening=0.0,
                nesterov=s.nesterov and s.momentum > 0, maximize=False, is_first_step=self._steps == 1,
            )  # fmt: skip
            return
        kernel = torch._fused_adam_ if s.name == "adam" else torch._fused_adamw_
        kernel(
            group.tensors, gradients, group.buffers[0], group.buffers[1], [],
            [self._step_tensor] * len(gradients),
            lr=rate, beta1=s.betas[0], beta2=s.betas[1], weight_decay=group.decay, eps=s.epsilon,
            amsgrad=False, maximize=False,
        )  # fmt: skip

    def state(self) -> dict[str, np.ndarray]:
        """`steps`, and `BUFFER.PARAMETER` for each buffer."""
        return {"steps": np.array(self._steps, dtype=np.int64), **named_arrays(self._named_buffers())}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        self._steps = int(state["steps"])
        for name, buffer in self._named_buffers().items():
            buffer.copy_(torch.tensor(state[name]))

    def _named_buffers(self) -> dict[str, torch.Tensor]:
        return {
            f"{kind}.{name}": buffer
            for group in self._groups
            for kind, buffers in zip(_buffer_names(self._settings), group.buffers, strict=True)
            for name, buffer in zip(group.names, buffers, strict=True)
        }


def clip_gradients(gradients: list[torch.Tensor], clip_norm: float) -> None:
    """Scales all of them, in place, so that their joint Euclidean norm is at most clip_norm."""
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    torch._foreach_mul_(gradients, (clip_norm / (norm + 1e-6)).clamp(max=1.0))


def _gradient(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.grad if tensor.grad is not None else torch.zeros_like(tensor)


def _buffer_names(settings: OptimiserSettings) -> tuple[str, ...]:
    if settings.name == "sgd":
        return ("momentum",) if settings.momentum else ()
    return ("mean", "square")


def _group(
    parameters: Iterable[Parameter], tensors: Mapping[str, torch.Tensor], settings: OptimiserSettings
) -> list[_Group]:
    groups: dict[tuple[float, float], _Group] = {}
    for parameter in parameters:
        if not parameter.learned:
            continue
        factor = group_factor(parameter.name, settings)
        tensors[parameter.name].requires_grad_(factor > 0)
        if factor > 0:
            decay = settings.weight_decay if decays(parameter.role, settings) else 0.0
            group = groups.setdefault((factor, decay), _Group(factor, decay))
            group.names.append(parameter.name)
            group.tensors.append(tensors[parameter.name])
    return list(groups.values())


# The exponential moving average of the weights (Polyak & Juditsky 1992; warm start as in TensorFlow).


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
