"""Connectionist temporal classification: the loss of label sequences without alignment (Graves et al. 2006).

An alignment gives each of T columns a class or the blank; merging repeats, then leaving blanks out, spells
the label. The loss is -log of the sum of the probabilities of all alignments that spell it. They are the
ways through the states blank, c1, blank, c2, ..., blank: S = 2 L + 1 of them for a label of L classes, from
one of the first two to one of the last two. A column stays in its state, moves to the next one, or over a
blank between two different classes.
"""

from __future__ import annotations

import numpy as np

from tenfold.numerics import best_paths, log_softmax
from tenfold.numpy_engine.losses import Loss, mean_loss

__all__ = ["ConnectionistTemporal"]


class ConnectionistTemporal(Loss):
    """logits: float (N, T, K), the last class is the blank. labels: int (N, L), padded at the end with -1.

    Computed in float64 logarithms. A label that fits into no alignment has loss 0 and gradient 0.
    """

    def __call__(
        self, logits: np.ndarray, labels: np.ndarray, image_weights: np.ndarray | None = None
    ) -> tuple[float, np.ndarray]:
        """The mean loss, and its gradient (N, T, K): softmax less the share of each class in the
        alignments (eq. 16 of the paper)."""
        logs = log_softmax(logits.astype(np.float64))
        states = _states(labels, blank=logits.shape[2] - 1)
        scores = np.take_along_axis(logs, states[:, np.newaxis], axis=2)  # (N, T, S)
        jumps = _jumps(states)
        before, after = _forward(scores, jumps), _backward(scores, jumps, (labels >= 0).sum(axis=1))
        passing = before + after
        totals = np.logaddexp.reduce(passing[:, 0], axis=1)
        possible = np.logical_not(np.isneginf(totals))
        totals = np.where(possible, totals, 0.0)
        occupied = np.exp(passing - totals[:, np.newaxis, np.newaxis])
        classes = (states[:, :, np.newaxis] == np.arange(logits.shape[2])).astype(np.float64)
        gradient = np.exp(logs) - occupied @ classes
        gradient.T[...] *= possible * self.shares(logits, image_weights)
        return mean_loss(-totals, image_weights), gradient.astype(logits.dtype)

    def count_right(self, logits: np.ndarray, labels: np.ndarray) -> int:
        """Strips whose best path spells the label."""
        spelled = best_paths(logits)
        width = max(spelled.shape[1], labels.shape[1])
        return int(np.count_nonzero((_widen(spelled, width) == _widen(labels, width)).all(axis=1)))


def _states(labels: np.ndarray, blank: int) -> np.ndarray:
    """(N, L) -> (N, 2 L + 1): the class of each state. Those behind the end of a label are never left."""
    states = np.full((len(labels), 2 * labels.shape[1] + 1), blank)
    states[:, 1::2] = np.where(labels < 0, blank, labels)
    return states


def _jumps(states: np.ndarray) -> np.ndarray:
    """(N, S - 2): 0 where a way may lead from state s to s + 2, else -inf."""
    allowed = states[:, 2:] != states[:, :-2]
    allowed[:, ::2] = False  # from blank to blank
    return np.where(allowed, 0.0, -np.inf)


def _forward(scores: np.ndarray, jumps: np.ndarray) -> np.ndarray:
    """(N, T, S): log of the probability of all ways to state s in column t, with that column's."""
    ways = np.full_like(scores, -np.inf)
    ways[:, 0, :2] = scores[:, 0, :2]
    for t in range(1, scores.shape[1]):
        ways[:, t] = _step(ways[:, t - 1], jumps) + scores[:, t]
    return ways


def _backward(scores: np.ndarray, jumps: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """(N, T, S): log of the probability of all ways from state s in column t to the end, without that
    column's. The states are walked through in the other direction."""
    ways = np.full_like(scores, -np.inf)
    rows = np.arange(len(scores))
    ways[rows, -1, 2 * lengths] = 0
    ways[rows, -1, np.maximum(2 * lengths - 1, 0)] = 0
    for t in range(scores.shape[1] - 2, -1, -1):
        following = (ways[:, t + 1] + scores[:, t + 1])[:, ::-1]
        ways[:, t] = _step(following, jumps[:, ::-1])[:, ::-1]
    return ways


def _step(ways: np.ndarray, jumps: np.ndarray) -> np.ndarray:
    """(N, S): what reaches each state from itself, the one before, and the one before that."""
    reached = ways.copy()
    np.logaddexp(reached[:, 1:], ways[:, :-1], out=reached[:, 1:])
    np.logaddexp(reached[:, 2:], ways[:, :-2] + jumps, out=reached[:, 2:])
    return reached


def _widen(sequences: np.ndarray, width: int) -> np.ndarray:
    return np.pad(sequences, ((0, 0), (0, width - sequences.shape[1])), constant_values=-1)
