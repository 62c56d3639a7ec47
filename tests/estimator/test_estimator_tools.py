"""DigitClassifier in scikit-learn's tools, and kept in files."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_predict, cross_val_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from tenfold import DigitClassifier, ImageDataset, Recipe, get_recipe

ENGINES = ["numpy", "torch"]
STATEFUL = {  # averages, dropout's random numbers, batch-norm's statistics, and two networks
    "network.layers": ["flatten", "linear 12", "batch-norm", "relu", "dropout 0.2", "linear classes"],
    "training.average_decay": 0.9,
    "ensemble.members": 2,
}


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    rows, labels = load_digits(return_X_y=True)
    return rows, labels


def quick(**parameters: Any) -> DigitClassifier:
    return DigitClassifier(**{"recipe": "softmax-sgd", "epochs": 20, "random_state": 0} | parameters)


def test_as_good_as_mlp_classifier(digits: tuple[np.ndarray, np.ndarray]) -> None:
    """Three folds of scikit-learn's digits, both with layers of 64 and 32, each with its own defaults."""
    rows, labels = digits
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    ours = cross_val_score(DigitClassifier(random_state=0), rows, labels, cv=folds)
    theirs = cross_val_score(MLPClassifier((64, 32), random_state=0), rows, labels, cv=folds)
    assert theirs.mean() - 0.01 <= ours.mean() < 1


def test_pipeline_and_grid_search(digits: tuple[np.ndarray, np.ndarray]) -> None:
    rows, labels = digits[0][:400], digits[1][:400]
    pipeline = make_pipeline(MinMaxScaler(), quick())
    pipeline.set_params(digitclassifier__epochs=2, minmaxscaler__clip=True)
    assert pipeline.fit(rows, labels)[-1].n_iter_ == 2
    pipeline.set_params(digitclassifier__epochs=60)
    grid = {
        "digitclassifier__learning_rate": [1e-6, 0.1],
        "digitclassifier__changes": [None, {"loss.label_smoothing": 0.1}],
    }
    search = GridSearchCV(pipeline, grid, cv=3, scoring="neg_log_loss").fit(rows, labels)
    assert search.best_params_["digitclassifier__learning_rate"] == 0.1 and search.score(rows, labels) > -0.6
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_calibration(digits: tuple[np.ndarray, np.ndarray], method: str) -> None:
    """A network that is taught to doubt says too little; calibration fixes that."""
    rows, labels = digits[0][:600], digits[1][:600]
    unsure = quick(epochs=40, changes={"loss.label_smoothing": 0.8})
    calibrated = CalibratedClassifierCV(unsure, cv=3, method=method).fit(rows, labels)
    unsure.fit(rows, labels)
    doubting, fixed = (
        log_loss(digits[1][600:], m.predict_proba(digits[0][600:])) for m in (unsure, calibrated)
    )
    assert fixed < doubting and calibrated.score(digits[0][600:], digits[1][600:]) > 0.8


def test_one_against_the_rest(digits: tuple[np.ndarray, np.ndarray]) -> None:
    rows, labels = digits
    rest = OneVsRestClassifier(quick()).fit(rows[:600], labels[:600])
    assert rest.score(rows[600:], labels[600:]) > 0.75


def test_cross_validation_of_pictures(blobs: ImageDataset) -> None:
    """scikit-learn splits (N, H, W) as it splits rows."""
    names = np.array(blobs.class_names)[blobs.labels]
    assert cross_val_score(quick(), blobs.images, names, cv=3).min() > 0.9
    probs = cross_val_predict(quick(), blobs.images, names, cv=3, method="predict_proba")
    np.testing.assert_allclose(probs.sum(axis=1), 1, atol=1e-5)


def test_data_frames_keep_their_names(digits: tuple[np.ndarray, np.ndarray]) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(digits[0][:200]).add_prefix("pixel ")
    model = quick().fit(frame, digits[1][:200])
    assert model.feature_names_in_[63] == "pixel 63" and model.n_features_in_ == 64
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame[frame.columns[::-1]])


def test_clone_and_parameters() -> None:
    recipe = get_recipe("mlp-small")
    model = DigitClassifier(recipe, changes={"training.epochs": 2}, value_range=(0, 16), engine="torch")
    twin = clone(model)
    assert twin.get_params() == model.get_params() and isinstance(twin.recipe, Recipe)
    assert twin.set_params(epochs=3).epochs == 3 and model.epochs is None
    with pytest.raises(ValueError, match="Invalid parameter 'epoch'"):
        model.set_params(epoch=3)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("way", ["pickle", "joblib", "joblib memory map", "deepcopy"])
def test_kept_and_taken_up_again(blobs: ImageDataset, tmp_path: Path, engine: str, way: str) -> None:
    """The same answers, and the very same network when both go on to learn."""
    model = quick(recipe="mlp-small", epochs=3, engine=engine, changes=STATEFUL).fit(
        blobs.images, blobs.labels
    )
    if way == "pickle":
        again = pickle.loads(pickle.dumps(model))  # noqa: S301
    elif way == "deepcopy":
        again = copy.deepcopy(model)
    else:
        joblib.dump(model, tmp_path / "model.joblib")
        again = joblib.load(tmp_path / "model.joblib", mmap_mode="r" if "map" in way else None)
    expected = model.predict_proba(blobs.images)
    np.testing.assert_array_equal(again.predict_proba(blobs.images), expected)
    assert again.classifier_.engine.name == engine and again.get_params() == model.get_params()
    for each in (model, again):
        each.partial_fit(blobs.images, blobs.labels)
    assert model.loss_curve_ == again.loss_curve_
    np.testing.assert_array_equal(again.predict_proba(blobs.images), model.predict_proba(blobs.images))
    assert (model.predict_proba(blobs.images) != expected).any()


def test_standardised_features_of_any_size() -> None:
    """Twenty features of very different sizes are a row of 20 pixels; a scaler helps, as everywhere."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 20)) * 10.0 ** rng.integers(-3, 4, 20)
    labels = np.where(rows[:, 0] / rows[:, 0].std() + rows[:, 1] / rows[:, 1].std() > 0, "up", "down")
    model = make_pipeline(StandardScaler(), DigitClassifier(random_state=0))
    assert model.fit(rows[:300], labels[:300]).score(rows[300:], labels[300:]) > 0.9
    assert model[-1].image_shape_ == (1, 20)


def test_without_scikit_learn_the_extra_is_named() -> None:
    script = (
        "import sys; sys.modules['sklearn'] = None\n"
        "import tenfold\n"
        "try:\n    tenfold.DigitClassifier\nexcept tenfold.TenfoldError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.count("\n") == 1 and "pip install 'tenfold[sklearn]'" in done.stdout
