"""The pictures that a command is given, and what `tenfold read` says about each as soon as it is known: for a
person, as JSON, as CSV."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Self

from tenfold.errors import printable
from tenfold.files import csv_line

if TYPE_CHECKING:
    from tenfold.pictures.formats import PdfPage
    from tenfold.reader.reading import Reading
    from tenfold.reader.table import Table
    from tenfold.review.page import ReviewItem


_MOST_DOUBTS = 3  # characters that an answer names
_NTH = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"]


class Answer(NamedTuple):
    """A picture's path as given, and what stands in it, or else what is wrong with it. page: of a PDF
    document, from 1."""

    path: str
    reading: Reading | None
    error: str
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

    @property
    def name(self) -> str:
        """The path, and the page where there is one: what a line begins with."""
        return self.path if self.page is None else f"{self.path}#page={self.page}"

    def only_digits(self) -> Answer:
        """Without separators."""
        return self._replace(reading=self.reading and self.reading.only_digits())

    def without_picture(self) -> Answer:
        """Small enough to be held back with many others."""
        return self._replace(reading=self.reading and self.reading.without_picture())

    def items(self, form: Any) -> list[ReviewItem]:
        """What a person should look at. form: as it was read with, a Constraint, Columns or None."""
        from tenfold.review.items import items_of

        return items_of(self.reading, self.source, form) if self.reading else []

    def with_texts(self, texts: Sequence[str | None]) -> Answer:
        """With what a person said of its items; None leaves one as it is."""
        from tenfold.review.items import with_texts

        return self._replace(reading=self.reading and with_texts(self.reading, texts)) if texts else self


class Answers:
    """One line per picture for a person: the text, how sure it is, and where it is doubtful why."""

    encoding: str | None = None  # of stdout, when not its own
    several = False  # pictures

    def __init__(self) -> None:
        if isinstance(sys.stdout, io.TextIOWrapper):  # names that are not text must not stop the rest
            errors = "surrogateescape" if self.encoding else "backslashreplace"
            sys.stdout.reconfigure(encoding=self.encoding, errors=errors)

    def add(self, answer: Answer) -> None:
        if answer.reading is None:
            sys.stderr.write(f"tenfold: {printable(answer.error)}\n")
            return
        self._write(f"{printable(answer.name)}: {tell_reading(answer.reading)}\n")

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


class _Json(Answers):
    """One list, one element per line."""

    def __init__(self) -> None:
        super().__init__()
        self._before = "[\n"

    def add(self, answer: Answer) -> None:
        empty: dict[str, Any] = {"path": answer.path, "page": answer.page, "text": None, "confidence": None}
        empty |= {key: [] for key in ("digits", "characters", "lines", "troubles")}
        empty |= {"table": None, "turned": 0}
        known = answer.reading.to_dict() if answer.reading else {}
        element = json.dumps(empty | known | {"error": answer.error or None}, allow_nan=False)
        before, self._before = self._before, ",\n"
        self._write(before + element)

    def close(self) -> None:
        self._write("\n]\n" if self._before == ",\n" else "[]\n")


class _Csv(Answers):
    """One row per picture; text in quotes where it has several lines. verdicts: of the digits."""

    encoding = "utf-8"

    def open(self) -> None:
        self._row("path", "text", "confidence", "verdicts", "error")

    def add(self, answer: Answer) -> None:
        reading = answer.reading
        if reading is None:
            self._row(answer.name, "", "", "", answer.error)
            return
        sure = "" if reading.confidence is None else f"{reading.confidence:.4f}"
        self._row(answer.name, reading.text, sure, ";".join(d.verdict for d in reading.digits), "")

    def _row(self, *cells: str) -> None:
        if sys.stdout.isatty():
            cells = tuple(map(printable, cells))
        self._write(csv_line(cells))


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
        terminal = sys.stdout.isatty()
        for row in answer.reading.table.values:
            cells = [*([answer.name] if self.several else []), *row]
            self._write(csv_line(list(map(printable, cells)) if terminal else cells))


def open_answers(*, as_json: bool, as_csv: bool, as_table: bool = False) -> Answers:
    """Raises UsageError when more than one is asked for."""
    asked = {"--json": (as_json, _Json), "--csv": (as_csv, _Csv), "--table": (as_table, _Table)}
    given = [name for name, (wanted, _) in asked.items() if wanted]
    if len(given) > 1:
        from tenfold.errors import UsageError

        raise UsageError(f"{' and '.join(given)} exclude each other", remedy="ask for one of them")
    return asked[given[0]][1]() if given else Answers()


def standard_input() -> BinaryIO:
    """Where - stands for a picture. Raises UsageError where it is a terminal."""
    if sys.stdin is None or sys.stdin.isatty():
        from tenfold.errors import UsageError

        raise UsageError("- stands for standard input, which is a terminal", expected="a picture piped in")
    return sys.stdin.buffer


def find_pages(given: str) -> list[tuple[str | PdfPage, str]]:
    """As `find_pictures`, with PDF documents among them, each as its pages."""
    from tenfold.errors import DataError
    from tenfold.pictures import formats

    found: list[tuple[str | PdfPage, str]] = []
    for path, error in find_pictures(given, besides=(".pdf",)):
        try:
            pages = [] if error or path == "-" or not formats.is_pdf(path) else formats.find_pages(path)
            found += [(page, "") for page in pages] or [(path, error)]
        except DataError as wrong:
            found.append((path, str(wrong)))
    return found


def find_pictures(given: str, *, besides: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    """Paths, each with what is wrong with it; a folder stands for the pictures in it and below, and for files
    that end as `besides` says."""
    folder = Path(given)
    if not given:
        return [(given, "'' is an empty name; expected a picture or a folder")]
    if given == "-" or not folder.is_dir():
        return [(given, "")]
    from tenfold.data.folders import SUFFIXES, looks_like_picture

    found: list[tuple[str, str]] = []

    def report(error: OSError) -> None:
        found.append((str(error.filename), f"{error.filename} cannot be opened ({error.strerror})"))

    for place, folders, names in os.walk(folder, onerror=report):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            (str(Path(place, name)), "")
            for name in names
            if not name.startswith(".")
            and (looks_like_picture(Path(place, name)) or (besides and name.lower().endswith(besides)))
        ]
    return sorted(found) or [(given, f"{given} holds no picture; expected {', '.join(SUFFIXES)}")]


def tell_reading(reading: Reading) -> str:
    """ "1049  (98.7 %)", or "10?9  third character: 4 or 9 (51 % / 47 %)"."""
    from tenfold.reader.troubles import percent

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
    from tenfold.reader.troubles import explain_verdict

    told = [
        (_place(reading, row, number), why)
        for row, line in enumerate(reading.lines, 1)
        for number, character in enumerate(line.characters, 1)
        if (why := explain_verdict(character))
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
