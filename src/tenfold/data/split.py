"""Seeded splits: the same data, share and seed always give the same parts."""

from __future__ import annotations

import numpy as np

from tenfold.arguments import checked
from tenfold.arrays import ImageDataset
from tenfold.errors import DataError, UsageError

__all__ = ["fold_indices", "split_dataset", "split_indices"]


@checked
def split_dataset(
    dataset: ImageDataset, share: float, *, seed: int, stratified: bool = True
) -> tuple[ImageDataset, ImageDataset]:
    """(rest, held out): `share` (0..1) of all images is held out, rounded half up.

    stratified: each class gives its share, rounded up or down. Both parts keep the order of the
    data set. Raises UsageError when either part would be empty.
    """
    classes = dataset.labels if stratified else np.zeros(len(dataset), np.int64)
    rest, held = split_indices(classes, share, seed=seed)
    return dataset.subset(rest), dataset.subset(held)


def split_indices(labels: np.ndarray, share: float, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(rest, held out): ascending indices into labels (N,), `share` of each class held out."""
    total = int(share * len(labels) + 0.5) if 0 < share < 1 else 0
    if not 0 < total < len(labels):
        raise UsageError(
            f"a share of {share} of {len(labels)} images is {total}",
            expected="images on both sides of the split",
            remedy="choose a share between 0 and 1, or take more images",
        )
    rng = np.random.default_rng(seed)
    counts = _shares(np.bincount(labels), share, total)
    held = [rng.permutation(np.flatnonzero(labels == k))[:count] for k, count in enumerate(counts)]
    chosen = np.zeros(len(labels), dtype=bool)
    chosen[np.concatenate(held)] = True
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def fold_indices(labels: np.ndarray, folds: int, *, seed: int) -> list[np.ndarray]:
    """The indices held out in each fold: disjoint, together all, as even as can be in size and class.

    Raises UsageError for fewer than two folds, DataError for more folds than images.
    """
    if folds < 2:
        raise UsageError(f"{folds} folds", expected="at least 2")
    if folds > len(labels):
        raise DataError(f"{folds} folds of {len(labels)} images", expected="at least one image per fold")
    order = np.random.default_rng(seed).permutation(len(labels))
    by_class = order[np.argsort(labels[order], kind="stable")]
    return [np.sort(by_class[fold::folds]) for fold in range(folds)]


def _shares(counts: np.ndarray, share: float, total: int) -> np.ndarray:
    """Whole numbers that sum to `total`, each within one of share * counts (largest remainders)."""
    wanted = share * counts
    given = np.floor(wanted + 1e-9).astype(np.int64)  # 0.2 * 15 is a hair below 3
    missing = total - int(given.sum())
    given[np.argsort(given - wanted, kind="stable")[:missing]] += 1
    return given
