"""The training images that the network finds most alike: near in the last hidden layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tenfold.arrays import ImageDataset
from tenfold.classifier import Classifier
from tenfold.errors import DataError

__all__ = ["Neighbours", "find_neighbours"]

_PIECE = 1000  # images whose features are held at a time

Progress = Callable[[str, int, int], None] | None


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest training images of one image, nearest first.

    indices: int64 (k,), into the data set searched. distances: float32 (k,), 1 - cosine, from 0 to 2.
    labels: int64 (k,). images: uint8 (k, H, W). copies: training images that are pixel for pixel the image
    itself; they are left out. searched: how many images were. dataset: its name.
    """

    indices: np.ndarray
    distances: np.ndarray
    labels: np.ndarray
    images: np.ndarray
    class_names: tuple[str, ...]
    copies: int
    searched: int
    dataset: str

    def votes(self) -> list[tuple[str, int]]:
        """How many neighbours each class has, most first; of equals the one with the nearest."""
        names, first, counts = np.unique(self.labels, return_index=True, return_counts=True)
        order = np.lexsort((first, -counts))
        return [(self.class_names[names[i]], int(counts[i])) for i in order]

    def to_dict(self) -> dict[str, Any]:
        found = zip(self.indices.tolist(), self.labels.tolist(), self.distances.tolist(), strict=True)
        return {
            "dataset": self.dataset,
            "searched": self.searched,
            "copies": self.copies,
            "votes": dict(self.votes()),
            "nearest": [
                {"index": index, "label": self.class_names[label], "distance": round(distance, 6)}
                for index, label, distance in found
            ],
        }


def find_neighbours(
    classifier: Classifier,
    images: np.ndarray,
    dataset: ImageDataset,
    *,
    rows: np.ndarray | None = None,
    count: int = 8,
    progress: Progress = None,
) -> list[Neighbours]:
    """Of each of uint8 (Q, H, W) the `count` nearest training images, by the cosine between features.

    Features are what enters the last linear layer; of a linear network its input pixels. rows: which images
    of the data set were learned from; None is all. Raises DataError where they have another size.
    """
    if dataset.image_shape != classifier.card.image_shape:
        raise DataError(
            f"{dataset.name} holds images of {dataset.image_shape}",
            expected=f"{classifier.card.image_shape}, as the model has learned from",
        )
    rows = np.arange(len(dataset)) if rows is None else rows
    wanted = _directions(classifier, images)
    distances = np.empty((len(images), len(rows)), np.float32)
    same = np.empty((len(images), len(rows)), bool)
    for start in range(0, len(rows), _PIECE):
        part = slice(start, start + _PIECE)
        piece = np.asarray(dataset.images[rows[part]])
        distances[:, part] = 1 - wanted @ _directions(classifier, piece).T
        same[:, part] = [(piece == image).all(axis=(1, 2)) for image in images]
        if progress:
            progress("training images", min(start + _PIECE, len(rows)), len(rows))
    return [_nearest(dataset, rows, *found, count) for found in zip(distances, same, strict=True)]


def _nearest(
    dataset: ImageDataset, rows: np.ndarray, distances: np.ndarray, same: np.ndarray, count: int
) -> Neighbours:
    others = np.flatnonzero(~same)
    order = others[np.argsort(distances[others], kind="stable")[:count]]
    chosen = rows[order]
    return Neighbours(
        indices=chosen,
        distances=np.clip(distances[order], 0, 2),
        labels=dataset.labels[chosen],
        images=np.asarray(dataset.images[chosen]),
        class_names=dataset.class_names,
        copies=int(same.sum()),
        searched=len(rows),
        dataset=dataset.name,
    )


def _directions(classifier: Classifier, images: np.ndarray) -> np.ndarray:
    """float32 (N, D): features at length 1; all zero where no unit is active, which is near nothing."""
    features = classifier.engine.features(images)
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    unit: np.ndarray = features / np.maximum(lengths, np.float32(1e-12))
    return unit
