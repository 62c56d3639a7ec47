"""A data set -> its seeded splits, and the batches of one epoch, pure functions of seed and epoch.

Whatever was drawn before does not matter, so a run that is resumed at an epoch meets the same
batches as one that was never stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tenfold.arguments import checked
from tenfold.arrays import Batch, ImageDataset, ImageRows, WeightedDataset, iterate_pieces
from tenfold.errors import DataError, UsageError
from tenfold.limits import MemoryLimit
from tenfold.records import Record, pick

if TYPE_CHECKING:
    from tenfold.settings import AugmentationSettings

__all__ = [
    "DataSummary",
    "change_batches",
    "fold_indices",
    "hold_out",
    "iterate_batches",
    "split_dataset",
    "split_indices",
]

_BLOCK_BYTES, _WINDOW = 1 << 16, 64  # of images that lie together; blocks that are shuffled together: 4 MiB
_ORDER, _AUGMENTATION, _OWN_AUGMENTATION = 1, 2, 3  # random streams of an epoch


def iterate_batches(
    dataset: ImageDataset,
    *,
    batch_size: int,
    shuffle: bool,
    drop_last: bool,
    augmentation: AugmentationSettings,
    seed: int,
    epoch: int,
    class_weights: np.ndarray | None = None,
) -> Iterator[Batch]:
    """The batches of epoch 0, 1, ...: pixels as they are, augmentation drawn but not yet applied.
    class_weights: float (K,), the factor on the weight of each image of a class."""
    from tenfold.augmentation import AugmentationDraws

    size = min(batch_size, len(dataset)) or len(dataset)
    order, window = None, 0
    if shuffle:
        order, window = _order(dataset.images, np.random.default_rng([seed, epoch, _ORDER]))
    windows = _Windows(dataset.images, order, window) if order is not None and window else None
    rng = np.random.default_rng([seed, epoch, _AUGMENTATION])
    all_weights = dataset.image_weights if isinstance(dataset, WeightedDataset) else None
    if class_weights is not None:
        by_image = class_weights[dataset.labels]
        all_weights = by_image if all_weights is None else all_weights * by_image
    augmented = augmentation.active
    for start in range(0, len(dataset) - (len(dataset) % size if drop_last else 0), size):
        part = slice(start, start + size)
        chosen = part if order is None else order[part]
        images = _rows(dataset.images, chosen) if windows is None else windows.take(part)
        draws = (
            AugmentationDraws.draw(augmentation, len(images), dataset.image_shape, rng) if augmented else None
        )
        weights = None if all_weights is None else all_weights[chosen]
        yield Batch(images, dataset.labels[chosen], draws, weights)
        del images  # the next ones need its memory


def change_batches(
    batches: Iterator[Batch], augmentation: Callable[..., np.ndarray], *, seed: int, epoch: int
) -> Iterator[Batch]:
    """A user's augmentation of each batch: (uint8 images, rng) -> images of the same shape, before that
    of the recipe. Raises DataError for other images."""
    for number, batch in enumerate(batches):
        rng = np.random.default_rng([seed, epoch, _OWN_AUGMENTATION, number])
        images = np.asarray(augmentation(batch.images.copy(), rng))
        if images.shape != batch.images.shape or images.dtype != batch.images.dtype:
            found = f"the augmentation returned {images.dtype} of shape {images.shape}"
            raise DataError(found, expected=f"{batch.images.dtype} of shape {batch.images.shape}")
        yield replace(batch, images=images)


def _order(images: np.ndarray | ImageRows, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """int64 (N,): all images in random order. Of a memory map that is larger than one file may take of memory
    (TENFOLD_MAX_BYTES), blocks of neighbours are drawn, and images within a window of blocks; also the images
    of a window, else 0."""
    if not isinstance(images, np.memmap | ImageRows) or images.nbytes <= MemoryLimit.most_bytes():
        return rng.permutation(len(images)), 0
    rows = images.rows if isinstance(images, ImageRows) else np.arange(len(images))
    places = np.argsort(rows, kind="stable")
    size = max(1, _BLOCK_BYTES * len(images) // images.nbytes)
    starts = rng.permutation(-(-len(images) // size)) * size
    order = np.concatenate([places[start : start + size] for start in starts])
    for start in range(0, len(order), size * _WINDOW):
        rng.shuffle(order[start : start + size * _WINDOW])
    return order, size * _WINDOW


class _Windows:
    """The images of a large map in the order of an epoch; a window of it is copied at once, block by block as
    the file has them, so that no page of the file is read twice."""

    def __init__(self, images: np.ndarray | ImageRows, order: np.ndarray, length: int) -> None:
        self.images, self.order, self.length = images, order, length
        self.start, self.held, self.places = 0, np.empty(0), np.empty(0, np.int64)

    def take(self, part: slice) -> np.ndarray:
        at, stop = part.start, min(part.stop, len(self.order))
        taken = np.empty((stop - at, *self.images.shape[1:]), self.images.dtype)
        while at < stop:
            if not self.start <= at < self.start + len(self.held):
                self._read(at)
            end = min(stop, self.start + len(self.held))
            places = self.places[at - self.start : end - self.start]
            np.take(self.held, places, axis=0, out=taken[at - part.start : end - part.start], mode="clip")
            at = end
        return taken

    def _read(self, at: int) -> None:
        self.start, self.held = at - at % self.length, np.empty(0)  # given back before the next is read
        chosen = self.order[self.start : self.start + self.length]
        rows = self.images.rows[chosen] if isinstance(self.images, ImageRows) else chosen
        sorted_places = np.argsort(rows, kind="stable")
        self.held = np.asarray(self.images[chosen[sorted_places]])
        self.places = np.argsort(sorted_places)


def _rows(images: np.ndarray, chosen: slice | np.ndarray) -> np.ndarray:
    """images[chosen]; of an array in memory as rows of pixels, which NumPy takes sooner."""
    if isinstance(chosen, slice) or type(images) is not np.ndarray or not images.flags.c_contiguous:
        return images[chosen]
    rows = images.reshape(len(images), -1).take(chosen, axis=0)
    return rows.reshape(-1, *images.shape[1:])


@checked
def split_dataset(
    dataset: ImageDataset, share: float, *, seed: int, stratified: bool = True
) -> tuple[ImageDataset, ImageDataset]:
    """(rest, held out): `share` (0..1) of all images is held out, rounded half up.

    stratified: each class gives its share, rounded up or down. Both parts keep the order of the
    data set. Raises UsageError when either part would be empty.
    """
    rest, held = split_indices(dataset.labels, share, seed=seed, stratified=stratified)
    return dataset.subset(rest), dataset.subset(held)


def hold_out(
    dataset: ImageDataset, share: float, *, seed: int, stratified: bool = True
) -> tuple[ImageDataset, ImageDataset | None]:
    """What is trained on, and what validates: as `split_dataset`, and all and None for a share of 0."""
    return split_dataset(dataset, share, seed=seed, stratified=stratified) if share else (dataset, None)


def split_indices(
    labels: np.ndarray, share: float, *, seed: int, stratified: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """(rest, held out): ascending indices into labels (N,), `share` of each class held out, or of all."""
    labels = labels if stratified else np.zeros(len(labels), np.int64)
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


FILE = "data_summary"
PLAIN = {
    "name": "str", "note": "str", "count": "int", "image_shape": "ints", "class_names": "strs",
    "pixel_mean": "float", "pixel_std": "float", "sha256": "str",
}  # fmt: skip
FORMS = {"class_counts": "i K", "class_means": "u K H W", "examples": "u K E H W"}  # see Record.check


@dataclass(frozen=True, eq=False)
class DataSummary:
    """What a data set looks like, small enough to keep with a run.

    class_counts: int64 (K,). pixel_mean, pixel_std: in 0..1, of all pixels.
    class_means: uint8 (K, H, W), in colour (K, H, W, 3). examples: uint8 (K, n, H, W) or (K, n, H, W, 3),
    repeated where a class has fewer than n images. A class without any is black.
    sha256: ImageDataset.sha256().
    """

    name: str
    note: str
    count: int
    image_shape: tuple[int, ...]
    class_names: tuple[str, ...]
    class_counts: np.ndarray
    pixel_mean: float
    pixel_std: float
    sha256: str
    class_means: np.ndarray
    examples: np.ndarray

    @classmethod
    def of(cls, dataset: ImageDataset, *, examples: int = 10, seed: int = 0) -> DataSummary:
        """Counts, moments, class means, and `examples` images per class chosen at random."""
        members = [np.flatnonzero(dataset.labels == k) for k in range(len(dataset.class_names))]
        rng = np.random.default_rng(seed)
        mean, std = dataset.pixel_moments()
        return cls(
            name=dataset.name, note=dataset.note, count=len(dataset), image_shape=dataset.image_shape,
            class_names=dataset.class_names, class_counts=dataset.class_counts(), pixel_mean=mean,
            pixel_std=std, sha256=dataset.sha256(), class_means=_class_means(dataset),
            examples=np.stack([_examples(dataset.images, chosen, examples, rng) for chosen in members]),
        )  # fmt: skip

    def save(self, folder: str | Path) -> None:
        """Writes data_summary.json and data_summary.npz, each beside and renamed."""
        plain = {key: getattr(self, key) for key in PLAIN}
        Record(Path(folder), FILE).write(plain, {key: getattr(self, key) for key in FORMS})

    @classmethod
    def load(cls, folder: str | Path) -> DataSummary:
        """Raises DataError naming the folder when the files are not there or broken."""
        record, remedy = Record(Path(folder), FILE), "delete it: a report does without"
        with record.reading("a summary of the data", remedy, DataError):
            plain = pick(record.read_plain(), PLAIN)
            height, width = plain["image_shape"][:2]
            sizes = {"K": len(plain["class_names"]), "H": height, "W": width}
            return cls(**plain, **Record.check(record.read_arrays(), FORMS, sizes))


def _class_means(dataset: ImageDataset) -> np.ndarray:
    """uint8 (K, H, W) or (K, H, W, 3), rounded; black for a class without images."""
    classes = len(dataset.class_names)
    sums, start = np.zeros((classes, *dataset.image_shape)), 0  # whole numbers, exact in float64
    for piece in iterate_pieces(dataset.images):
        labels = dataset.labels[start : start + len(piece)]
        for label in np.unique(labels):
            sums[label] += piece[labels == label].sum(axis=0, dtype=np.uint64)
        start += len(piece)
    counts = np.maximum(dataset.class_counts(), 1).reshape(-1, *[1] * len(dataset.image_shape))
    return np.rint(sums / counts).astype(np.uint8)


def _examples(images: np.ndarray, chosen: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    if not len(chosen):
        return np.zeros((count, *images.shape[1:]), np.uint8)
    return images[np.resize(rng.permutation(chosen), count)]
