"""What is said about each picture as soon as it is known: for a person, as JSON, as CSV. What stands in it is
a reading, the fields of a form, or a prediction."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Self

from tenfold.errors import UsageError, printable
from tenfold.files import csv_line
from tenfold.show.terminal import percent

if TYPE_CHECKING:
    from tenfold.forms.fields import FilledForm
    from tenfold.forms.template import Form
    from tenfold.pictures.formats import PdfPage
    from tenfold.reader.reading import Reading
    from tenfold.reader.table import Table

__all__ = ["Answer", "Answers"]


_MOST_DOUBTS = 3  # characters that an answer names
_NTH = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"]
_FIELD_DOUBTS = {"unfit": "nothing of its form", "sum": "its sum is wrong", "doubtful": "doubtful"}


class Answer(NamedTuple):
    """A picture's path as given, and what stands in it (a Reading, a FilledForm, a Prediction), or else what
    is wrong with it. page: of a PDF document, from 1."""

    path: str
    reading: Any = None
    error: str = ""
    page: int | None = None

    @classmethod
    def about(cls, path: str | PdfPage, error: str = "") -> Self:
        """Of a picture, or of a page of a document."""
        return cls(path, None, error) if isinstance(path, str) else cls(path.path, None, error, path.number)

    @property
    def source(self) -> str | PdfPage:
        """What the picture is opened by."""
        from tenfold.pictures.formats import PdfPage

        return self.path if self.page is None else PdfPage(self.path, self.page)

    def only_digits(self) -> Self:
        """Of a reading, without separators."""
        return self._replace(reading=self.reading.only_digits()) if self.reading else self

    @property
    def name(self) -> str:
        """The path, and the page where there is one: what a line begins with."""
        return self.path if self.page is None else f"{self.path}#page={self.page}"


@dataclass(frozen=True)
class _Kind:
    """What is told about a picture. columns: of CSV, with "path" and "error"; cells: those in between. empty:
    what JSON holds where nothing was read."""

    tell: Callable[[Any], str]
    columns: Sequence[str]
    cells: Callable[[Any], Sequence[object]]
    empty: Mapping[str, Any]
    line_end: str = "\n"


class Answers:
    """One line per picture for a person: the text, how sure it is, and where it is doubtful why."""

    encoding: str | None = None  # of stdout, when not its own
    several = False  # pictures

    def __init__(self, kind: _Kind) -> None:
        self.kind = kind
        if isinstance(sys.stdout, io.TextIOWrapper):  # names that are not text must not stop the rest
            errors = "surrogateescape" if self.encoding else "backslashreplace"
            sys.stdout.reconfigure(encoding=self.encoding, errors=errors)

    @staticmethod
    def of(what: str | Form, *, as_json: bool, as_csv: bool, as_table: bool = False) -> Answers:
        """what: "reading", "prediction", or the form whose fields are read. Raises UsageError when more than
        one is asked for."""
        asked = {"--json": (as_json, _Json), "--csv": (as_csv, _Csv), "--table": (as_table, _Table)}
        given = {name: way for name, (wanted, way) in asked.items() if wanted}
        if len(given) > 1:
            raise UsageError(f"{' and '.join(given)} exclude each other", remedy="ask for one of them")
        kind = _KINDS[what] if isinstance(what, str) else _form_kind(what)
        return next(iter(given.values()), Answers)(kind)

    @staticmethod
    def in_lines(what: str | Form, file: BinaryIO) -> Answers:
        """As JSON, an object per line, in a file."""
        return _JsonLines(_KINDS[what] if isinstance(what, str) else _form_kind(what), file)

    def add(self, answer: Answer) -> None:
        if answer.reading is None:
            sys.stderr.write(f"tenfold: {printable(answer.error)}\n")
        else:
            self._write(f"{printable(answer.name)}: {self.kind.tell(answer.reading)}\n")

    def check(self, answer: Answer) -> Answer:
        """The answer, or an error where it cannot be told in this form."""
        return answer

    def open(self) -> None:
        """Before the first answer."""

    def close(self) -> None:
        """After the last answer, or when interrupted."""

    def abandon(self) -> None:
        """Nobody reads on: what is still buffered goes nowhere."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, sys.stdout.fileno())
        except (OSError, ValueError):  # a stdout without a file
            sys.stdout = io.StringIO()
        finally:
            os.close(nowhere)

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    def _row(self, cells: Sequence[object]) -> None:
        if sys.stdout.isatty():
            cells = [printable(cell) if isinstance(cell, str) else cell for cell in cells]
        self._write(csv_line(cells, self.kind.line_end))


class _Json(Answers):
    """One list, one element per line."""

    _before = "[\n"

    def add(self, answer: Answer) -> None:
        self._write(self._before + self._element(answer))
        self._before = ",\n"

    def _element(self, answer: Answer) -> str:
        found = {} if answer.reading is None else answer.reading.to_dict()
        known = {**self.kind.empty, **answer._asdict(), **found, "error": answer.error or None}
        element = {key: known[key] for key in ("path", *self.kind.empty, "error")}
        return json.dumps(element, allow_nan=False)

    def close(self) -> None:
        self._write("\n]\n" if self._before == ",\n" else "[]\n")


class _JsonLines(_Json):
    """One object per line: what a killed process leaves can be read, and continued."""

    def __init__(self, kind: _Kind, file: BinaryIO) -> None:
        super().__init__(kind)
        self.file = file

    def add(self, answer: Answer) -> None:
        self.file.write(self._element(answer).encode() + b"\n")
        self.file.flush()

    def close(self) -> None:
        """The file is closed by who opened it."""


class _Csv(Answers):
    """One row per picture."""

    encoding = "utf-8"

    def open(self) -> None:
        self._row(("path", *self.kind.columns, "error"))

    def add(self, answer: Answer) -> None:
        empty = [""] * len(self.kind.columns)
        cells = empty if answer.reading is None else self.kind.cells(answer.reading)
        self._row((answer.name, *cells, answer.error))


class _Table(Answers):
    """The cells of each table, a row per line; of several pictures, the path comes first."""

    encoding = "utf-8"

    def check(self, answer: Answer) -> Answer:
        if answer.reading is None or answer.reading.table is not None:
            return answer
        remedy = "read its lines without --table" if answer.reading.lines else "take the picture from nearer"
        return answer._replace(reading=None, error=f"{answer.name}: no ruled table is found; {remedy}")

    def add(self, answer: Answer) -> None:
        if answer.reading is None or answer.reading.table is None:
            super().add(answer)
            return
        for row in answer.reading.table.values:
            self._row([answer.name, *row] if self.several else row)


def _form_kind(form: Form) -> _Kind:
    names = [each.name for each in form.fields]
    return _Kind(
        tell=_tell_form,
        columns=(*names, "doubtful"),
        cells=lambda found: (*(found.values[name] for name in names), ";".join(found.doubtful)),
        empty={"page": None, "form": None, "fields": [], "values": {}, "doubtful": [], "score": None},
    )


def _tell_form(found: FilledForm) -> str:
    """ "points_1 12, points_2 7; look at points_2 (doubtful)"."""
    told = ", ".join(f"{each.name} {each.text or '-'}" for each in found.fields)
    doubts = [f"{each.name} ({_FIELD_DOUBTS[each.reason]})" for each in found.fields if each.doubtful]
    return f"{told}; look at {', '.join(doubts)}" if doubts else told


def _tell_prediction(found: Any) -> str:
    """ "7 (98.7 %; then 1 0.8 %, 9 0.3 %)"."""
    others = ", ".join(f"{name} {percent(share, 1)}" for name, share in found.alternatives()[1:])
    return printable(f"{found.label} ({percent(found.confidence, 1)}; then {others})")


def tell_reading(reading: Reading) -> str:
    """ "1049  (98.7 %)", or "10?9  third character: 4 or 9 (51 % / 47 %)"."""
    from tenfold.reader.reading import percent

    if not reading.lines:
        return "; ".join(reading.troubles)
    if reading.table is not None:
        return _tell_table(reading.table, reading.troubles)
    text = reading.text.replace("\n", " | ")
    doubts = [*_doubts(reading), *reading.troubles]
    if all(character.verdict == "digit" for character in reading.characters):
        text += f"  ({percent(reading.confidence or 0)})"
    return "  ".join([text, "; ".join(doubts)]) if doubts else text


def _tell_table(table: Table, troubles: Sequence[str]) -> str:
    """ "table of 9 rows and 9 columns, 2 of 40 numbers doubtful", and its rows: . empty, - text."""
    marks = {"empty": ".", "text": "-", "unfit": "?"}
    shown = [[cell.text or marks.get(cell.reason, "?") for cell in row] for row in table.rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    reasons = [cell.reason for row in table.rows for cell in row if cell.text]
    told = f"table of {table.shape[0]} rows and {table.shape[1]} columns, {len(reasons)} numbers"
    told += f", {reasons.count('doubtful')} of them doubtful" if "doubtful" in reasons else ""
    rows = ("  " + " ".join(map(str.rjust, row, widths)) for row in shown)
    return "\n".join(["; ".join([told, *troubles]), *rows])


def _doubts(reading: Reading) -> list[str]:
    """The first doubtful characters with their two likeliest, and how many more there are."""
    told = [
        (_place(reading, row, number), why)
        for row, line in enumerate(reading.lines, 1)
        for number, character in enumerate(line.characters, 1)
        if (why := character.explain_verdict())
    ]
    if len(reading.characters) == 1:
        return [why for _, why in told]
    doubts = [f"{place}: {why}" for place, why in told[:_MOST_DOUBTS]]
    more = len(told) - len(doubts)
    return [*doubts, f"{more} more are doubtful"] if more else doubts


def _place(reading: Reading, row: int, number: int) -> str:
    """ "third character", "line 2, third character"."""
    name = f"{_NTH[number - 1]} character" if number <= len(_NTH) else f"character {number}"
    return f"line {row}, {name}" if len(reading.lines) > 1 else name


_KINDS = {
    "reading": _Kind(
        tell=tell_reading,
        columns=("text", "confidence", "verdicts"),
        cells=lambda found: (
            found.text,
            "" if found.confidence is None else f"{found.confidence:.4f}",
            ";".join(digit.verdict for digit in found.digits),
        ),
        empty={"page": None, "text": None, "confidence": None}
        | {key: [] for key in ("digits", "characters", "lines", "troubles")}
        | {"table": None, "turned": 0},
    ),
    "prediction": _Kind(
        tell=_tell_prediction,
        columns=("label", "confidence"),
        cells=lambda found: (found.label, float(found.confidence)),
        empty={"label": None, "confidence": None, "alternatives": [], "probs": []},
        line_end="\r\n",
    ),
}
