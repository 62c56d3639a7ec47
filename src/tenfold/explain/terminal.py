"""A map as block characters: two pixels per character on a terminal, marks in a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tenfold.explain.explanation import Explanation
from tenfold.explain.overlay import lay_over
from tenfold.explain.shown import ink_of
from tenfold.pages.blocks import colour_blocks

if TYPE_CHECKING:
    from rich.text import Text

__all__ = ["draw_blocks", "draw_marks"]

_STRONG = 0.25  # of the largest value: weaker ink is a dot


def draw_blocks(explanation: Explanation, name: str = "lead") -> Text:
    """The map over the ink in colours, two rows of pixels to a line."""
    from rich.text import Text

    each = explanation.map(name)
    light = ink_of(explanation)
    pixels = np.asarray(lay_over(light, each.values, max(light.shape), least=each.least))
    return Text("\n").join(colour_blocks(pixels))


def draw_marks(explanation: Explanation, name: str = "lead") -> str:
    """The same without colours: + ink for the answer, - ink against it, · ink that says little."""
    values = explanation.map(name).values
    inked = ink_of(explanation) > 64
    height = len(values) // 2 * 2
    pairs = values[:height].reshape(height // 2, 2, -1)
    strongest = np.where(np.abs(pairs[:, 0]) >= np.abs(pairs[:, 1]), pairs[:, 0], pairs[:, 1])
    ink = inked[:height].reshape(height // 2, 2, -1).any(axis=1)
    strong = np.abs(strongest) >= _STRONG * max(float(np.abs(values).max()), 1e-9)
    marks = np.where(~ink, " ", np.where(~strong, "·", np.where(strongest > 0, "+", "-")))
    return "\n".join("".join(row).rstrip() for row in marks)
