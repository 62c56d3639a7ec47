"""Photos of a form -> its fields, read."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from heapq import heappop, heappush
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.arguments import checked
from tenfold.errors import DataError
from tenfold.forms.fields import FieldCut, FieldReading, FilledForm, cut_field
from tenfold.forms.register import Registration, prepare_example, register
from tenfold.forms.template import Check, Form
from tenfold.helpers import Helper
from tenfold.pictures.formats import PdfPage
from tenfold.pictures.lines import make_strip
from tenfold.pictures.open import Picture, open_picture
from tenfold.reader.constraint import Constraint
from tenfold.reader.decode import OTHER, Decoded
from tenfold.reader.line_reader import LineReader, build_reader
from tenfold.reader.many import read_all
from tenfold.reader.reading import read_line

__all__ = ["read_form", "read_forms"]

# Sums that a form's fields must keep: they choose among likely readings, or make fields doubtful.
#
# Of the fields' candidates, the likeliest combinations are tried in order. The writer may have added wrongly,
# too: a combination that keeps all sums is taken only where it is clearly likelier than that.

Candidates = Sequence[tuple[str, float]]  # texts and their probabilities, the likeliest first

_WRONG = 0.01  # of people's sums, about
_CLEAR = 0.8  # probability from which the sum decides
_MOST = 4000  # combinations that are tried


@dataclass(frozen=True)
class Verdict:
    """texts: of the fields that sums decide, with their probabilities. broken: fields of sums that do not
    hold."""

    texts: Mapping[str, tuple[str, float]]
    broken: frozenset[str]


def to_number(text: str) -> Decimal | None:
    """The last "," or "." is the decimal mark, others separate thousands; None for what is not a number."""
    whole, mark, part = text.replace(",", ".").rpartition(".")
    try:
        return Decimal(f"{whole.replace('.', '')}{mark}{part}") if text else None
    except InvalidOperation:
        return None


def apply_checks(checks: Sequence[Check], candidates: Mapping[str, Candidates]) -> Verdict:
    """candidates: of each field that was read; "" of an empty one, which counts 0. Sums of which a field
    could not be read, or whose total is empty, say nothing."""
    known = (check for check in checks if all(candidates.get(name) for name in check.names))
    told = [check for check in known if candidates[check.total][0][0] != ""]
    texts: dict[str, tuple[str, float]] = {}
    broken: set[str] = set()
    for group in _together(told):
        names = sorted({name for check in group for name in check.names})
        found = _decide(group, names, [candidates[name] for name in names])
        if found is not None:
            texts |= dict(zip(names, found, strict=True))
            continue
        best = {name: candidates[name][0][0] for name in names}
        broken |= {name for check in group if not _holds(check, best) for name in check.names}
    return Verdict(texts, frozenset(broken))


def _together(checks: Sequence[Check]) -> list[list[Check]]:
    """Groups of checks that share fields."""
    groups: list[list[Check]] = []
    for check in checks:
        near = [group for group in groups if any(set(check.names) & set(other.names) for other in group)]
        groups = [group for group in groups if group not in near]
        groups.append([check, *(other for group in near for other in group)])
    return groups


def _holds(check: Check, texts: Mapping[str, str]) -> bool:
    total, *parts = (to_number(texts[name]) if texts[name] else Decimal(0) for name in check.names)
    known = [part for part in parts if part is not None]
    return total is not None and len(known) == len(parts) and sum(known, Decimal(0)) == total


def _decide(
    group: Sequence[Check], names: Sequence[str], choices: Sequence[Candidates]
) -> list[tuple[str, float]] | None:
    """A text for each field, with its probability; None where no combination is clearly right."""
    kept: list[tuple[tuple[int, ...], float]] = []
    others = 0.0
    for places, share in _likeliest(choices):
        texts = {name: choices[i][place][0] for i, (name, place) in enumerate(zip(names, places))}
        if all(_holds(check, texts) for check in group):
            kept.append((places, share))
        else:
            others += share
    every = (1 - _WRONG) * sum(share for _, share in kept) + _WRONG * others
    if not kept or (1 - _WRONG) * kept[0][1] < _CLEAR * every:
        return None
    best = kept[0][0]
    sure = [sum(share for each, share in kept if each[i] == place) for i, place in enumerate(best)]
    return [(choices[i][place][0], min(1.0, (1 - _WRONG) * sure[i] / every)) for i, place in enumerate(best)]


def _likeliest(choices: Sequence[Candidates]) -> list[tuple[tuple[int, ...], float]]:
    """Combinations, one place in each list, with the product of their probabilities, the likeliest first."""
    costs = [[-float(np.log(max(share, 1e-12))) for _, share in each] for each in choices]
    first = (0,) * len(choices)
    waiting = [(sum(each[0] for each in costs), first)]
    seen = {first}
    found: list[tuple[tuple[int, ...], float]] = []
    while waiting and len(found) < _MOST:
        cost, places = heappop(waiting)
        found.append((places, float(np.exp(-cost))))
        for i, place in enumerate(places):
            after = (*places[:i], place + 1, *places[i + 1 :])
            if place + 1 < len(costs[i]) and after not in seen:
                seen.add(after)
                heappush(waiting, (cost + costs[i][place + 1] - costs[i][place], after))
    return found


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
        self._grey = form.example.grey

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
        grey = opened.grey
        cuts = [cut_field(grey, self._grey, each.box, found) for each in self.form.fields]
        decoded = [self._decode(*each) for each in zip(cuts, self.constraints, strict=True)]
        return self._describe(opened, found, cuts, decoded)

    def _decode(self, cut: FieldCut, constraint: Constraint | None) -> Decoded:
        """Of an empty field the text is ""."""
        if cut.darkness() < _EMPTY:
            return Decoded("", (), {"": 1.0})
        strips = [make_strip(cut.view(inset)) for inset in _INSETS]
        return read_line(self.reader, strips, constraint).decoded

    def _describe(
        self, opened: Picture, found: Registration, cuts: list[FieldCut], decoded: list[Decoded]
    ) -> FilledForm:
        names = [each.name for each in self.form.fields]
        candidates = dict(zip(names, map(_candidates, decoded, self.constraints), strict=True))
        verdict = apply_checks(self.form.checks, candidates)
        fields = []
        for own, cut, each in zip(self.form.fields, cuts, decoded, strict=True):
            text, sure, reason = self._judge(own.name, each, verdict)
            mapped = np.rint(found.corners(own.box) * opened.scale).astype(int)
            box = (*mapped.min(axis=0).tolist(), *mapped.max(axis=0).tolist())
            corners = tuple((x, y) for x, y in mapped.tolist())
            fields.append(FieldReading(own.name, text, sure, reason, box, corners, cut.view(0.0)))
        return FilledForm(self.form.name, tuple(fields), found.score, opened)

    def _judge(self, name: str, decoded: Decoded, verdict: Verdict) -> tuple[str, float, str]:
        """Text, confidence and reason."""
        text, sure = (decoded.text or "").strip(OTHER), decoded.confidence
        if not decoded.digits:
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
    if OTHER in best or not decoded.digits:
        return []
    found = [
        (_respell(best, digits), share) for digits, share in decoded.shares.items() if share >= _LEAST_SHARE
    ]
    fits = constraint.fits if constraint else bool
    allowed = [each for each in found if each[0] == best or fits(each[0])]
    return sorted(allowed, key=lambda each: (-each[1], each[0] != best))[:_MOST_CANDIDATES]


def _respell(best: str, digits: str) -> str:
    """Other digits with the separators of the best text, which are counted from the right."""
    left, text = list(digits), ""
    for character in reversed(best):
        if not character.isdecimal():
            text = character + text
        elif left:
            text = left.pop() + text
    return "".join(left) + text if left else text.lstrip(",.")


_prepared = lru_cache(maxsize=4)(FormReader)


@checked
def read_form(reader: LineReader, picture: Any, form: Form) -> FilledForm:
    """A photo or a scan of a form -> what is written in its fields.

    picture: a path, bytes, file, PIL image or array. form: as `load_form` gives it. Raises DataError for what
    is not a picture, or does not show this form.
    """
    name = str(picture) if isinstance(picture, str) or hasattr(picture, "__fspath__") else ""
    return _prepared(reader, form).read(picture, name)


# Many photos of a form read, on all cores.

_WORTH_A_PROCESS = 3  # forms; fewer are read before another process has started


@checked
def read_forms(
    reader: LineReader,
    paths: Sequence[str | Path | PdfPage] | Iterator[str | Path | PdfPage],
    form: Form,
    *,
    workers: int | None = None,
    timeout: float | None = None,
) -> Generator[FilledForm | DataError]:
    """The fields of each photo of a form, or what is wrong with it, in the order of `paths`, which
    may be an iterator.

    They come without their photos. form: as `load_form` gives it. workers: processes that read side by side;
    None chooses by the number of photos and cores. timeout: seconds for a photo, as in `read_pictures`. A
    reader of the PyTorch engine reads in this process, without a timeout. Raises UsageError for fewer than
    one worker, and for a wrong timeout.
    """
    return read_all(
        reader, paths, lambda given: _prepared(reader, form).read(given, str(given)), workers, timeout,
        helper="tenfold.forms.read", options=form, worth=_WORTH_A_PROCESS,
    )  # fmt: skip


def _prepare(
    start: tuple[dict[str, Any], dict[str, Any], Form],
) -> Callable[[str | PdfPage], FilledForm | DataError]:
    card, weights, form = start
    reader = FormReader(build_reader(card, weights), form)

    def read(given: str | PdfPage) -> FilledForm | DataError:
        try:
            return reader.read(given, str(given)).without_picture()
        except DataError as error:
            return error

    return read


if __name__ == "__main__":
    Helper.serve(_prepare)
