"""Short trainings of the real network on the real data: what the doctor's judgements rest on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tenfold.arrays import Batch, ImageDataset
from tenfold.data.batches import iterate_batches
from tenfold.doctor.diagnosis import LayerReading, RangeTest, RecipeUnderTest
from tenfold.networks.engine import Engine, StepResult
from tenfold.numerics import accuracy
from tenfold.numpy_engine.gradcheck import InsideView
from tenfold.recipes.load import change_recipe
from tenfold.recipes.schema import Recipe
from tenfold.settings import AugmentationSettings, ScheduleSettings
from tenfold.training.steps import run_steps

_TAIL = 0.2  # of the steps: what the mean of the last losses is taken over
_BATCH, _OVERFIT_STEPS = 16, 100  # images to memorise, and steps for it


@dataclass(frozen=True, eq=False)
class Trial:
    """losses (T,): of each batch, before its step.
    train_accuracy, held_accuracy: afterwards, on images as they are, learned from and held out.
    weights: afterwards; updates: |change| / |weights| a parameter, at the middle step.
    """

    losses: np.ndarray
    train_accuracy: float
    held_accuracy: float
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
    steps: int = 0,
) -> Trial:
    """Trains `recipe` for a few steps, its schedule drawn together into them, on `train` instead of the
    under_test's own images."""
    train, held = train or under_test.train, under_test.held
    setup = under_test.setup(recipe, train)
    total = steps or under_test.sizing.steps
    scale = _full_batch_scale(under_test, recipe, under_test.sizing.batch)
    schedule = _draw_together(recipe.schedule, under_test.planned_steps(recipe))
    peak = recipe.optimiser.learning_rate
    rates = [scale * schedule.learning_rate_at(step, total, peak) for step in range(total)]
    batches = batches_of(under_test, recipe, train, total)
    losses, _, updates = train_steps(setup.engine, batches, rates)
    with np.errstate(all="ignore"):
        answers = setup.engine.logits(held.images).argmax(axis=1)
        learned = setup.engine.logits(train.images).argmax(axis=1)
    return Trial(
        losses=losses, train_accuracy=accuracy(learned, train.labels),
        held_accuracy=accuracy(answers, held.labels), weights=setup.engine.weights(), updates=updates,
        engine=setup.engine, recipe=recipe,
    )  # fmt: skip


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
    middle = len(rates) // 2
    before = engine.weights() if not middle else {}

    def after_step(result: StepResult) -> bool:
        nonlocal before, updates
        if len(losses) == middle:
            updates = _updates(before, engine.weights())
        correct.append(float(result.correct) / len(batches[len(losses)]))
        losses.append(float(result.loss))
        if len(losses) == middle:
            before = engine.weights()
        return not np.isfinite(losses[-1]) or (stop is not None and stop(losses))

    with np.errstate(all="ignore"):
        run_steps(engine, batches, rates, after_step)
    return np.array(losses), np.array(correct), updates


def overfit_batch(under_test: RecipeUnderTest, recipe: Recipe) -> tuple[float, float]:
    """(best accuracy, last loss) on 16 images that are shown again and again, as they are and without
    dropout: what cannot memorise sixteen images will not learn a thousand (Karpathy 2019)."""
    few = under_test.draw(under_test.train, _BATCH)
    setup = under_test.setup(without_regularisers(recipe))
    rate = recipe.optimiser.learning_rate * _full_batch_scale(under_test, recipe, len(few))
    batches, rates = [Batch(few.images, few.labels)] * _OVERFIT_STEPS, [rate] * _OVERFIT_STEPS
    losses, correct, _ = train_steps(setup.engine, batches, rates)
    return float(correct.max()), float(losses[-1])


def without_regularisers(recipe: Recipe) -> Recipe:
    """The same network without augmentation, dropout and weight decay."""
    plain = {"augmentation": AugmentationSettings().model_dump(), "optimiser.weight_decay": 0.0}
    return change_recipe(recipe.without_dropout(), plain)


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
            class_weights=recipe.loss.weights_of(train.class_counts()),
        )  # fmt: skip
        epoch += 1
    return batches[:total]


def _updates(before: dict[str, np.ndarray], after: dict[str, np.ndarray]) -> dict[str, float]:
    return {
        name: float(np.linalg.norm(after[name] - value)) / max(float(np.linalg.norm(value)), 1e-12)
        for name, value in before.items()
        if not name.endswith(("running_mean", "running_var"))
    }


def guessing(labels: np.ndarray) -> float:
    """The accuracy of always answering with the most frequent class."""
    return float(np.bincount(labels).max() / len(labels))


def lucky(guess: float, images: int) -> float:
    """What guessing does not reach: three standard deviations above it."""
    return guess + 3 * float(np.sqrt(guess * (1 - guess) / images)) + 0.03


# What stands in the layers at one moment, in a few numbers each.

FLAT = 0.05  # of the largest derivative: below it a sigmoid or tanh counts as saturated
_IMAGES, _BINS = 128, 40
_SHOWN = (
    "linear", "conv", "depthwise", "batch-norm", "layer-norm", "relu", "gelu", "silu", "sigmoid", "tanh"
)  # fmt: skip


def view_inside(
    under_test: RecipeUnderTest, recipe: Recipe, weights: dict[str, np.ndarray] | None = None
) -> InsideView:
    """A batch of the training images in the NumPy engine, whichever engine trains; without dropout, whose
    chance would blur what is read. weights: by default the first ones of `recipe`."""
    engine = under_test.setup(recipe.without_dropout()).engine
    few = under_test.draw(under_test.train, _IMAGES)
    with np.errstate(all="ignore"):
        return InsideView.of(
            engine.network, weights or engine.weights(), engine.options, few.images, few.labels
        )


def read_layers(view: InsideView) -> tuple[LayerReading, ...]:
    """Of the layers that compute something: linear, convolution, batch-norm and activations."""
    readings = []
    for layer in (each for each in view.layers if each.kind in _SHOWN):
        values = layer.outputs[np.isfinite(layer.outputs)].astype(np.float64)
        channels = layer.outputs.reshape(-1, layer.outputs.shape[-1])
        low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
        counts, edges = np.histogram(values, bins=_BINS, range=(low, high) if high > low else (low, low + 1))
        with np.errstate(all="ignore"):
            back = 0.0 if layer.gradient is None else float(np.sqrt(np.square(layer.gradient).mean()))
            spread = float(np.sqrt(np.square(layer.outputs.astype(np.float64)).mean()))
        reading = LayerReading(
            name=layer.name,
            kind=layer.kind,
            outputs_std=spread,
            gradient_std=back,
            # a channel of a picture counts as one unit: it is dead where it is dark in all places
            dead=float((channels <= 0).all(axis=0).mean()) if layer.kind == "relu" else 0.0,
            saturated=saturation(layer.kind, layer.outputs),
            histogram=counts / max(counts.sum(), 1),
            edges=edges,
        )
        readings.append(reading)
    return tuple(readings)


def saturation(kind: str, outputs: np.ndarray) -> float:
    """Share of outputs where the curve is flat. "logits": before the sigmoids of the sigmoid loss."""
    if kind == "logits":
        kind, outputs = "sigmoid", (1 + np.tanh(outputs / 2)) / 2
    if kind not in ("sigmoid", "tanh"):
        return 0.0
    return float(((4 * outputs * (1 - outputs) if kind == "sigmoid" else 1 - outputs**2) < FLAT).mean())


# The learning-rate range test (Smith 2017, "Cyclical learning rates for training neural networks").
#
# The rate grows by the same factor from step to step. While it is too small nothing happens; then the loss
# falls; in the end the steps overshoot and it rises. A good rate lies where the loss falls fastest.

_A_DECADE = 10  # steps from one power of ten to the next
# Adam's step is about as long as its rate, whatever the gradient (Kingma & Ba 2015, section 2.1); a step
# of plain descent grows with the gradient, and its useful rates lie wider apart.
_DECADES = {"sgd": (-4, 2), "adam": (-6, 0), "adamw": (-6, 0), "muon": (-6, 0)}
_RISEN = 1.5  # times the loss at the start: the steps overshoot for good
_CANDIDATES = (3.0, 1.0, 0.3, 0.1)  # times the rate of the fastest fall: on so few steps it is uncertain


def range_test(under_test: RecipeUnderTest, recipe: Recipe) -> RangeTest:
    """One step a rate, on the batches that training would meet. Momentum's past makes it lag by some steps,
    as it does in training."""
    low, high = _DECADES[recipe.optimiser.name]
    rates = np.logspace(low, high, (high - low) * _A_DECADE + 1)
    setup = under_test.setup(recipe)
    batches = batches_of(under_test, recipe, under_test.train, len(rates))
    losses, _, _ = train_steps(setup.engine, batches, rates.tolist(), stop=_overshoots)
    losses = np.where(np.isfinite(losses), losses, np.nanmax(losses[np.isfinite(losses)], initial=1.0) * 2)
    smoothed = smooth(losses)
    rates = rates[: len(smoothed)]
    best, edge = _fastest_fall(rates, smoothed), _edge(rates, smoothed)
    return RangeTest(rates, smoothed, best, edge, used=recipe.optimiser.learning_rate)


def _overshoots(losses: list[float]) -> bool:
    return losses[-1] > 4 * losses[0] + 1


def _fastest_fall(rates: np.ndarray, losses: np.ndarray) -> float:
    """Over half a decade, before the lowest loss."""
    lowest = int(np.argmin(losses))
    width = _A_DECADE // 2
    if lowest < width:
        return float(rates[0])
    falls = losses[: lowest + 1 - width] - losses[width : lowest + 1]
    return float(rates[int(np.argmax(falls)) + width // 2])


def _edge(rates: np.ndarray, losses: np.ndarray) -> float | None:
    lowest = int(np.argmin(losses))
    risen = np.flatnonzero(losses[lowest:] > _RISEN * losses[0])
    return float(rates[lowest + risen[0]]) if len(risen) else None


def find_rate(under_test: RecipeUnderTest, recipe: Recipe, test: RangeTest) -> Trial:
    """Of the recipe with the rate, near where the loss falls fastest, that ends best."""
    rates = [float(f"{share * test.best:.1g}") for share in _CANDIDATES]
    candidates = [change_recipe(recipe, {"optimiser.learning_rate": rate}) for rate in rates]
    return max((run_trial(under_test, each) for each in candidates), key=lambda trial: trial.held_accuracy)
