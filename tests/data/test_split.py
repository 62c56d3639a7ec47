import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.arrays import ImageDataset
from tenfold.data.batches import fold_indices, split_dataset, split_indices
from tenfold.errors import DataError, UsageError

LABELS = st.lists(st.integers(0, 4), min_size=2, max_size=80).map(np.array)


def dataset_of(labels):
    images = np.arange(len(labels), dtype=np.uint8).reshape(-1, 1, 1)
    return ImageDataset(images, labels, tuple("abcde"), "letters", "a note")


@settings(deadline=None)
@given(labels=LABELS, share=st.floats(0.02, 0.98), seed=st.integers(0, 9))
def test_every_image_is_on_one_side_and_every_class_gives_its_share(labels, share, seed):
    total = int(share * len(labels) + 0.5)
    if not 0 < total < len(labels):
        with pytest.raises(UsageError):
            split_indices(labels, share, seed=seed)
        return
    rest, held = split_indices(labels, share, seed=seed)
    assert sorted([*rest, *held]) == list(range(len(labels))) and len(held) == total
    assert (np.diff(rest) > 0).all() and (np.diff(held) > 0).all()
    given_ = np.bincount(labels[held], minlength=5)
    assert (np.abs(given_ - share * np.bincount(labels, minlength=5)) < 1).all()


@settings(deadline=None)
@given(labels=LABELS, folds=st.integers(2, 7), seed=st.integers(0, 9))
def test_folds_are_even_in_size_and_class(labels, folds, seed):
    if folds > len(labels):
        with pytest.raises(DataError):
            fold_indices(labels, folds, seed=seed)
        return
    parts = fold_indices(labels, folds, seed=seed)
    assert sorted(np.concatenate(parts)) == list(range(len(labels)))
    counts = np.array([np.bincount(labels[part], minlength=5) for part in parts])
    assert (np.ptp(counts, axis=0) <= 1).all() and np.ptp(counts.sum(axis=1)) <= 1


def test_split_dataset():
    labels = np.repeat(np.arange(5), 10)
    rest, held = split_dataset(dataset_of(labels), 0.2, seed=3)
    assert held.class_counts().tolist() == [2] * 5 and rest.class_counts().tolist() == [8] * 5
    assert held.name == "letters" and held.note == "a note"
    np.testing.assert_array_equal(labels[held.images.reshape(-1)], held.labels)


def test_the_seed_decides_and_nothing_else():
    labels = np.arange(100) % 5
    np.random.seed(1)  # noqa: NPY002
    first = split_indices(labels, 0.3, seed=0)[1]
    np.random.seed(2)  # noqa: NPY002
    np.testing.assert_array_equal(first, split_indices(labels, 0.3, seed=0)[1])
    assert (first != split_indices(labels, 0.3, seed=1)[1]).any()


def test_a_plain_split_has_the_exact_size_but_not_the_classes():
    labels = np.repeat(np.arange(5), 20)
    held = [split_dataset(dataset_of(labels), 0.5, seed=seed, stratified=False)[1] for seed in range(5)]
    assert all(len(part) == 50 for part in held)
    assert any((part.class_counts() != 10).any() for part in held)


@pytest.mark.parametrize("share", [0, 1, 0.001, 0.999, -0.5, 2])
def test_a_share_that_leaves_a_side_empty(share):
    with pytest.raises(UsageError, match="both sides"):
        split_dataset(dataset_of(np.arange(5)), share, seed=0)


def test_one_fold():
    with pytest.raises(UsageError, match="at least 2"):
        fold_indices(np.arange(5), 1, seed=0)
