"""What was read in a picture: its lines, their characters, and in words what may have gone wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold.arrays import Prediction, Verdict
from tenfold.numerics import softmax
from tenfold.pictures.lines import HEIGHT, MARGIN, PAPER, Box
from tenfold.pictures.open import Picture
from tenfold.reader.alphabet import BLANK, CHARACTERS, DIGITS, OTHER
from tenfold.reader.decode import Decoded

if TYPE_CHECKING:
    from tenfold.reader.table import Table

__all__ = ["COLUMN_WIDTH", "Line", "Reading", "middle_of"]

COLUMN_WIDTH = 2  # pixels of a strip
LEAD = (
    3  # pixels of a strip: a character is seen so far left of its middle (printed digits: 3.3, deviation 1.1)
)
_NAMES = tuple(CHARACTERS.replace(OTHER, ""))
_DOUBT = 0.5  # a character less likely than this is doubtful in a doubtful line
_REACH = 0.45  # of a line's height: a character reaches no farther to a side


@dataclass(frozen=True, eq=False)
class Line:
    """One line. text: "?" for each doubtful character, separators included. confidence: that its digits
    are right. box: in the pixels of the upright original. characters: from the left. strip: uint8 (32, W),
    what the network saw. places: the column of each character, of 2 pixels each. text_only: there is
    writing, but no number. unfit: nothing here has the expected form. reviewed: a person read it."""

    text: str
    confidence: float
    box: Box
    characters: tuple[Prediction, ...]
    strip: np.ndarray = field(repr=False)
    places: tuple[int, ...] = field(repr=False)
    text_only: bool = False
    unfit: bool = False
    reviewed: bool = False

    def only_digits(self) -> Line:
        """Without separators."""
        kept = [i for i, character in enumerate(self.characters) if is_digit(character)]
        return replace(
            self,
            text="".join(self.text[i] for i in kept),
            characters=tuple(self.characters[i] for i in kept),
            places=tuple(self.places[i] for i in kept),
        )

    def moved(self, move: Callable[[Box], Box]) -> Line:
        """With other boxes."""
        characters = tuple(
            each if each.box is None else replace(each, box=move(each.box)) for each in self.characters
        )
        return replace(self, box=move(self.box), characters=characters)

    def to_dict(self) -> dict[str, Any]:
        told = {"text": self.text, "confidence": self.confidence, "box": list(self.box)}
        return told | ({"reviewed": True} if self.reviewed else {})


@dataclass(frozen=True, eq=False)
class Reading:
    """seen: the lines of the picture, from the top; one without characters says why nothing was read.
    troubles: what makes the answer doubtful, in words. picture: the open picture, for explaining. table: the
    cells, where the picture shows a ruled table; each that was read is a line then. turned: degrees by which
    the page was turned counter-clockwise to be read."""

    seen: tuple[Line, ...]
    troubles: tuple[str, ...]
    picture: Picture | None = field(default=None, repr=False)
    table: Table | None = field(default=None, repr=False)
    turned: int = 0

    @property
    def lines(self) -> tuple[Line, ...]:
        """Those in which something is written."""
        return tuple(line for line in self.seen if line.characters)

    @property
    def text(self) -> str:
        """The lines, separated by newlines; "?" for each doubtful character. Of a table each row that holds
        anything is a line, its cells separated by spaces."""
        if self.table is not None:
            rows = [" ".join(cell.text for cell in row if cell.text) for row in self.table.rows]
            return "\n".join(filter(None, rows))
        return "\n".join(line.text for line in self.lines)

    @property
    def confidence(self) -> float | None:
        """Of the line that is least sure; None where there is none."""
        return min((line.confidence for line in self.lines), default=None)

    @property
    def characters(self) -> tuple[Prediction, ...]:
        """Of all lines, in reading order, with boxes in the pixels of the upright original."""
        return tuple(character for line in self.lines for character in line.characters)

    @property
    def digits(self) -> tuple[Prediction, ...]:
        """The digits, and what may be one: characters without the separators."""
        return tuple(each for each in self.characters if is_digit(each))

    def without_picture(self) -> Reading:
        """Small enough to be sent from process to process."""
        return replace(self, picture=None)

    def only_digits(self) -> Reading:
        """Without separators."""
        table = self.table.only_digits() if self.table else None
        return replace(self, seen=tuple(line.only_digits() for line in self.seen), table=table)

    def to_dict(self) -> dict[str, Any]:
        return {
            "text": self.text,
            "confidence": self.confidence,
            "digits": [digit.to_dict() for digit in self.digits],
            "characters": [character.to_dict() for character in self.characters],
            "lines": [line.to_dict() for line in self.lines],
            "troubles": list(self.troubles),
            "table": self.table.to_dict() if self.table else None,
            "turned": self.turned,
        }


def is_digit(character: Prediction) -> bool:
    """A digit, or a mark that may be one; not a separator."""
    return character.label in DIGITS or character.verdict != "digit"


def describe_line(
    decoded: Decoded,
    logs: np.ndarray,
    strip: np.ndarray,
    box: Box,
    *,
    scale: float,
    least: float,
    row: int,
) -> Line:
    """What was decoded, with a box, probabilities and a verdict for each character.

    logs: float (T, 21). box: of the strip in the open picture, whose pixels are `scale` of the original's.
    least: the confidence below which the weakest character is doubtful. Writing that is not a number is
    dropped at the ends of a line and "?" inside.
    """
    text, places = decoded.text or "", decoded.places
    first, last = len(text) - len(text.lstrip(OTHER)), len(text.rstrip(OTHER))
    kept = range(first, max(first, last))
    original = _scaled(box, scale)
    boxes = _character_boxes([places[i] for i in kept], box, scale)
    characters = [
        _character(logs[places[i]], text[i], boxes[number], row, _window(strip, places[i]))
        for number, i in enumerate(kept)
    ]
    if not any(each.label in DIGITS for each in characters):
        characters = []
    if characters and decoded.confidence < least:
        characters = _doubt(characters)
    told = "".join(each.label if each.verdict == "digit" else OTHER for each in characters)
    return Line(
        told, decoded.confidence, original, tuple(characters), strip,
        tuple(places[i] for i in kept) if characters else (),
        text_only=bool(text) and not characters, unfit=decoded.text is None,
    )  # fmt: skip


def _character(logs: np.ndarray, said: str, box: Box, row: int, image: np.ndarray) -> Prediction:
    """none: the probability of "other", given that something stands here; probs: of the characters, given
    that it is one of them."""
    probs = softmax(logs[: len(_NAMES)]).astype(np.float32)
    none = float(softmax(logs[:BLANK])[len(_NAMES)])
    verdict: Verdict = "not a digit" if said == OTHER else "digit"
    label = _NAMES[int(probs.argmax())] if said == OTHER else said
    confidence = float(probs[_NAMES.index(label)])
    return Prediction(label, confidence, probs, _NAMES, box, row, none, verdict, image)


def _doubt(characters: list[Prediction]) -> list[Prediction]:
    """The weakest digit, and every character that is rather not what it seems, is unsure."""
    digits = [each for each in characters if each.label in DIGITS]
    weakest = min(digits, key=lambda each: each.confidence)
    return [
        replace(each, verdict="unsure")
        if each.verdict == "digit" and (each is weakest or each.confidence < _DOUBT)
        else each
        for each in characters
    ]


def _character_boxes(places: list[int], box: Box, scale: float) -> list[Box]:
    """In the original's pixels: half-way to the neighbours, but no wider than digits are."""
    x0, y0, x1, y1 = box
    ratio = (y1 - y0) / HEIGHT  # picture pixels per strip pixel
    middles = [middle_of(place) - MARGIN for place in places]
    boxes = []
    for number, middle in enumerate(middles):
        left, right = middle - _REACH * HEIGHT, middle + _REACH * HEIGHT
        if number:
            left = max(left, (middles[number - 1] + middle) / 2)
        if number < len(middles) - 1:
            right = min(right, (middle + middles[number + 1]) / 2)
        edges = (max(0.0, x0 + left * ratio), y0, min(x1, x0 + right * ratio), y1)
        boxes.append(_scaled(edges, scale))
    return boxes


def unturn_box(box: Box, turns: int, size: tuple[int, int]) -> Box:
    """A box on a picture after so many quarter turns counter-clockwise -> on it as it was. size: width and
    height of the turned one."""
    x0, y0, x1, y1 = box
    wide, high = size
    for _ in range(turns):
        x0, y0, x1, y1 = high - y1, x0, high - y0, x1
        wide, high = high, wide
    return x0, y0, x1, y1


def middle_of(place: int) -> int:
    """Pixels from the left of a strip: the middle of a character that was seen in this column."""
    return int((place + 0.5) * COLUMN_WIDTH) + LEAD


def _scaled(edges: tuple[float, float, float, float], scale: float) -> Box:
    x0, y0, x1, y1 = (round(edge * scale) for edge in edges)
    return x0, y0, x1, y1


def _window(strip: np.ndarray, place: int) -> np.ndarray:
    """uint8 (32, 32): the strip around a character that was seen in this column."""
    middle = middle_of(place)
    window = np.full((HEIGHT, HEIGHT), PAPER, np.uint8)
    start = middle - HEIGHT // 2
    low, high = max(0, start), min(strip.shape[1], start + HEIGHT)
    window[:, low - start : high - start] = strip[:, low:high]
    return window
