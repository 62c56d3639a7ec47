"""The five verbs: what they compute, and that a state continues bit for bit."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from tenfold.arrays import Batch
from tenfold.augmentation import AugmentationDraws
from tenfold.errors import ModelError, UsageError
from tenfold.networks.engine import EngineOptions
from tenfold.networks.layers import LayerSpec
from tenfold.networks.shapes import Network
from tenfold.settings import AugmentationSettings, LossSettings, OptimiserSettings, ParameterGroup
from tenfold.torch_engine.engine import TorchEngine, decay_at
from tenfold.torch_engine.machine import choose_device, choose_precision, describe
from tenfold.torch_engine.modules import autograd_gradients

CNN = [
    "pixel-unshuffle 2", "conv 8 3x3 padding same no-bias", "batch-norm", "relu",
    { "residual": ["conv 8 3x3 padding same", "batch-norm", "relu"] }, "max-pool 2", "flatten",
    "dropout 0.2", "linear 16", "batch-norm", "tanh", "linear classes",
]  # fmt: skip
MLP = ["flatten", "linear 24", "relu", "dropout 0.3", "linear classes"]
ADAM = OptimiserSettings(name="adamw", learning_rate=0.01, weight_decay=0.01)
CLASSES = 4


def _network(lines: list) -> Network:
    return Network.plan(LayerSpec.parse(lines), (8, 8), CLASSES)


def _engine(lines: list, seed: int = 0, **options: object) -> TorchEngine:
    network = _network(lines)
    given = EngineOptions(**{"mean": 0.4, "std": 0.3, "optimiser": ADAM, "seed": seed, **options})
    return TorchEngine(network, network.initial_weights("kaiming", seed=seed), given)


def _batches(count: int, size: int = 32, seed: int = 0) -> list[Batch]:
    """Bright quarters on noise: the class says which quarter."""
    rng = np.random.default_rng(seed)
    batches = []
    for _ in range(count):
        labels = rng.integers(0, CLASSES, size)
        images = rng.integers(0, 150, (size, 8, 8), dtype=np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[4 * (label // 2) :, 4 * (label % 2) :][:4, :4] += 90
        images.flags.writeable = False
        batches.append(Batch(images, labels))
    return batches


def _train(engine: TorchEngine, batches: list[Batch]) -> list[float]:
    return [float(engine.train_step(batch, 0.01).loss) for batch in batches]


@pytest.mark.parametrize("lines", [CNN, MLP], ids=["cnn", "mlp"])
@pytest.mark.parametrize("average_decay", [0.0, 0.9])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_state_continues_bit_for_bit(lines: list, average_decay: float, precision: str) -> None:
    options = {"average_decay": average_decay, "precision": precision}
    batches = _batches(9)
    whole = _engine(lines, **options)
    _train(whole, batches[:4])
    state = whole.state()
    resumed = _engine(lines, seed=5, **options)
    resumed.load_state(state)
    assert _train(whole, batches[4:]) == _train(resumed, batches[4:])
    first, second = whole.state(), resumed.state()
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[key], second[key]) for key in first)
    assert all(isinstance(value, np.ndarray) for value in first.values())
    np.testing.assert_array_equal(whole.logits(batches[0].images), resumed.logits(batches[0].images))


def test_a_state_is_a_copy() -> None:
    engine = _engine(CNN, average_decay=0.9)
    state = engine.state()
    kept = {key: value.copy() for key, value in state.items()}
    weights = engine.weights()
    _train(engine, _batches(2))
    assert all(np.array_equal(state[key], kept[key]) for key in state)
    assert not np.array_equal(weights["conv1.weight"], engine.weights()["conv1.weight"])


def test_a_state_that_does_not_fit_changes_nothing() -> None:
    engine = _engine(CNN)
    before = engine.state()
    with pytest.raises(ModelError, match=r"average/conv1\.weight"):
        engine.load_state(_engine(CNN, average_decay=0.9).state())
    with pytest.raises(ModelError, match="does not fit"):
        engine.load_state(_engine(MLP).state())
    after = engine.state()
    assert all(np.array_equal(before[key], after[key]) for key in before)


def test_dropout_follows_the_seed_and_not_the_global_one() -> None:
    batches = _batches(3)
    torch.manual_seed(1)
    first = _train(_engine(MLP), batches)
    torch.manual_seed(2)
    assert _train(_engine(MLP), batches) == first


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_it_learns_in_both_precisions(precision: str) -> None:
    engine = _engine(CNN, precision=precision)
    assert engine.precision == precision
    losses = _train(engine, _batches(60))
    test = _batches(1, size=400, seed=1)[0]
    accuracy = (engine.logits(test.images).argmax(axis=1) == test.labels).mean()
    assert losses[-1] < losses[0] / 3
    assert accuracy > 0.95
    assert all(value.dtype == np.float32 for value in engine.weights().values())


def test_right_answers_are_counted_before_the_step() -> None:
    engine, batch = _engine(["flatten", "linear classes"]), _batches(1)[0]
    expected = (engine.logits(batch.images).argmax(axis=1) == batch.labels).sum()
    assert int(engine.train_step(batch, 0.01).correct) == expected


def test_logits_are_those_of_plain_torch() -> None:
    engine = _engine(["flatten", "linear 6", "sigmoid", "linear classes"])
    images = _batches(1)[0].images
    weights = {name: torch.tensor(value) for name, value in engine.weights().items()}
    rows = (torch.tensor(images).flatten(1) / 255 - 0.4) / 0.3
    hidden = torch.sigmoid(nn.functional.linear(rows, weights["linear1.weight"], weights["linear1.bias"]))
    expected = nn.functional.linear(hidden, weights["linear2.weight"], weights["linear2.bias"])
    np.testing.assert_allclose(engine.logits(images), expected.numpy(), rtol=1e-5, atol=1e-6)


def test_logits_do_not_depend_on_their_company() -> None:
    engine, images = _engine(CNN), _batches(1, size=64)[0].images
    together = engine.logits(images)
    np.testing.assert_array_equal(engine.logits(images), together)
    alone = np.concatenate([engine.logits(images[n : n + 1]) for n in range(64)])
    np.testing.assert_allclose(alone, together, rtol=1e-5, atol=1e-5)
    engine._chunk = 10
    np.testing.assert_allclose(engine.logits(images), together, rtol=1e-5, atol=1e-5)
    assert engine.logits(images[:0]).shape == (0, CLASSES)


def test_asking_for_logits_leaves_training_alone() -> None:
    asked, left = _engine(CNN, average_decay=0.9), _engine(CNN, average_decay=0.9)
    for batch in _batches(4):
        asked.train_step(batch, 0.01)
        left.train_step(batch, 0.01)
        asked.logits(batch.images)
    assert all(np.array_equal(a, b) for a, b in zip(asked.state().values(), left.state().values()))


def test_the_average_is_its_definition() -> None:
    averaged, plain = _engine(CNN, average_decay=0.5), _engine(CNN)
    expected = plain.weights()
    for step, batch in enumerate(_batches(12), start=1):
        averaged.train_step(batch, 0.01)
        plain.train_step(batch, 0.01)
        decay = min(0.5, (1 + step) / (10 + step))
        now = plain.weights()
        for name, value in now.items():
            running = "running" in name
            expected[name] = value if running else decay * expected[name] + (1 - decay) * value
    result = averaged.weights()
    for name, value in expected.items():
        np.testing.assert_allclose(result[name], value, rtol=1e-5, atol=1e-6)
    assert decay_at(1, 0.5) == pytest.approx(2 / 11)
    network = _network(CNN)
    other = TorchEngine(network, result, averaged.options)
    images = _batches(1)[0].images
    np.testing.assert_allclose(other.logits(images), averaged.logits(images), rtol=1e-5, atol=1e-5)


def test_label_shift_is_invisible_from_outside() -> None:
    """The softmax regression tutorial's shifted labels: the trained network names the right classes."""
    engine = _engine(["flatten", "linear classes"], loss=LossSettings(label_shift=-1))
    _train(engine, _batches(80))
    test = _batches(1, size=200, seed=2)[0]
    assert (engine.logits(test.images).argmax(axis=1) == test.labels).mean() > 0.9


def test_discriminative_rates_and_freezing() -> None:
    groups = (ParameterGroup(match="conv", factor=0), ParameterGroup(match="linear1", factor=0.1))
    engine = _engine(CNN, optimiser=ADAM.model_copy(update={"groups": groups}))
    before = engine.weights()
    _train(engine, _batches(3))
    after = engine.weights()
    moved = {name for name in before if not np.array_equal(before[name], after[name])}
    assert moved == {name for name in before if "conv" not in name}


def test_augmentation_reaches_the_network() -> None:
    batch = _batches(1)[0]
    settings = AugmentationSettings(rotation=20, shift=1)
    draws = AugmentationDraws.draw(settings, len(batch), (8, 8), np.random.default_rng(0))
    plain = _train(_engine(CNN), [batch])
    assert _train(_engine(CNN), [Batch(batch.images, batch.labels, draws)]) != plain


def test_one_image_behind_batch_norm_of_rows_is_refused() -> None:
    with pytest.raises(UsageError, match="drop_last"):
        _engine(CNN).train_step(_batches(1, size=1)[0], 0.01)


@pytest.mark.parametrize("name", ["cross-entropy", "sigmoid-distance", "mean-squared-error"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_autograd_gradients_are_central_differences(name: str, reduction: str) -> None:
    network = _network(["conv 2 3x3", "batch-norm", "tanh", "dropout 0.5", "flatten", "linear classes"])
    weights = {n: w.astype(np.float64) for n, w in network.initial_weights("torch", seed=0).items()}
    loss = LossSettings(name=name, reduction=reduction)
    options, batch = EngineOptions(loss=loss), _batches(1, size=6)[0]
    gradients = autograd_gradients(network, weights, options, batch.images, batch.labels)
    assert set(gradients) == {p.name for p in network.parameters() if p.learned}
    for key, gradient in gradients.items():
        place = tuple(0 for _ in gradient.shape)
        values = []
        for step in (1e-5, -1e-5):
            moved = {n: w.copy() for n, w in weights.items()}
            moved[key][place] += step
            values.append(_loss_of(network, moved, loss, batch))
        assert gradient[place] == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-6, abs=1e-8)


def _loss_of(network: Network, weights: dict[str, np.ndarray], loss: LossSettings, batch: Batch) -> float:
    """In plain torch.nn, for the network of the test above."""
    t = {name: torch.tensor(value) for name, value in weights.items()}
    pictures = torch.tensor(batch.images).double()[:, None] / 255
    hidden = nn.functional.conv2d(pictures, t["conv1.weight"], t["conv1.bias"])
    hidden = nn.functional.batch_norm(hidden, None, None, t["norm1.weight"], t["norm1.bias"], training=True)
    logits = nn.functional.linear(hidden.tanh().flatten(1), t["linear1.weight"], t["linear1.bias"])
    labels = torch.tensor(batch.labels)
    target = nn.functional.one_hot(labels, CLASSES).double()
    value = {
        "cross-entropy": lambda: nn.functional.cross_entropy(logits, labels),
        "sigmoid-distance": lambda: (target - logits.sigmoid()).abs().mean(),
        "mean-squared-error": lambda: nn.functional.mse_loss(logits, target),
    }[loss.name]()
    return float(value * (len(batch) if loss.reduction == "sum" else 1))


def test_devices() -> None:
    assert choose_device("auto").type in ("cpu", "cuda", "mps")
    for kind, present in (("cuda", torch.cuda.is_available()), ("mps", torch.backends.mps.is_available())):
        if not present:
            with pytest.raises(UsageError, match="--device auto"):
                choose_device(kind)
    assert describe()["torch"] == torch.__version__


def test_precisions() -> None:
    assert choose_precision("bfloat16", "cpu", convolutional=False) == torch.bfloat16
    assert choose_precision("auto", "cpu", convolutional=False) == torch.float32
    chosen = {choose_precision("auto", "cpu", convolutional=True) for _ in range(5)}
    assert len(chosen) == 1
    with pytest.raises(UsageError, match="did you mean 'bfloat16'"):
        choose_precision("bfloat", "cpu", convolutional=True)


def test_without_torch_the_package_names_the_extra() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from tenfold.errors import MissingDependencyError\n"
        "try:\n    import tenfold.torch_engine.engine\n"
        "except MissingDependencyError as error:\n    print(error)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "tenfold[torch]" in result.stdout
