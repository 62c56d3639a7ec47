"""Photos of a form -> its fields, read."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from tenfold.arguments import checked
from tenfold.errors import DataError
from tenfold.forms.checks import Candidates, Verdict, apply_checks
from tenfold.forms.crops import FieldCut, cut_field
from tenfold.forms.filled import FieldReading, FilledForm
from tenfold.forms.register import Registration, prepare_example, register
from tenfold.forms.template import Field, Form
from tenfold.ink.open import Picture, open_picture, to_grey
from tenfold.ink.strip import make_strip
from tenfold.reader.alphabet import DIGITS, OTHER
from tenfold.reader.constraint import Constraint
from tenfold.reader.decode import Decoded, digits_of
from tenfold.reader.line_reader import LineReader

__all__ = ["LEAST_SCORE", "FormReader", "read_form"]

LEAST_SCORE = 0.5  # of a registration: below it the picture is of another form
_LONGEST = 2000  # pixels of a photo
_INSETS = (0.03, 0.0, -0.08, 0.08)  # of a field's height: it is read with more and less around it
_EMPTY = 0.1  # darkness of what is written, at least
_LEAST_SHARE = 1e-4  # of a candidate for a sum
_MOST_CANDIDATES = 6


class FormReader:
    """A line reader and a form, prepared to read many photos of it."""

    def __init__(self, reader: LineReader, form: Form) -> None:
        self.reader, self.form = reader, form
        self.constraints = [each.constraint for each in form.fields]
        self._example = prepare_example(form.example.pixels, [each.box for each in form.fields])
        self._grey = to_grey(form.example.pixels)

    def read(self, picture: Any, name: str = "") -> FilledForm:
        """A path, bytes, file, PIL image or array -> its fields. Raises DataError for what is not a picture,
        or shows another form."""
        opened = open_picture(picture, longest=_LONGEST)
        found = register(self._example, opened.pixels)
        if found.score < LEAST_SCORE:
            raise DataError(
                f"{name or 'the picture'} does not look like the form {self.form.name}",
                expected=f"to find at least {LEAST_SCORE:.0%} of its print, not {found.score:.0%}",
                remedy="check that the whole page is in the picture, and in focus",
            )
        grey = to_grey(opened.pixels)
        cuts = [cut_field(grey, self._grey, each.box, found) for each in self.form.fields]
        decoded = [self._decode(*each) for each in zip(cuts, self.constraints, strict=True)]
        return self._describe(opened, found, cuts, decoded)

    def _decode(self, cut: FieldCut, constraint: Constraint | None) -> Decoded:
        """Of an empty field the text is ""."""
        if cut.darkness() < _EMPTY:
            return Decoded("", (), {"": 1.0})
        strips = [make_strip(cut.view(inset)) for inset in _INSETS]
        return self.reader.read_views(strips, constraint)[1]

    def _describe(
        self, opened: Picture, found: Registration, cuts: list[FieldCut], decoded: list[Decoded]
    ) -> FilledForm:
        names = [each.name for each in self.form.fields]
        candidates = dict(zip(names, map(_candidates, decoded, self.constraints), strict=True))
        verdict = apply_checks(self.form.checks, candidates)
        fields = []
        for field, cut, each in zip(self.form.fields, cuts, decoded, strict=True):
            text, sure, reason = self._judge(field.name, each, verdict)
            corners = _corners(field, found, opened.scale)
            x, y = zip(*corners, strict=True)
            box = min(x), min(y), max(x), max(y)
            fields.append(FieldReading(field.name, text, sure, reason, box, corners, cut.view(0.0)))
        return FilledForm(self.form.name, tuple(fields), found.score, opened)

    def _judge(self, name: str, decoded: Decoded, verdict: Verdict) -> tuple[str, float, str]:
        """Text, confidence and reason."""
        text, sure = (decoded.text or "").strip(OTHER), decoded.confidence
        if not any(character in DIGITS for character in text):
            return "", sure, "unfit" if decoded.text is None or decoded.text else "empty"
        if name in verdict.texts:
            text, sure = verdict.texts[name]
        elif name in verdict.broken:
            return text, sure, "sum"
        doubtful = OTHER in text or sure < self.reader.card.least_confidence
        return text, sure, "doubtful" if doubtful else ""


def _candidates(decoded: Decoded, constraint: Constraint | None) -> Candidates:
    """What the field may say, likeliest first; nothing where it holds what is not a number."""
    if decoded.text == "":
        return [("", 1.0)]
    best = decoded.text or ""
    if OTHER in best or not digits_of(best):
        return []
    found = [
        (_respell(best, digits), share) for digits, share in decoded.shares.items() if share >= _LEAST_SHARE
    ]
    allowed = [each for each in found if each[0] == best or _allows(constraint, each[0])]
    return sorted(allowed, key=lambda each: (-each[1], each[0] != best))[:_MOST_CANDIDATES]


def _respell(best: str, digits: str) -> str:
    """Other digits with the separators of the best text, which are counted from the right."""
    left, text = list(digits), ""
    for character in reversed(best):
        if character not in DIGITS:
            text = character + text
        elif left:
            text = left.pop() + text
    return "".join(left) + text if left else text.lstrip(",.")


def _allows(constraint: Constraint | None, text: str) -> bool:
    if constraint is None:
        return bool(text)
    state: Any = constraint.start
    for character in text:
        state = constraint.step(state, character)
        if state is None:
            return False
    return bool(constraint.accepts(state))


def _corners(field: Field, found: Registration, scale: float) -> tuple[tuple[int, int], ...]:
    left, top, right, bottom = field.box
    mapped = found.map(np.array([(left, top), (right, top), (right, bottom), (left, bottom)])) * scale
    return tuple((int(x), int(y)) for x, y in np.rint(mapped))


@lru_cache(maxsize=4)
def _prepared(reader: LineReader, form: Form) -> FormReader:
    return FormReader(reader, form)


@checked
def read_form(reader: LineReader, picture: Any, form: Form) -> FilledForm:
    """A photo or a scan of a form -> what is written in its fields.

    picture: a path, bytes, file, PIL image or array. form: as `load_form` gives it. Raises DataError for what
    is not a picture, or does not show this form.
    """
    name = str(picture) if isinstance(picture, str) or hasattr(picture, "__fspath__") else ""
    return _prepared(reader, form).read(picture, name)
