"""Several networks, or several views of an image, that answer together: their probabilities are averaged."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import log
from typing import NoReturn

import numpy as np

from tenfold.engines.create import create_engine
from tenfold.errors import ModelError, UsageError
from tenfold.networks.engine import Engine, EngineOptions, output_weights
from tenfold.networks.shapes import Network
from tenfold.numerics import log_softmax

__all__ = ["MOVES", "EnsembleEngine", "build_engine", "combine_engines", "split_members"]

# (rows, columns) that an image is moved by: the first 1, 5 or 9 are a recipe's views
MOVES = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1))
_CHUNK = 4096  # images: bounds the moved copies and their answers

_MEMBER = re.compile(r"member([1-9]\d*)\.(.+)", re.DOTALL)


class EnsembleEngine:
    """Answers with the mean of the probabilities of all members for all views; it does not learn.

    members: engines for the same network. views: 1, 5 or 9, see EnsembleSettings.
    """

    def __init__(self, members: Sequence[Engine], views: int = 1) -> None:
        first = members[0]
        self.members, self.views = tuple(members), views
        self.name: str = first.name
        self.network: Network = first.network
        self.options: EngineOptions = first.options
        self.precision: str = first.precision

    def logits(self, images: np.ndarray) -> np.ndarray:
        """uint8 (N, H, W) -> float32 (N, K): the logarithm of the mean probabilities."""
        rows = np.empty((len(images), self.network.classes), np.float32)
        for start in range(0, len(images), _CHUNK):
            part = slice(start, start + _CHUNK)
            rows[part] = self._answer(images[part])
        return rows

    def _answer(self, images: np.ndarray) -> np.ndarray:
        """Summed as logarithms, so that a tiny probability never becomes the logarithm of zero."""
        total = np.full((len(images), self.network.classes), -np.inf, np.float32)
        for rows, columns in MOVES[: self.views]:
            moved = move_images(images, rows, columns)
            for member in self.members:
                np.logaddexp(total, log_softmax(member.logits(moved)), out=total)
        return total - np.float32(log(self.views * len(self.members)))

    def input_gradient(self, images: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """d logit / d input of each pixel, float32 (N, H, W), of the logits that this engine gives.

        With p_m the probabilities that member m gives to one view and L_k = log sum over m of p_mk,
        dL_k = sum over m of r_mk dlog p_mk, where r_mk = p_mk / exp L_k is the member's share in k;
        a view's gradient is moved back to where its pixels came from.
        """
        weights = output_weights(outputs, self.network)
        gradients = np.empty(images.shape, np.float32)
        for start in range(0, len(images), _CHUNK):
            part = slice(start, start + _CHUNK)
            gradients[part] = self._differentiate(images[part], weights[part])
        return gradients

    def _differentiate(self, images: np.ndarray, weights: np.ndarray) -> np.ndarray:
        cases = [(move, member) for move in MOVES[: self.views] for member in self.members]
        logs = [log_softmax(member.logits(move_images(images, *move))) for move, member in cases]
        whole = np.logaddexp.reduce(logs, axis=0)
        total = np.zeros(images.shape, np.float32)
        for (move, member), log_probs in zip(cases, logs, strict=True):
            shares = weights * np.exp(log_probs - whole)
            # through the softmax: d log p_k / d z_j = [j = k] - p_j
            inner = shares - np.exp(log_probs) * shares.sum(axis=1, keepdims=True)
            gradient = member.input_gradient(move_images(images, *move), inner)
            total += move_images(gradient, -move[0], -move[1])
        return total

    def features(self, images: np.ndarray) -> np.ndarray:
        """uint8 (N, H, W) -> float32 (N, M D): each member's features of the image as it is, not moved,
        scaled to length 1, side by side, so that the cosine of two images is the mean of the members'."""
        found = [member.features(images) for member in self.members]
        lengths = [np.linalg.norm(rows, axis=1, keepdims=True) for rows in found]
        return np.concatenate([rows / np.maximum(n, 1e-12) for rows, n in zip(found, lengths)], axis=1)

    def weights(self) -> dict[str, np.ndarray]:
        """Of one member as they are; of several with `member1.`, `member2.`, ... before the names."""
        if len(self.members) == 1:
            return self.members[0].weights()
        return {
            f"member{number}.{name}": value
            for number, member in enumerate(self.members, 1)
            for name, value in member.weights().items()
        }

    def train_step(self, *_: object) -> NoReturn:
        """Raises UsageError, as `state` and `load_state` do."""
        raise UsageError(
            "an ensemble does not learn as a whole",
            expected="an engine of one network, asked for one view",
            remedy="train its members one by one, as tenfold.train does",
        )

    def state(self) -> NoReturn:
        self.train_step()

    def load_state(self, state: dict[str, np.ndarray]) -> NoReturn:
        self.train_step(state)


def move_images(images: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """(N, H, W), moved down by `rows` and right by `columns`; black comes in at the edge."""
    if not rows and not columns:
        return images
    moved = np.zeros_like(images)
    height, width = images.shape[1:]
    target = moved[:, max(rows, 0) : height + rows, max(columns, 0) : width + columns]
    target[:] = images[:, max(-rows, 0) : height - rows, max(-columns, 0) : width - columns]
    return moved


def combine_engines(members: Sequence[Engine], views: int) -> Engine:
    """The one engine itself where it answers alone and sees one view, else an EnsembleEngine."""
    return members[0] if len(members) == 1 and views == 1 else EnsembleEngine(members, views)


def build_engine(
    wanted: str,
    network: Network,
    weights: dict[str, np.ndarray],
    options: EngineOptions,
    *,
    views: int = 1,
) -> Engine:
    """As `create_engine`, for the weights of one network or of several (`split_members`)."""
    members = [create_engine(wanted, network, each, options) for each in split_members(weights)]
    return combine_engines(members, views)


def split_members(weights: dict[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """The weights of each network of a saved model: how many there are is told by the names alone.

    Raises ModelError where a member is missing, or a weight belongs to none of several.
    """
    found = {name: _MEMBER.fullmatch(name) for name in weights}
    if not any(found.values()):
        return [weights]
    parts: dict[int, dict[str, np.ndarray]] = {}
    for name, match in found.items():
        number, own = (int(match[1]), match[2]) if match else (0, name)
        parts.setdefault(number, {})[own] = weights[name]
    numbers = sorted(parts)
    if numbers != list(range(1, len(numbers) + 1)):
        odd = next(iter(parts[0])) if 0 in parts else f"member{numbers[-1]}"
        raise ModelError(
            f"the weights of an ensemble hold {odd!r}, but are not those of members 1, 2, ...",
            expected="names such as member1.linear1.weight, no member left out",
        )
    return [parts[number] for number in numbers]
