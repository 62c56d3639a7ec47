"""Cross-validation: every image judged once, by a network that never saw it; and the paired test."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tenfold.arrays import ImageDataset
from tenfold.errors import DataError, UsageError
from tenfold.recipes.load import change_recipe, get_recipe
from tenfold.recipes.schema import Recipe
from tenfold.training.folds import CrossValidation, FoldScore, compare_folds, cross_validate
from tenfold.training.loop import train
from tenfold.training.progress import TrainingObserver, TrainingPlan


def small(**changes: object) -> Recipe:
    wanted = {"training.epochs": 4} | {key.replace("__", "."): value for key, value in changes.items()}
    return change_recipe(get_recipe("mlp-small"), wanted)


def test_every_image_is_judged_once_by_a_network_that_never_saw_it(blobs: ImageDataset) -> None:
    """Each fold again by hand: the rest trained on, that fold predicted."""
    recipe = small()
    result = cross_validate(recipe, blobs, folds=3, seed=2, engine="numpy")
    assert result.temperature > 0 and result.probs.dtype == np.float32 and result.probs.shape == (600, 3)
    np.testing.assert_allclose(result.probs.sum(axis=1), 1, rtol=1e-5)
    assert np.bincount(result.fold).tolist() == [200, 200, 200]
    for number, score in enumerate(result.scores):
        held = np.flatnonzero(result.fold == number)
        rest = np.flatnonzero(result.fold != number)
        assert np.ptp(np.bincount(blobs.labels[held])) <= 1  # stratified
        alone = train(recipe, blobs.subset(rest), seed=2 * 3 + number, engine="numpy").classifier
        expected = alone.with_temperature(result.temperature).predict_proba(blobs.images[held])
        np.testing.assert_array_equal(result.probs[held], expected)
        predicted = expected.argmax(axis=1)
        assert score.val_accuracy == np.mean(predicted == blobs.labels[held])
        assert (score.train_images, score.val_images) == (len(rest), len(held))
    assert result.mean == pytest.approx(np.mean(result.accuracies))


def test_mean_deviation_and_standard_error_by_hand() -> None:
    result = scored(0.9, 0.8, 0.7)
    assert result.mean == pytest.approx(0.8)
    assert result.deviation == pytest.approx(0.1)
    assert result.standard_error == pytest.approx(0.1 / 3**0.5)
    figures = result.to_dict()
    assert figures["accuracy"] == result.mean and len(figures["folds"]) == 3


def test_folds_are_the_same_for_every_recipe_and_may_be_random(blobs: ImageDataset) -> None:
    one = cross_validate(small(training__epochs=1), blobs, folds=2, engine="numpy")
    other = cross_validate(small(training__epochs=1, input__scaling="unit"), blobs, folds=2, engine="numpy")
    np.testing.assert_array_equal(one.fold, other.fold)
    random = cross_validate(small(training__epochs=1), blobs, folds=2, engine="numpy", stratified=False)
    counts = [np.bincount(blobs.labels[random.fold == 0]), np.bincount(blobs.labels[one.fold == 0])]
    assert np.ptp(counts[0]) > np.ptp(counts[1])


def test_early_stopping_watches_its_own_share_of_the_other_folds(blobs: ImageDataset) -> None:
    plans: list[TrainingPlan] = []

    class Watch(TrainingObserver):
        def on_start(self, plan: TrainingPlan) -> None:
            plans.append(plan)

    recipe = small(training__patience=1, data__validation=0.25)
    cross_validate(recipe, blobs, folds=3, engine="numpy", callbacks=[Watch()])
    assert [(plan.train_images, plan.val_images) for plan in plans] == [(300, 100)] * 3


def test_refuses(blobs: ImageDataset) -> None:
    with pytest.raises(UsageError, match="at least 2"):
        cross_validate(small(), blobs, folds=1)
    with pytest.raises(DataError, match="5 folds of 3 images"):
        cross_validate(small(), blobs.subset(np.arange(3)), folds=5)


def scored(*accuracies: float, name: str = "mlp-small", images: int = 20) -> CrossValidation:
    """As if images were judged over so many folds."""
    folds, recipe = len(accuracies), change_recipe(get_recipe("mlp-small"), {"name": name})
    scores = [FoldScore(images * (folds - 1), images, value, 1.0, 0.1) for value in accuracies]
    fold = np.arange(images * folds) % folds
    return CrossValidation(recipe, "data", tuple(scores), fold, np.ones((len(fold), 1), np.float32), 1.0)


def test_the_paired_test_by_hand() -> None:
    """Differences 0.04, 0.02, 0.03, 0.03 over four folds: the plain t-test's t, shrunk by the correction."""
    from scipy import stats

    better, worse = (0.94, 0.92, 0.95, 0.93), (0.90, 0.90, 0.92, 0.90)
    (found,) = compare_folds([scored(*better, name="a"), scored(*worse, name="b")])
    plain = stats.ttest_rel(better, worse)
    # s^2 / k becomes s^2 (1 / k + 1 / (k - 1)): t shrinks by sqrt(1 + k / (k - 1)) = sqrt(7 / 3)
    t = plain.statistic / (7 / 3) ** 0.5
    assert found.p == pytest.approx(2 * stats.t.sf(t, 3))
    assert found.difference == pytest.approx(0.03)
    reach = stats.t.ppf(0.975, 3) * 0.03 / t
    assert found.interval == pytest.approx((0.03 - reach, 0.03 + reach))
    assert found.real and "a is 3.00 points better than b" in found.in_words()
    (turned,) = compare_folds([scored(*worse, name="b"), scored(*better, name="a")])
    assert turned.difference == pytest.approx(-0.03) and turned.in_words() == found.in_words()


def test_no_difference_and_chance() -> None:
    (same,) = compare_folds([scored(0.9, 0.8, name="a"), scored(0.9, 0.8, name="b")])
    assert same.p == 1 and not same.real and same.interval == pytest.approx((0, 0))
    (noise,) = compare_folds([scored(0.9, 0.8, 0.85, name="a"), scored(0.8, 0.9, 0.84, name="b")])
    assert not noise.real and "may be chance" in noise.in_words()


def test_of_several_pairs_each_is_judged_more_strictly() -> None:
    results = [
        scored(0.94, 0.92, 0.95, 0.93, name="a"),
        scored(0.90, 0.90, 0.92, 0.90, name="b"),
        scored(0.5, 0.6, 0.4, 0.5, name="c"),
    ]
    alone, together = compare_folds(results[:2])[0], compare_folds(results)[0]
    assert len(compare_folds(results)) == 3
    assert together.p == pytest.approx(3 * alone.p)
    assert together.interval[0] < alone.interval[0] < alone.interval[1] < together.interval[1]
    for comparison in compare_folds(results):  # interval and verdict agree
        assert comparison.real == (comparison.interval[0] > 0 or comparison.interval[1] < 0)


def test_other_folds_are_refused() -> None:
    one = scored(0.9, 0.8)
    with pytest.raises(UsageError, match="same folds"):
        compare_folds([one, replace(one, fold=1 - one.fold)])
