"""Pages of words: told from pages of numbers by some of their lines, and the numbers between words."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from tenfold.ink.lines import Box, find_ink
from tenfold.ink.regions import find_boxes, label_regions
from tenfold.ink.strip import HEIGHT
from tenfold.reader.alphabet import BLANK, CHARACTERS, DIGITS, OTHER
from tenfold.reader.reading import Line

__all__ = ["MANY", "are_words", "choose_evenly", "find_runs", "holds_frame", "is_sure", "may_be_sure"]

MANY = 12  # lines: of so many, some say whether a page is text
_FEWEST = 3  # lines: fewer are no page
_SHARE = 3  # a page of which less than one line in so many is a sure number may be text
_UNSURE = 0.3  # least median confidence of numbers that are hard to read; words read as digits have less
_DOUBT = -1.0  # log-probability per digit: where all columns together have less, no number is sure
_NARROW = 4 * HEIGHT  # pixels of a strip: in a wider one a lone digit is part of a word
_FRAME = 5  # a table's rules hang together over more than the page's size divided by this, both ways
_INK = 0.4  # of the span from paper to full ink
_GAP = 0.22  # of a line's height, its margins included: wider gaps lie between words


def is_sure(line: Line) -> bool:
    """Whether a number was read without doubt, and not one letter of many."""
    if not line.characters or OTHER in line.text:
        return False
    return len(line.characters) > 1 or line.strip.shape[1] <= _NARROW


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


def find_runs(grey: np.ndarray, line: Box) -> list[Box]:
    """A line of a picture -> the boxes of what wide gaps separate in it, from the left."""
    x0, y0, x1, y1 = line
    crop = grey[y0:y1, x0:x1].astype(np.int16)
    far = np.abs(crop - int(np.median(crop)))
    inked = np.flatnonzero((far > max(1, _INK * float(np.percentile(far, 98)))).any(axis=0))
    if not inked.size:
        return []
    gap = max(2, round(_GAP * (y1 - y0)))
    starts = [int(inked[0]), *(int(b) for a, b in pairwise(inked) if b - a > gap)]
    ends = [*(int(a) for a, b in pairwise(inked) if b - a > gap), int(inked[-1])]
    room = gap // 2
    return [
        (max(x0, x0 + low - room), y0, min(x1, x0 + high + 1 + room), y1)
        for low, high in zip(starts, ends, strict=True)
    ]
