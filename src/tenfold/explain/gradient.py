"""Which ink an answer rests on, by the gradient of its score: one pass forward and one back.

A score is a logit, or the lead of one logit over another: a weighted sum of the engine's outputs, with
`outputs` (K,) as weights. Ink goes from 0 (paper) to 1 (full). Maps are float32 (H, W), above 0 where ink
raises the score.
"""

from __future__ import annotations

import numpy as np

from tenfold.classifier import Classifier

__all__ = [
    "gradient_map",
    "gradient_saliency",
    "gradient_times_ink",
    "integrated_gradients",
    "lead_of",
    "paper_of",
    "smooth_gradient",
]


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
    return _gradients(classifier, image[None], outputs)[0]


def gradient_times_ink(classifier: Classifier, image: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """The gradient times the ink that is there: of a linear network exactly what each pixel adds."""
    return gradient_map(classifier, image, outputs) * _ink(classifier, image)


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
    return _gradients(classifier, image + draws.astype(np.float32), outputs).mean(axis=0)


def integrated_gradients(
    classifier: Classifier, image: np.ndarray, outputs: np.ndarray, *, steps: int = 256
) -> np.ndarray:
    """What each pixel adds on the way from blank paper to the image (Sundararajan et al. 2017, eq. 1).

    The mean gradient along the straight line, at the middles of `steps` pieces, times the ink. Complete: the
    map's sum is the image's score minus that of blank paper, up to what the pieces leave out.
    """
    ink = _ink(classifier, image)
    shares = ((np.arange(steps, dtype=np.float32) + 0.5) / steps)[:, None, None]
    way = paper_of(classifier) + shares * (255 * ink * _direction(classifier))
    return _gradients(classifier, way, outputs).mean(axis=0) * ink


def _gradients(classifier: Classifier, images: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """Pixels 0..255 (N, H, W) -> d score / d ink, (N, H, W)."""
    weights = np.tile(np.asarray(outputs, np.float32), (len(images), 1))
    gradients = classifier.engine.input_gradient(images, weights)
    return gradients * np.float32(_direction(classifier) / classifier.card.std)


def _ink(classifier: Classifier, image: np.ndarray) -> np.ndarray:
    """float32 (H, W), 0 for paper to 1."""
    return np.abs(image.astype(np.float32) - paper_of(classifier)) / np.float32(255)


def _direction(classifier: Classifier) -> int:
    """Whether ink makes a pixel's value larger (1) or smaller (-1)."""
    return -1 if paper_of(classifier) else 1
