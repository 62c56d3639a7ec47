"""Loss functions: (logits, labels) -> the loss, and next to it its gradient with respect to the logits.

The loss reported is always the mean over the batch. The gradient is that of the mean, or of the
sum where the settings say so. It is where back-propagation begins: the g of the last layer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from tenfold.errors import UsageError
from tenfold.networks.engine import EngineOptions
from tenfold.networks.own import call_numpy_loss
from tenfold.numerics import log_softmax, one_hot, shifted_columns
from tenfold.numpy_engine.layers import sigmoid
from tenfold.settings import LossSettings

__all__ = ["Loss"]

Weights = np.ndarray | None  # of images
Result = tuple[float, np.ndarray]  # the mean loss, and its gradient with respect to the logits


class Loss(ABC):
    """logits: float (N, K). labels: int (N,), the column that is right. image_weights: float (N,), the factor
    of each image's loss before the mean (or sum) is taken; None is 1 for each."""

    def __init__(self, settings: LossSettings) -> None:
        self.settings = settings

    @classmethod
    def of(cls, settings: LossSettings) -> Loss:
        """The loss of that name."""
        return LOSSES[settings.name](settings)

    @classmethod
    def chosen(cls, options: EngineOptions) -> Loss:
        """A user's own loss, or that of the recipe."""
        return OwnLoss(options.loss, options.own_loss) if options.own_loss else cls.of(options.loss)

    @classmethod
    def measure(cls, logits: np.ndarray, labels: np.ndarray, settings: LossSettings) -> float:
        """The loss of images that are not trained on: without label smoothing, columns in the order of
        the class names. logits: (N, K); labels: (N,); for ctc (N, T, K) and (N, L), padded with -1."""
        plain = settings.model_copy(update={"label_smoothing": 0.0, "label_shift": 0})
        return cls.of(plain)(logits, labels)[0]

    @abstractmethod
    def __call__(self, logits: np.ndarray, labels: np.ndarray, image_weights: Weights = None) -> Result:
        """The mean loss, and its gradient (N, K)."""

    def count_right(self, logits: np.ndarray, labels: np.ndarray) -> int:
        """Images whose largest logit is that of the label."""
        return int(np.count_nonzero(logits.argmax(axis=1) == labels))

    def shares(self, logits: np.ndarray, image_weights: Weights) -> float | np.ndarray:
        """What each image's gradient counts for: one number for all, or (N,)."""
        share = 1.0 if self.settings.reduction == "sum" else 1 / len(logits)
        return share if image_weights is None else share * image_weights.astype(logits.dtype)


class OwnLoss(Loss):
    """A user's function: (logits, labels) -> (mean loss, its gradient (N, K))."""

    def __init__(self, settings: LossSettings, function: Callable[..., Any]) -> None:
        super().__init__(settings)
        self.function = function

    def __call__(self, logits: np.ndarray, labels: np.ndarray, image_weights: Weights = None) -> Result:
        if image_weights is not None:
            raise UsageError("weights of images and a loss of your own", expected="one of the two")
        return call_numpy_loss(self.function, logits, labels)


def move_labels(labels: np.ndarray, settings: LossSettings, classes: int) -> np.ndarray:
    """The column of each label; see LossSettings.label_shift."""
    return (labels + settings.label_shift) % classes if settings.label_shift else labels


def _mean_loss(losses: np.ndarray, image_weights: Weights) -> float:
    """Of the images' losses (N,), each times its weight."""
    return float((losses.sum() if image_weights is None else losses @ image_weights) / len(losses))


class CrossEntropy(Loss):
    """Softmax and the logarithm of the label's probability. With p = exp(z) / sum of exp(z) for the logits
    z, loss = -sum over k of q_k log p_k.

    q is 1 at the label and 0 elsewhere; with smoothing s it is (1 - s) of that and s / K everywhere (Szegedy
    et al. 2016). Since log p_k = z_k - log sum exp(z), d loss / d z_k = p_k - q_k: prediction less target.
    """

    def __call__(self, logits: np.ndarray, labels: np.ndarray, image_weights: Weights = None) -> Result:
        smoothing, rows = self.settings.label_smoothing, np.arange(len(labels))
        columns = shifted_columns(logits)  # (K, N), like all here
        right, mean = columns[labels, rows], columns.mean(axis=0) if smoothing else 0.0
        probs = np.exp(columns, out=columns)
        totals = probs.sum(axis=0)
        probs /= totals
        if self.settings.probability_floor:
            floor = self.settings.probability_floor  # keeps probabilities off 0 and 1
            logs = np.log(np.clip(probs, floor, 1 - floor))
            losses = -(1 - smoothing) * logs[labels, rows] - smoothing * logs.mean(axis=0)
        else:
            losses = np.log(totals) - (1 - smoothing) * right - smoothing * mean
        probs[labels, rows] -= 1 - smoothing
        if smoothing:
            probs -= smoothing / len(probs)
        probs *= self.shares(logits, image_weights)
        return _mean_loss(losses, image_weights), np.ascontiguousarray(probs.T)


class SigmoidDistance(Loss):
    """The sigmoid loss: with p = sigmoid(z), the mean over images and outputs of 1 - p where the target is
    1, else p.

    d p / d z = p (1 - p), so d loss / d z = -p (1 - p) / K where the target is 1, else p (1 - p) / K: close
    to 0 for a saturated output, be it right or wrong, which therefore hardly learns.
    """

    def __call__(self, logits: np.ndarray, labels: np.ndarray, image_weights: Weights = None) -> Result:
        # 1 at the label, -1 elsewhere: then 1 - p at the label and p elsewhere are both p(-side z)
        side = 2 * one_hot(labels, logits.shape[1], logits.dtype.type) - 1
        distance = sigmoid(-side * logits)
        gradient = -side * distance * sigmoid(side * logits)
        gradient.T[...] *= self.shares(logits, image_weights) / logits.shape[1]
        return _mean_loss(distance.mean(axis=1), image_weights), gradient


class MeanSquaredError(Loss):
    """The mean over images and outputs of (z - target)^2, the target being 1 or 0.

    d loss / d z = 2 (z - target) / K.
    """

    def __call__(self, logits: np.ndarray, labels: np.ndarray, image_weights: Weights = None) -> Result:
        difference = logits - one_hot(labels, logits.shape[1], logits.dtype.type)
        loss = _mean_loss(np.square(difference).mean(axis=1), image_weights)
        difference.T[...] *= 2 * self.shares(logits, image_weights) / logits.shape[1]
        return loss, difference


class ConnectionistTemporal(Loss):
    """Connectionist temporal classification: the loss of label sequences without alignment (CTC; Graves et
    al. 2006).

    logits: float (N, T, K), the last class is the blank. labels: int (N, L), padded at the end with -1.

    An alignment gives each of T columns a class or the blank; merging repeats, then leaving blanks out,
    spells the label. The loss is -log of the sum of the probabilities of all alignments that spell it. They
    are the ways through the states blank, c1, blank, c2, ..., blank: S = 2 L + 1 of them for a label of L
    classes, from one of the first two to one of the last two. A column stays in its state, moves to the next
    one, or over a blank between two different classes.

    Computed in float64 logarithms. A label that fits into no alignment has loss 0 and gradient 0.
    """

    def __call__(self, logits: np.ndarray, labels: np.ndarray, image_weights: Weights = None) -> Result:
        """The mean loss, and its gradient (N, T, K): softmax less the share of each class in the
        alignments (eq. 16 of the paper)."""
        logs = log_softmax(logits.astype(np.float64))
        blank = logits.shape[2] - 1
        states = np.full((len(labels), 2 * labels.shape[1] + 1), blank)  # (N, S), the class of each
        states[:, 1::2] = np.where(labels < 0, blank, labels)  # that of padding is never left
        scores = np.take_along_axis(logs, states[:, np.newaxis], axis=2)  # (N, T, S)
        skips = states[:, 2:] != states[:, :-2]  # a way may lead from state s to s + 2
        skips[:, ::2] = False  # but not from blank to blank
        jumps = np.where(skips, 0.0, -np.inf)
        before, after = _ways_to(scores, jumps), _ways_from(scores, jumps, (labels >= 0).sum(axis=1))
        passing = before + after
        totals = np.logaddexp.reduce(passing[:, 0], axis=1)
        possible = np.logical_not(np.isneginf(totals))
        totals = np.where(possible, totals, 0.0)
        occupied = np.exp(passing - totals[:, np.newaxis, np.newaxis])
        classes = (states[:, :, np.newaxis] == np.arange(logits.shape[2])).astype(np.float64)
        gradient = np.exp(logs) - occupied @ classes
        gradient.T[...] *= possible * self.shares(logits, image_weights)
        return _mean_loss(-totals, image_weights), gradient.astype(logits.dtype)

    def count_right(self, logits: np.ndarray, labels: np.ndarray) -> int:
        """Strips whose best path spells the label."""
        spelled = best_paths(logits)
        padded = np.full((2, len(labels), max(spelled.shape[1], labels.shape[1])), -1)
        for rows, classes in zip(padded, (spelled, labels), strict=True):
            rows[:, : classes.shape[1]] = classes
        return int(np.count_nonzero((padded[0] == padded[1]).all(axis=1)))


def _ways_to(scores: np.ndarray, jumps: np.ndarray) -> np.ndarray:
    """(N, T, S): log of the probability of all ways to state s in column t, with that column's."""
    ways = np.full_like(scores, -np.inf)
    ways[:, 0, :2] = scores[:, 0, :2]
    for t in range(1, scores.shape[1]):
        ways[:, t] = _advance(ways[:, t - 1], jumps) + scores[:, t]
    return ways


def _ways_from(scores: np.ndarray, jumps: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """(N, T, S): log of the probability of all ways from state s in column t to the end, without that
    column's. The states are walked through in the other direction."""
    ways = np.full_like(scores, -np.inf)
    rows = np.arange(len(scores))
    ways[rows, -1, 2 * lengths] = 0
    ways[rows, -1, np.maximum(2 * lengths - 1, 0)] = 0
    for t in range(scores.shape[1] - 2, -1, -1):
        following = (ways[:, t + 1] + scores[:, t + 1])[:, ::-1]
        ways[:, t] = _advance(following, jumps[:, ::-1])[:, ::-1]
    return ways


def _advance(ways: np.ndarray, jumps: np.ndarray) -> np.ndarray:
    """(N, S): what reaches each state from itself, the one before, and the one before that."""
    reached = ways.copy()
    np.logaddexp(reached[:, 1:], ways[:, :-1], out=reached[:, 1:])
    np.logaddexp(reached[:, 2:], ways[:, :-2] + jumps, out=reached[:, 2:])
    return reached


LOSSES: dict[str, type[Loss]] = {
    "cross-entropy": CrossEntropy, "sigmoid-distance": SigmoidDistance,
    "mean-squared-error": MeanSquaredError, "ctc": ConnectionistTemporal,
}  # fmt: skip


def best_paths(scores: np.ndarray) -> np.ndarray:
    """Scores or logits (N, T, K), the last class the blank -> int64 (N, T): the likeliest class of each
    column, repeats merged and blanks left out, then -1 up to the end (Graves et al. 2006, section 3.2)."""
    path = scores.argmax(axis=2)
    kept = path != scores.shape[2] - 1
    kept[:, 1:] &= path[:, 1:] != path[:, :-1]
    spelled = np.full(path.shape, -1, np.int64)
    rows, _ = np.nonzero(kept)
    spelled[rows, (kept.cumsum(axis=1) - 1)[kept]] = path[kept]
    return spelled
