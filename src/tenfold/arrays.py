"""The arrays that travel through the house: frozen, and checked when they are made."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tenfold.errors import DataError

if TYPE_CHECKING:
    from tenfold.augmentation.draws import AugmentationDraws

__all__ = ["Batch", "ImageDataset", "Prediction", "Verdict"]

Verdict = Literal["digit", "unsure", "not a digit"]


@dataclass(frozen=True, eq=False)
class ImageDataset:
    """Grey images and their classes.

    images: uint8 (N, H, W), 0 is black. labels: int64 (N,), indices into class_names.
    note: one line on where the data came from when that is not what was asked for.
    Raises DataError when the arrays do not fit each other.
    Usable as a PyTorch map-style data set: `dataset[i]` is (image, label).
    """

    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    name: str = "data"
    note: str = ""

    def __post_init__(self) -> None:
        images, labels = self.images, self.labels
        if images.ndim != 3 or images.dtype != np.uint8:
            raise DataError(
                f"{self.name}: images are {images.dtype} of shape {images.shape}",
                expected="uint8 of shape (N, height, width)",
            )
        if labels.shape != images.shape[:1] or not np.issubdtype(labels.dtype, np.integer):
            raise DataError(
                f"{self.name}: {len(images)} images but labels of shape {labels.shape}, {labels.dtype}",
                expected="one integer label an image",
            )
        if not len(images) or not images.size:
            raise DataError(f"{self.name}: no images", expected="at least one image")
        if len(self.class_names) < 2:
            raise DataError(f"{self.name}: {len(self.class_names)} class", expected="at least two classes")
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= len(self.class_names):
            raise DataError(
                f"{self.name}: labels from {low} to {high}",
                expected=f"0 to {len(self.class_names) - 1} for {len(self.class_names)} classes",
            )
        object.__setattr__(self, "labels", _read_only(labels.astype(np.int64, copy=False)))
        object.__setattr__(self, "images", _read_only(images))
        object.__setattr__(self, "class_names", tuple(self.class_names))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return self.images[index], int(self.labels[index])

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[np.ndarray, int]]:
        chosen = np.asarray(indices)
        return list(zip(self.images[chosen], self.labels[chosen].tolist(), strict=True))

    @property
    def classes(self) -> list[str]:
        return list(self.class_names)

    @property
    def targets(self) -> np.ndarray:
        return self.labels

    @property
    def image_shape(self) -> tuple[int, int]:
        return self.images.shape[1], self.images.shape[2]

    def class_counts(self) -> np.ndarray:
        """int64 (K,): images a class."""
        return np.bincount(self.labels, minlength=len(self.class_names))

    def subset(self, indices: np.ndarray, *, name: str | None = None) -> ImageDataset:
        """The images at `indices`, in that order."""
        return ImageDataset(
            self.images[indices],
            self.labels[indices],
            self.class_names,
            name or self.name,
            self.note,
        )

    def sha256(self) -> str:
        """Of shape, images and labels: the same pictures in the same order give the same figure."""
        digest = hashlib.sha256(repr(self.images.shape).encode())
        digest.update(np.ascontiguousarray(self.images).data)
        digest.update(np.ascontiguousarray(self.labels).data)
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class Batch:
    """What one training step takes.

    images: uint8 (N, H, W); labels: int64 (N,); augmentation: how to change each image, or None.
    """

    images: np.ndarray
    labels: np.ndarray
    augmentation: AugmentationDraws | None = None

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a classifier says of one image.

    label: the likeliest class's name. confidence: its probability. probs: float32 (K,).
    box: where in the picture it was found, (x0, y0, x1, y1) in pixels, or None. row: of writing, from 0.
    none: the probability that it is none of the classes, from a classifier that learned to say so.
    verdict: what to make of it, by the classifier's thresholds. image: uint8 (H, W), what the network saw.
    """

    label: str
    confidence: float
    probs: np.ndarray
    class_names: tuple[str, ...] = field(repr=False)
    box: tuple[int, int, int, int] | None = None
    row: int = 0
    none: float = 0.0
    verdict: Verdict = "digit"
    image: np.ndarray | None = field(default=None, repr=False)

    def alternatives(self, count: int = 3) -> list[tuple[str, float]]:
        """The likeliest classes, best first, with their probabilities."""
        order = np.argsort(-self.probs, kind="stable")[:count]
        return [(self.class_names[i], float(self.probs[i])) for i in order]

    def to_dict(self) -> dict[str, Any]:
        return {
            "label": self.label,
            "confidence": float(self.confidence),
            "verdict": self.verdict,
            "alternatives": [{"label": name, "confidence": value} for name, value in self.alternatives()],
            "probs": [float(value) for value in self.probs],
            "box": self.box,
        }


def _read_only(array: np.ndarray) -> np.ndarray:
    view = array.view()
    view.flags.writeable = False
    return view
