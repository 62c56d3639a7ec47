"""One more pass over some data, for `partial_fit`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, get_type_hints

import numpy as np

from tenfold.arguments import check_argument
from tenfold.arrays import WeightedDataset
from tenfold.classifier import Classifier, ModelCard
from tenfold.data.batches import iterate_batches
from tenfold.engines.create import create_engine
from tenfold.engines.ensemble import EnsembleEngine, combine_engines
from tenfold.errors import TenfoldError
from tenfold.networks.engine import Engine, EngineOptions
from tenfold.recipes.load import change_recipe, list_recipes
from tenfold.recipes.schema import EnsembleSettings, Recipe
from tenfold.training.checkpoint import EpochRecord
from tenfold.training.observers import TrainingObserver
from tenfold.training.prepare import prepare_training

# An estimator's parameters -> the recipe that is trained.

DEFAULT = "mlp-small"
LEAST_STEPS = 500  # of a recipe made for 60,000 images, where there are few


class Choices(Protocol):
    """What of an estimator decides on its recipe; see DigitClassifier."""

    recipe: str | Path | Recipe | None
    changes: Mapping[str, Any] | None
    epochs: int | None
    learning_rate: float | None
    batch_size: int | None


def check_parameters(estimator: object, signature: Callable[..., None]) -> None:
    """Raises UsageError for a parameter of the wrong type: scikit-learn wants them looked at by `fit`."""
    for name, kind in get_type_hints(signature).items():
        if name != "return":
            check_argument(type(estimator).__name__, name, getattr(estimator, name), kind)


def choose_recipe(choices: Choices) -> Recipe:
    """The recipe with all changes. Raises RecipeError for one that there is not, and for unknown keys."""
    given, changes = choices.recipe, dict(choices.changes or {})
    if given is None:
        given, changes = DEFAULT, {"training.precision": "float64"} | changes
    recipe = change_recipe(given, changes)
    own: dict[str, Any] = {}
    if choices.epochs is not None:
        own |= {"training.epochs": choices.epochs, "training.min_steps": 0, "training.steps": 0}
    elif str(given) in list_recipes() and not changes.keys() & {"training.epochs", "training.min_steps"}:
        own["training.min_steps"] = max(recipe.training.min_steps, LEAST_STEPS)
    if choices.learning_rate is not None:
        own["optimiser.learning_rate"] = choices.learning_rate
    if choices.batch_size is not None:
        own["training.batch_size"] = choices.batch_size
    return change_recipe(recipe, own)


# A classifier that can go on learning, as plain arrays: what is pickled.


@dataclass(frozen=True, eq=False)
class KeptClassifier:
    """card, and of each network its weights and the state of its training."""

    card: ModelCard
    engine: str
    options: EngineOptions
    weights: list[dict[str, np.ndarray]]
    states: list[dict[str, np.ndarray]]

    def restore(self) -> Classifier:
        """Answers and learns on as the one that was kept. Raises UsageError where its device is missing,
        MissingDependencyError without torch."""
        recipe = self.card.recipe
        network = recipe.plan(self.card.image_shape, self.card.outputs)
        members = []
        for weights, state in zip(self.weights, self.states, strict=True):
            engine = create_engine(self.engine, network, weights, self.options)
            engine.load_state(state)
            members.append(engine)
        return Classifier(combine_engines(members, recipe.ensemble.views), self.card)


def keep_classifier(classifier: Classifier) -> KeptClassifier:
    members, first = members_of(classifier), classifier.engine
    return KeptClassifier(
        card=classifier.card,
        engine=first.name,
        options=replace(first.options, precision=first.precision),
        weights=[member.weights() for member in members],
        states=[member.state() for member in members],
    )


def members_of(classifier: Classifier) -> Sequence[Engine]:
    """The engines that learn: the one, or those of an ensemble."""
    engine = classifier.engine
    return engine.members if isinstance(engine, EnsembleEngine) else (engine,)


def begin_classifier(
    recipe: Recipe, dataset: WeightedDataset, *, seed: int, engine: str, device: str
) -> Classifier:
    """An untrained classifier, sized for the data, with the seeds that `tenfold.train` gives its networks."""
    training = recipe.training.model_copy(update={"patience": 0})
    single = recipe.model_copy(update={"ensemble": EnsembleSettings(), "training": training})
    count = recipe.ensemble.members
    setups = [
        prepare_training(
            single, dataset, None, seed=seed * count + number, engine=engine, device=device,
            precision=recipe.training.precision,
        )
        for number in range(count)
    ]  # fmt: skip
    combined = combine_engines([setup.engine for setup in setups], recipe.ensemble.views)
    return Classifier(combined, replace(setups[0].card, recipe=recipe))


def learn_once(classifier: Classifier, dataset: WeightedDataset, *, seed: int, epoch: int) -> float:
    """One pass over the data, at the recipe's learning rate throughout: no schedule can know how much
    data will come. Returns the mean loss. Raises TenfoldError where that is NaN or infinite."""
    recipe, members = classifier.card.recipe, members_of(classifier)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # said once, below
        losses = [
            _pass(member, recipe, dataset, seed=seed * len(members) + number, epoch=epoch)
            for number, member in enumerate(members)
        ]
    loss = float(np.mean(losses))
    if not np.isfinite(loss):
        raise TenfoldError(
            f"{recipe.name}: the training loss of pass {epoch + 1} is {loss}",
            expected="a finite number",
            remedy="take a smaller learning_rate",
        )
    return loss


def _pass(engine: Engine, recipe: Recipe, dataset: WeightedDataset, *, seed: int, epoch: int) -> float:
    batches = iterate_batches(
        dataset,
        batch_size=recipe.training.batch_size,
        shuffle=recipe.training.shuffle,
        drop_last=recipe.training.drop_last,
        augmentation=recipe.augmentation,
        seed=seed,
        epoch=epoch,
    )
    loss, images = 0.0, 0
    for batch in batches:
        loss += engine.train_step(batch, recipe.optimiser.learning_rate).loss * len(batch)
        images += len(batch)
    return float(loss) / images


# One line per epoch on stderr.


class EpochLines(TrainingObserver):
    def on_epoch(self, record: EpochRecord) -> None:
        line = f"epoch {record.epoch}: loss {record.train_loss:.4f}, accuracy {record.train_accuracy:.2%}"
        if record.val_loss is not None:
            line += f"; held out: loss {record.val_loss:.4f}, accuracy {record.val_accuracy:.2%}"
        sys.stderr.write(f"{line}\n")
