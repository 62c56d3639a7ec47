"""Which ink an answer rests on: cover a part of it and see how far the answer's probability falls.

Occlusion (Zeiler and Fergus 2014, "Visualizing and understanding convolutional networks", section 4.2);
it asks the classifier and nothing else, so it is the same for every engine.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from tenfold.arrays import Prediction

__all__ = ["saliency_map", "winner_of"]


class _Judging(Protocol):
    def judge(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]: ...


def winner_of(digit: Prediction) -> int:
    """The column of the answer: a class, or the one after the last for "none of them"."""
    return len(digit.probs) if digit.verdict == "not a digit" else int(digit.probs.argmax())


def saliency_map(
    classifier: _Judging,
    image: np.ndarray,
    winner: int,
    *,
    window: int = 5,
    step: int = 1,
    paper: int = 0,
) -> np.ndarray:
    """uint8 (H, W) -> float32 (H, W): each pixel's share in the answer.

    A window of paper is laid over the image in steps; a pixel's value is the mean fall of the winning
    probability over the windows that cover it: above 0 its ink supports the answer, below 0 contradicts it.
    winner: a class's column, or the number of classes for "none of them". paper: the pixel value
    where there is no ink; 0 for light ink on black. One batch is judged.
    """
    places = _places(image.shape, window, step)
    inked = [place for place in places if (image[place] != paper).any()]
    covered = np.repeat(image[None], len(inked) + 1, axis=0)
    for number, place in enumerate(inked, start=1):
        covered[number][place] = paper
    probs = _probs(classifier, covered)[:, winner]
    falls, counts = np.zeros(image.shape, np.float32), np.zeros(image.shape, np.float32)
    for place in places:  # one without ink changes nothing, and counts as such
        counts[place] += 1
    for place, prob in zip(inked, probs[1:], strict=True):
        falls[place] += probs[0] - prob
    return falls / np.maximum(counts, 1)


def _places(shape: tuple[int, ...], window: int, step: int) -> list[tuple[slice, slice]]:
    tops, lefts = (range(0, max(1, side - window + 1), step) for side in shape)
    return [(slice(top, top + window), slice(left, left + window)) for top in tops for left in lefts]


def _probs(classifier: _Judging, images: np.ndarray) -> np.ndarray:
    """float32 (N, K + 1): of each class, and last of none, together 1."""
    probs, none = classifier.judge(images)
    return np.concatenate([probs * (1 - none[:, None]), none[:, None]], axis=1)
