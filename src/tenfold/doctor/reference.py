"""Images answered by their nearest training images (Cover & Hart 1967): a reference that needs no recipe and
no training, so that data can be judged apart from the network that is to learn them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tenfold.arrays import ImageDataset

__all__ = ["Answers", "Reference", "guessing", "lucky"]

_NEIGHBOURS = 15
_SIDE = 32  # pixels: larger images are averaged down to about this


@dataclass(frozen=True, eq=False)
class Answers:
    """labels (M,): what most neighbours are. support (M,): share of the neighbours that are. nearest (M,):
    the label of the nearest image alone. likeness (M,): correlation with it, -1 to 1."""

    labels: np.ndarray
    support: np.ndarray
    nearest: np.ndarray
    likeness: np.ndarray


class Reference:
    """Answers from the training images. Images are compared by the correlation of their pixels, so that
    brightness and contrast make no difference."""

    def __init__(self, train: ImageDataset) -> None:
        self.labels, self.classes = train.labels, len(train.class_names)
        self.vectors = _describe(train.images)
        self.neighbours = max(1, min(_NEIGHBOURS, len(train) // (2 * self.classes)))

    def answer(self, images: np.ndarray) -> Answers:
        """images: uint8 (M, H, W), of the training images' size."""
        return self._answer(_describe(images) @ self.vectors.T)

    def answer_training(self) -> Answers:
        """For each training image what the others say."""
        likeness = self.vectors @ self.vectors.T
        np.fill_diagonal(likeness, -2.0)
        return self._answer(likeness)

    def _answer(self, likeness: np.ndarray) -> Answers:
        rows = np.arange(len(likeness))
        near = np.argpartition(-likeness, self.neighbours - 1, axis=1)[:, : self.neighbours]
        votes = np.zeros((len(likeness), self.classes))
        for column in near.T:
            votes[rows, self.labels[column]] += 1
        first = likeness.argmax(axis=1)
        votes[rows, self.labels[first]] += 0.5  # of equally many the class of the nearest
        answers = votes.argmax(axis=1)
        support = np.floor(votes[rows, answers]) / self.neighbours
        return Answers(answers, support, self.labels[first], likeness[rows, first])


def _describe(images: np.ndarray) -> np.ndarray:
    """float32 (M, P): pixels of mean 0 and length 1, so that a product of two is their correlation."""
    pixels = np.asarray(images, dtype=np.float32)
    for axis in (1, 2):
        step = pixels.shape[axis] // _SIDE
        if step > 1:
            starts = np.arange(0, pixels.shape[axis], step)
            pixels = np.add.reduceat(pixels, starts, axis=axis)
    vectors = pixels.reshape(len(pixels), -1)
    vectors -= vectors.mean(axis=1, keepdims=True)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    return vectors


def guessing(labels: np.ndarray) -> float:
    """The accuracy of always answering with the most frequent class."""
    return float(np.bincount(labels).max() / len(labels))


def lucky(guess: float, images: int) -> float:
    """What guessing does not reach: three standard deviations above it."""
    return guess + 3 * float(np.sqrt(guess * (1 - guess) / images)) + 0.03
