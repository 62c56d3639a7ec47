"""Images that count for more or less than one: as if they were there so many times, in both engines."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tenfold.arrays import Batch, ImageDataset, WeightedDataset
from tenfold.data.batches import iterate_batches
from tenfold.engines.create import Engines
from tenfold.errors import DataError
from tenfold.networks.engine import Engine, EngineOptions
from tenfold.networks.layers import LayerSpec
from tenfold.networks.shapes import Network
from tenfold.numpy_engine.engine import NumpyEngine
from tenfold.numpy_engine.losses import LOSSES
from tenfold.recipes.load import change_recipe, get_recipe
from tenfold.recipes.schema import Recipe
from tenfold.settings import AugmentationSettings, LossSettings, OptimiserSettings
from tenfold.torch_engine.losses import compute_loss
from tenfold.training.prepare import input_scaling

N, K = 9, 4
COUNTS = np.array([2, 0, 1, 3, 1, 0, 5, 1, 1])
SETTINGS = [
    LossSettings(name=name, reduction=reduction, **more)
    for name in LOSSES
    if name != "ctc"  # has other labels, and tests of its own
    for reduction in ("mean", "sum")
    for more in (
        [{}, {"label_smoothing": 0.2, "probability_floor": 0.1}] if name == "cross-entropy" else [{}]
    )
]
ENGINES = ["numpy", "torch"]


def draw() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    return 2 * rng.standard_normal((N, K)), rng.integers(0, K, N)


def some_images(count: int = N) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (count, 6, 5), dtype=np.uint8)


def engine_of(engine: str, loss: LossSettings | None = None) -> Engine:
    network = Network.plan(LayerSpec.parse(("flatten", "linear 8", "relu", "linear classes")), (6, 5), K)
    options = EngineOptions(
        mean=0.3,
        std=0.2,
        loss=loss or LossSettings(),
        precision="float64",
        optimiser=OptimiserSettings(name="sgd"),
    )
    return Engines.create(engine, network, network.initial_weights("torch", seed=1), options)


@pytest.mark.parametrize("settings", SETTINGS, ids=repr)
def test_whole_weights_are_repetitions(settings: LossSettings) -> None:
    """A mean over N of weighted losses is the mean over the R repeated ones, times R / N."""
    logits, labels = draw()
    compute = LOSSES[settings.name](settings)
    weighted, gradient = compute(logits, labels, COUNTS.astype(float))
    repeated, rows = compute(logits.repeat(COUNTS, axis=0), labels.repeat(COUNTS))
    places = np.arange(N).repeat(COUNTS)
    summed = np.zeros((N, K))
    np.add.at(summed, places, rows)
    factor = COUNTS.sum() / N
    assert weighted == pytest.approx(factor * repeated, rel=1e-12)
    np.testing.assert_allclose(gradient, summed * (factor if settings.reduction == "mean" else 1), rtol=1e-10)


@pytest.mark.parametrize("settings", SETTINGS, ids=repr)
def test_torch_weighs_as_numpy(settings: LossSettings) -> None:
    logits, labels = draw()
    image_weights = np.random.default_rng(4).uniform(0, 3, N)
    loss, gradient = LOSSES[settings.name](settings)(logits, labels, image_weights)
    tensor = torch.tensor(logits, requires_grad=True)
    result = compute_loss(tensor, torch.tensor(labels), settings, torch.tensor(image_weights))
    result.objective.backward()
    assert result.mean.item() == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(gradient, tensor.grad.numpy(), rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_step_on_weighted_images_is_one_on_repeated_images(engine: str, reduction: str) -> None:
    """The loss is the mean of the repeated images once the weights' mean is 1."""
    loss = LossSettings(reduction=reduction, label_shift=-1)
    images, labels = some_images(), np.arange(N) % K
    scale = N / COUNTS.sum() if reduction == "mean" else 1.0
    weighted, repeated = engine_of(engine, loss), engine_of(engine, loss)
    one = weighted.train_step(Batch(images, labels, image_weights=COUNTS * scale), 0.1)
    other = repeated.train_step(Batch(images.repeat(COUNTS, axis=0), labels.repeat(COUNTS)), 0.1)
    if reduction == "mean":
        assert float(one.loss) == pytest.approx(float(other.loss), rel=1e-9)
    for name, value in repeated.weights().items():
        np.testing.assert_allclose(weighted.weights()[name], value, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_blocks_weigh_as_the_whole_does(reduction: str) -> None:
    """A block may hold nothing but images of weight 0."""
    engines = [engine_of("numpy", LossSettings(reduction=reduction)) for _ in range(2)]
    batch = Batch(some_images(), np.arange(N) % K, image_weights=np.array([0, 0, 2, 1, 0.5, 3, 1, 1, 0]))
    results = []
    for engine, length in zip(engines, (2, 100)):
        assert isinstance(engine, NumpyEngine) and engine.blocks is not None
        engine.blocks.length = length
        results.append((engine.train_step(batch, learning_rate=0.0), engine.store.gradients))
    assert results[0][0].loss == pytest.approx(results[1][0].loss, rel=1e-12)
    assert results[0][0].correct == results[1][0].correct
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("engine", ENGINES)
def test_pixels_may_be_float32(engine: str) -> None:
    """Whole ones as the bytes they are; others in between; and the caller's array stays as it was."""
    images = some_images()
    pixels = images.astype(np.float32)
    learner = engine_of(engine)
    np.testing.assert_array_equal(learner.logits(pixels), learner.logits(images))
    np.testing.assert_array_equal(pixels, images)
    between = learner.logits(pixels[:1] + np.float32(0.5))
    assert (between != learner.logits(images[:1])).any()
    twins = engine_of(engine), engine_of(engine)
    for twin, given in zip(twins, (images, pixels)):
        twin.train_step(Batch(given, np.arange(N) % K), 0.1)
    for name, value in twins[0].weights().items():
        np.testing.assert_array_equal(value, twins[1].weights()[name])


def test_weights_stay_with_their_images() -> None:
    """Shuffled, subset and batched: an image's weight is its first pixel here."""
    images = some_images(20)
    images[:, 0, 0] = np.arange(20)
    data = WeightedDataset(images, np.arange(20) % 2, ("a", "b"), image_weights=np.arange(20.0))
    part = data.subset(np.array([7, 3, 11, 19, 2]))
    batches = iterate_batches(
        part,
        batch_size=2,
        shuffle=True,
        drop_last=False,
        augmentation=AugmentationSettings(),
        seed=1,
        epoch=2,
    )
    seen = []
    for batch in batches:
        np.testing.assert_array_equal(batch.image_weights, batch.images[:, 0, 0])
        seen += batch.image_weights.tolist()
    assert sorted(seen) == [2, 3, 7, 11, 19]


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_standardising_counts_images_by_their_weights(kind: type, standardising: Recipe) -> None:
    images, labels = some_images(), np.arange(N) % K
    data = WeightedDataset(images.astype(kind), labels, tuple("abcd"), image_weights=COUNTS)
    repeated = ImageDataset(images.repeat(COUNTS, axis=0), labels.repeat(COUNTS), tuple("abcd"))
    expected = input_scaling(standardising, repeated)
    assert input_scaling(standardising, data) == pytest.approx(expected, rel=1e-9)
    whole = WeightedDataset(images.astype(kind), labels, tuple("abcd"))
    assert input_scaling(standardising, whole) == pytest.approx(
        (images.mean() / 255, images.std() / 255), rel=1e-9
    )


@pytest.fixture
def standardising() -> Recipe:
    return change_recipe(get_recipe("mlp-small"), {"input.scaling": "standardise"})


@pytest.mark.parametrize(
    "image_weights", [np.ones(3), -np.ones(N), np.full(N, np.nan)], ids=["short", "negative", "nan"]
)
def test_weights_that_are_none(image_weights: np.ndarray) -> None:
    with pytest.raises(DataError, match="weights of shape"):
        WeightedDataset(some_images(), np.arange(N) % K, tuple("abcd"), image_weights=image_weights)


def test_only_weighted_data_has_pixels_that_are_not_bytes() -> None:
    pixels = some_images().astype(np.float32)
    assert WeightedDataset(pixels, np.arange(N) % K, tuple("abcd")).images.dtype == np.float32
    with pytest.raises(DataError, match="expected uint8 of shape"):
        ImageDataset(pixels, np.arange(N) % K, tuple("abcd"))
    with pytest.raises(DataError, match="uint8 or float32"):
        WeightedDataset(pixels.astype(np.float64), np.arange(N) % K, tuple("abcd"))
