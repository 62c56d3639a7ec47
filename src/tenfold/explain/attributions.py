"""Which ink an answer rests on, by the gradient of its score: one pass forward and one back.

A score is a logit, or the lead of one logit over another: a weighted sum of the engine's outputs, with
`outputs` (K,) as weights. Ink goes from 0 (paper) to 1 (full). Maps are float32 (H, W), above 0 where ink
raises the score; in colour a pixel's value is the sum over its three channels.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import pairwise, product
from typing import Any

import numpy as np

from tenfold.arrays import Prediction
from tenfold.classifier import Classifier
from tenfold.networks.engine import EnsembleEngine
from tenfold.networks.shapes import Layer

__all__ = ["gradient_saliency"]


def gradient_saliency(classifier: Classifier, image: np.ndarray, winner: int | None = None) -> np.ndarray:
    """uint8 (H, W) -> float32 (H, W): what each pixel's ink adds to the lead of the answer, to first order.

    The quick map, for live use: gradient times ink of the winning logit minus that
    of the runner-up. Above 0 ink supports the answer, below 0 the runner-up; paper is 0.
    winner: an output's column, see `winner_of`; None is the largest output.
    """
    logits = classifier.engine.logits(image[None])[0]
    return gradient_times_ink(classifier, image, lead_of(logits, winner))


def lead_of(logits: np.ndarray, winner: int | None = None) -> np.ndarray:
    """The weights (K,) of the lead of the winner over the best other output: 1, -1, else 0."""
    best = int(logits.argmax()) if winner is None else winner
    others = logits.astype(np.float64)
    others[best] = -np.inf
    outputs = np.zeros(len(logits), np.float32)
    outputs[best], outputs[others.argmax()] = 1, -1
    return outputs


def paper_of(classifier: Classifier) -> int:
    """The pixel value where there is no ink: 255 for dark ink on a light ground, else 0."""
    return 255 if classifier.card.background == "light" else 0


def gradient_map(classifier: Classifier, image: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """d score / d ink of each pixel (Simonyan et al. 2014, "Deep inside convolutional networks")."""
    return _by_pixel(_gradients(classifier, image[None], outputs)[0])


def _by_pixel(values: np.ndarray) -> np.ndarray:
    """(H, W), or (H, W, 3) summed over the channels."""
    return values if values.ndim == 2 else np.asarray(values.sum(axis=2))


def gradient_times_ink(classifier: Classifier, image: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """The gradient times the ink that is there: of a linear network exactly what each pixel adds."""
    return _by_pixel(_gradients(classifier, image[None], outputs)[0] * _ink(classifier, image))


def smooth_gradient(
    classifier: Classifier,
    image: np.ndarray,
    outputs: np.ndarray,
    *,
    samples: int = 32,
    noise: float = 0.15,
    seed: int = 0,
) -> np.ndarray:
    """The mean gradient over noisy copies of the image (Smilkov et al. 2017, "SmoothGrad").

    noise: the standard deviation, as a share of full ink. The copies are not cut off at paper and full
    ink, so that the noise has no direction.
    """
    draws = np.random.default_rng(seed).normal(0, 255 * noise, (samples, *image.shape))
    return _by_pixel(_gradients(classifier, image + draws.astype(np.float32), outputs).mean(axis=0))


def integrated_gradients(
    classifier: Classifier, image: np.ndarray, outputs: np.ndarray, *, steps: int = 256
) -> np.ndarray:
    """What each pixel adds on the way from blank paper to the image (Sundararajan et al. 2017, eq. 1).

    The mean gradient along the straight line, at the middles of `steps` pieces, times the ink. Complete: the
    map's sum is the image's score minus that of blank paper, up to what the pieces leave out.
    """
    ink = _ink(classifier, image)
    shares = ((np.arange(steps, dtype=np.float32) + 0.5) / steps).reshape(-1, *[1] * image.ndim)
    way = paper_of(classifier) + shares * (255 * ink * _direction(classifier))
    return _by_pixel(_gradients(classifier, way, outputs).mean(axis=0) * ink)


def _gradients(classifier: Classifier, images: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """Pixels 0..255 (N, H, W) or (N, H, W, 3) -> d score / d ink, of the same shape."""
    weights = np.tile(np.asarray(outputs, np.float32), (len(images), 1))
    gradients = classifier.engine.input_gradient(images, weights)
    return gradients * np.float32(_direction(classifier) / classifier.card.std)


def _ink(classifier: Classifier, image: np.ndarray) -> np.ndarray:
    """float32, of the image's shape, 0 for paper to 1."""
    return np.abs(image.astype(np.float32) - paper_of(classifier)) / np.float32(255)


def _direction(classifier: Classifier) -> int:
    """Whether ink makes a pixel's value larger (1) or smaller (-1)."""
    return -1 if paper_of(classifier) else 1


# A linear network explained exactly: each pixel's weight times its ink, and one number for blank paper.

_LINEAR = {
    "flatten", "linear", "conv", "batch-norm", "depthwise", "dropout", "average-pool", "global-average-pool",
    "pixel-unshuffle", "residual", "scale",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class LinearParts:
    """What a score is the sum of: logits[k] = pixels[k].sum() + blank[k].

    weights: float32 (K, H, W), of full ink in each pixel. pixels: float32 (K, H, W), the weights times the
    ink that is there. blank: float32 (K,), the bias: the scores of paper without ink.
    """

    weights: np.ndarray
    pixels: np.ndarray
    blank: np.ndarray

    @property
    def logits(self) -> np.ndarray:
        """float64 (K,)."""
        return self.pixels.sum(axis=(1, 2), dtype=np.float64) + self.blank


def is_linear(classifier: Classifier) -> bool:
    """Whether every score is a weighted sum of the pixels, when the network answers."""

    def linear(layers: Sequence[Layer]) -> bool:
        return all(layer.spec.kind in _LINEAR and linear(layer.inner) for layer in layers)

    one = not isinstance(classifier.engine, EnsembleEngine)  # which gives logarithms of mean probabilities
    return one and linear(classifier.network.layers)


def explain_linear(classifier: Classifier, image: np.ndarray) -> LinearParts | None:
    """uint8 (H, W) -> the parts of its scores; None for a network that is not linear.

    The gradient of a linear score is its weights, wherever it is taken.
    """
    if not is_linear(classifier):
        return None
    engine, paper = classifier.engine, paper_of(classifier)
    blank = np.full((1, *image.shape), paper, np.uint8)
    columns = np.arange(classifier.network.classes)
    gradients = engine.input_gradient(np.repeat(blank, len(columns), axis=0), columns)
    a_pixel = gradients / np.float32(255 * classifier.card.std)  # for one step of the pixel's value
    ink = image.astype(np.float32) - paper
    weights, pixels = a_pixel * (-255 if paper else 255), a_pixel * ink
    if image.ndim == 3:
        weights, pixels = weights.sum(axis=3), pixels.sum(axis=3)
    return LinearParts(weights, pixels, engine.logits(blank)[0])


# Occlusion: cover a part of the ink and see how far the answer's probability falls (Zeiler and Fergus 2014,
# "Visualizing and understanding convolutional networks", section 4.2). It asks the classifier and nothing
# else, so it is the same for every engine.


def winner_of(digit: Prediction) -> int:
    """The column of the answer: a class, or the one after the last for "none of them"."""
    return len(digit.probs) if digit.verdict == "not a digit" else int(digit.probs.argmax())


def saliency_map(
    classifier: Classifier, image: np.ndarray, winner: int, *, window: int = 5, step: int = 1, paper: int = 0
) -> np.ndarray:
    """uint8 (H, W) -> float32 (H, W): each pixel's share in the answer.

    A window of paper is laid over the image in steps; a pixel's value is the mean fall of the winning
    probability over the windows that cover it: above 0 its ink supports the answer, below 0 contradicts it.
    winner: a class's column, or the number of classes for "none of them". paper: the pixel value
    where there is no ink; 0 for light ink on black. One batch is judged.
    """
    places = _places(image.shape[:2], window, step)
    inked = [place for place in places if (image[place] != paper).any()]
    covered = np.repeat(image[None], len(inked) + 1, axis=0)
    for number, place in enumerate(inked, start=1):
        covered[number][place] = paper
    classes, none = classifier.judge(covered)
    probs = none if winner == classes.shape[1] else classes[:, winner] * (1 - none)
    falls, counts = np.zeros((2, *image.shape[:2]), np.float32)
    for place in places:  # one without ink changes nothing, and counts as such
        counts[place] += 1
    for place, prob in zip(inked, probs[1:], strict=True):
        falls[place] += probs[0] - prob
    return falls / np.maximum(counts, 1)


def _places(shape: tuple[int, ...], window: int, step: int) -> list[tuple[slice, slice]]:
    tops, lefts = (range(0, max(1, side - window + 1), step) for side in shape)
    return [(slice(top, top + window), slice(left, left + window)) for top in tops for left in lefts]


# A counterfactual: the ink in nine parts, what each part says, and what would be read without it.

PLACES = (
    "at the upper left", "at the top", "at the upper right",
    "at the left", "in the middle", "at the right",
    "at the lower left", "at the bottom", "at the lower right",
)  # fmt: skip


@dataclass(frozen=True)
class Part:
    """A ninth of the ink's box. lead: what its ink adds to the lead over the runner-up, in score.

    probs: float (K,), of the outputs, once its ink is taken away.
    """

    place: str
    lead: float
    probs: np.ndarray


def split_ink(
    image: np.ndarray, lead: np.ndarray, probs_of: Callable[[np.ndarray], np.ndarray], *, paper: int = 0
) -> list[Part]:
    """The parts that hold ink, of an image uint8 (H, W) and the map of its lead (H, W).

    probs_of: uint8 (N, H, W) -> (N, K), asked once. A picture without ink has no parts.
    """
    inked = (image != paper).reshape(*image.shape[:2], -1).any(axis=2)
    if not inked.any():
        return []
    places = [(name, where) for name, where in zip(PLACES, _thirds(inked), strict=True) if inked[where].any()]
    without = np.repeat(image[None], len(places), axis=0)
    for copy, (_, where) in zip(without, places, strict=True):
        copy[where] = paper
    probs = probs_of(without)
    return [
        Part(name, float(lead[where].sum()), row) for (name, where), row in zip(places, probs, strict=True)
    ]


def _thirds(inked: np.ndarray) -> list[tuple[slice, slice]]:
    """The nine parts of the ink's bounding box, row by row; of a thin one some are empty."""
    sides = []
    for axis in (1, 0):
        found = np.flatnonzero(inked.any(axis=axis))
        edges = np.rint(np.linspace(found[0], found[-1] + 1, 4)).astype(int)
        sides.append([slice(*pair) for pair in pairwise(edges)])
    return list(product(sides[0], sides[1]))


# The maps of one explanation: each with one sentence on how to read it and one on where it misleads.

_WORDS = tomllib.loads(files("tenfold.explain").joinpath("maps.toml").read_text(encoding="utf-8"))


@dataclass(frozen=True, eq=False)
class Map:
    """values: float32 (H, W), above 0 where a pixel supports the answer, in `unit`.

    reading, limit: a sentence each. everywhere: it says something of paper too. least: the full colour
    stands for no less. additive: the values add up to what `reading` says.
    """

    name: str
    title: str
    values: np.ndarray
    unit: str
    reading: str
    limit: str
    everywhere: bool = False
    least: float = 0.0
    additive: bool = False


def draw_maps(
    classifier: Classifier, image: np.ndarray, winner: int, runner_up: int, names: Sequence[str]
) -> tuple[Map, ...]:
    """The maps of uint8 (H, W) for the outputs `winner` against `runner_up`, called by their `names`.

    Of a linear network SmoothGrad is the gradient, and integrated gradients are gradient times ink: they
    are left out.
    """
    score = np.eye(len(names), dtype=np.float32)[winner]
    lead = score - np.eye(len(names), dtype=np.float32)[runner_up]
    values = {
        "occlusion": saliency_map(classifier, image, winner, paper=paper_of(classifier)),
        "gradient": gradient_map(classifier, image, score),
        "gradient_times_ink": gradient_times_ink(classifier, image, score),
    }
    linear = is_linear(classifier)
    if linear:
        values["lead"] = gradient_times_ink(classifier, image, lead)
    else:
        values["smooth_gradient"] = smooth_gradient(classifier, image, score)
        values["integrated_gradients"] = integrated_gradients(classifier, image, score)
        values["lead"] = integrated_gradients(classifier, image, lead)
    said = {"answer": names[winner], "other": names[runner_up]}
    return tuple(_make_map(name, each, said, linear) for name, each in values.items())


def _make_map(name: str, values: np.ndarray, said: dict[str, str], linear: bool) -> Map:
    words: dict[str, Any] = dict(_WORDS[name])
    of_linear = words.pop("linear", {})
    words |= of_linear if linear else {}
    words |= {key: word.format(**said) for key, word in words.items() if isinstance(word, str)}
    return Map(name, values=values, **words)
