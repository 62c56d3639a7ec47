"""Batches that a user gives: a DataLoader or any iterable of (images, labels), read anew each epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tenfold.arguments import describe_value
from tenfold.arrays import Batch, ImageDataset
from tenfold.errors import DataError

__all__ = ["BatchStream"]

_EXPECTED = "batches (images, labels): uint8 or floats from 0 to 1, (n, H, W), (n, C, H, W) or (n, H, W, 3)"


class BatchStream:
    """source: gives its batches each time it is iterated over. dataset: all images of a first pass, for what
    a training has to know beforehand. count: batches of that pass, and of every epoch."""

    def __init__(self, source: Any, class_names: tuple[str, ...] = ()) -> None:
        """Raises DataError for what is not such a source."""
        if not hasattr(source, "__iter__") or isinstance(source, str | bytes):
            raise DataError(
                f"the data are {describe_value(source)}", expected=f"an ImageDataset, or {_EXPECTED}"
            )
        if iter(source) is source:
            found = f"{describe_value(source)} can be read only once"
            raise DataError(
                found, expected="batches that every epoch reads anew", remedy="give a list of them"
            )
        self.source = source
        batches = list(self._read())
        if not batches:
            raise DataError("the data hold no batch", expected=_EXPECTED)
        self.count = len(batches)
        images = np.concatenate([batch.images for batch in batches])
        labels = np.concatenate([batch.labels for batch in batches])
        told = class_names or tuple(map(str, getattr(getattr(source, "dataset", None), "classes", ())))
        names = told or tuple(map(str, range(int(labels.max()) + 1)))
        self.dataset = ImageDataset(images, labels, names, name="batches")

    def batches(self) -> Iterator[Batch]:
        """Of one epoch. Raises DataError where they are fewer than in the first pass."""
        number = 0
        for number, batch in enumerate(self._read(), 1):
            if batch.images.shape[1:] != self.dataset.images.shape[1:]:
                found = f"batch {number} holds images of {batch.images.shape[1:]}"
                raise DataError(found, expected=f"{self.dataset.images.shape[1:]}, as in the first pass")
            yield batch
        if number < self.count:
            raise DataError(f"an epoch has {number} batches", expected=f"{self.count}, as in the first pass")

    def _read(self) -> Iterator[Batch]:
        for batch in self.source:
            if not isinstance(batch, tuple | list) or len(batch) != 2:
                raise DataError(f"a batch is {describe_value(batch)}", expected=_EXPECTED)
            labels = np.asarray(batch[1])
            if labels.ndim != 1 or labels.dtype.kind not in "iu" or len(labels) != len(batch[0]):
                raise DataError(f"labels are {describe_value(labels)}", expected="a whole number per image")
            yield Batch(_to_pixels(np.asarray(batch[0])), labels.astype(np.int64))


def _to_pixels(images: np.ndarray) -> np.ndarray:
    """uint8 (n, H, W) or (n, H, W, 3)."""
    if images.ndim == 4 and images.shape[1] in (1, 3) and images.shape[3] not in (1, 3):
        images = images.transpose(0, 2, 3, 1)
    if images.ndim == 4 and images.shape[3] == 1:
        images = images[..., 0]
    if images.dtype.kind == "f" and images.size and images.min() >= 0 and images.max() <= 1:
        images = np.rint(images * 255).astype(np.uint8)
    if images.dtype != np.uint8 or not (images.ndim == 3 or (images.ndim == 4 and images.shape[3] == 3)):
        ends = f" from {images.min():g} to {images.max():g}" if images.size else ""
        remedy = "leave out Normalize: the recipe scales the inputs"
        raise DataError(f"images are {describe_value(images)}{ends}", expected=_EXPECTED, remedy=remedy)
    return np.ascontiguousarray(images)
