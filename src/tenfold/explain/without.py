"""A counterfactual: the ink in nine parts, what each part says, and what would be read without it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["PLACES", "Part", "split_ink"]

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
    inked = image != paper
    if not inked.any():
        return []
    places = [place for place in _thirds(inked) if inked[place[1]].any()]
    without = np.repeat(image[None], len(places), axis=0)
    for number, (_, where) in enumerate(places):
        without[number][where] = paper
    probs = probs_of(without)
    return [
        Part(name, float(lead[where].sum()), row) for (name, where), row in zip(places, probs, strict=True)
    ]


def _thirds(inked: np.ndarray) -> list[tuple[str, tuple[slice, slice]]]:
    """The nine parts of the ink's bounding box, row by row; of a thin one some are empty."""
    edges = []
    for axis in (1, 0):
        found = np.flatnonzero(inked.any(axis=axis))
        edges.append(np.rint(np.linspace(found[0], found[-1] + 1, 4)).astype(int))
    cells = [
        (slice(edges[0][row], edges[0][row + 1]), slice(edges[1][column], edges[1][column + 1]))
        for row in range(3)
        for column in range(3)
    ]
    return list(zip(PLACES, cells, strict=True))
