"""One line read, its characters and their places; a whole reading, and in words what may have gone wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold.arrays import Prediction, Verdict
from tenfold.classifier import Classifier
from tenfold.errors import DataError
from tenfold.numerics import log_softmax, softmax
from tenfold.pictures.lines import Box, Strip
from tenfold.pictures.open import Picture
from tenfold.reader.constraint import Constraint
from tenfold.reader.decode import BLANK, CHARACTERS, DIGITS, OTHER, Decoded, Effort, decode

if TYPE_CHECKING:
    from tenfold.reader.line_reader import LineReader
    from tenfold.reader.table import Table

__all__ = ["Line", "Reading", "percent", "read_line"]

LEAD = 3  # pixels of a strip: a character is seen so far left of its middle (printed digits: 3.3 +- 1.1)
TOO_MUCH = "more is written here than is read: take pictures of parts of the page"
_TEXT = "text, no handwritten numbers"
_NAMES = tuple(CHARACTERS.replace(OTHER, ""))
_DOUBT = 0.5  # a character less likely than this is doubtful in a doubtful line
_REACH = 0.45  # of a line's height: a character reaches no farther to a side


@dataclass(frozen=True, eq=False)
class Line:
    """One line. text: "?" for each doubtful character, separators included. confidence: that its digits
    are right. box: in the pixels of the upright original. characters: from the left. strip: uint8 (32, W),
    what the network saw. places: the column of each character, of 2 pixels each. text_only: there is
    writing, but no number. unfit: nothing here has the expected form. reviewed: a person read it. decoded:
    what the search for the likeliest text gave, before any doubt."""

    text: str
    confidence: float
    box: Box
    characters: tuple[Prediction, ...]
    strip: np.ndarray = field(repr=False)
    places: tuple[int, ...] = field(repr=False)
    text_only: bool = False
    unfit: bool = False
    reviewed: bool = False
    decoded: Decoded = field(default=Decoded("", (), {}), repr=False)

    @staticmethod
    def window(values: np.ndarray, place: int, beyond: int = 0) -> np.ndarray:
        """(32, W) -> (32, 32): what lies around a character seen in this column; `beyond` outside."""
        height, middle = Strip.HEIGHT, middle_of(place)
        padding = ((0, 0), (height // 2, height))
        return np.pad(values, padding, constant_values=beyond)[:, middle : middle + height]

    def only_digits(self) -> Line:
        """Without separators."""
        kept = [i for i, character in enumerate(self.characters) if is_digit(character)]
        text = "".join(self.text[i] for i in kept)
        characters = tuple(self.characters[i] for i in kept)
        return replace(self, text=text, characters=characters, places=tuple(self.places[i] for i in kept))

    def moved(self, move: Callable[[Box], Box]) -> Line:
        """With other boxes."""
        characters = (replace(each, box=each.box and move(each.box)) for each in self.characters)
        return replace(self, box=move(self.box), characters=tuple(characters))

    def to_dict(self) -> dict[str, Any]:
        told = {"text": self.text, "confidence": self.confidence, "box": list(self.box)}
        return told | ({"reviewed": True} if self.reviewed else {})


@dataclass(frozen=True, eq=False)
class Reading:
    """seen: the lines of the picture, from the top; one without characters says why nothing was read.
    troubles: what makes the answer doubtful, in words. picture: the open picture, for explaining. table: the
    cells, where the picture shows a ruled table; each that was read is a line then. turned: degrees by which
    the page was turned counter-clockwise to be read."""

    UNFIT_TROUBLES = ("nothing found that fits the expected form", "a line does not fit the expected form")

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


def score_strip(reader: LineReader, strip: np.ndarray, effort: Effort | None = None) -> np.ndarray:
    """uint8 (32, W), as `make_strip` gives it -> float (T, 21), the log-probabilities of its columns. effort:
    what the picture may still cost; this strip is taken from it. Raises DataError for an array that is not a
    strip."""
    if strip.dtype != np.uint8 or strip.ndim != 2 or len(strip) != Strip.HEIGHT or not strip.size:
        expected = f"uint8 of shape ({Strip.HEIGHT}, W), as tenfold.pictures.lines.make_strip gives it"
        raise DataError(f"a strip is {strip.dtype} of shape {strip.shape}", expected=expected)
    if effort:
        effort.pixels -= strip.shape[1] + 128  # pixels for which the network takes as long for any strip
    logits = Classifier.check_answers(reader.engine.logits(strip[None])[0])
    return log_softmax(logits / np.float32(reader.card.temperature))


def read_line(
    reader: LineReader,
    strips: Sequence[np.ndarray],
    constraint: Constraint | None = None,
    effort: Effort | None = None,
    *,
    boxes: Sequence[Box] = (),
    scale: float = 1.0,
    row: int = 0,
) -> Line:
    """Several strips of one line -> what is written in it, seen in one of them. Probabilities of digits are
    averaged over the strips; the text is that of the likeliest digits. Where the first two agree, no other is
    read. Raises DataError where there is none. boxes: where the strips lie in the open picture, whose pixels
    are `scale` of the original's; none: the strips are the picture."""
    if not strips:
        raise DataError("no strips", expected="at least one")
    logs: list[np.ndarray] = []
    read: list[Decoded] = []
    for strip in strips:
        if len(read) == 2 and read[0].digits == read[1].digits:
            break
        logs.append(score_strip(reader, strip, effort))
        read.append(decode(logs[-1], constraint, effort))
    known = dict.fromkeys(digits for each in read for digits in each.shares)
    shares = {digits: sum(each.shares.get(digits, 0.0) for each in read) / len(read) for digits in known}
    ranks = [(each.text is not None, shares.get(each.digits, 0.0), each.confidence) for each in read]
    best = max(range(len(read)), key=ranks.__getitem__)
    box = boxes[best] if boxes else (0, 0, strips[best].shape[1], Strip.HEIGHT)
    line = _describe(replace(read[best], shares=shares), logs[best], strips[best], box, scale, row)
    doubtful = line.characters and line.confidence < reader.card.least_confidence
    return _doubt(line) if doubtful else line


def _describe(
    decoded: Decoded, logs: np.ndarray, strip: np.ndarray, box: Box, scale: float, row: int
) -> Line:
    """A box, probabilities and a verdict for each character. Writing that is not a number is dropped at the
    ends of a line and "?" inside."""
    text, places = decoded.text or "", decoded.places
    first, last = len(text) - len(text.lstrip(OTHER)), len(text.rstrip(OTHER))
    places = places[first:last]
    seen = zip(text[first:last], places, _character_boxes(places, box, scale), strict=True)
    characters = [_character(*each, logs, strip, row) for each in seen]
    if not any(each.label in DIGITS for each in characters):
        characters, places = [], ()
    return Line(
        text[first:last] if characters else "", decoded.confidence, _scaled(box, scale), tuple(characters),
        strip, places, text_only=bool(text) and not characters, unfit=decoded.text is None, decoded=decoded,
    )  # fmt: skip


def _character(said: str, place: int, box: Box, logs: np.ndarray, strip: np.ndarray, row: int) -> Prediction:
    """none: the probability of "other", given that something stands here; probs: of the characters, given
    that it is one of them."""
    probs = softmax(logs[place, : len(_NAMES)]).astype(np.float32)
    none = float(softmax(logs[place, :BLANK])[len(_NAMES)])
    verdict: Verdict = "not a digit" if said == OTHER else "digit"
    label = _NAMES[int(probs.argmax())] if said == OTHER else said
    confidence, image = float(probs[_NAMES.index(label)]), Line.window(strip, place, Strip.PAPER)
    return Prediction(label, confidence, probs, _NAMES, box, row, none, verdict, image)


def _doubt(line: Line) -> Line:
    """The weakest digit, and every character that is rather not what it seems, is unsure."""
    digits = [each for each in line.characters if each.label in DIGITS]
    weakest = min(digits, key=lambda each: each.confidence)
    characters = tuple(
        replace(each, verdict="unsure")
        if each.verdict == "digit" and (each is weakest or each.confidence < _DOUBT)
        else each
        for each in line.characters
    )
    told = "".join(each.label if each.verdict == "digit" else OTHER for each in characters)
    return replace(line, text=told, characters=characters)


def _character_boxes(places: Sequence[int], box: Box, scale: float) -> list[Box]:
    """In the original's pixels: half-way to the neighbours, but no wider than digits are."""
    x0, y0, x1, y1 = box
    ratio = (y1 - y0) / Strip.HEIGHT  # picture pixels per strip pixel
    middles = [middle_of(place) - Strip.MARGIN for place in places]
    between = [-np.inf, *((one + other) / 2 for one, other in pairwise(middles)), np.inf]
    boxes = []
    for middle, (before, after) in zip(middles, pairwise(between)):
        left, right = max(middle - _REACH * Strip.HEIGHT, before), min(middle + _REACH * Strip.HEIGHT, after)
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
    return int((place + 0.5) * Strip.COLUMN_WIDTH) + LEAD


def _scaled(edges: tuple[float, float, float, float], scale: float) -> Box:
    x0, y0, x1, y1 = (round(edge * scale) for edge in edges)
    return x0, y0, x1, y1


def find_troubles(
    grey: np.ndarray, picture: Picture, lines: Sequence[Line], *, held: bool, words: bool = False
) -> tuple[str, ...]:
    """What makes the answer on a whole picture doubtful, and its remedy; () for a good picture. grey: uint8
    (H, W) of the open picture. held: whether the answer had to have a form. words: whether the page is one of
    words, of which `lines` are those with a sure number."""
    written = [line for line in lines if line.characters]
    if words:
        return ("mostly text: only lines that are certainly numbers are given" if written else _TEXT,)
    if not written:
        return (_why_nothing(grey, lines, held),)
    found = [_contrast(grey, written, picture.scale), _small(picture, written)]
    if any(line.unfit for line in lines):
        found.append(Reading.UNFIT_TROUBLES[1])
    return tuple(trouble for trouble in found if trouble)


def percent(share: float) -> str:
    """ "98.7 %"; never a full hundred, which no network can know."""
    return "over 99.9 %" if share >= 0.9995 else f"{100 * share:.1f} %"


def _why_nothing(grey: np.ndarray, lines: Sequence[Line], held: bool) -> str:
    if held and any(line.unfit for line in lines):
        return Reading.UNFIT_TROUBLES[0]
    if any(line.text_only for line in lines):
        return "no number: text or a drawing"
    if int(grey.max()) - int(grey.min()) <= 8:  # grey levels: nothing is shown
        return "nothing found: the picture is blank"
    return "nothing found: no number stands here, or its ink is too pale"


def _contrast(grey: np.ndarray, lines: Sequence[Line], scale: float) -> str:
    """Blurred or faint, whichever the middle one of the lines is."""
    boxes = [[round(edge / scale) for edge in line.box] for line in lines]
    crops = [grey[y0 : max(y1, y0 + 3), x0 : max(x1, x0 + 3)] for x0, y0, x1, y1 in boxes]
    spans, soft = zip(*map(_edges, crops), strict=True)
    if float(np.median(soft)) > 0.25:  # of a line's height: edges softer than this close loops
        return "blurred: hold the camera still and let it focus"
    span = float(np.median(spans))
    if span >= 33:  # levels between paper and ink: a third of a grey pencil's
        return ""
    return f"faint ink ({100 * span / 255:.0f} % of full contrast): use a darker pen or more light"


def _edges(crop: np.ndarray) -> tuple[float, float]:
    """Levels from paper to ink, and how wide the edges between them are, as a share of the height. An edge
    that is climbed at its steepest from dark to light is span / gradient pixels wide. The gradient is the one
    that as many pixels exceed as the line is high: those of one stroke."""
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
    if size >= 10:  # pixels of the original: a line less high has too little shape left
        return ""
    remedy = "take the picture from nearer" if max(picture.size) > 60 else "draw it larger"
    return f"very small writing ({size} pixels tall): {remedy}"
