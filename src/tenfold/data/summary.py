"""What a data set looks like, small enough to keep with a run: counts, moments, means, examples."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tenfold.arrays import ImageDataset
from tenfold.errors import DataError
from tenfold.files import replace_file, write_text

__all__ = ["DataSummary", "summarise"]

FILE = "data_summary"
PLAIN = ("name", "note", "count", "image_shape", "class_names", "pixel_mean", "pixel_std", "sha256")
ARRAYS = ("class_counts", "class_means", "examples")


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
        with replace_file(Path(folder, f"{FILE}.npz")) as beside, beside.open("wb") as file:
            np.savez_compressed(file, **{key: getattr(self, key) for key in ARRAYS})
        write_text(Path(folder, f"{FILE}.json"), json.dumps(plain, indent=2) + "\n")

    @classmethod
    def load(cls, folder: str | Path) -> DataSummary:
        """Raises DataError naming the folder when the files are not there or broken."""
        try:
            plain = json.loads(Path(folder, f"{FILE}.json").read_text(encoding="utf-8"))
            with Path(folder, f"{FILE}.npz").open("rb") as file, np.load(file, allow_pickle=False) as archive:
                arrays = {key: archive[key] for key in ARRAYS}
            plain |= {key: tuple(plain[key]) for key in ("image_shape", "class_names")}
            return cls(**plain, **arrays)
        except Exception as error:  # json, zipfile and NumPy raise a dozen kinds on broken bytes
            raise DataError(
                f"{folder} has no summary of its data that can be read ({error})",
                expected=f"{FILE}.json and {FILE}.npz",
                remedy="make it again by training again",
            ) from error


def summarise(dataset: ImageDataset, *, examples: int = 10, seed: int = 0) -> DataSummary:
    """Counts, moments, class means, and `examples` images a class chosen at random."""
    members = [np.flatnonzero(dataset.labels == k) for k in range(len(dataset.class_names))]
    rng = np.random.default_rng(seed)
    mean, std = _moments(dataset.images)
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
        class_means=np.stack([_mean(dataset.images, chosen) for chosen in members]),
        examples=np.stack([_examples(dataset.images, chosen, examples, rng) for chosen in members]),
    )


def _moments(images: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of pixel / 255, exact sums, a few thousand images at a time."""
    total = squares = 0
    for start in range(0, len(images), 4096):
        chunk = images[start : start + 4096].astype(np.uint32)
        total += int(chunk.sum(dtype=np.uint64))
        squares += int(np.square(chunk).sum(dtype=np.uint64))
    mean = total / images.size
    return mean / 255, float(np.sqrt(max(squares / images.size - mean**2, 0.0))) / 255


def _mean(images: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    if not len(chosen):
        return np.zeros(images.shape[1:], np.uint8)
    return np.rint(images[chosen].mean(axis=0)).astype(np.uint8)


def _examples(images: np.ndarray, chosen: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    if not len(chosen):
        return np.zeros((count, *images.shape[1:]), np.uint8)
    return images[np.resize(rng.permutation(chosen), count)]
