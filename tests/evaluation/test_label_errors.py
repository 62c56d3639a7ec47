"""Confident learning against cleanlab, against arithmetic by hand, and on flipped labels of MNIST."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.arrays import ImageDataset
from tenfold.data.load import load_dataset
from tenfold.errors import DataError, ModelError
from tenfold.evaluation.label_errors import LabelErrors, find_label_errors
from tenfold.numerics import softmax
from tenfold.recipes.load import change_recipe, get_recipe
from tenfold.training.folds import cross_validate


def noisy(n: int = 2000, classes: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities of a fair classifier, labels of which a tenth is wrong, and which are."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(classes, size=n)
    logits = rng.normal(size=(n, classes))
    logits[np.arange(n), truth] += rng.normal(4, 1, n)
    wrong = rng.permutation(n)[: n // 10]
    labels = truth.copy()
    labels[wrong] = (labels[wrong] + rng.integers(1, classes, len(wrong))) % classes
    return softmax(logits), labels, wrong


def test_by_hand() -> None:
    """Class 0 is borne by 0, 1, 2 with 0.9, 0.8, 0.1: threshold 0.6. Class 1 by 3, 4 with 0.7, 0.9: 0.8."""
    probs = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.3, 0.7], [0.1, 0.9]])
    found = find_label_errors(probs, np.array([0, 0, 0, 1, 1]))
    np.testing.assert_allclose(found.thresholds, [0.6, 0.8])
    assert found.joint.tolist() == [[2, 1], [0, 1]]  # record 3 is confident of nothing
    # a third of the three that bear class 0 is wrong, nothing of class 1: one record
    assert found.n == 5 and len(found) == 1
    assert (found.index[0], found.given[0], found.suggested[0]) == (2, 0, 1)
    assert found.quality[0] == pytest.approx(0.1)
    np.testing.assert_allclose(found.all_quality, [0.9, 0.8, 0.1, 0.7, 0.9])


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_cleanlab(seed: int) -> None:
    count, rank = pytest.importorskip("cleanlab.count"), pytest.importorskip("cleanlab.rank")
    from scipy.stats import spearmanr

    probs, labels, wrong = noisy(seed=seed)
    found = find_label_errors(probs, labels)
    np.testing.assert_allclose(found.thresholds, count.get_confident_thresholds(labels, probs))
    np.testing.assert_array_equal(found.joint, count.compute_confident_joint(labels, probs, calibrate=False))
    assert spearmanr(found.all_quality, rank.get_label_quality_scores(labels, probs)).statistic >= 0.999
    for method in ("normalized_margin", "confidence_weighted_entropy"):
        theirs = rank.get_label_quality_scores(labels, probs, method=method)
        assert spearmanr(found.all_quality, theirs).statistic >= 0.95
    calibrated = count.compute_confident_joint(labels, probs, calibrate=True)
    assert abs(len(found) - (calibrated.sum() - np.trace(calibrated))) <= 5  # they round in each class
    theirs = pytest.importorskip("cleanlab.filter").find_label_issues(labels, probs, n_jobs=1)
    assert np.isin(wrong, found.index).sum() >= np.isin(wrong, np.flatnonzero(theirs)).sum()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 6), st.integers(1, 60))
def test_what_always_holds(seed: int, classes: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    probs = softmax(3 * rng.normal(size=(n, classes)).astype(np.float32))
    labels = rng.integers(classes, size=n)
    found = find_label_errors(probs, labels)
    assert (np.diff(found.quality) >= 0).all() and len(np.unique(found.index)) == len(found)
    assert (found.given != found.suggested).all()
    np.testing.assert_array_equal(found.given, labels[found.index])
    np.testing.assert_array_equal(found.suggested, probs[found.index].argmax(axis=1))
    np.testing.assert_array_equal(found.quality, found.all_quality[found.index])
    assert (
        found.joint.sum() <= n and (found.joint.sum(axis=1) <= np.bincount(labels, minlength=classes)).all()
    )
    np.testing.assert_array_equal(found.most_suspect(n), np.argsort(found.all_quality, kind="stable"))
    renamed = find_label_errors(probs[:, ::-1], classes - 1 - labels)
    np.testing.assert_array_equal(np.sort(renamed.all_quality), np.sort(found.all_quality))
    assert len(renamed) == len(found)


def test_a_class_that_no_record_bears_is_never_suggested_with_confidence() -> None:
    probs = np.array([[0.5, 0.0, 0.5], [0.4, 0.1, 0.5], [0.2, 0.8, 0.0]])
    found = find_label_errors(probs, np.array([0, 0, 1]))
    assert found.thresholds[2] == 2 and not found.joint[:, 2].any()


@pytest.mark.parametrize(
    ("probs", "labels", "words"),
    [
        (np.ones((3, 2)) / 2, np.array([0, 1]), "shape"),
        (np.ones((2, 2)) / 2, np.array([0.0, 1.0]), "integers"),
        (np.ones((2, 2)) / 2, np.array([0, 2]), "0 to 1"),
        (np.ones((0, 2)) / 2, np.zeros(0, int), "at least one"),
        (np.array([[3.0, -2.0]]), np.array([0]), "predict_proba"),
        (np.array([[np.nan, 0.5]]), np.array([0]), "predict_proba"),
    ],
)
def test_refuses(probs: np.ndarray, labels: np.ndarray, words: str) -> None:
    with pytest.raises(DataError, match=words):
        find_label_errors(probs, labels)


def test_saved_and_loaded(tmp_path: Path) -> None:
    probs, labels, _ = noisy()
    images = np.random.default_rng(0).integers(0, 255, (len(labels), 6, 5), dtype=np.uint8)
    found = find_label_errors(probs, labels, note="judged by chance")
    kept = found.save(tmp_path, images=images)
    loaded = LabelErrors.load(tmp_path)
    assert loaded.n == found.n and loaded.note == "judged by chance" and len(loaded) > 60
    for name in ("index", "given", "suggested", "quality", "all_quality", "thresholds", "joint", "images"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(kept, name))
    np.testing.assert_array_equal(loaded.images, images[found.index[:60]])
    with pytest.raises(DataError, match="10 images"):
        found.save(tmp_path, images=images[:10])
    (tmp_path / "label_errors.npz").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="tenfold label-errors"):
        LabelErrors.load(tmp_path)


def test_files_are_kept_and_may_be_missing(tmp_path: Path) -> None:
    probs, labels, _ = noisy()
    files = tuple(f"{label}/scan {k}.png" for k, label in enumerate(labels))
    found = find_label_errors(probs, labels, files=files)
    found.save(tmp_path, images=np.zeros((len(labels), 2, 2), np.uint8))
    loaded = LabelErrors.load(tmp_path)
    assert loaded.files == files
    assert all(row["file"] == files[row["index"]] for row in loaded.to_dict()["most_suspect"])
    with np.load(tmp_path / "label_errors.npz") as arrays:  # as earlier versions wrote them
        np.savez(tmp_path / "label_errors.npz", **{key: arrays[key] for key in arrays if key != "files"})
    loaded = LabelErrors.load(tmp_path)
    assert loaded.files == () and "file" not in loaded.to_dict()["most_suspect"][0]
    with pytest.raises(DataError, match="3 files for 2000 labels"):
        find_label_errors(probs, labels, files=files[:3])


def test_flipped_labels_of_mnist_are_found(mnist_dir: Path) -> None:
    """The bound: of 300 of 10,000 at least 90 % among the 350 most suspect."""
    torch = pytest.importorskip("torch")
    rng, whole = np.random.default_rng(7), load_dataset("mnist", data_dir=mnist_dir)
    chosen = whole.subset(np.sort(rng.permutation(len(whole))[:10_000]))
    flipped, labels = rng.permutation(10_000)[:300], chosen.labels.copy()
    labels[flipped] = (labels[flipped] + rng.integers(1, 10, 300)) % 10
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        noisy_set = ImageDataset(chosen.images, labels, chosen.class_names)
        quick = change_recipe(get_recipe("fast"), {"training.steps": 120})
        result = cross_validate(quick, noisy_set, folds=3, seed=0)
    finally:
        torch.set_num_threads(before)
    found = find_label_errors(result.probs, labels)
    assert np.isin(flipped, found.most_suspect(350)).mean() >= 0.9
    assert np.isin(flipped, found.index).mean() >= 0.9 and len(found) <= 350
