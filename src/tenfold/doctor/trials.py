"""Short trainings of the real network on the real data: what the doctor's judgements rest on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tenfold.arrays import Batch, ImageDataset
from tenfold.data.batches import iterate_batches
from tenfold.doctor.recipe_under_test import RecipeUnderTest
from tenfold.engines.base import Engine
from tenfold.metrics import accuracy
from tenfold.recipes.schema import Recipe
from tenfold.schedules import learning_rate_at
from tenfold.settings import AugmentationSettings, ScheduleSettings

__all__ = [
    "Trial",
    "batches_of",
    "overfit_batch",
    "run_trial",
    "smooth",
    "train_steps",
    "without_dropout",
    "without_regularisers",
]

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
