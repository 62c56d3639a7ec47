"""Optimisers against torch.optim over several steps, and the gradients' norm against torch's."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from tenfold.networks.shapes import Parameter
from tenfold.settings import OptimiserSettings, ParameterGroup
from tenfold.torch_engine.engine import Optimiser

SETTINGS = {
    "plain": OptimiserSettings(name="sgd"),
    "momentum": OptimiserSettings(name="sgd", momentum=0.9, weight_decay=0.01),
    "nesterov": OptimiserSettings(name="sgd", momentum=0.9, nesterov=True, clip_norm=0.5),
    "adam": OptimiserSettings(name="adam", betas=(0.8, 0.95), weight_decay=0.1),
    "adam-decay-all": OptimiserSettings(name="adam", weight_decay=0.1, decay_all=True, epsilon=1e-3),
    "adamw": OptimiserSettings(name="adamw", weight_decay=0.3, clip_norm=1.0),
    "clipped-frozen": OptimiserSettings(
        name="sgd", clip_norm=0.1, groups=(ParameterGroup(match="conv1", factor=0),)
    ),
    "groups": OptimiserSettings(
        name="adamw",
        weight_decay=0.3,
        groups=(ParameterGroup(match="conv", factor=0.1), ParameterGroup(match="linear1", factor=3)),
    ),
}
PARAMETERS = [
    Parameter("conv1.weight", (8, 4, 3, 3), "weight"),
    Parameter("conv1.bias", (8,), "bias"),
    Parameter("linear1.weight", (5, 7), "weight"),
    Parameter("linear1.bias", (5,), "bias"),
]


def _tensors(seed: int) -> dict[str, torch.Tensor]:
    """The convolution's weight is channels_last, as in the engine."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {p.name: torch.randn(p.shape, generator=generator) for p in PARAMETERS}
    tensors["conv1.weight"] = tensors["conv1.weight"].to(memory_format=torch.channels_last)
    return {name: tensor.requires_grad_() for name, tensor in tensors.items()}


def _reference(tensors: dict[str, torch.Tensor], s: OptimiserSettings) -> torch.optim.Optimizer:
    groups = []
    for name, tensor in tensors.items():
        factor = next((group.factor for group in s.groups if group.match in name), 1.0)
        decays = s.decay_all or name.endswith("weight")
        decay = s.weight_decay if decays else 0.0
        groups.append({"params": [tensor], "lr": 0.05 * factor, "weight_decay": decay})
    if s.name == "sgd":
        return torch.optim.SGD(groups, momentum=s.momentum, nesterov=s.nesterov)
    kind = torch.optim.Adam if s.name == "adam" else torch.optim.AdamW
    return kind(groups, betas=s.betas, eps=s.epsilon)


def _loss(tensors: dict[str, torch.Tensor], step: int) -> torch.Tensor:
    pictures = torch.randn(3, 4, 5, 5, generator=torch.Generator().manual_seed(step))
    moved = torch.nn.functional.conv2d(pictures, tensors["conv1.weight"], tensors["conv1.bias"])
    rows = moved.mean(dim=(2, 3))[:, :7] @ tensors["linear1.weight"].T + tensors["linear1.bias"]
    return (rows**2).mean() + moved.tanh().mean()


@pytest.mark.parametrize("case", SETTINGS)
def test_equals_torch_optim(case: str) -> None:
    settings = SETTINGS[case]
    ours, theirs = _tensors(0), _tensors(0)
    optimiser, reference = Optimiser(PARAMETERS, ours, settings), _reference(theirs, settings)
    for step in range(8):
        _loss(ours, step).backward()
        optimiser.step(0.05)
        reference.zero_grad()
        _loss(theirs, step).backward()
        if settings.clip_norm:
            learning = [tensor for name, tensor in theirs.items() if ours[name].requires_grad]
            torch.nn.utils.clip_grad_norm_(learning, settings.clip_norm)
        reference.step()
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-5, atol=1e-6)
        assert torch.equal(ours[name], _tensors(0)[name]) == (case == "clipped-frozen" and "conv" in name)


@pytest.mark.parametrize("case", ["momentum", "adamw"])
def test_state_continues_bit_for_bit(case: str) -> None:
    first = _tensors(0)
    optimiser = Optimiser(PARAMETERS, first, SETTINGS[case])
    for step in range(3):
        _loss(first, step).backward()
        optimiser.step(0.05)
    second = {name: tensor.detach().clone().requires_grad_() for name, tensor in first.items()}
    resumed = Optimiser(PARAMETERS, second, SETTINGS[case])
    resumed.steps = optimiser.steps
    for name, buffer in optimiser.buffers.items():
        resumed.buffers[name].copy_(buffer)
    for step in range(3, 6):
        for tensors, follower in ((first, optimiser), (second, resumed)):
            _loss(tensors, step).backward()
            follower.step(0.05)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_factor_zero_freezes() -> None:
    settings = OptimiserSettings(
        name="adamw", weight_decay=0.5, groups=(ParameterGroup(match="conv1", factor=0),)
    )
    tensors = _tensors(0)
    optimiser = Optimiser(PARAMETERS, tensors, settings)
    _loss(tensors, 0).backward()
    optimiser.step(0.05)
    assert torch.equal(tensors["conv1.weight"], _tensors(0)["conv1.weight"])
    assert not tensors["conv1.weight"].requires_grad
    assert not torch.equal(tensors["linear1.weight"], _tensors(0)["linear1.weight"])


def test_the_slow_import_of_torch_optim_is_not_paid() -> None:
    code = (
        "import sys, torch; from tenfold.networks.shapes import Parameter;"
        "from tenfold.settings import OptimiserSettings;"
        "from tenfold.torch_engine.engine import Optimiser;"
        "w = torch.ones(3, requires_grad=True); settings = OptimiserSettings(name='adam', clip_norm=1);"
        "optimiser = Optimiser([Parameter('w', (3,), 'weight')], {'w': w}, settings);"
        "w.sum().backward(); optimiser.step(0.1); sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
