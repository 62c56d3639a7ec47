"""A recipe + its data -> an engine with its first weights, and the plan of the training."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tenfold.arrays import ImageDataset
from tenfold.augmentation import AugmentationDraws
from tenfold.classifier import Classifier, ModelCard
from tenfold.engines.create import Engines
from tenfold.errors import DataError, RecipeError
from tenfold.helpers import Ranks
from tenfold.networks.engine import Engine, EngineOptions, EnsembleEngine
from tenfold.networks.own import OwnParts, measure_own_loss
from tenfold.networks.shapes import Network
from tenfold.numerics import accuracy, log_softmax
from tenfold.pictures.normalize import find_background
from tenfold.recipes.schema import Recipe

__all__ = ["Setup", "prepare_training"]


@dataclass(frozen=True, eq=False)
class Setup:
    """Everything that is settled before the first step."""

    engine: Engine
    card: ModelCard
    epochs: int
    steps_per_epoch: int
    total_steps: int  # the last epoch may be cut short by it


def prepare_training(
    recipe: Recipe,
    train_set: ImageDataset,
    val_set: ImageDataset | None,
    *,
    seed: int,
    engine: str,
    device: str,
    precision: str,
    fresh: bool = True,
    weights: dict[str, np.ndarray] | None = None,
    own: OwnParts | None = None,
    batches: int = 0,
    ranks: Ranks | None = None,
) -> Setup:
    """precision: the recipe's, or what "auto" was found to mean when a run that is resumed began.
    fresh: False where a checkpoint's weights replace the first ones, which then need no source.
    weights: what to start from instead of the recipe's first weights. own: parts written in Python.
    batches: per epoch, where the user gives them; 0 is as the recipe has them. ranks: the processes that
    share the work.

    Raises RecipeError or DataError where recipe and data do not fit each other."""
    _check(recipe, train_set, val_set)
    own = own or OwnParts()
    network = recipe.plan(train_set.image_shape, len(train_set.class_names), own)
    mean, std = input_scaling(recipe, train_set)
    options = EngineOptions(
        mean=mean, std=std, loss=recipe.loss, optimiser=recipe.optimiser,
        average_decay=recipe.training.average_decay, seed=seed, precision=precision, device=device,
        own_loss=own.loss, ranks=ranks or Ranks(),
    )  # fmt: skip
    card = ModelCard(
        recipe=recipe, class_names=train_set.class_names, image_shape=train_set.image_shape, mean=mean,
        std=std, background=find_background(train_set.images), value_range=train_set.value_range,
    )  # fmt: skip
    if weights is None:
        weights = _first_weights(recipe, network, seed, transfer=fresh)
    wanted = own.engine if engine == "auto" and own.engine else Engines.prefer(engine, recipe, device)
    created = Engines.create(wanted, network, weights, options)
    plan = recipe.training
    if batches:
        plan = plan.model_copy(update={"batch_size": 1, "drop_last": False})
    return Setup(created, card, *plan.plan_steps(batches or len(train_set)))


def _check(recipe: Recipe, train_set: ImageDataset, val_set: ImageDataset | None) -> None:
    recipe.loss.weights_of(np.zeros(len(train_set.class_names), np.int64))  # refuses too many or few
    if val_set is None and recipe.training.patience:
        raise RecipeError(
            f"recipe {recipe.name}: early stopping (training.patience) without validation images",
            remedy="hold some out (data.validation), or set training.patience = 0",
        )
    if val_set is not None and (
        val_set.class_names != train_set.class_names or val_set.image_shape != train_set.image_shape
    ):
        raise DataError(
            f"validation images of {val_set.image_shape} with {len(val_set.class_names)} classes",
            expected=f"the training set's {train_set.image_shape} and {len(train_set.class_names)} classes",
        )


def input_scaling(recipe: Recipe, train_set: ImageDataset) -> tuple[float, float]:
    """mean and std of InputSettings, resolved: the input is (pixel / 255 - mean) / std."""
    if recipe.input.scaling == "standardise":
        mean, std = train_set.pixel_moments()
        return mean, max(std, 1e-6)
    known = {"none": (0.0, 1 / 255), "unit": (0.0, 1.0), "fixed": (recipe.input.mean, recipe.input.std)}
    return known[recipe.input.scaling]


def _first_weights(recipe: Recipe, network: Network, seed: int, *, transfer: bool) -> dict[str, np.ndarray]:
    weights = network.initial_weights(recipe.network.initialise, seed=seed)
    if not (transfer and recipe.network.start_from):
        return weights
    _, learned = ModelCard.with_weights(recipe.network.start_from)
    learned = EnsembleEngine.split(learned)[0]
    fits = {name: value.shape for name, value in weights.items()}
    taken = {name: value for name, value in learned.items() if fits.get(name) == value.shape}
    if not taken:
        raise RecipeError(
            f"no parameter of {recipe.network.start_from} has the name and shape of one of {recipe.name}",
            expected="a model whose first layers are the same",
        )
    return weights | taken


LEAST_IMAGES = 500  # validation images below which chance, not the network, would be fitted


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature T of the lowest cross-entropy of softmax(logits / T), between 0.37 and 20.

    logits: (N, K) on images that were not trained on; labels: (N,). No prediction changes.
    (Guo et al. 2017: On Calibration of Modern Neural Networks.)
    """
    from scipy.optimize import minimize_scalar

    exact = logits.astype(np.float64)

    def loss(log_temperature: float) -> float:
        log_probs = log_softmax(exact / np.exp(log_temperature))
        return float(-np.mean(log_probs[np.arange(len(labels)), labels]))

    return float(np.exp(minimize_scalar(loss, bounds=(-1.0, 3.0), method="bounded").x))


def calibrate(classifier: Classifier, val_set: ImageDataset | None) -> Classifier:
    """With the temperature of the validation images, where there are enough of them."""
    if val_set is None or not _can_fit(classifier.card.recipe, len(val_set)):
        return classifier
    logits = classifier.engine.logits(val_set.images)  # their pixels may be float32
    return classifier.with_temperature(fit_temperature(logits, val_set.labels))


def suitable_temperature(recipe: Recipe, logits: np.ndarray, labels: np.ndarray) -> float:
    """What `fit_temperature` gives; 1 where there are too few images, or no softmax was trained."""
    return fit_temperature(logits, labels) if _can_fit(recipe, len(labels)) else 1.0


def _can_fit(recipe: Recipe, images: int) -> bool:
    return images >= LEAST_IMAGES and recipe.loss.name == "cross-entropy"


def prepare_validation(recipe: Recipe, val_set: ImageDataset | None, *, seed: int) -> ImageDataset | None:
    """As they are; or augmented once, where the recipe says so (data.augment)."""
    if val_set is None or not recipe.data.augment:
        return val_set
    rng = np.random.default_rng([seed, *b"validation"])
    draws = AugmentationDraws.draw(recipe.augmentation, len(val_set), val_set.image_shape, rng)
    if draws is None:
        return val_set
    from tenfold.numpy_engine.runtime.batches import augment

    return replace(val_set, images=np.rint(augment(val_set.images, draws)).astype(np.uint8))


def validate(
    engine: Engine, recipe: Recipe, val_set: ImageDataset | None
) -> tuple[float | None, float | None]:
    """The recipe's loss, without label smoothing, and the accuracy."""
    if val_set is None:
        return None, None
    from tenfold.numpy_engine.losses import Loss  # who validates nothing need not wait for it

    logits, own = engine.logits(val_set.images), engine.options.own_loss
    if own is not None:
        loss = measure_own_loss(own, engine.name, logits, val_set.labels)
    else:
        loss = Loss.measure(logits, val_set.labels, recipe.loss)
    return loss, accuracy(logits.argmax(axis=1), val_set.labels)
