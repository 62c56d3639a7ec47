"""Optimisers against torch.optim on the same gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tenfold.errors import RecipeError
from tenfold.networks.shapes import Parameter
from tenfold.numerics import orthogonalise
from tenfold.numpy_engine import optimisers
from tenfold.numpy_engine.optimisers import OPTIMISERS
from tenfold.numpy_engine.runtime import memory
from tenfold.numpy_engine.runtime.memory import ParameterStore
from tenfold.settings import OptimiserSettings, ParameterGroup
from tenfold.torch_engine.engine import Optimiser as TorchOptimiser

PARAMETERS = [
    Parameter("conv1.weight", (4, 3, 2, 2), "weight"),
    Parameter("conv1.bias", (4,), "bias"),
    Parameter("norm1.weight", (4,), "scale"),
    Parameter("linear1.weight", (6, 5), "weight"),
    Parameter("linear1.bias", (6,), "bias"),
]
GROUPS = (ParameterGroup(match="conv1.weight", factor=0), ParameterGroup(match="conv1", factor=0.3))

VARIANTS = {
    "sgd": {},
    "sgd, momentum": {"momentum": 0.9},
    "sgd, Nesterov": {"momentum": 0.9, "nesterov": True},
    "adam": {},
    "adam, other betas": {"betas": (0.8, 0.95), "epsilon": 1e-3},
    "adam, no memory": {"betas": (0.0, 0.0)},
    "adamw": {},
    "adamw, other betas": {"betas": (0.5, 0.99), "epsilon": 1e-4},
}
EXTRAS = [
    {},
    {"weight_decay": 0.1},
    {"weight_decay": 0.1, "decay_all": True},
    {"clip_norm": 0.5},
    {"clip_norm": 1e3},
    {"groups": GROUPS, "weight_decay": 0.1, "clip_norm": 0.5},
]


def torch_optimiser(s: OptimiserSettings, tensors: dict[str, torch.Tensor]) -> torch.optim.Optimizer:
    groups = []
    for p in PARAMETERS:
        factor, decay = s.factor_of(p.name), s.decay_of(p.role)
        tensors[p.name].requires_grad_(factor > 0)
        groups.append({"params": [tensors[p.name]], "factor": factor, "weight_decay": decay, "lr": 0.0})
    if s.name == "sgd":
        return torch.optim.SGD(groups, lr=1, momentum=s.momentum, nesterov=s.nesterov)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[s.name]
    return kind(groups, lr=1, betas=s.betas, eps=s.epsilon)


def flat(arrays: dict[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([arrays[p.name].ravel() for p in PARAMETERS])


@pytest.mark.parametrize("piece", [7, 1 << 14])
@pytest.mark.parametrize("extra", EXTRAS, ids=repr)
@pytest.mark.parametrize("variant", VARIANTS)
def test_equals_torch(variant: str, extra: dict, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "PIECE", piece)
    settings = OptimiserSettings(name=variant.partition(",")[0], **VARIANTS[variant], **extra)
    rng = np.random.default_rng(2)
    start = {p.name: rng.standard_normal(p.shape) for p in PARAMETERS}
    tensors = {name: torch.tensor(value) for name, value in start.items()}
    theirs = torch_optimiser(settings, tensors)
    values, ours = flat(start), OPTIMISERS[settings.name](settings, PARAMETERS, np.float64)
    for step in range(6):
        gradients = {p.name: rng.standard_normal(p.shape) for p in PARAMETERS}
        rate = 0.1 / (1 + step)
        for name, tensor in tensors.items():
            tensor.grad = torch.tensor(gradients[name]) if tensor.requires_grad else None
        if settings.clip_norm:
            torch.nn.utils.clip_grad_norm_(tensors.values(), settings.clip_norm)
        for group in theirs.param_groups:
            group["lr"] = rate * group["factor"]
        theirs.step()
        ours.step(values, flat(gradients), rate)
        expected = flat({name: tensor.detach().numpy() for name, tensor in tensors.items()})
        np.testing.assert_allclose(values, expected, rtol=1e-9, atol=1e-12)


def test_every_optimiser_is_tested() -> None:
    assert {variant.partition(",")[0] for variant in VARIANTS} | {"muon"} == set(OPTIMISERS)


@pytest.mark.parametrize("engine", ["numpy", "torch"])
def test_muon_equals_torch(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch.optim.Muon moves matrices and computes in bfloat16: here it is kept from that. Its matrices are
    the weights of all layers but the last, one of which lies in memory by columns; the rest is AdamW's."""
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)
    settings = OptimiserSettings(name="muon", betas=(0.8, 0.95), weight_decay=0.1)
    parameters = [*PARAMETERS[:-2], Parameter("linear0.weight", (40, 5), "weight"), *PARAMETERS[-2:]]
    rng = np.random.default_rng(5)
    tensors = {p.name: torch.tensor(rng.standard_normal(p.shape)).requires_grad_() for p in parameters}
    turned = [tensors["conv1.weight"].detach().flatten(1).clone(), tensors["linear0.weight"].detach().clone()]
    muon = torch.optim.Muon(turned, lr=0.01, weight_decay=0.1, momentum=0.8, adjust_lr_fn="match_rms_adamw")
    rest = {
        name: tensors[name].detach().clone()
        for name in tensors
        if name not in ("conv1.weight", "linear0.weight")
    }
    groups = [
        {"params": [value], "weight_decay": 0.1 * name.startswith("linear1.w")}
        for name, value in rest.items()
    ]
    adamw = torch.optim.AdamW(groups, lr=0.01, betas=(0.8, 0.95))
    store = ParameterStore(parameters, np.float64)
    for name, value in tensors.items():
        store.values[name][...] = value.detach().numpy()
    ours = OPTIMISERS["muon"](settings, parameters, np.float64)
    theirs = TorchOptimiser(parameters, tensors, settings)
    for _ in range(4):
        for p in parameters:
            gradient = torch.tensor(rng.standard_normal(p.shape))
            tensors[p.name].grad = gradient.clone()
            store.named_gradients[p.name][...] = gradient.numpy()
            (rest[p.name] if p.name in rest else turned[p.name == "linear0.weight"]).grad = (
                gradient.flatten(1) if p.name == "conv1.weight" else gradient.clone()
            )
        muon.step()
        adamw.step()
        theirs.step(0.01) if engine == "torch" else ours.step(store.learned, store.gradients, 0.01)
    found = tensors if engine == "torch" else store.values
    expected = rest | {"conv1.weight": turned[0].reshape(4, 3, 2, 2), "linear0.weight": turned[1]}
    for name, value in expected.items():
        np.testing.assert_allclose(
            np.asarray(found[name].detach() if engine == "torch" else found[name]),
            value,
            rtol=1e-6,
            atol=1e-9,
        )


def test_orthogonal_steps_have_singular_values_near_1() -> None:
    rng = np.random.default_rng(6)
    for shape in ((20, 5), (5, 20), (8, 8)):
        matrix = rng.standard_normal(shape)
        values = np.linalg.svd(orthogonalise(matrix), compute_uv=False)
        assert values.max() < 1.25 and np.median(values) > 0.6
        np.testing.assert_allclose(orthogonalise(matrix.T), orthogonalise(matrix).T, rtol=1e-12)
    assert not orthogonalise(np.zeros((3, 4))).any()


def test_float32_stays_close_to_torch_over_many_steps() -> None:
    rng = np.random.default_rng(3)
    parameters = [Parameter("w", (500,), "weight")]
    values = rng.standard_normal(500).astype(np.float32)
    tensor = torch.tensor(values.copy(), requires_grad=True)
    ours, theirs = OPTIMISERS["adam"](OptimiserSettings(name="adam"), parameters), torch.optim.Adam([tensor])
    for _ in range(200):
        gradient = rng.standard_normal(500).astype(np.float32)
        tensor.grad = torch.tensor(gradient)
        theirs.step()
        ours.step(values, gradient.copy(), 1e-3)
    np.testing.assert_allclose(values, tensor.detach().numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_resumes_bit_identically(name: str) -> None:
    settings = OptimiserSettings(name=name, momentum=0.9 if name == "sgd" else 0, weight_decay=0.1)
    rng = np.random.default_rng(4)
    size = sum(int(np.prod(p.shape)) for p in PARAMETERS)
    values = rng.standard_normal(size)
    first = OPTIMISERS[name](settings, PARAMETERS, np.float64)
    for _ in range(3):
        first.step(values, rng.standard_normal(size), 0.1)
    second = OPTIMISERS[name](settings, PARAMETERS, np.float64)
    second.load_state(first.state())
    gradient, copy = rng.standard_normal(size), values.copy()
    first.step(values, gradient.copy(), 0.1)
    second.step(copy, gradient.copy(), 0.1)
    np.testing.assert_array_equal(values, copy)


def test_clipping_reports_the_norm_there_was() -> None:
    gradients = np.array([3.0, 4.0])
    assert optimisers.clip_gradients(gradients, 1.0) == pytest.approx(5.0)
    np.testing.assert_allclose(gradients, [0.6, 0.8], rtol=1e-6)


def test_a_beta_of_one_is_refused() -> None:
    with pytest.raises(RecipeError, match="betas"):
        OPTIMISERS["adam"](OptimiserSettings(name="adam", betas=(1.0, 0.9)), PARAMETERS)
