"""What makes an answer doubtful, in plain words, each with what to do about it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tenfold.arrays import Prediction
from tenfold.pictures.lines import HEIGHT, Box, find_boxes, find_ink, label_regions
from tenfold.pictures.open import Picture
from tenfold.reader.alphabet import BLANK, CHARACTERS, DIGITS, OTHER
from tenfold.reader.constraint import Constraint
from tenfold.reader.decode import Decoded
from tenfold.reader.reading import Line

if TYPE_CHECKING:
    from tenfold.reader.reading import Line

__all__ = ["UNFIT_TROUBLES", "explain_verdict", "percent"]

UNFIT_TROUBLES = ("nothing found that fits the expected form", "a line does not fit the expected form")
_ONE_COLOUR = 8  # levels of 0..255: a picture that spans no more shows nothing at all
_FAINT = 33  # levels between paper and ink: a third of a grey pencil's
_SMALL = 10  # pixels of the original: a line less high has too little shape left
_TEXT = "text, no handwritten numbers"
_BLUR = 0.25  # of a line's height: edges softer than this close loops
TOO_MUCH = "more is written here than is read: take pictures of parts of the page"


def find_troubles(
    grey: np.ndarray, picture: Picture, lines: Sequence[Line], *, held: bool, words: bool = False
) -> tuple[str, ...]:
    """What makes the answer on a whole picture doubtful, and its remedy; () for a good picture.

    grey: uint8 (H, W) of the open picture. held: whether the answer had to have a form. words: whether the
    page is one of words, of which `lines` are those with a sure number.
    """
    written = [line for line in lines if line.characters]
    if words:
        return ("mostly text: only lines that are certainly numbers are given" if written else _TEXT,)
    if not written:
        return (_why_nothing(grey, lines, held),)
    found = [_contrast(grey, written, picture.scale), _small(picture, written)]
    if any(line.unfit for line in lines):
        found.append(UNFIT_TROUBLES[1])
    return tuple(trouble for trouble in found if trouble)


def percent(share: float) -> str:
    """ "98.7 %"; never a full hundred, which no network can know."""
    return "over 99.9 %" if share >= 0.9995 else f"{100 * share:.1f} %"


def explain_verdict(character: Prediction) -> str:
    """ "4 or 9 (51 % / 47 %)" where it is unsure, "not a digit" where it is refused, else ""."""
    if character.verdict == "digit":
        return ""
    if character.verdict == "not a digit":
        return "not a digit"
    (first, p), (second, q), *_ = character.alternatives(2)
    return f"{first} or {second} ({100 * p:.0f} % / {100 * q:.0f} %)"


def _why_nothing(grey: np.ndarray, lines: Sequence[Line], held: bool) -> str:
    if held and any(line.unfit for line in lines):
        return UNFIT_TROUBLES[0]
    if any(line.text_only for line in lines):
        return "no number: text or a drawing"
    if int(grey.max()) - int(grey.min()) <= _ONE_COLOUR:
        return "nothing found: the picture is blank"
    return "nothing found: no number stands here, or its ink is too pale"


def _contrast(grey: np.ndarray, lines: Sequence[Line], scale: float) -> str:
    """Blurred or faint, whichever the middle one of the lines is."""
    spans, soft = zip(*(_edges(_crop(grey, line.box, scale)) for line in lines), strict=True)
    if float(np.median(soft)) > _BLUR:
        return "blurred: hold the camera still and let it focus"
    span = float(np.median(spans))
    if span >= _FAINT:
        return ""
    return f"faint ink ({100 * span / 255:.0f} % of full contrast): use a darker pen or more light"


def _crop(grey: np.ndarray, box: Box, scale: float) -> np.ndarray:
    x0, y0, x1, y1 = (round(edge / scale) for edge in box)
    return grey[y0 : max(y1, y0 + 3), x0 : max(x1, x0 + 3)]


def _edges(crop: np.ndarray) -> tuple[float, float]:
    """Levels from paper to ink, and how wide the edges between them are, as a share of the height.

    An edge that is climbed at its steepest from dark to light is span / gradient pixels wide. The gradient is
    the one that as many pixels exceed as the line is high: those of one stroke.
    """
    if min(crop.shape) < 3:
        return 255.0, 0.0
    values = crop.astype(np.float32)
    low, high = np.quantile(values, (0.01, 0.99))
    down, right = np.gradient(values)
    steepest = np.partition(np.hypot(down, right), -len(crop), axis=None)[-len(crop)]
    span = float(high - low)
    return span, span / max(float(steepest), 1e-6) / len(crop)


def _small(picture: Picture, lines: Sequence[Line]) -> str:
    size = max(line.box[3] - line.box[1] for line in lines)
    if size >= _SMALL:
        return ""
    remedy = "take the picture from nearer" if max(picture.size) > 60 else "draw it larger"
    return f"very small writing ({size} pixels tall): {remedy}"


# Pages of words: told from pages of numbers by some of their lines, and the numbers between words.

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
