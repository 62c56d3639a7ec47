"""What makes an answer doubtful, in plain words, each with what to do about it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from tenfold.arrays import Prediction
from tenfold.ink.frame import stroke_width
from tenfold.ink.lift import Ink
from tenfold.ink.open import Picture

__all__ = ["explain_verdict", "find_notes", "find_troubles", "mark_troubles", "percent"]

_ONE_COLOUR = 8  # levels of 0..255: a picture that spans no more shows nothing at all
_FAINT = 0.13  # contrast: a third of a grey pencil's on white paper
_SMALL = 12  # pixels of the original: a digit less tall has too little shape left
_BLUR = 0.12  # of a digit's size: softer edges close its loops (sharp pens and cameras: below 0.09)
_LOOK = 80  # pixels: a digit is looked at for blur no larger than this
_FULL = 0.5  # strength: half ink or more
_MEETS = 0.7  # of the stroke's width: a round end that just touches the edge is not cut off


def find_troubles(picture: Picture, ink: Ink, digits: Sequence[Prediction]) -> tuple[str, ...]:
    """What makes the answer on a whole picture doubtful, and its remedy; () for a good picture."""
    if not digits:
        return (_why_nothing(picture, ink),)
    blurred = _blurred(picture, ink, digits)  # which takes contrast away, too
    found = [
        blurred or _faint(ink),
        _small(picture, digits),
        _cut_off(picture, ink, digits),
        _refused(digits),
    ]
    return tuple(trouble for trouble in found if trouble)


def find_notes(ink: Ink, digits: Sequence[Prediction]) -> tuple[str, ...]:
    """What is good to know and no trouble: how much was found, and of which polarity."""
    if not digits:
        return ()
    rows = len({digit.row for digit in digits})
    count = f"{len(digits)} mark{'s' * (len(digits) > 1)} found" + f" in {rows} rows" * (rows > 1)
    return (count, "light ink on dark ground") if ink.light else (count,)


def mark_troubles(picture: Picture, ink: Ink, digit: Prediction) -> tuple[str, ...]:
    """The likely troubles of one mark, in a few words each."""
    sides = _cut_sides(picture, ink, digit)
    found = [
        "faint" if ink.contrast < _FAINT else "",
        f"only {_height(digit)} pixels tall" if _size(digit) < _SMALL else "",
        f"touches the {' and '.join(sides)} edge: cut off?" if sides else "",
        "blurred" if _softness(picture, ink, digit) > _BLUR else "",
    ]
    return tuple(trouble for trouble in found if trouble)


def percent(share: float) -> str:
    """ "98.7 %"; never a full hundred, which no network can know."""
    return "over 99.9 %" if share >= 0.9995 else f"{100 * share:.1f} %"


def explain_verdict(digit: Prediction) -> str:
    """ "4 or 9 (51 % / 47 %)" where it is unsure, "not a digit" where it is refused, else ""."""
    if digit.verdict == "digit":
        return ""
    if digit.verdict == "not a digit":
        return "not a digit"
    (first, p), (second, q), *_ = digit.alternatives(2)
    return f"{first} or {second} ({100 * p:.0f} % / {100 * q:.0f} %)"


def _why_nothing(picture: Picture, ink: Ink) -> str:
    if not ink.blank:
        return "nothing found: only lines or edges; leave free room around the digits"
    span = np.ptp(picture.pixels[::2, ::2].reshape(-1, 3).astype(np.int16), axis=0).max()
    if span <= _ONE_COLOUR:
        return "nothing found: the picture is blank"
    return "nothing found: the paper is blank or its ink too pale; use a darker pen or more light"


def _faint(ink: Ink) -> str:
    if ink.contrast >= _FAINT:
        return ""
    return f"faint ink ({100 * ink.contrast:.0f} % of full contrast): use a darker pen or more light"


def _small(picture: Picture, digits: Sequence[Prediction]) -> str:
    size = max(_size(digit) for digit in digits)
    if size >= _SMALL:
        return ""
    remedy = "take the picture from nearer" if max(picture.size) > 60 else "draw it larger"
    return f"very small writing ({size} pixels tall): {remedy}"


def _cut_off(picture: Picture, ink: Ink, digits: Sequence[Prediction]) -> str:
    sides = sorted({side for digit in digits for side in _cut_sides(picture, ink, digit)})
    if not sides:
        return ""
    return f"ink runs into the {' and '.join(sides)} edge: if it is cut off, leave room around it"


def _blurred(picture: Picture, ink: Ink, digits: Sequence[Prediction]) -> str:
    if np.median([_softness(picture, ink, digit) for digit in digits]) <= _BLUR:
        return ""
    return "blurred: hold the camera still and let it focus"


def _refused(digits: Sequence[Prediction]) -> str:
    count = sum(digit.verdict == "not a digit" for digit in digits)
    if len(digits) < 3 or 2 * count < len(digits):
        return ""
    return f"{count} of {len(digits)} marks are no digits: cut the picture to the digits"


def _box(digit: Prediction) -> tuple[int, int, int, int]:
    return digit.box or (0, 0, 0, 0)


def _height(digit: Prediction) -> int:
    return _box(digit)[3] - _box(digit)[1]


def _size(digit: Prediction) -> int:
    """The longer side, in pixels of the original: a lying stroke is not small."""
    return max(_height(digit), _box(digit)[2] - _box(digit)[0])


def _crop(picture: Picture, ink: Ink, digit: Prediction) -> tuple[slice, slice]:
    """Rows and columns of the digit's box in the ink."""
    height, width = ink.strength.shape
    x0, y0, x1, y1 = (round(edge / picture.scale) for edge in _box(digit))
    return slice(max(0, y0), min(height, y1)), slice(max(0, x0), min(width, x1))


def _cut_sides(picture: Picture, ink: Ink, digit: Prediction) -> list[str]:
    """The sides of the picture that a stroke of the digit meets in (nearly) its whole width.

    None where ink touches three sides or more: that picture was trimmed to its ink.
    """
    border = (ink.strength[0], ink.strength[-1], ink.strength[:, 0], ink.strength[:, -1])
    if sum(float(line.max()) > _FULL for line in border) > 2:
        return []
    rows, columns = _crop(picture, ink, digit)
    height, width = ink.strength.shape
    sides = {
        "bottom": rows.stop == height and ink.strength[-1, columns],
        "left": columns.start == 0 and ink.strength[rows, 0],
        "right": columns.stop == width and ink.strength[rows, -1],
        "top": rows.start == 0 and ink.strength[0, columns],
    }
    least = _MEETS * stroke_width(ink.strength[rows, columns])
    return [side for side, line in sides.items() if np.max(line, initial=0) > _FULL and np.sum(line) >= least]


def _softness(picture: Picture, ink: Ink, digit: Prediction) -> float:
    """How wide the edges in the picture are around a digit, as a share of the digit's size.

    An edge that is climbed at this steepness from dark to light is span / gradient pixels wide.
    """
    rows, columns = _crop(picture, ink, digit)
    size = max(rows.stop - rows.start, columns.stop - columns.start)
    room = size // 8
    around = picture.pixels[
        max(0, rows.start - room) : rows.stop + room, max(0, columns.start - room) : columns.stop + room
    ]
    if min(around.shape[:2]) < 3:
        return 0.0
    shrunk = Image.fromarray(np.ascontiguousarray(around)).convert("L")
    shrunk.thumbnail((_LOOK, _LOOK), Image.Resampling.BOX)  # grain is no edge
    grey = np.asarray(shrunk, np.float32)
    if min(grey.shape) < 3:
        return 0.0
    down, right = np.gradient(grey)
    steepness = np.sort(np.hypot(down, right).ravel())
    steepest = float(steepness[-max(1, len(steepness) // 100) :].mean())
    low, high = np.quantile(grey, (0.02, 0.98))
    span = max(around.shape[:2]) / max(grey.shape)
    return float(high - low) / max(steepest, 1e-6) * span / size
