"""A line reader that needs no training: it compares printed digits. And pictures of printed text to read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tenfold.pictures.lines import Strip
from tenfold.reader.decode import BLANK, CHARACTERS, DIGITS, OTHER, OUTPUTS
from tenfold.reader.line_reader import LineReader, ReaderCard, read_recipe
from tenfold.reader.reading import LEAD

__all__ = ["template_reader", "write"]

_SURE = 200  # logits per unit of likeness
_OTHER = 0.66  # likeness below which a mark is not a digit
_LOW = 0.3  # of the height of all marks: one that is less high is a point


def write(
    text: str,
    *,
    size: int = 60,
    ink: int = 0,
    paper: int = 255,
    gap: int = 12,
    margin: int = 30,
) -> Image.Image:
    """Printed letters with space between them, lines separated by newlines; mode L."""
    font, rows = ImageFont.load_default(size=size), text.split("\n")
    step = round(size * 0.62) + gap
    width = max(len(row) for row in rows) * step - gap + 2 * margin
    picture = Image.new("L", (width, len(rows) * size + (len(rows) - 1) * size // 2 + 2 * margin), paper)
    draw = ImageDraw.Draw(picture)
    for number, row in enumerate(rows):
        for place, letter in enumerate(row):
            draw.text((margin + place * step, margin + number * size * 1.5), letter, ink, font)
    return picture


class _Templates:
    """An engine for strips: marks between columns without ink; a logit for each digit grows with the
    likeness to its template, that of "other" is constant."""

    name = "templates"

    def __init__(self) -> None:
        letters = [np.abs(np.asarray(write(name, size=120), np.float32) - 255) for name in DIGITS]
        self.templates = np.stack([_direction(letter) for letter in letters])

    def logits(self, strips: np.ndarray) -> np.ndarray:
        return np.stack([self._columns(np.abs(strip.astype(np.float32) - Strip.PAPER)) for strip in strips])

    def _columns(self, ink: np.ndarray) -> np.ndarray:
        logits = np.zeros((ink.shape[1] // Strip.COLUMN_WIDTH, OUTPUTS), np.float32)
        logits[:, BLANK] = _SURE
        inked = np.concatenate([[False], (ink > 25).any(axis=0), [False]])
        edges = np.flatnonzero(inked[1:] != inked[:-1])
        for start, end in zip(edges[::2], edges[1::2], strict=True):
            mark, row = ink[:, start:end], logits[((start + end) // 2 - LEAD) // Strip.COLUMN_WIDTH]
            row[BLANK] = 0
            if _height(mark) < _LOW * _height(ink):
                row[CHARACTERS.index(".")] = _SURE
                continue
            row[: len(DIGITS)] = _SURE * self.templates @ _direction(mark)
            row[CHARACTERS.index(OTHER)] = _SURE * _OTHER
        return logits

    def input_gradient(self, strips: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """A number for each character, so that maps differ."""
        return np.ones(strips.shape, np.float32) * outputs.max(axis=(1, 2))[:, None, None]


def _height(ink: np.ndarray) -> int:
    rows = np.flatnonzero((ink > 25).any(axis=1))
    return int(rows[-1] - rows[0] + 1)


def _direction(ink: np.ndarray) -> np.ndarray:
    """(H, W) -> a unit vector: the mark's own box, resized."""
    rows, columns = (np.flatnonzero((ink > 25).any(axis=axis)) for axis in (1, 0))
    box = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    small = np.asarray(Image.fromarray(box).resize((12, 16), Image.Resampling.BOX), np.float64).ravel()
    return small / np.linalg.norm(small)


def template_reader(**card: Any) -> LineReader:
    """Knows printed digits and the point. card: fields to change."""
    values = ReaderCard(read_recipe(), least_confidence=0.3)
    return LineReader(_Templates(), replace(values, **card))  # type: ignore[arg-type]
