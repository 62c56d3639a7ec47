"""DigitClassifier: scikit-learn's verbs over recipes, engines and training."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path
from typing import Any, Self, get_type_hints

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state, compute_sample_weight
from sklearn.utils.multiclass import _check_partial_fit_first_call, check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from tenfold.arguments import check_argument
from tenfold.arrays import ImageDataset, WeightedDataset
from tenfold.classifier import Classifier, ModelCard
from tenfold.data.batches import hold_out
from tenfold.engines.create import Engines
from tenfold.errors import TenfoldError
from tenfold.estimator.pixels import (
    EstimatorDataError,
    PixelMap,
    check_meaning,
    flatten_pictures,
    learn_pixels,
)
from tenfold.networks.engine import Engine, EngineOptions, EnsembleEngine
from tenfold.numerics import log_softmax
from tenfold.recipes.load import change_recipe, list_recipes, suit_recipe
from tenfold.recipes.schema import EnsembleSettings, Recipe
from tenfold.training.loop import train
from tenfold.training.prepare import prepare_training
from tenfold.training.progress import EpochRecord, TrainingObserver
from tenfold.training.steps import epoch_batches, run_steps

__all__ = ["DigitClassifier"]

DEFAULT = "mlp-small"
LEAST_STEPS = 500  # of a recipe made for 60,000 images, where there are few


class DigitClassifier(ClassifierMixin, BaseEstimator):
    """Any recipe of tenfold, as scikit-learn's tools take it: Pipeline, GridSearchCV, calibration.

    X is (N, F), pictures (N, H, W), or a list of pictures' paths or PIL images; y are labels of any kind.
    What X means is settled by `fit`, and the same ever after: where X is uint8, 0 is black and 255 white;
    else the smallest value of all is black and the largest white. Bytes that end at 16 or another value far
    below 255, and features with extreme values, as a StandardScaler makes them, are scaled to what digits
    have, with a TenfoldWarning. `value_range` says otherwise. Nothing is rounded; values beyond go on
    linearly.

    recipe: the name or path of a recipe, or a Recipe. Networks with convolutions need pictures. None is
    `mlp-small` in float64, which is what scikit-learn's own compute in; it takes rows of any length.
    changes: of the recipe by dotted key, such as {"loss.label_smoothing": 0.1}.
    engine: "auto", "numpy" or "torch". device: "auto", "cpu", "cuda" or "mps", for the torch engine.
    epochs, learning_rate, batch_size: None is the recipe's. Recipes called by their name are made for
    60,000 images; unless epochs are given, they take at least 500 steps where there are fewer.
    validation: the share of the images held out to stop early and to calibrate probabilities. None is
    the recipe's where it stops early, else 0.
    image_shape: (H, W) or (H, W, 3) of the F features; None is a square, or one row where F is not a square
    number.
    value_range: the values of X that are (black, white); None as above.
    class_weight: "balanced" or {label: weight}, times sample_weight.
    warm_start: `fit` goes on from the present weights. verbose: one line per epoch on stderr.
    random_state: an int gives bit-identical weights every time (same engine and threads).

    Fitted: classes_, n_features_in_, feature_names_in_ (of a DataFrame), image_shape_, value_range_,
    recipe_ (what was trained, whole), loss_curve_ (mean loss per epoch), n_iter_ (epochs), and
    classifier_, a tenfold.Classifier to save, export or explain, which takes pixels from 0 to 255.

    Raises RecipeError, UsageError, ModelError of tenfold, and ValueError where scikit-learn does.
    """

    classes_: np.ndarray
    classifier_: Classifier

    def __init__(
        self,
        recipe: str | Path | Recipe | None = None,
        *,
        changes: Mapping[str, Any] | None = None,
        engine: str = "auto",
        device: str = "cpu",
        epochs: int | None = None,
        learning_rate: float | None = None,
        batch_size: int | None = None,
        validation: float | None = None,
        image_shape: tuple[int, ...] | None = None,
        value_range: tuple[float, float] | None = None,
        class_weight: str | Mapping[Any, float] | None = None,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.recipe = recipe
        self.changes = changes
        self.engine = engine
        self.device = device
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.validation = validation
        self.image_shape = image_shape
        self.value_range = value_range
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Trains the recipe. sample_weight: (N,), what each image counts for; one of weight 0 is left out.

        Ctrl-C keeps the weights of that moment and is passed on, so that a search ends too.
        """
        warm = self.warm_start and hasattr(self, "classifier_")
        rows, targets = self._check_data(X, y, first=not warm)
        classes = np.unique(targets)
        if warm and not np.array_equal(classes, self.classes_):
            found = f"warm_start with the classes {classes}"
            raise EstimatorDataError(found, expected=f"those of the fit before, {self.classes_}")
        self.classes_ = classes
        recipe = suit_recipe(self._choose_recipe(), self.image_shape_)
        weights = self.classifier_.engine.weights() if warm else None
        dataset = self._dataset(rows, targets, sample_weight, recipe)
        share = self.validation
        if share is None:
            share = recipe.data.validation if recipe.training.patience else 0.0
        train_set, val_set = hold_out(dataset, share, seed=self._seed)
        result = train(
            recipe, train_set, val_set, seed=self._seed, engine=self.engine, device=self.device,
            callbacks=[EpochLines()] if self.verbose else [], weights=weights,
        )  # fmt: skip
        self.classifier_, self.recipe_ = result.classifier, recipe
        self.loss_curve_ = [record.train_loss for record in result.history]
        self.n_iter_ = len(result.history)
        if result.status == "interrupted":
            raise KeyboardInterrupt
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """One pass over X, in batches, from where the network stands, with the optimiser's memory.

        classes: all there will ever be, needed in a first call. The learning rate is the recipe's
        throughout; nothing is held out. What X means is settled by the first call.
        """
        first = _check_partial_fit_first_call(self, classes)
        if isinstance(self.class_weight, str):
            found = f"class_weight {self.class_weight!r} with partial_fit, which never sees all of the data"
            raise EstimatorDataError(found, remedy="give a dictionary of weights")
        rows, targets = self._check_data(X, y, first=first)
        recipe = suit_recipe(self._choose_recipe(), self.image_shape_) if first else self.recipe_
        dataset = self._dataset(rows, targets, sample_weight, recipe)
        if first:
            self.classifier_ = self._begin(recipe, dataset)
            self.recipe_, self.loss_curve_, self.n_iter_ = recipe, [], 0
        self.loss_curve_ = [*self.loss_curve_, self._learn_once(dataset)]
        self.n_iter_ += 1
        return self

    def predict(self, X: Any) -> np.ndarray:
        """(N, F) or (N, H, W) -> the likeliest label of each, (N,)."""
        best = self._logits(X).argmax(axis=1)
        return self.classes_[best]

    def predict_proba(self, X: Any) -> np.ndarray:
        """-> probabilities, float32 (N, K), columns as in classes_."""
        return self._fitted().to_probs(self._logits(X))

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """-> the logarithms of the probabilities, float32 (N, K), finite where a probability rounds to 0."""
        return log_softmax(self._scores(X))

    def decision_function(self, X: Any) -> np.ndarray:
        """-> what the softmax turns into probabilities, float32 (N, K); with two classes the second's
        score less the first's, (N,)."""
        scores = self._scores(X)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def _scores(self, X: Any) -> np.ndarray:
        return self._logits(X) / np.float32(self._fitted().card.temperature)

    def _logits(self, X: Any) -> np.ndarray:
        classifier = self._fitted()
        rows = validate_data(self, self._flatten(X)[0], reset=False)
        check_meaning(rows, *self.value_range_)
        return classifier.engine.logits(self._pixels.to_images(rows))

    def _fitted(self) -> Classifier:
        check_is_fitted(self, "classifier_")
        return self.classifier_

    def _check_data(self, X: Any, y: Any, *, first: bool) -> tuple[np.ndarray, np.ndarray]:
        """Rows (N, F) and targets (N,). first: what X means is settled by these."""
        for name, kind in get_type_hints(DigitClassifier.__init__).items():
            if name != "return":  # scikit-learn wants parameters looked at by `fit`
                check_argument(type(self).__name__, name, getattr(self, name), kind)
        rows, shape = self._flatten(X, first=first)
        rows, targets = validate_data(self, rows, y, reset=first)
        check_classification_targets(targets)
        if first:
            self._seed = self._draw_seed()
            self._pixels: PixelMap = learn_pixels(rows, shape or self.image_shape, self.value_range)
            self.image_shape_ = self._pixels.image_shape
            self.value_range_ = self._pixels.black, self._pixels.white
        return rows, targets

    def _flatten(self, X: Any, *, first: bool = False) -> tuple[Any, tuple[int, ...] | None]:
        rows, shape = flatten_pictures(X)
        known = self.image_shape if first else self.image_shape_
        if shape and known is not None and tuple(known) != shape:
            expected = f"image_shape, {known}" if first else f"{known}, as when it was fitted"
            raise EstimatorDataError(f"X are pictures of {shape}", expected=expected)
        return rows, shape

    def _draw_seed(self) -> int:
        state = self.random_state
        if isinstance(state, int | np.integer):
            if state < 0:
                raise EstimatorDataError(f"random_state is {state}", expected="0 or more")
            return int(state)
        return int(check_random_state(state).randint(1 << 31))

    def _dataset(
        self, rows: np.ndarray, targets: np.ndarray, sample_weight: Any, recipe: Recipe
    ) -> WeightedDataset:
        """What is trained on: without rows of weight 0, and of mean weight 1 where the loss is a mean."""
        if len(self.classes_) < 2:
            raise EstimatorDataError("X has only 1 class", expected="at least two classes")
        labels = np.searchsorted(self.classes_, targets).clip(max=len(self.classes_) - 1)
        if (unknown := self.classes_[labels] != targets).any():
            found = f"y holds the label {targets[unknown].tolist()[0]!r}"
            raise EstimatorDataError(found, expected=f"one of the classes {self.classes_}")
        weights = None
        if sample_weight is not None or self.class_weight is not None:
            weights = _check_sample_weight(sample_weight, rows, dtype=np.float64)
            weights = weights * compute_sample_weight(self.class_weight, targets)
            if (weights < 0).any():
                raise EstimatorDataError("negative sample weights", expected="none below zero")
            chosen = weights > 0
            if not chosen.any():
                raise EstimatorDataError("all sample weights are zero", expected="some above zero")
            rows, labels, weights = rows[chosen], labels[chosen], weights[chosen]
            if recipe.loss.reduction == "mean":
                weights = weights / weights.mean()
        names = tuple(map(str, self.classes_))
        return WeightedDataset(
            self._pixels.to_images(rows), labels, names, "X", image_weights=weights,
            value_range=self.value_range_,
        )  # fmt: skip

    def _choose_recipe(self) -> Recipe:
        """The recipe with all changes. Raises RecipeError for one that there is not, and for unknown keys."""
        given, changes = self.recipe, dict(self.changes or {})
        if given is None:
            given, changes = DEFAULT, {"training.precision": "float64"} | changes
        recipe = change_recipe(given, changes)
        own: dict[str, Any] = {}
        if self.epochs is not None:
            own |= {"training.epochs": self.epochs, "training.min_steps": 0, "training.steps": 0}
        elif str(given) in list_recipes() and not changes.keys() & {"training.epochs", "training.min_steps"}:
            own["training.min_steps"] = max(recipe.training.min_steps, LEAST_STEPS)
        if self.learning_rate is not None:
            own["optimiser.learning_rate"] = self.learning_rate
        if self.batch_size is not None:
            own["training.batch_size"] = self.batch_size
        return change_recipe(recipe, own)

    def _begin(self, recipe: Recipe, dataset: ImageDataset) -> Classifier:
        """An untrained classifier, sized for the data, its networks' seeds those of `tenfold.train`."""
        training = recipe.training.model_copy(update={"patience": 0})
        single = recipe.model_copy(update={"ensemble": EnsembleSettings(), "training": training})
        count = recipe.ensemble.members
        setups = [
            prepare_training(
                single, dataset, None, seed=self._seed * count + number, engine=self.engine,
                device=self.device, precision=recipe.training.precision,
            )
            for number in range(count)
        ]  # fmt: skip
        combined = EnsembleEngine.combine([setup.engine for setup in setups], recipe.ensemble.views)
        return Classifier(combined, replace(setups[0].card, recipe=recipe))

    def _learn_once(self, dataset: ImageDataset) -> float:
        """One pass over the data, at the recipe's learning rate throughout: no schedule can know how much
        data will come. Returns the mean loss. Raises TenfoldError where that is NaN or infinite."""
        recipe, members, losses = self.recipe_, members_of(self.classifier_), []
        for number, member in enumerate(members):
            seed = self._seed * len(members) + number
            batches = epoch_batches(recipe, dataset, seed=seed, epoch=self.n_iter_)
            done = run_steps(member, batches, repeat(recipe.optimiser.learning_rate))
            losses.append(float(done.loss) / done.images)
        loss = float(np.mean(losses))
        if not np.isfinite(loss):
            found = f"{recipe.name}: the training loss of pass {self.n_iter_ + 1} is {loss}"
            raise TenfoldError(found, expected="a finite number", remedy="take a smaller learning_rate")
        return loss

    def __getstate__(self) -> dict[str, Any]:
        """For pickle and joblib: the network as plain arrays, with what it needs to learn on."""
        state = super().__getstate__()
        fitted = state.get("classifier_")
        return state if fitted is None else state | {"classifier_": KeptClassifier.of(fitted)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        kept = state.get("classifier_")
        super().__setstate__(
            state | {"classifier_": kept.restore()} if isinstance(kept, KeptClassifier) else state
        )


@dataclass(frozen=True, eq=False)
class KeptClassifier:
    """A classifier that can go on learning, as plain arrays: card, and of each network its weights and the
    state of its training. What is pickled."""

    card: ModelCard
    engine: str
    options: EngineOptions
    weights: list[dict[str, np.ndarray]]
    states: list[dict[str, np.ndarray]]

    @classmethod
    def of(cls, classifier: Classifier) -> KeptClassifier:
        members, first = members_of(classifier), classifier.engine
        return cls(
            card=classifier.card, engine=first.name,
            options=replace(first.options, precision=first.precision),
            weights=[member.weights() for member in members], states=[member.state() for member in members],
        )  # fmt: skip

    def restore(self) -> Classifier:
        """Answers and learns on as the one that was kept. Raises UsageError where its device is missing,
        MissingDependencyError without torch."""
        recipe = self.card.recipe
        network = recipe.plan(self.card.image_shape, self.card.outputs)
        members = []
        for weights, state in zip(self.weights, self.states, strict=True):
            engine = Engines.create(self.engine, network, weights, self.options)
            engine.load_state(state)
            members.append(engine)
        return Classifier(EnsembleEngine.combine(members, recipe.ensemble.views), self.card)


def members_of(classifier: Classifier) -> Sequence[Engine]:
    """The engines that learn: the one, or those of an ensemble."""
    engine = classifier.engine
    return engine.members if isinstance(engine, EnsembleEngine) else (engine,)


class EpochLines(TrainingObserver):
    """One line per epoch on stderr."""

    def on_epoch(self, record: EpochRecord) -> None:
        line = f"epoch {record.epoch}: loss {record.train_loss:.4f}, accuracy {record.train_accuracy:.2%}"
        if record.val_loss is not None:
            line += f"; held out: loss {record.val_loss:.4f}, accuracy {record.val_accuracy:.2%}"
        sys.stderr.write(f"{line}\n")
