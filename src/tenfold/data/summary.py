"""What a data set looks like, small enough to keep with a run: counts, moments, means, examples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tenfold.arrays import ImageDataset, count_pixels, iterate_pieces
from tenfold.errors import DataError
from tenfold.records import check_arrays, pick, read_arrays, read_json, reading, write_record

__all__ = ["DataSummary", "pixel_moments", "summarise"]

FILE = "data_summary"
PLAIN = {
    "name": "str", "note": "str", "count": "int", "image_shape": "ints", "class_names": "strs",
    "pixel_mean": "float", "pixel_std": "float", "sha256": "str",
}  # fmt: skip
FORMS = {"class_counts": "i K", "class_means": "u K H W", "examples": "u K E H W"}  # see check_arrays


@dataclass(frozen=True, eq=False)
class DataSummary:
    """class_counts: int64 (K,). pixel_mean, pixel_std: in 0..1, of all pixels.
    class_means: uint8 (K, H, W). examples: uint8 (K, n, H, W), repeated where a class has fewer
    than n images. A class without any is black. sha256: ImageDataset.sha256().
    """

    name: str
    note: str
    count: int
    image_shape: tuple[int, int]
    class_names: tuple[str, ...]
    class_counts: np.ndarray
    pixel_mean: float
    pixel_std: float
    sha256: str
    class_means: np.ndarray
    examples: np.ndarray

    def save(self, folder: str | Path) -> None:
        """Writes data_summary.json and data_summary.npz, each beside and renamed."""
        plain = {key: getattr(self, key) for key in PLAIN}
        write_record(Path(folder), FILE, plain, {key: getattr(self, key) for key in FORMS})

    @classmethod
    def load(cls, folder: str | Path) -> DataSummary:
        """Raises DataError naming the folder when the files are not there or broken."""
        what, remedy = f"{Path(folder, FILE)}.json with its .npz", "delete it: a report does without"
        with reading(what, expected="a summary of the data", remedy=remedy, kind=DataError):
            plain = pick(read_json(Path(folder, f"{FILE}.json")), PLAIN)
            height, width = plain["image_shape"]
            sizes = {"K": len(plain["class_names"]), "H": height, "W": width}
            return cls(**plain, **check_arrays(read_arrays(Path(folder, f"{FILE}.npz")), FORMS, sizes))


def summarise(dataset: ImageDataset, *, examples: int = 10, seed: int = 0) -> DataSummary:
    """Counts, moments, class means, and `examples` images per class chosen at random."""
    members = [np.flatnonzero(dataset.labels == k) for k in range(len(dataset.class_names))]
    rng = np.random.default_rng(seed)
    mean, std = pixel_moments(dataset.images)
    return DataSummary(
        name=dataset.name,
        note=dataset.note,
        count=len(dataset),
        image_shape=dataset.image_shape,
        class_names=dataset.class_names,
        class_counts=dataset.class_counts(),
        pixel_mean=mean,
        pixel_std=std,
        sha256=dataset.sha256(),
        class_means=_class_means(dataset),
        examples=np.stack([_examples(dataset.images, chosen, examples, rng) for chosen in members]),
    )


def pixel_moments(images: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of pixel / 255, from exact sums."""
    counts, values = count_pixels(images), np.arange(256)
    total, squares = int(counts @ values), int(counts @ values**2)
    mean = total / images.size
    return mean / 255, float(np.sqrt(max(squares / images.size - mean**2, 0.0))) / 255


def _class_means(dataset: ImageDataset) -> np.ndarray:
    """uint8 (K, H, W), rounded; black for a class without images."""
    classes = len(dataset.class_names)
    sums, start = np.zeros((classes, *dataset.image_shape)), 0  # whole numbers, exact in float64
    for piece in iterate_pieces(dataset.images):
        labels = dataset.labels[start : start + len(piece)]
        for label in np.unique(labels):
            sums[label] += piece[labels == label].sum(axis=0, dtype=np.uint64)
        start += len(piece)
    return np.rint(sums / np.maximum(dataset.class_counts(), 1)[:, None, None]).astype(np.uint8)


def _examples(images: np.ndarray, chosen: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    if not len(chosen):
        return np.zeros((count, *images.shape[1:]), np.uint8)
    return images[np.resize(rng.permutation(chosen), count)]
