"""A data set -> the batches of one epoch, a pure function of seed and epoch.

Whatever was drawn before does not matter, so a run that is resumed at an epoch meets the same
batches as one that was never stopped.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tenfold.arrays import Batch, ImageDataset, WeightedDataset
from tenfold.augmentation.draws import draw_augmentation
from tenfold.settings import AugmentationSettings

__all__ = ["count_batches", "iterate_batches"]

_ORDER, _AUGMENTATION = 1, 2  # random streams of an epoch


def count_batches(images: int, batch_size: int, *, drop_last: bool) -> int:
    """Steps of an epoch; batch_size 0 is all images in one."""
    size = min(batch_size, images) or images
    return images // size if drop_last else -(-images // size)


def iterate_batches(
    dataset: ImageDataset,
    *,
    batch_size: int,
    shuffle: bool,
    drop_last: bool,
    augmentation: AugmentationSettings,
    seed: int,
    epoch: int,
) -> Iterator[Batch]:
    """The batches of epoch 0, 1, ...: pixels as they are, augmentation drawn but not yet applied."""
    size = min(batch_size, len(dataset)) or len(dataset)
    order = np.random.default_rng([seed, epoch, _ORDER]).permutation(len(dataset)) if shuffle else None
    rng = np.random.default_rng([seed, epoch, _AUGMENTATION])
    all_weights = dataset.image_weights if isinstance(dataset, WeightedDataset) else None
    augmented = augmentation.active
    for number in range(count_batches(len(dataset), batch_size, drop_last=drop_last)):
        part = slice(number * size, (number + 1) * size)
        chosen = part if order is None else order[part]
        images = _rows(dataset.images, chosen)
        draws = draw_augmentation(augmentation, len(images), dataset.image_shape, rng) if augmented else None
        weights = None if all_weights is None else all_weights[chosen]
        yield Batch(images, dataset.labels[chosen], draws, weights)


def _rows(images: np.ndarray, chosen: slice | np.ndarray) -> np.ndarray:
    """images[chosen]; of an array in memory as rows of pixels, which NumPy takes sooner."""
    if isinstance(chosen, slice) or type(images) is not np.ndarray or not images.flags.c_contiguous:
        return images[chosen]
    rows = images.reshape(len(images), -1).take(chosen, axis=0)
    return rows.reshape(-1, *images.shape[1:])
