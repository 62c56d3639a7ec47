"""The engine's verbs: gradients of whole networks, learning, answering, saving and resuming."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

from tenfold.arrays import Batch
from tenfold.augmentation import AugmentationDraws
from tenfold.errors import ModelError
from tenfold.networks.engine import Engine, EngineOptions
from tenfold.networks.layers import LayerSpec
from tenfold.networks.shapes import Network
from tenfold.numpy_engine.engine import NumpyEngine
from tenfold.numpy_engine.gradcheck import GradientCheck, InsideView
from tenfold.numpy_engine.runtime.answers import CHUNK_NUMBERS
from tenfold.settings import AugmentationSettings, LossSettings, OptimiserSettings, ParameterGroup

MLP = ["flatten", "linear 32", "relu", "dropout 0.2", "linear classes"]
CNN = [
    "conv 8 3x3 padding same", "batch-norm", "relu", "max-pool 2",
    {"residual": ["conv 8 3x3 padding same no-bias", "batch-norm", "relu"]},
    "flatten", "dropout 0.1", "linear classes",
]  # fmt: skip
LOSSES = [
    LossSettings(),
    LossSettings(label_smoothing=0.1, reduction="sum", probability_floor=1e-3, label_shift=-1),
    LossSettings(name="sigmoid-distance"),
    LossSettings(name="mean-squared-error", label_shift=3),
]


def network_of(layers: list, size: int = 8, classes: int = 10) -> Network:
    return Network.plan(LayerSpec.parse(layers), (size, size), classes)


def engine_of(layers: list, **options: object) -> NumpyEngine:
    network = network_of(layers)
    return NumpyEngine(network, network.initial_weights("torch", seed=1), EngineOptions(**options))


def random_batch(count: int = 12, seed: int = 0) -> Batch:
    rng = np.random.default_rng(seed)
    return Batch(rng.integers(0, 256, (count, 8, 8), dtype=np.uint8), rng.integers(0, 10, count))


def digits() -> tuple[np.ndarray, np.ndarray]:
    data = load_digits()
    return np.minimum(data.images * 16, 255).astype(np.uint8), data.target.astype(np.int64)


def learn(engine: NumpyEngine, images: np.ndarray, labels: np.ndarray, rate: float, epochs: int) -> None:
    rng = np.random.default_rng(0)
    for _ in range(epochs):
        for indices in np.array_split(rng.permutation(len(images)), len(images) // 50):
            engine.train_step(Batch(images[indices], labels[indices]), rate)


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[key], other[key]) for key in one)


def test_has_the_verbs_of_an_engine() -> None:
    engine: Engine = engine_of(MLP)
    assert engine.name == "numpy"
    assert list(engine.weights()) == [p.name for p in engine.network.parameters()]


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
@pytest.mark.parametrize("layers", [MLP, CNN], ids=["mlp", "cnn"])
def test_network_gradients_pass_central_differences(layers: list, loss: LossSettings) -> None:
    network, batch = network_of(layers), random_batch(5)
    options = EngineOptions(loss=loss, mean=0.4, std=0.3)
    weights = network.initial_weights("kaiming", seed=2)
    check = GradientCheck.of_network(
        network, weights, options, batch.images, batch.labels, samples=15, rng=np.random.default_rng(0)
    )
    assert [row.name for row in check.rows] == [p.name for p in network.parameters() if p.learned]
    assert check.passed(1e-6), check


def test_network_gradients_equal_autograd() -> None:
    network, batch = network_of(["conv 3 3x3", "tanh", "flatten", "linear classes"]), random_batch()
    weights = network.initial_weights("torch", seed=3)
    options = EngineOptions(mean=0.1, std=0.3, precision="float64")
    ours = InsideView.of(network, weights, options, batch.images, batch.labels).gradients
    theirs = {name: torch.tensor(value).double().requires_grad_() for name, value in weights.items()}
    inputs = ((torch.tensor(batch.images).double() / 255 - 0.1) / 0.3).unsqueeze(1)
    hidden = F.conv2d(inputs, theirs["conv1.weight"], theirs["conv1.bias"]).tanh().flatten(1)
    logits = hidden @ theirs["linear1.weight"].T + theirs["linear1.bias"]
    F.cross_entropy(logits, torch.tensor(batch.labels)).backward()
    for name, gradient in ours.items():
        np.testing.assert_allclose(gradient, theirs[name].grad.numpy(), rtol=1e-10, atol=1e-12)


def test_the_same_training_as_torch() -> None:
    """784-like MLP, SGD with momentum: the losses of both agree, and so do the final logits."""
    layers = ["flatten", "linear 32", "relu", "linear classes"]
    engine = engine_of(layers, optimiser=OptimiserSettings(momentum=0.9))
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    with torch.no_grad():
        for parameter, value in zip(module.parameters(), engine.weights().values(), strict=True):
            parameter.copy_(torch.tensor(value))
    optimiser = torch.optim.SGD(module.parameters(), lr=0.05, momentum=0.9)
    images, labels = digits()
    for start in range(0, 1500, 100):
        part = slice(start, start + 100)
        step = engine.train_step(Batch(images[part], labels[part]), 0.05)
        loss = F.cross_entropy(module(torch.tensor(images[part]) / 255), torch.tensor(labels[part]))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        assert float(step.loss) == pytest.approx(loss.item(), rel=1e-4)
    expected = module(torch.tensor(images) / 255).detach().numpy()
    np.testing.assert_allclose(engine.logits(images), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("layers", "optimiser", "rate", "epochs", "bound"),
    [
        (MLP, OptimiserSettings(name="adam"), 5e-3, 8, 0.93),
        (CNN, OptimiserSettings(name="adamw", weight_decay=0.01), 5e-3, 4, 0.96),
        (["flatten", "linear classes"], OptimiserSettings(momentum=0.9, nesterov=True), 0.1, 8, 0.91),
    ],
    ids=["mlp", "cnn", "softmax"],
)
def test_learns(layers: list, optimiser: OptimiserSettings, rate: float, epochs: int, bound: float) -> None:
    """On scikit-learn's 1,797 digits; nearest class mean has about 0.90 on the held-out third."""
    images, labels = digits()
    order = np.random.default_rng(0).permutation(len(images))
    train, test = order[:1200], order[1200:]
    engine = engine_of(layers, optimiser=optimiser, mean=0.3, std=0.4)
    learn(engine, images[train], labels[train], rate, epochs)
    assert (engine.logits(images[test]).argmax(axis=1) == labels[test]).mean() > bound


def test_step_reports_loss_and_right_answers_before_it() -> None:
    engine, batch = engine_of(["flatten", "linear classes"]), random_batch(100)
    before = engine.logits(batch.images)
    result = engine.train_step(batch, 0.1)
    expected = F.cross_entropy(torch.tensor(before), torch.tensor(batch.labels)).item()
    assert float(result.loss) == pytest.approx(expected, rel=1e-5)
    assert int(result.correct) == (before.argmax(axis=1) == batch.labels).sum()


def test_logits_do_not_depend_on_what_else_is_asked() -> None:
    several = CHUNK_NUMBERS // 512 + 30  # 8 channels of 8 x 8: more than are answered at a time
    engine, batch = engine_of(CNN), random_batch(several)
    engine.train_step(batch, 0.1)
    together = engine.logits(batch.images)
    assert together.dtype == np.float32
    np.testing.assert_allclose(engine.logits(batch.images[-20:]), together[-20:], rtol=1e-5, atol=1e-6)
    assert engine.logits(batch.images[:0]).shape == (0, 10)


def test_weights_are_copies() -> None:
    engine, batch = engine_of(MLP), random_batch()
    weights, state = engine.weights(), engine.state()
    for array in (*weights.values(), *state.values()):
        array[...] = 0
    assert np.abs(engine.logits(batch.images)).max() > 0


VARIANTS = {
    "sgd": {"optimiser": OptimiserSettings(momentum=0.9)},
    "adam, averaged": {"optimiser": OptimiserSettings(name="adam"), "average_decay": 0.9},
    "plain": {"seed": 5},
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("layers", [MLP, CNN], ids=["mlp", "cnn"])
def test_resumes_bit_identically(layers: list, variant: str) -> None:
    rng = np.random.default_rng(0)
    settings = AugmentationSettings(rotation=10, crop_padding=1)
    batches = [
        Batch(b.images, b.labels, AugmentationDraws.draw(settings, len(b), (8, 8), rng))
        for b in (random_batch(20, seed) for seed in range(6))
    ]
    whole, first, second = (engine_of(layers, **VARIANTS[variant]) for _ in range(3))
    for batch in batches:
        whole.train_step(batch, 0.05)
    for batch in batches[:3]:
        first.train_step(batch, 0.05)
    second.load_state(first.state())
    for batch in batches[3:]:
        second.train_step(batch, 0.05)
    assert same(whole.state(), second.state())
    assert same(whole.weights(), second.weights())


def test_average_follows_the_weights() -> None:
    engine = engine_of(CNN, average_decay=0.5)
    average = {name: value.astype(np.float64) for name, value in engine.weights().items()}
    for step in range(1, 12):
        engine.train_step(random_batch(20, step), 0.1)
        decay = min(0.5, (1 + step) / (10 + step))
        current = _section(engine.state(), "weights")
        average = {k: decay * average[k] + (1 - decay) * current[k] for k in average}
    for name, value in engine.weights().items():
        expected = current[name] if "running" in name else average[name]
        np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-6)
    plain = NumpyEngine(engine.network, engine.weights(), EngineOptions())
    images = random_batch().images
    np.testing.assert_array_equal(engine.logits(images), plain.logits(images))


def _section(state: dict[str, np.ndarray], title: str) -> dict[str, np.ndarray]:
    return {k.removeprefix(f"{title}/"): v for k, v in state.items() if k.startswith(f"{title}/")}


@pytest.mark.parametrize("shift", [-1, 1, 13])
def test_a_label_shift_is_not_seen_outside(shift: int) -> None:
    """Column c of the shifted network is column (c + shift) mod K of the plain one; start them
    with their rows exchanged accordingly, and they stay equal."""
    network, (images, labels) = network_of(["flatten", "linear classes"]), digits()
    weights = network.initial_weights("torch", seed=1)
    shifted = {name: np.roll(value, shift, axis=0) for name, value in weights.items()}
    plain = NumpyEngine(network, weights, EngineOptions())
    turned = NumpyEngine(network, shifted, EngineOptions(loss=LossSettings(label_shift=shift)))
    for engine in (plain, turned):
        results = [engine.train_step(Batch(images[:500], labels[:500]), 0.5) for _ in range(5)]
    assert int(results[-1].correct) > 250
    np.testing.assert_allclose(turned.logits(images), plain.logits(images), rtol=1e-4, atol=1e-5)


def test_a_factor_of_zero_freezes() -> None:
    groups = (ParameterGroup(match="linear1", factor=0),)
    engine = engine_of(MLP, optimiser=OptimiserSettings(name="adamw", weight_decay=0.1, groups=groups))
    before = engine.weights()
    engine.train_step(random_batch(), 0.1)
    changed = {name for name, value in engine.weights().items() if not np.array_equal(value, before[name])}
    assert changed == {"linear2.weight", "linear2.bias"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("linear1.bias"), "lack 'linear1.bias'"),
        (lambda w: w.update({"linear1.bias": np.zeros(3)}), "'linear1.bias' has shape"),
        (lambda w: w.update({"other": np.zeros(3)}), "'other'"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(change: object, message: str) -> None:
    network = network_of(MLP)
    weights = network.initial_weights("torch", seed=1)
    change(weights)
    with pytest.raises(ModelError, match=message):
        NumpyEngine(network, weights, EngineOptions())


def test_what_is_saved_lies_row_by_row_whatever_lies_in_memory() -> None:
    """After one step of Adam from nothing, the first moment is the gradient: PyTorch's, in its order."""
    layers = ["flatten", "linear 40", "relu", "linear 32", "relu", "linear classes"]
    engine = engine_of(layers, optimiser=OptimiserSettings(name="adam"))
    assert not engine.store.values[engine.network.parameters()[0].name].flags.c_contiguous
    names = [p.name for p in engine.network.parameters()]
    before = {name: torch.tensor(value, requires_grad=True) for name, value in engine.weights().items()}
    batch = random_batch()
    inputs = torch.tensor(batch.images.reshape(len(batch), -1) / np.float32(255))
    for number in range(0, len(names), 2):
        inputs = F.linear(
            F.relu(inputs) if number else inputs, before[names[number]], before[names[number + 1]]
        )
    F.cross_entropy(inputs, torch.tensor(batch.labels)).backward()
    expected = np.concatenate([before[name].grad.numpy().ravel() for name in names])
    engine.train_step(batch, 0.001)
    state = engine.state()
    np.testing.assert_allclose(state["optimiser/first"], expected, atol=1e-7)
    assert all(array.flags.c_contiguous for array in (*state.values(), *engine.weights().values()))
    other = engine_of(layers, optimiser=OptimiserSettings(name="adam"))
    other.load_state(state)
    assert same(other.state(), state)


def test_a_state_of_other_options_is_refused_and_changes_nothing() -> None:
    engine = engine_of(MLP, optimiser=OptimiserSettings(name="adam"))
    before = engine.state()
    with pytest.raises(ModelError, match="'optimiser/first'"):
        engine.load_state(engine_of(MLP).state())
    assert same(engine.state(), before)


def test_one_seed_one_training() -> None:
    """Dropout's masks come from the seed alone, and another seed gives others."""
    engines = [engine_of(MLP, seed=seed) for seed in (1, 1, 2)]
    for engine in engines:
        engine.train_step(random_batch(), 0.1)
    (one, again), (_, other) = pairwise(engine.weights() for engine in engines)
    assert same(one, again)
    assert not same(one, other)


def test_float64_is_kept_throughout() -> None:
    network = network_of(CNN)
    weights = network.initial_weights("torch", seed=1)
    engine = NumpyEngine(network, weights, EngineOptions(average_decay=0.9, precision="float64"))
    engine.train_step(random_batch(), 0.1)
    state = engine.state()
    assert {v.dtype for k, v in state.items() if k.startswith(("weights", "average"))} == {np.dtype(float)}
    assert {value.dtype for value in engine.weights().values()} == {np.dtype(np.float32)}
