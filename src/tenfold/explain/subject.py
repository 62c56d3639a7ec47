"""What is to be explained: a picture, or one image of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from tenfold.arrays import ImageDataset, Prediction
from tenfold.classifier import Classifier
from tenfold.errors import DataError, UsageError
from tenfold.explain.explanation import Explanation
from tenfold.pictures.drawing import COLOURS, number_tag
from tenfold.pictures.open import open_picture

__all__ = ["Shown", "Subject", "ink_of", "mark_boxes", "open_subject", "take_subject"]

# What is explained, as a page and a picture both show it.


@dataclass(frozen=True, eq=False)
class Shown:
    """What is explained: its name, the model's, the picture as given (None for an image of a data set),
    and lines that a reader should know, such as why there are no neighbours.

    size: (width, height) in the pixels that the verdicts' boxes count.
    """

    name: str
    model: str
    picture: Image.Image | None = None
    size: tuple[int, int] = (1, 1)
    notes: tuple[str, ...] = ()


def ink_of(explanation: Explanation) -> np.ndarray:
    """uint8 (H, W), the ink light on black whatever the paper was."""
    return np.abs(explanation.image.astype(np.int16) - explanation.paper).astype(np.uint8)


def mark_boxes(shown: Shown, digits: Sequence[Prediction], longest: int) -> Image.Image:
    """The picture as given, at most so long, with a box and a number around each digit."""
    assert shown.picture is not None
    image = shown.picture.convert("RGB")
    ratio = min(longest / max(image.size), 8.0)
    size = (max(1, round(image.width * ratio)), max(1, round(image.height * ratio)))
    image = image.resize(size, Image.Resampling.NEAREST if ratio >= 3 else Image.Resampling.LANCZOS)
    scale = (image.width / shown.size[0], image.height / shown.size[1])
    draw = ImageDraw.Draw(image)
    for number, digit in enumerate(digits, start=1):
        if digit.box is None:
            continue
        x0, y0, x1, y1 = (round(edge * scale[place % 2]) for place, edge in enumerate(digit.box))
        box = (max(0, x0 - 3), max(0, y0 - 3), min(image.width - 1, x1 + 3), min(image.height - 1, y1 + 3))
        draw.rectangle(box, outline=COLOURS[digit.verdict], width=2)
        if len(digits) > 1:
            image.paste(number_tag(number, COLOURS[digit.verdict], 16), (box[0], box[1]))
    return image


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
