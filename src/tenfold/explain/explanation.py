"""One image explained: verdict, maps, what would be read without a part of it, and images like it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tenfold.arguments import checked
from tenfold.arrays import ImageDataset, Prediction
from tenfold.classifier import Classifier
from tenfold.explain.gradient import lead_of, paper_of
from tenfold.explain.linear import LinearParts, explain_linear
from tenfold.explain.maps import Map, draw_maps
from tenfold.explain.neighbours import Neighbours, find_neighbours
from tenfold.explain.occlusion import winner_of
from tenfold.explain.without import Part, split_ink

__all__ = ["Explanation", "explain_image", "explain_predictions"]


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
    maps: tuple[Map, ...]
    parts: tuple[Part, ...]
    linear: LinearParts | None
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
    def lead(self) -> float:
        """The winner's logit minus the runner-up's."""
        return float(self.logits[self.winner] - self.logits[self.runner_up])

    def called(self, column: int) -> str:
        """An output's name as it stands in a sentence."""
        return _called(self.names, column, len(self.prediction.class_names))

    def map(self, name: str) -> Map:
        """The map of this name. Raises KeyError."""
        return {each.name: each for each in self.maps}[name]

    def to_dict(self) -> dict[str, Any]:
        linear = self.linear
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
            "linear": None
            if linear is None
            else {"blank": _numbers(linear.blank), "pixels": _numbers(linear.pixels)},
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
    progress: Callable[[str, int, int], None] | None = None,
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
    image, paper = prediction.image, paper_of(classifier)
    names = (*classifier.class_names, *(["none of them"] * classifier.card.rejects))
    logits = classifier.engine.logits(image[None])[0]
    winner = winner_of(prediction)
    runner_up = int(lead_of(logits, winner).argmin())
    linear = explain_linear(classifier, image)
    spoken = tuple(_called(names, column, len(classifier.class_names)) for column in range(len(names)))
    maps = draw_maps(classifier, image, winner, runner_up, spoken, linear=linear is not None)

    def probs_of(images: np.ndarray) -> np.ndarray:
        return classifier.to_probs(classifier.engine.logits(images))

    return Explanation(
        prediction=prediction,
        names=names,
        logits=logits,
        probs=classifier.to_probs(logits[None])[0],
        winner=winner,
        runner_up=runner_up,
        maps=maps,
        parts=tuple(split_ink(image, maps[-1].values, probs_of, paper=paper)),
        linear=linear,
        neighbours=neighbours,
        paper=paper,
        temperature=classifier.card.temperature,
        truth=truth,
    )


def _called(names: tuple[str, ...], column: int, classes: int) -> str:
    """The name of an output in a sentence: "none of them" in quotation marks."""
    return names[column] if column < classes else f'"{names[column]}"'


def _numbers(values: np.ndarray) -> Any:
    """As nested lists, six digits after the point."""
    return np.round(values.astype(np.float64), 6).tolist()
