"""The characters of the line reader, their places in its output, and text as labels for CTC."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["CHARACTERS", "DIGITS", "OTHER", "OUTPUTS"]

DIGITS = "0123456789"
OTHER = "?"  # letters, words and scribbles: one for all that are connected
CHARACTERS = DIGITS + ".,-/:+×÷=" + OTHER
BLANK = len(CHARACTERS)  # the output of a column in which no character ends
OUTPUTS = BLANK + 1

_PLACES = {character: place for place, character in enumerate(CHARACTERS)}


def encode_texts(texts: Sequence[str]) -> np.ndarray:
    """int64 (N, L): the places of the characters, then -1. Raises KeyError for others."""
    longest = max(1, *map(len, texts)) if texts else 1
    labels = np.full((len(texts), longest), -1, np.int64)
    for row, text in zip(labels, texts, strict=True):
        row[: len(text)] = [_PLACES[character] for character in text]
    return labels
