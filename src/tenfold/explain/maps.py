"""The maps of one explanation: each with one sentence on how to read it and one on where it misleads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tenfold.classifier import Classifier
from tenfold.explain.attributions import (
    gradient_map,
    gradient_times_ink,
    integrated_gradients,
    paper_of,
    saliency_map,
    smooth_gradient,
)

_LEAST_FALL = 1e-3  # of probability: the full colour stands for at least this much


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
    classifier: Classifier,
    image: np.ndarray,
    winner: int,
    runner_up: int,
    names: tuple[str, ...],
    *,
    linear: bool,
) -> tuple[Map, ...]:
    """The maps of uint8 (H, W) for the outputs `winner` against `runner_up`, called by their `names`.

    Of a linear network SmoothGrad is the gradient, and integrated gradients are gradient times ink: they
    are left out.
    """
    score = np.zeros(len(names), np.float32)
    score[winner] = 1
    lead = score.copy()
    lead[runner_up] = -1
    answer, other = names[winner], names[runner_up]
    plain = (
        _occlusion(classifier, image, winner, answer),
        _gradient(classifier, image, score, answer, linear=linear),
        _times_ink(classifier, image, score, answer, linear=linear),
    )
    if linear:
        return (*plain, _lead(gradient_times_ink(classifier, image, lead), answer, other))
    return (
        *plain,
        _smooth(classifier, image, score, answer),
        _integrated(classifier, image, score, answer),
        _lead(integrated_gradients(classifier, image, lead), answer, other),
    )


def _occlusion(classifier: Classifier, image: np.ndarray, winner: int, answer: str) -> Map:
    return Map(
        "occlusion",
        "Occlusion",
        saliency_map(classifier, image, winner, paper=paper_of(classifier)),
        "probability",
        f"Each pixel shows how far the probability of {answer} falls when a 5x5 window of paper covers it.",
        "A covered stroke is a picture that the network never learned from; and where two strokes back each "
        "other up, covering either of them alone changes little.",
        least=_LEAST_FALL,
    )


def _gradient(
    classifier: Classifier, image: np.ndarray, score: np.ndarray, answer: str, *, linear: bool
) -> Map:
    return Map(
        "gradient",
        "Weights" if linear else "Gradient",
        gradient_map(classifier, image, score),
        "score per full ink",
        f"More ink in an orange place would raise the score of {answer}, in a blue one lower it, paper too.",
        "Weights are for places: the same digit moved by two pixels meets others."
        if linear
        else "The gradient holds for small changes of this very picture; it flickers from pixel to pixel.",
        everywhere=True,
    )


def _times_ink(
    classifier: Classifier, image: np.ndarray, score: np.ndarray, answer: str, *, linear: bool
) -> Map:
    return Map(
        "gradient_times_ink",
        "Weights times ink" if linear else "Gradient times ink",
        gradient_times_ink(classifier, image, score),
        "score",
        f"What the ink that is there adds to the score of {answer}"
        + (
            ": exactly, for this network is linear."
            if linear
            else ", if the gradient were the same all the way."
        ),
        "Paper says nothing here, even where missing ink decides."
        if linear
        else "The gradient changes on the way: a stroke the network is sure of can have none left.",
        additive=linear,
    )


def _smooth(classifier: Classifier, image: np.ndarray, score: np.ndarray, answer: str) -> Map:
    return Map(
        "smooth_gradient",
        "SmoothGrad",
        smooth_gradient(classifier, image, score),
        "score per full ink",
        f"The gradient's mean over 32 noisy copies: where more ink would raise or lower the score of "
        f"{answer}, without the flicker.",
        "How much noise to add is a choice, and the map changes with it.",
        everywhere=True,
    )


def _integrated(classifier: Classifier, image: np.ndarray, score: np.ndarray, answer: str) -> Map:
    return Map(
        "integrated_gradients",
        "Integrated gradients",
        integrated_gradients(classifier, image, score),
        "score",
        f"What each pixel adds to the score of {answer} on the way from blank paper to this picture; "
        "together they are its whole rise.",
        "It compares with blank paper; another beginning would give another map.",
        additive=True,
    )


def _lead(values: np.ndarray, answer: str, other: str) -> Map:
    return Map(
        "lead",
        f"{answer} rather than {other}",
        values,
        "score",
        f"Orange ink supports {answer} against {other}, blue ink the reverse.",
        f"It says nothing of what {answer} and {other} have in common, nor of any third answer.",
        additive=True,
    )
