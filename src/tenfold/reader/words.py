"""Pages of words: told from pages of numbers by some of their lines, and the numbers between words."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from tenfold.ink.lines import Box, find_ink
from tenfold.ink.regions import find_boxes, label_regions
from tenfold.ink.strip import HEIGHT
from tenfold.reader.alphabet import BLANK, CHARACTERS, DIGITS, OTHER
from tenfold.reader.constraint import Constraint
from tenfold.reader.decode import Decoded
from tenfold.reader.reading import Line

__all__ = [
    "MANY",
    "NARROW",
    "are_words",
    "choose_evenly",
    "holds_frame",
    "is_letter",
    "is_number",
    "is_sure",
    "may_be_sure",
    "split_line",
]

MANY = 12  # lines: of so many, some say whether a page is text
_FEWEST = 3  # lines: fewer are not a page
_SHARE = 3  # a page of which less than one line in so many is a sure number may be text
_UNSURE = 0.3  # least median confidence of numbers that are hard to read; words read as digits have less
_DOUBT = -1.0  # log-probability per digit: where all columns together have less, no number is sure
_LIKELY = 0.6  # least confidence of a number between words, which are read as numbers with less
_NARROW = 4 * HEIGHT  # pixels of a strip: in a wider one a lone digit is part of a word
_FRAME = 5  # a table's rules hang together over more than the page's size divided by this, both ways
_INK = 0.4  # of the span from paper to full ink
WIDE, NARROW = 0.29, 0.22  # of a line's height, its margins included: gaps between words, of one width or not


def is_sure(line: Line) -> bool:
    """Whether a number was read without doubt, and not one letter of many."""
    return bool(line.characters) and OTHER not in line.text and not is_letter(line)


def is_letter(line: Line) -> bool:
    """Whether one character was read in what is as wide as a word."""
    return len(line.characters) == 1 and line.strip.shape[1] > _NARROW


def are_words(lines: Sequence[Line]) -> bool:
    """Whether these are lines of words: few sure numbers, and the others far from being numbers."""
    others = [line.confidence if line.characters else 0.0 for line in lines if not is_sure(line)]
    if len(lines) < _FEWEST or _SHARE * (len(lines) - len(others)) >= len(lines):
        return False
    return float(np.median(others)) < _UNSURE


def may_be_sure(logs: np.ndarray) -> bool:
    """float (T, 21), log-probabilities of a strip's columns -> whether their likeliest characters spell a
    number, and are likely: a look that costs little, where `decode` takes its time over words."""
    best = logs.argmax(axis=1)
    spelt = "".join(
        CHARACTERS[place] for place, before in zip(best, [BLANK, *best]) if place not in (BLANK, before)
    )
    digits = sum(each in DIGITS for each in spelt)
    if not digits or OTHER in spelt.strip(OTHER):
        return False
    return float(logs.max(axis=1).sum()) > _DOUBT * digits


def choose_evenly(count: int, most: int) -> list[int]:
    """Places of at most so many of `count` things, from the first to the last."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int)).tolist()


def holds_frame(grey: np.ndarray) -> bool:
    """uint8 (H, W) -> whether some of its ink hangs together far across and down, as the rules of a table."""
    ink = find_ink(grey)
    labels, count = label_regions(ink)
    height, width = ink.shape
    return any(
        _FRAME * (rows.stop - rows.start) > height and _FRAME * (columns.stop - columns.start) > width
        for rows, columns in filter(None, find_boxes(labels, count))
    )


def is_number(decoded: Decoded, form: Constraint | None = None) -> bool:
    """Whether a word is a number of this form: nothing else in it but a sign at one end, as of a currency."""
    text = decoded.text or ""
    digits, others = sum(each in DIGITS for each in text), text.count(OTHER)
    if not digits or decoded.confidence < _LIKELY or OTHER in text.strip(OTHER):
        return False
    return (not others or (others == 1 and digits > 1)) and (form is None or _fits(text.strip(OTHER), form))


def _fits(text: str, form: Constraint) -> bool:
    state: Hashable | None = form.start
    for character in text:
        state = form.step(state, character)
        if state is None:
            return False
    return form.accepts(state)


def split_line(grey: np.ndarray, line: Box, gap: float = WIDE) -> list[Box]:
    """A line of a picture -> the boxes of what gaps separate in it that are wider than so many heights of the
    line, from the left."""
    x0, y0, x1, y1 = line
    crop = grey[y0:y1, x0:x1].astype(np.int16)
    far = np.abs(crop - int(np.median(crop)))
    inked = np.flatnonzero((far > max(1, _INK * float(np.percentile(far, 98)))).any(axis=0))
    if not inked.size:
        return []
    least = max(2, round(gap * (y1 - y0)))
    breaks = np.flatnonzero(np.diff(inked) > least)
    starts, ends = inked[np.r_[0, breaks + 1]], inked[np.r_[breaks, len(inked) - 1]] + 1
    margin = round(NARROW * (y1 - y0)) // 2
    return [
        (max(x0, x0 + low - margin), y0, min(x1, x0 + high + margin), y1)
        for low, high in zip(starts.tolist(), ends.tolist(), strict=True)
    ]
