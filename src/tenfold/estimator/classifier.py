"""DigitClassifier: scikit-learn's verbs over recipes, engines and training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state, compute_sample_weight
from sklearn.utils.multiclass import _check_partial_fit_first_call, check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from tenfold.arrays import WeightedDataset
from tenfold.classifier import Classifier
from tenfold.data.batches import split_indices
from tenfold.estimator.learning import (
    EpochLines,
    KeptClassifier,
    begin_classifier,
    check_parameters,
    choose_recipe,
    keep_classifier,
    learn_once,
)
from tenfold.estimator.pixels import (
    EstimatorDataError,
    PixelMap,
    check_meaning,
    flatten_pictures,
    learn_pixels,
)
from tenfold.numerics import log_softmax
from tenfold.recipes.schema import Recipe
from tenfold.training.ensemble import train

__all__ = ["DigitClassifier"]


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
    image_shape: (H, W) of the F features; None is a square, or one row where F is not a square number.
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
        image_shape: tuple[int, int] | None = None,
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
        rows, targets, shape = self._check_data(X, y, first=not warm)
        classes = np.unique(targets)
        if warm and not np.array_equal(classes, self.classes_):
            raise EstimatorDataError(
                f"warm_start with the classes {classes}",
                expected=f"those of the fit before, {self.classes_}",
            )
        self.classes_ = classes
        recipe = choose_recipe(self)
        if not warm:
            self._seed = self._draw_seed()
            self._settle_pixels(rows, shape)
        weights = self.classifier_.engine.weights() if warm else None
        dataset = self._dataset(rows, targets, sample_weight, recipe)
        train_set, val_set = self._hold_out(dataset, recipe)
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
            raise EstimatorDataError(
                f"class_weight {self.class_weight!r} with partial_fit, which never sees all of the data",
                remedy="give a dictionary of weights",
            )
        rows, targets, shape = self._check_data(X, y, first=first)
        recipe = choose_recipe(self) if first else self.recipe_
        if first:
            self._seed = self._draw_seed()
            self._settle_pixels(rows, shape)
        dataset = self._dataset(rows, targets, sample_weight, recipe)
        if first:
            self.classifier_ = begin_classifier(
                recipe, dataset, seed=self._seed, engine=self.engine, device=self.device
            )
            self.recipe_, self.loss_curve_, self.n_iter_ = recipe, [], 0
        loss = learn_once(self.classifier_, dataset, seed=self._seed, epoch=self.n_iter_)
        self.loss_curve_ = [*self.loss_curve_, loss]
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
        rows, shape = flatten_pictures(X)
        self._refuse_shape(shape)
        rows = validate_data(self, rows, reset=False)
        check_meaning(rows, *self.value_range_)
        return classifier.engine.logits(self._pixels.to_images(rows))

    def _fitted(self) -> Classifier:
        check_is_fitted(self, "classifier_")
        return self.classifier_

    def _check_data(
        self, X: Any, y: Any, *, first: bool
    ) -> tuple[np.ndarray, np.ndarray, tuple[int, int] | None]:
        """Rows (N, F), targets (N,), and (H, W) where X was pictures."""
        check_parameters(self, DigitClassifier.__init__)
        rows, shape = flatten_pictures(X)
        if not first:
            self._refuse_shape(shape)
        rows, targets = validate_data(self, rows, y, reset=first)
        check_classification_targets(targets)
        return rows, targets, shape

    def _settle_pixels(self, rows: np.ndarray, shape: tuple[int, int] | None) -> None:
        if shape and self.image_shape is not None and tuple(self.image_shape) != shape:
            raise EstimatorDataError(
                f"X are pictures of {shape}", expected=f"image_shape, {self.image_shape}"
            )
        self._pixels: PixelMap = learn_pixels(rows, shape or self.image_shape, self.value_range)
        self.image_shape_ = self._pixels.image_shape
        self.value_range_ = self._pixels.black, self._pixels.white

    def _refuse_shape(self, shape: tuple[int, int] | None) -> None:
        if shape and shape != self.image_shape_:
            raise EstimatorDataError(
                f"X are pictures of {shape}", expected=f"{self.image_shape_}, as when it was fitted"
            )

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
            raise EstimatorDataError(
                f"y holds the label {targets[unknown].tolist()[0]!r}",
                expected=f"one of the classes {self.classes_}",
            )
        weights = self._weigh(rows, targets, sample_weight)
        if weights is not None:
            chosen = weights > 0
            if not chosen.any():
                raise EstimatorDataError("all sample weights are zero", expected="some above zero")
            rows, labels, weights = rows[chosen], labels[chosen], weights[chosen]
            if recipe.loss.reduction == "mean":
                weights = weights / weights.mean()
        names = tuple(str(label) for label in self.classes_)
        return WeightedDataset(
            self._pixels.to_images(rows),
            labels,
            names,
            "X",
            image_weights=weights,
            value_range=self.value_range_,
        )

    def _weigh(self, rows: np.ndarray, targets: np.ndarray, sample_weight: Any) -> np.ndarray | None:
        if sample_weight is None and self.class_weight is None:
            return None
        weights = _check_sample_weight(sample_weight, rows, dtype=np.float64)
        weights = weights * compute_sample_weight(self.class_weight, targets)
        if (weights < 0).any():
            raise EstimatorDataError("negative sample weights", expected="none below zero")
        return weights

    def _hold_out(
        self, dataset: WeightedDataset, recipe: Recipe
    ) -> tuple[WeightedDataset, WeightedDataset | None]:
        share = self.validation
        if share is None:
            share = recipe.data.validation if recipe.training.patience else 0.0
        if not share:
            return dataset, None
        rest, held = split_indices(dataset.labels, share, seed=self._seed)
        return dataset.subset(rest), dataset.subset(held)

    def __getstate__(self) -> dict[str, Any]:
        """For pickle and joblib: the network as plain arrays, with what it needs to learn on."""
        state = super().__getstate__()
        fitted = state.get("classifier_")
        return state if fitted is None else state | {"classifier_": keep_classifier(fitted)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        kept = state.get("classifier_")
        super().__setstate__(
            state | {"classifier_": kept.restore()} if isinstance(kept, KeptClassifier) else state
        )
