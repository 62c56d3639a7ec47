"""Networks that read lines, in both engines: strips of any width, label sequences, the same figures."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from tenfold.arrays import Batch
from tenfold.engines.create import Engines
from tenfold.errors import RecipeError, UsageError
from tenfold.networks.engine import EngineOptions
from tenfold.networks.layers import LayerSpec
from tenfold.networks.shapes import Network
from tenfold.numpy_engine.runtime.answers import Winograd, transform_kernels
from tenfold.recipes.schema import Recipe
from tenfold.settings import LossSettings, OptimiserSettings

pytest.importorskip("torch")

# with tiles (16 channels and more, 3x3) and without; a batch-norm that cannot be folded; residuals
LAYERS = [
    "pixel-unshuffle 2", "conv 16 3x3 padding same no-bias", "batch-norm", "relu",
    "conv 20 3x3 padding same", "batch-norm", "relu", "max-pool 2", "batch-norm",
    {"residual": ["conv 20 3x3 padding same no-bias", "batch-norm", "tanh"]}, "max-pool 2x1",
    {"residual": ["conv 20 3x3 padding same no-bias", "batch-norm", "relu"]},
    "conv 12 4x3 padding 0x1 no-bias", "batch-norm", "relu", "dropout 0", "conv 9 1x5 padding same", "relu",
    "conv 12 1x1", "columns 2",
]  # fmt: skip
CLASSES = 6
WIDTHS = (40, 24, 72, 24)
ENGINES = ("numpy", "torch")


def network_of(layers: list = LAYERS) -> Network:
    return Network.plan(LayerSpec.parse(layers), (32, 40), CLASSES)


def weights_of(network: Network) -> dict[str, np.ndarray]:
    """As after training: batch-norm has scales of both signs, and statistics of its own."""
    rng, weights = np.random.default_rng(0), network.initial_weights("kaiming", seed=0)
    for p in network.parameters():
        if p.role == "running-variance":
            weights[p.name] = rng.uniform(0.3, 2, p.shape).astype(np.float32)
        elif p.role in ("scale", "shift", "running-mean"):
            weights[p.name] = rng.normal(0, 0.8, p.shape).astype(np.float32)
    return weights


def engine_of(name: str, **options: object) -> object:
    network = network_of()
    full = EngineOptions(**{"mean": 0.1, "std": 0.3, "loss": LossSettings(name="ctc")} | options)
    return Engines.create(name, network, weights_of(network), full)


def strips_of(width: int, count: int = 5) -> np.ndarray:
    return np.random.default_rng(width).integers(0, 256, (count, 32, width), dtype=np.uint8)


def batch_of(width: int, count: int = 5) -> Batch:
    rng = np.random.default_rng(width)
    labels = rng.integers(0, CLASSES - 1, (count, 4))
    labels[np.arange(4) >= rng.integers(0, 5, (count, 1))] = -1
    return Batch(strips_of(width, count), labels, image_weights=rng.random(count))


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_the_engines_answer_alike_at_any_width(precision: str) -> None:
    ours, theirs = (engine_of(name, precision=precision) for name in ENGINES)
    for width in WIDTHS:
        found, expected = ours.logits(strips_of(width)), theirs.logits(strips_of(width))
        assert found.shape == expected.shape == (5, width // 2, CLASSES)
        assert found.dtype == expected.dtype == np.float32
        scale = np.abs(expected).max()
        np.testing.assert_allclose(
            found, expected, rtol=0, atol=scale * (1e-5 if precision == "float32" else 1e-7)
        )
        np.testing.assert_array_equal(found[2:3], ours.logits(strips_of(width)[2:3]))


def test_the_engines_learn_alike_from_batches_of_different_widths() -> None:
    optimiser = OptimiserSettings(name="adamw", clip_norm=1.0)
    ours, theirs = (
        engine_of(n, precision="float64", optimiser=optimiser, average_decay=0.9) for n in ENGINES
    )
    for width in WIDTHS:
        found, expected = ours.train_step(batch_of(width), 1e-3), theirs.train_step(batch_of(width), 1e-3)
        assert float(found.loss) == pytest.approx(float(expected.loss), rel=1e-9)
        assert int(found.correct) == int(expected.correct)
    state, other = ours.state(), theirs.state()
    for name in network_of().parameters():
        key = f"weights/{name.name}"
        np.testing.assert_allclose(state[key], other[key], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", ENGINES)
def test_overfits_a_few_strips(name: str) -> None:
    network = network_of()
    options = EngineOptions(
        mean=0.5, std=0.3, loss=LossSettings(name="ctc"), optimiser=OptimiserSettings(name="adam")
    )
    engine = Engines.create(name, network, network.initial_weights("kaiming", seed=0), options)
    batch = batch_of(40, 8)
    for _ in range(160):
        result = engine.train_step(Batch(batch.images, batch.labels), 3e-3)
        if int(result.correct) == 8 and float(result.loss) < 0.2:
            break
    assert int(result.correct) == 8 and float(result.loss) < 0.2


def test_input_gradients_are_alike_and_pass_differences() -> None:
    ours, theirs = (engine_of(name, precision="float64") for name in ENGINES)
    for width in WIDTHS[:3]:
        strips = strips_of(width, 2)
        weights = np.random.default_rng(3).standard_normal((2, width // 2, CLASSES))
        found, expected = (e.input_gradient(strips, weights) for e in (ours, theirs))
        assert found.shape == strips.shape
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    quick = engine_of("numpy").input_gradient(strips, weights)
    np.testing.assert_allclose(quick, expected, rtol=0, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("name", ENGINES)
def test_what_does_not_fit_is_refused(name: str) -> None:
    engine = engine_of(name)
    with pytest.raises(UsageError, match="no features"):
        engine.features(strips_of(40))
    with pytest.raises(UsageError, match=r"weights of shape \(N, T, K\)"):
        engine.input_gradient(strips_of(40), np.zeros(5, np.int64))
    for ask in (lambda: engine.logits(strips_of(41)), lambda: engine.train_step(batch_of(41), 0.1)):
        with pytest.raises(RecipeError, match="divisible by 2"):
            ask()


def test_answers_follow_the_weights() -> None:
    engine = engine_of("numpy")
    first, state = engine.logits(strips_of(24)), engine.state()
    engine.train_step(batch_of(40), 0.1)
    assert not np.array_equal(engine.logits(strips_of(24)), first)
    engine.load_state(state)
    np.testing.assert_array_equal(engine.logits(strips_of(24)), first)


def test_many_widths_and_askers_at_the_same_time() -> None:
    """More widths than arrays are kept for."""
    engine, widths = engine_of("numpy"), range(16, 16 + 8 * 12, 8)
    expected = {width: engine.logits(strips_of(width, 2)) for width in widths}
    found: list[tuple[int, np.ndarray]] = []
    askers = [
        threading.Thread(target=lambda: found.extend((w, engine.logits(strips_of(w, 2))) for w in widths))
        for _ in range(3)
    ]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert len(found) == 36
    for width, answers in found:
        np.testing.assert_array_equal(answers, expected[width])


@pytest.mark.parametrize(("high", "wide", "channels", "units"), [(4, 2, 1, 1), (8, 6, 3, 5), (16, 10, 7, 4)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tiles_equal_torchs_convolution(high: int, wide: int, channels: int, units: int, dtype: type) -> None:
    import torch

    from tenfold.numpy_engine.runtime.memory import Space

    rng = np.random.default_rng(6)
    pictures = rng.standard_normal((3, channels, high, wide)).astype(dtype)
    weight = rng.standard_normal((units, channels, 3, 3)).astype(dtype)
    framed = np.ascontiguousarray(np.pad(pictures, ((0, 0), (0, 0), (1, 1), (1, 1))).transpose(0, 2, 3, 1))
    outputs = np.empty((3, high, wide, units), dtype)
    Winograd(transform_kernels(weight), framed, outputs, Space(dtype)).run()
    expected = torch.conv2d(torch.tensor(pictures).double(), torch.tensor(weight).double(), padding=1)
    close = 1e-12 if dtype == np.float64 else 1e-4
    np.testing.assert_allclose(outputs.transpose(0, 3, 1, 2), expected.numpy(), rtol=0, atol=close)


def test_gradcheck_takes_line_recipes() -> None:
    layers = [
        "pixel-unshuffle 2", "conv 3 3x3 padding same no-bias", "batch-norm", "tanh", "max-pool 4x2",
        "dropout 0.1", "conv 4 4x3 padding 0x1", "tanh", "conv classes 1x1", "columns",
    ]  # fmt: skip
    recipe = Recipe.from_dict({"name": "line", "network": {"layers": layers}, "loss": {"name": "ctc"}})
    rows = Engines.check_gradients(recipe, image_shape=(32, 24), classes=CLASSES, samples=6)
    assert all(row["passed"] for row in rows), rows


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"loss": {"name": "cross-entropy"}}, "needs loss.name = 'ctc'"),
        ({"network": {"layers": ["flatten", "linear classes"]}}, "whose last layer is 'columns'"),
        ({"loss": {"name": "ctc", "label_smoothing": 0.1}}, "label_smoothing is not available"),
        ({"loss": {"name": "ctc", "label_shift": -1}}, "label_shift is not available"),
        ({"loss": {"name": "ctc", "probability_floor": 0.1}}, "probability_floor is not available"),
    ],
    ids=str,
)
def test_recipes_that_do_not_go_together(changes: dict, words: str) -> None:
    fitting = {"name": "line", "network": {"layers": LAYERS}, "loss": {"name": "ctc"}}
    Recipe.from_dict(fitting)
    with pytest.raises(RecipeError) as error:
        Recipe.from_dict(fitting | changes)
    assert words in str(error.value) and "\n" not in str(error.value)
