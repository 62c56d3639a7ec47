"""What is to be explained: a picture, or one image of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from tenfold.arrays import ImageDataset, Prediction
from tenfold.classifier import Classifier
from tenfold.errors import DataError, UsageError
from tenfold.explain.shown import Shown
from tenfold.ink.open import open_picture

__all__ = ["Subject", "open_subject", "take_subject"]


@dataclass(frozen=True, eq=False)
class Subject:
    """predictions: a verdict each, with its image. picture: as given, whose pixels the boxes count by
    `size`; None for an image of a data set. truth: the right class's name, where it is known."""

    name: str
    predictions: tuple[Prediction, ...]
    picture: Image.Image | None = None
    size: tuple[int, int] = (1, 1)
    truth: str | None = None

    def only(self, digit: int | None) -> Subject:
        """The one digit of this number, from 1; all for None. Raises UsageError."""
        if digit is None:
            return self
        if digit > len(self.predictions):
            raise UsageError(
                f"{self.name} holds {len(self.predictions)} digits",
                expected=f"--digit from 1 to {len(self.predictions)}" if self.predictions else "a digit",
            )
        return replace(self, predictions=(self.predictions[digit - 1],))

    def shown(self, model: str, notes: Sequence[str] = ()) -> Shown:
        return Shown(self.name, model, self.picture, self.size, tuple(notes))


def open_subject(classifier: Classifier, path: str | Path) -> Subject:
    """A picture as `tenfold predict` takes it. Raises DataError for what is not a picture."""
    opened = open_picture(path)
    return Subject(Path(path).name, (classifier.classify(path),), Image.fromarray(opened.pixels), opened.size)


def take_subject(classifier: Classifier, dataset: ImageDataset, index: int, split: str) -> Subject:
    """One image of a data set, from 0. Raises UsageError beyond its end, DataError for another size."""
    if index >= len(dataset):
        raise UsageError(
            f"{dataset.name} has {len(dataset):,} images ({split})",
            expected=f"--index from 0 to {len(dataset) - 1}",
        )
    if dataset.image_shape != classifier.card.image_shape:
        raise DataError(
            f"{dataset.name} holds images of {dataset.image_shape}",
            expected=f"{classifier.card.image_shape}, as the model takes them",
        )
    image, label = dataset[index]
    found = tuple(classifier.predictions(np.asarray(image)[None]))
    name = f"{dataset.name} ({split}), {dataset.files[index] if dataset.files else f'image {index:,}'}"
    return Subject(name, found, truth=dataset.class_names[label])
