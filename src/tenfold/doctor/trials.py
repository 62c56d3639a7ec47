"""Short trainings of the real network on the real data: what the doctor's judgements rest on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tenfold.arrays import Batch, ImageDataset
from tenfold.data.batches import iterate_batches
from tenfold.doctor.diagnosis import LayerReading
from tenfold.doctor.recipe_under_test import RecipeUnderTest
from tenfold.networks.engine import Engine
from tenfold.numerics import accuracy
from tenfold.numpy_engine.layers import sigmoid
from tenfold.numpy_engine.network import InsideView, LayerView, look_inside
from tenfold.recipes.load import change_recipe
from tenfold.recipes.schema import Recipe
from tenfold.settings import AugmentationSettings, ScheduleSettings, learning_rate_at

_TAIL = 0.2  # of the steps: what the mean of the last losses is taken over
_BATCH = 16  # images to memorise


@dataclass(frozen=True, eq=False)
class Trial:
    """losses (T,): of each batch, before its step. batch_accuracy: of the last batches, as they were met.
    train_accuracy, held_accuracy: afterwards, on images as they are, learned from and held out.
    weights: afterwards; updates: |change| / |weights| a parameter, at the middle step.
    """

    losses: np.ndarray
    batch_accuracy: float
    train_accuracy: float
    held_accuracy: float
    held_answers: np.ndarray
    weights: dict[str, np.ndarray]
    updates: dict[str, float]
    engine: Engine
    recipe: Recipe

    @property
    def finite(self) -> bool:
        return bool(np.isfinite(self.losses).all())

    @property
    def last_loss(self) -> float:
        """The mean over the last fifth of the steps; infinite where any was NaN or infinite."""
        tail = self.losses[-max(1, round(_TAIL * len(self.losses))) :]
        return float(tail.mean()) if self.finite else float("inf")


def run_trial(
    under_test: RecipeUnderTest,
    recipe: Recipe,
    *,
    train: ImageDataset | None = None,
    held: ImageDataset | None = None,
    factor: float = 1.0,
    steps: int = 0,
) -> Trial:
    """Trains `recipe` for a few steps, its schedule drawn together into them. factor: on its learning rate;
    train, held: instead of the under_test's own images."""
    train, held = train or under_test.train, held or under_test.held
    setup = under_test.setup(recipe, train)
    total = steps or under_test.sizing.steps
    scale = factor * _full_batch_scale(under_test, recipe, under_test.sizing.batch)
    schedule = _draw_together(recipe.schedule, under_test.planned_steps(recipe))
    rates = [
        scale * learning_rate_at(step, total, recipe.optimiser.learning_rate, schedule)
        for step in range(total)
    ]
    batches = batches_of(under_test, recipe, train, total)
    losses, correct, updates = train_steps(setup.engine, batches, rates)
    tail = max(1, round(_TAIL * total))
    with np.errstate(all="ignore"):
        answers = setup.engine.logits(held.images).argmax(axis=1)
        learned = setup.engine.logits(train.images).argmax(axis=1)
    return Trial(
        losses=losses,
        batch_accuracy=float(correct[-tail:].mean()),
        train_accuracy=accuracy(learned, train.labels),
        held_accuracy=accuracy(answers, held.labels),
        held_answers=answers,
        weights=setup.engine.weights(),
        updates=updates,
        engine=setup.engine,
        recipe=recipe,
    )


def _draw_together(schedule: ScheduleSettings, planned: int) -> ScheduleSettings:
    """Milestones that are counted in the steps of the real training, as shares of these."""
    shares = [mark if mark < 1 else mark / planned for mark in schedule.milestones if mark < planned]
    return schedule.model_copy(update={"milestones": tuple(shares)})


def train_steps(
    engine: Engine,
    batches: Sequence[Batch],
    rates: Sequence[float],
    *,
    stop: Callable[[list[float]], bool] | None = None,
) -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
    """Loss and share of right answers before each step (T,), and the middle step's updates; ends at a loss
    that is NaN or infinite, or where `stop` says so of the losses so far."""
    losses: list[float] = []
    correct: list[float] = []
    updates: dict[str, float] = {}
    with np.errstate(all="ignore"):
        for number, (batch, rate) in enumerate(zip(batches, rates, strict=True)):
            before = engine.weights() if number == len(rates) // 2 else None
            result = engine.train_step(batch, rate)
            if before is not None:
                updates = _updates(before, engine.weights())
            losses.append(float(result.loss))
            correct.append(float(result.correct) / len(batch))
            if not np.isfinite(losses[-1]) or (stop is not None and stop(losses)):
                break
    return np.array(losses), np.array(correct), updates


def overfit_batch(under_test: RecipeUnderTest, recipe: Recipe) -> tuple[float, float]:
    """(best accuracy, last loss) on 16 images that are shown again and again, as they are and without
    dropout: what cannot memorise sixteen images will not learn a thousand (Karpathy 2019)."""
    order = np.random.default_rng(under_test.seed).permutation(len(under_test.train))[:_BATCH]
    few = under_test.train.subset(order)
    plain = without_regularisers(recipe)
    setup = under_test.setup(plain, under_test.train)
    rate = recipe.optimiser.learning_rate * _full_batch_scale(under_test, recipe, len(few))
    steps = _OVERFIT_STEPS
    losses, correct, _ = train_steps(setup.engine, [Batch(few.images, few.labels)] * steps, [rate] * steps)
    return float(correct.max()), float(losses[-1])


_OVERFIT_STEPS = 100


def without_regularisers(recipe: Recipe) -> Recipe:
    """The same network without augmentation, dropout and weight decay."""
    values = recipe.model_dump()
    values["augmentation"] = AugmentationSettings().model_dump()
    values["optimiser"]["weight_decay"] = 0.0
    values["network"]["layers"] = without_dropout(recipe.network.layers)
    return Recipe.model_validate(values)


def without_dropout(layers: Sequence) -> list:
    """The lines of a network without those of dropout, inside residuals too."""
    kept = [line for line in layers if not (isinstance(line, str) and line.startswith("dropout"))]
    return [
        {"residual": without_dropout(line["residual"])} if isinstance(line, dict) else line for line in kept
    ]


def smooth(losses: np.ndarray, share: float = 0.8) -> np.ndarray:
    """Exponential mean, corrected for its start (Smith 2017 smooths likewise)."""
    smoothed, mean = np.empty(len(losses)), 0.0
    for number, loss in enumerate(losses):
        mean = share * mean + (1 - share) * loss
        smoothed[number] = mean / (1 - share ** (number + 1))
    return smoothed


def _full_batch_scale(under_test: RecipeUnderTest, recipe: Recipe, batch: int) -> float:
    """A summed gradient grows with the batch: a trial's smaller batch would take smaller steps."""
    return under_test.batch_size(recipe) / batch if recipe.loss.reduction == "sum" else 1.0


def batches_of(under_test: RecipeUnderTest, recipe: Recipe, train: ImageDataset, total: int) -> list[Batch]:
    """The first batches that training on these images would meet, augmentation drawn."""
    size, epoch = under_test.sizing.batch, 0
    batches: list[Batch] = []
    while len(batches) < total:
        batches += iterate_batches(
            train, batch_size=size, shuffle=True, drop_last=len(train) >= size,
            augmentation=recipe.augmentation, seed=under_test.seed, epoch=epoch,
        )  # fmt: skip
        epoch += 1
    return batches[:total]


def _updates(before: dict[str, np.ndarray], after: dict[str, np.ndarray]) -> dict[str, float]:
    return {
        name: float(np.linalg.norm(after[name] - value)) / max(float(np.linalg.norm(value)), 1e-12)
        for name, value in before.items()
        if not name.endswith(("running_mean", "running_var"))
    }


# Images answered by their nearest training images (Cover & Hart 1967): a reference that needs no recipe and
# no training, so that data can be judged apart from the network that is to learn them.

_NEIGHBOURS = 15
_SIDE = 32  # pixels: larger images are averaged down to about this


@dataclass(frozen=True, eq=False)
class Answers:
    """labels (M,): what most neighbours are. support (M,): share of the neighbours that are. nearest (M,):
    the label of the nearest image alone. likeness (M,): correlation with it, -1 to 1."""

    labels: np.ndarray
    support: np.ndarray
    nearest: np.ndarray
    likeness: np.ndarray


class Reference:
    """Answers from the training images. Images are compared by the correlation of their pixels, so that
    brightness and contrast make no difference."""

    def __init__(self, train: ImageDataset) -> None:
        self.labels, self.classes = train.labels, len(train.class_names)
        self.vectors = _describe(train.images)
        self.neighbours = max(1, min(_NEIGHBOURS, len(train) // (2 * self.classes)))

    def answer(self, images: np.ndarray) -> Answers:
        """images: uint8 (M, H, W), of the training images' size."""
        return self._answer(_describe(images) @ self.vectors.T)

    def answer_training(self) -> Answers:
        """For each training image what the others say."""
        likeness = self.vectors @ self.vectors.T
        np.fill_diagonal(likeness, -2.0)
        return self._answer(likeness)

    def _answer(self, likeness: np.ndarray) -> Answers:
        rows = np.arange(len(likeness))
        near = np.argpartition(-likeness, self.neighbours - 1, axis=1)[:, : self.neighbours]
        votes = np.zeros((len(likeness), self.classes))
        for column in near.T:
            votes[rows, self.labels[column]] += 1
        first = likeness.argmax(axis=1)
        votes[rows, self.labels[first]] += 0.5  # of equally many the class of the nearest
        answers = votes.argmax(axis=1)
        support = np.floor(votes[rows, answers]) / self.neighbours
        return Answers(answers, support, self.labels[first], likeness[rows, first])


def _describe(images: np.ndarray) -> np.ndarray:
    """float32 (M, P): pixels of mean 0 and length 1, so that a product of two is their correlation."""
    pixels = np.asarray(images, dtype=np.float32)
    for axis in (1, 2):
        step = pixels.shape[axis] // _SIDE
        if step > 1:
            starts = np.arange(0, pixels.shape[axis], step)
            pixels = np.add.reduceat(pixels, starts, axis=axis)
    vectors = pixels.reshape(len(pixels), -1)
    vectors -= vectors.mean(axis=1, keepdims=True)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    return vectors


def guessing(labels: np.ndarray) -> float:
    """The accuracy of always answering with the most frequent class."""
    return float(np.bincount(labels).max() / len(labels))


def lucky(guess: float, images: int) -> float:
    """What guessing does not reach: three standard deviations above it."""
    return guess + 3 * float(np.sqrt(guess * (1 - guess) / images)) + 0.03


# What stands in the layers at one moment, in a few numbers each.

FLAT = 0.05  # of the largest derivative: below it a sigmoid or tanh counts as saturated
_IMAGES, _BINS = 128, 40
_SHOWN = ("linear", "conv", "batch-norm", "relu", "sigmoid", "tanh")


def view_inside(
    under_test: RecipeUnderTest, recipe: Recipe, weights: dict[str, np.ndarray] | None = None
) -> InsideView:
    """A batch of the training images in the NumPy engine, whichever engine trains; without dropout, whose
    chance would blur what is read. weights: by default the first ones of `recipe`."""
    plain = change_recipe(recipe, {"network.layers": without_dropout(recipe.network.layers)})
    engine = under_test.setup(plain).engine
    few = under_test.train.subset(
        np.random.default_rng(under_test.seed).permutation(len(under_test.train))[:_IMAGES]
    )
    with np.errstate(all="ignore"):
        return look_inside(
            engine.network, weights or engine.weights(), engine.options, few.images, few.labels
        )


def read_layers(view: InsideView) -> tuple[LayerReading, ...]:
    """Of the layers that compute something: linear, convolution, batch-norm and activations."""
    return tuple(_read(layer) for layer in view.layers if layer.kind in _SHOWN)


def _read(layer: LayerView) -> LayerReading:
    values = layer.outputs[np.isfinite(layer.outputs)].astype(np.float64)
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    counts, edges = np.histogram(values, bins=_BINS, range=(low, high) if high > low else (low, low + 1))
    with np.errstate(all="ignore"):
        back = 0.0 if layer.gradient is None else float(np.sqrt(np.square(layer.gradient).mean()))
        spread = float(np.sqrt(np.square(layer.outputs.astype(np.float64)).mean()))
    return LayerReading(
        name=layer.name,
        kind=layer.kind,
        outputs_std=spread,
        gradient_std=back,
        dead=_dead(layer) if layer.kind == "relu" else 0.0,
        saturated=saturation(layer.kind, layer.outputs),
        histogram=counts / max(counts.sum(), 1),
        edges=edges,
    )


def _dead(layer: LayerView) -> float:
    """A channel of a picture counts as one unit: it is dead where it is dark in all places."""
    units = layer.outputs.reshape(-1, layer.outputs.shape[-1])
    return float((units <= 0).all(axis=0).mean())


def saturation(kind: str, outputs: np.ndarray) -> float:
    """Share of outputs where the curve is flat. "logits": before the sigmoids of the sigmoid loss."""
    if kind == "logits":
        kind, outputs = "sigmoid", sigmoid(outputs)
    if kind == "sigmoid":
        return float((4 * outputs * (1 - outputs) < FLAT).mean())
    if kind == "tanh":
        return float((1 - outputs**2 < FLAT).mean())
    return 0.0
