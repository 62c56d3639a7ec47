"""One image explained: verdict, maps, what would be read without a part of it, and images like it; and what
is to be explained: a picture, or one image of a data set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tenfold.arguments import checked
from tenfold.arrays import ImageDataset, Prediction, grey_pixels
from tenfold.classifier import Classifier
from tenfold.errors import DataError, UsageError
from tenfold.explain import attributions
from tenfold.pictures.open import open_picture

__all__ = ["Explanation", "Subject", "explain_image"]

# The training images that the network finds most alike: near in the last hidden layer.

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
    _check_size(classifier, dataset, "has learned from")
    rows = np.arange(len(dataset)) if rows is None else rows
    wanted = _directions(classifier, images)
    distances = np.empty((len(images), len(rows)), np.float32)
    same = np.empty((len(images), len(rows)), bool)
    for start in range(0, len(rows), _PIECE):
        part = slice(start, start + _PIECE)
        piece = np.asarray(dataset.images[rows[part]])
        distances[:, part] = 1 - wanted @ _directions(classifier, piece).T
        same[:, part] = [(piece == image).reshape(len(piece), -1).all(axis=1) for image in images]
        if progress:
            progress("training images", min(start + _PIECE, len(rows)), len(rows))
    return [_nearest(dataset, rows, *found, count) for found in zip(distances, same, strict=True)]


def _check_size(classifier: Classifier, dataset: ImageDataset, why: str) -> None:
    if dataset.image_shape != classifier.card.image_shape:
        found = f"{dataset.name} holds images of {dataset.image_shape}"
        raise DataError(found, expected=f"{classifier.card.image_shape}, as the model {why}")


def _nearest(
    dataset: ImageDataset, rows: np.ndarray, distances: np.ndarray, same: np.ndarray, count: int
) -> Neighbours:
    others = np.flatnonzero(~same)
    order = others[np.argsort(distances[others], kind="stable")[:count]]
    chosen = rows[order]
    return Neighbours(
        indices=chosen, distances=np.clip(distances[order], 0, 2), labels=dataset.labels[chosen],
        images=np.asarray(dataset.images[chosen]), class_names=dataset.class_names, copies=int(same.sum()),
        searched=len(rows), dataset=dataset.name,
    )  # fmt: skip


def _directions(classifier: Classifier, images: np.ndarray) -> np.ndarray:
    """float32 (N, D): features at length 1; all zero where no unit is active, which is near nothing."""
    features = classifier.engine.features(images)
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.maximum(lengths, np.float32(1e-12)))


@dataclass(frozen=True, eq=False)
class Explanation:
    """The explanation of one prediction.

    names: of the network's outputs (K,): the classes, and "none of them" where it has learned that.
    logits, probs: float32 (K,) of the outputs; probs sum to 1. winner, runner_up: columns.
    maps: see `draw_maps`. parts: the ink in nine parts. linear: the exact parts of the scores, for a
    linear network. neighbours: None where no training images were given. paper: pixel value without ink.
    temperature: of the classifier, by which logits are divided before the softmax.
    truth: the name of the right class, where it is known.
    """

    prediction: Prediction
    names: tuple[str, ...]
    logits: np.ndarray
    probs: np.ndarray
    winner: int
    runner_up: int
    maps: tuple[attributions.Map, ...]
    parts: tuple[attributions.Part, ...]
    linear: attributions.LinearParts | None
    neighbours: Neighbours | None
    paper: int = 0
    temperature: float = 1.0
    truth: str | None = None

    @property
    def image(self) -> np.ndarray:
        """uint8 (H, W), what the network saw."""
        assert self.prediction.image is not None  # explain_predictions has checked it
        return self.prediction.image

    @property
    def ink(self) -> np.ndarray:
        """uint8 (H, W), light on black whatever the paper was; of an image in colour its grey."""
        image = self.image if self.image.ndim == 2 else grey_pixels(self.image)
        return np.abs(image.astype(np.int16) - self.paper).astype(np.uint8)

    @property
    def lead(self) -> float:
        """The winner's logit minus the runner-up's."""
        return float(self.logits[self.winner] - self.logits[self.runner_up])

    def called(self, column: int) -> str:
        """An output's name as it stands in a sentence: "none of them" in quotation marks."""
        name = self.names[column]
        return name if column < len(self.prediction.class_names) else f'"{name}"'

    def map(self, name: str) -> attributions.Map:
        """The map of this name. Raises KeyError."""
        return {each.name: each for each in self.maps}[name]

    def to_dict(self) -> dict[str, Any]:
        linear = self.linear and {
            "blank": _numbers(self.linear.blank),
            "pixels": _numbers(self.linear.pixels),
        }
        return {
            **self.prediction.to_dict(),
            "truth": self.truth,
            "outputs": list(self.names),
            "logits": _numbers(self.logits),
            "probs": _numbers(self.probs),
            "winner": self.names[self.winner],
            "runner_up": self.names[self.runner_up],
            "lead": self.lead,
            "image": self.image.tolist(),
            "maps": {each.name: _numbers(each.values) for each in self.maps},
            "parts": [
                {"place": part.place, "lead": part.lead, "probs_without": _numbers(part.probs)}
                for part in self.parts
            ],
            "linear": linear,
            "neighbours": self.neighbours and self.neighbours.to_dict(),
        }


@checked
def explain_image(
    classifier: Classifier, image: np.ndarray, *, dataset: ImageDataset | None = None
) -> Explanation:
    """uint8 (H, W) -> the explanation of the answer; with the nearest images of `dataset`, if given."""
    return explain_predictions(classifier, classifier.predictions(image[None]), dataset=dataset)[0]


def explain_predictions(
    classifier: Classifier,
    predictions: list[Prediction],
    *,
    dataset: ImageDataset | None = None,
    rows: np.ndarray | None = None,
    truth: str | None = None,
    progress: Progress = None,
) -> list[Explanation]:
    """Verdicts of this classifier, with their images, -> what moved each.

    dataset, rows: the training images, and which of them were learned from; see `find_neighbours`.
    Raises ValueError for a verdict without an image.
    """
    images = [prediction.image for prediction in predictions if prediction.image is not None]
    if len(images) < len(predictions):
        raise ValueError("a prediction holds no image")
    found: list[Neighbours | None] = [None] * len(predictions)
    if dataset is not None and predictions:
        found = [*find_neighbours(classifier, np.stack(images), dataset, rows=rows, progress=progress)]
    return [
        _explain(classifier, prediction, neighbours, truth)
        for prediction, neighbours in zip(predictions, found, strict=True)
    ]


def _explain(
    classifier: Classifier, prediction: Prediction, neighbours: Neighbours | None, truth: str | None
) -> Explanation:
    assert prediction.image is not None
    image, paper = prediction.image, attributions.paper_of(classifier)
    names = (*classifier.class_names, *(["none of them"] * classifier.card.rejects))
    logits = classifier.engine.logits(image[None])[0]
    winner = attributions.winner_of(prediction)
    runner_up = int(attributions.lead_of(logits, winner).argmin())
    spoken = [*classifier.class_names, *(['"none of them"'] * classifier.card.rejects)]
    maps = attributions.draw_maps(classifier, image, winner, runner_up, spoken)

    def probs_of(images: np.ndarray) -> np.ndarray:
        return classifier.to_probs(classifier.engine.logits(images))

    return Explanation(
        prediction=prediction, names=names, logits=logits, probs=classifier.to_probs(logits[None])[0],
        winner=winner, runner_up=runner_up, maps=maps,
        parts=tuple(attributions.split_ink(image, maps[-1].values, probs_of, paper=paper)),
        linear=attributions.explain_linear(classifier, image), neighbours=neighbours, paper=paper,
        temperature=classifier.card.temperature, truth=truth,
    )  # fmt: skip


def _numbers(values: np.ndarray) -> Any:
    """As nested lists, six digits after the point."""
    return np.round(values.astype(np.float64), 6).tolist()


@dataclass(frozen=True, eq=False)
class Subject:
    """What is to be explained. predictions: a verdict each, with its image. picture: as given, whose pixels
    the boxes count by `size` (width, height); None for an image of a data set. truth: the right class's
    name, where it is known. model: its name. notes: lines that a reader should know, such as why there are
    no neighbours."""

    name: str
    predictions: tuple[Prediction, ...] = ()
    picture: Image.Image | None = None
    size: tuple[int, int] = (1, 1)
    truth: str | None = None
    model: str = ""
    notes: tuple[str, ...] = ()

    @classmethod
    def open(cls, classifier: Classifier, path: str | Path) -> Subject:
        """A picture as `tenfold predict` takes it. Raises DataError for what is not a picture."""
        opened = open_picture(path)
        found = (classifier.classify(path),)
        return cls(Path(path).name, found, Image.fromarray(opened.pixels), opened.size)

    @classmethod
    def take(cls, classifier: Classifier, dataset: ImageDataset, index: int, split: str) -> Subject:
        """One image of a data set, from 0. Raises UsageError beyond its end, DataError for another size."""
        if index >= len(dataset):
            problem = f"{dataset.name} has {len(dataset):,} images ({split})"
            raise UsageError(problem, expected=f"--index from 0 to {len(dataset) - 1}")
        _check_size(classifier, dataset, "takes them")
        image, label = dataset[index]
        found = tuple(classifier.predictions(np.asarray(image)[None]))
        name = f"{dataset.name} ({split}), {dataset.files[index] if dataset.files else f'image {index:,}'}"
        return cls(name, found, truth=dataset.class_names[label])

    def explain(self, classifier: Classifier, **how: Any) -> list[Explanation]:
        """What moved each prediction. how: see `explain_predictions`."""
        return explain_predictions(classifier, list(self.predictions), truth=self.truth, **how)

    def only(self, digit: int | None) -> Subject:
        """The one digit of this number, from 1; all for None. Raises UsageError."""
        count = len(self.predictions)
        if digit is None:
            return self
        if digit > count:
            found = f"{self.name} holds {count} digits"
            raise UsageError(found, expected=f"--digit from 1 to {count}" if count else "a digit")
        return replace(self, predictions=(self.predictions[digit - 1],))
