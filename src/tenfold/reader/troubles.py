"""What makes an answer doubtful, in plain words, each with what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tenfold.arrays import Prediction
from tenfold.ink.lines import Box
from tenfold.ink.open import Picture

if TYPE_CHECKING:
    from tenfold.reader.reading import Line

__all__ = ["TOO_MUCH", "UNFIT_TROUBLES", "explain_verdict", "find_troubles", "percent"]

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
