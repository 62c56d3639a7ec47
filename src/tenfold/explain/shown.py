"""What is explained, as a page and a picture both show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from tenfold.arrays import Prediction
from tenfold.explain.explanation import Explanation
from tenfold.explain.sheet import COLOURS, number_tag

__all__ = ["Shown", "ink_of", "mark_boxes"]


@dataclass(frozen=True, eq=False)
class Shown:
    """What is explained: its name, the model's, the picture as given (None for an image of a data set),
    and lines that a reader should know, such as why there are no neighbours.

    size: (width, height) in the pixels that the verdicts' boxes count.
    """

    name: str
    model: str
    picture: Image.Image | None = None
    size: tuple[int, int] = (1, 1)
    notes: tuple[str, ...] = ()


def ink_of(explanation: Explanation) -> np.ndarray:
    """uint8 (H, W), the ink light on black whatever the paper was."""
    return np.abs(explanation.image.astype(np.int16) - explanation.paper).astype(np.uint8)


def mark_boxes(shown: Shown, digits: Sequence[Prediction], longest: int) -> Image.Image:
    """The picture as given, at most so long, with a box and a number around each digit."""
    assert shown.picture is not None
    image = shown.picture.convert("RGB")
    ratio = min(longest / max(image.size), 8.0)
    size = (max(1, round(image.width * ratio)), max(1, round(image.height * ratio)))
    image = image.resize(size, Image.Resampling.NEAREST if ratio >= 3 else Image.Resampling.LANCZOS)
    scale = (image.width / shown.size[0], image.height / shown.size[1])
    draw = ImageDraw.Draw(image)
    for number, digit in enumerate(digits, start=1):
        if digit.box is None:
            continue
        x0, y0, x1, y1 = (round(edge * scale[place % 2]) for place, edge in enumerate(digit.box))
        box = (max(0, x0 - 3), max(0, y0 - 3), min(image.width - 1, x1 + 3), min(image.height - 1, y1 + 3))
        draw.rectangle(box, outline=COLOURS[digit.verdict], width=2)
        if len(digits) > 1:
            image.paste(number_tag(number, COLOURS[digit.verdict], 16), (box[0], box[1]))
    return image
