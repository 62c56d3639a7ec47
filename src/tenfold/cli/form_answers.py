"""`tenfold read --form`: what is said about each photo of a form."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from tenfold.cli.answers import Answer, Answers, standard_input
from tenfold.errors import DataError, UsageError, printable
from tenfold.files import csv_line

if TYPE_CHECKING:
    from tenfold.forms.propose import FilledForm
    from tenfold.forms.template import Form
    from tenfold.pictures.formats import PdfPage
    from tenfold.reader.line_reader import LineReader
    from tenfold.reader.many import SheetFolder
    from tenfold.review.page import ReviewItem


_EXPLAINED = {"unfit": "nothing of its form", "sum": "its sum is wrong", "doubtful": "doubtful"}


def open_form(path: Path, others: Mapping[str, Any]) -> Form:
    """others: options that a form excludes, with what was given. Raises UsageError, DataError."""
    if given := next((name for name, value in others.items() if value), None):
        raise UsageError(
            f"--form and {given} exclude each other", remedy=f"leave {given} out: the form says what is where"
        )
    from tenfold.forms.template import load_form

    return load_form(path)


def open_form_answers(form: Form, *, as_json: bool, as_csv: bool) -> Answers:
    """Raises UsageError when both are asked for."""
    if as_json and as_csv:
        raise UsageError("--json and --csv exclude each other", remedy="ask for one of them")
    return _Json() if as_json else _Csv([each.name for each in form.fields]) if as_csv else _Plain()


class _Plain(Answers):
    """One line per form."""

    def add(self, answer: Answer) -> None:
        found: Any = answer.reading
        if found is None:
            super().add(answer)
            return
        self._write(f"{printable(answer.name)}: {_tell(found)}\n")


class _Json(Answers):
    """One list, one form per line."""

    def __init__(self) -> None:
        super().__init__()
        self._before = "[\n"

    def add(self, answer: Answer) -> None:
        empty: dict[str, Any] = {"form": None, "fields": [], "values": {}, "doubtful": [], "score": None}
        known = answer.reading.to_dict() if answer.reading else {}
        element = {"path": answer.path, "page": answer.page} | empty | known | {"error": answer.error or None}
        before, self._before = self._before, ",\n"
        self._write(before + json.dumps(element, allow_nan=False))

    def close(self) -> None:
        self._write("\n]\n" if self._before == ",\n" else "[]\n")


class _Csv(Answers):
    """One row per form: its fields, and the names of those that are doubtful."""

    encoding = "utf-8"

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self._names = names

    def open(self) -> None:
        self._row("path", *self._names, "doubtful", "error")

    def add(self, answer: Answer) -> None:
        found: Any = answer.reading
        if found is None:
            self._row(answer.name, *("" for _ in self._names), "", answer.error)
            return
        self._row(answer.name, *(found.values[name] for name in self._names), ";".join(found.doubtful), "")

    def _row(self, *cells: str) -> None:
        if sys.stdout.isatty():
            cells = tuple(map(printable, cells))
        self._write(csv_line(cells))


def _tell(found: FilledForm) -> str:
    """ "points_1 12, points_2 7; look at points_2 (doubtful)"."""
    told = ", ".join(f"{each.name} {each.text or '-'}" for each in found.fields)
    doubts = [f"{each.name} ({_EXPLAINED[each.reason]})" for each in found.fields if each.doubtful]
    return f"{told}; look at {', '.join(doubts)}" if doubts else told


class _FormAnswer(Answer):
    """reading: a FilledForm."""

    def items(self, form: Any) -> list[ReviewItem]:
        """Its doubtful fields. form: the Form it was read with."""
        from tenfold.review.page import ReviewItem

        found: Any = self.reading
        fields = zip(form.fields, found.fields, strict=True) if found else ()
        return [
            ReviewItem(self.name, each.name, each.text, each.crop, field.constraint)
            for field, each in fields
            if each.doubtful
        ]

    def with_texts(self, texts: Sequence[str | None]) -> Self:
        found: Any = self.reading
        return self._replace(reading=found.with_texts(texts)) if texts else self


def answer_forms(
    reader: LineReader,
    form: Form,
    paths: Sequence[tuple[str | PdfPage, str]],
    sheets: SheetFolder | None,
    workers: int | None,
    timeout: float | None,
) -> Generator[Answer]:
    """paths: as `find_pages` gives them. Sheets are drawn one after another, in this process."""
    from tenfold.forms.crops import explain_form
    from tenfold.forms.read import read_form, read_forms

    files = [] if sheets else [path for path, error in paths if not error and path != "-"]
    with closing(read_forms(reader, files, form, workers=workers, timeout=timeout)) as readings:
        for path, error in paths:
            answer = _FormAnswer.about(path, error)
            if error:
                yield answer
                continue
            found: Any
            try:
                if sheets or path == "-":
                    found = read_form(reader, standard_input() if path == "-" else path, form)
                elif isinstance(found := next(readings), DataError):
                    raise found
            except DataError as wrong:
                yield answer._replace(error=str(wrong))
                continue
            if sheets:
                sheets.add_sheet(str(path), explain_form(found, str(path)))
            yield answer._replace(reading=found)


# `tenfold form`: a template of the fields that are found in an example of a form, or drawn over it.


def form_command(
    picture: Annotated[Path, typer.Argument(help="A scan or a photo of the form, blank or filled.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The new file (default: the picture's name with .toml)."),
    ] = None,
    names: Annotated[
        str | None, typer.Option(help="Names of the fields, from the top: a,b,c; - leaves a field out.")
    ] = None,
    draw: Annotated[
        bool, typer.Option("--draw", help="Draw and name the fields on a page in the browser.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="With --draw: replace the file.")] = False,
) -> None:
    """Write a template of a form: the ruled cells, boxes or lines of an example, as named fields.

    Unnamed fields are called field_1, field_2, ... in reading order. With --draw, a
    local page shows them over the picture; change them with mouse, pen, finger or
    keyboard; Ctrl-C ends without saving. Otherwise edit the TOML: names, boxes,
    patterns, sums. The example is copied beside it. Read forms with
    `tenfold read --form`.
    """
    from tenfold.forms.propose import propose_form, write_form

    path, given = output or picture.with_suffix(".toml"), [] if names is None else names.split(",")
    if draw:
        _draw(picture, path, given, force=force)
        return
    if force:
        raise UsageError("--force replaces what was drawn", remedy="add --draw, or name another --output")
    form = propose_form(picture, name=path.stem, names=given)
    write_form(form, path)
    told = f"{path}: {len(form.fields)} fields, {form.fields[0].name} to {form.fields[-1].name}"
    sys.stdout.write(f"{told}; name them there, then: tenfold read --form {path} SCANS --csv\n")


def _draw(picture: Path, path: Path, names: list[str], *, force: bool) -> None:
    from tenfold.forms.propose import propose_form
    from tenfold.review.draw import draw_form

    try:
        fields = propose_form(picture, name=path.stem, names=names).fields
    except DataError:  # no field is found; draw_form refuses what is not a picture
        fields = ()

    def announce(address: str) -> None:
        sys.stderr.write(f"tenfold: draw the fields on {address} (Ctrl-C ends it without saving)\n")
        sys.stderr.flush()

    if not draw_form(picture, path, announce=announce, fields=fields, replace=force):
        sys.stderr.write("tenfold: interrupted, nothing is saved\n")
        raise typer.Exit(130)
    sys.stdout.write(f"{printable(str(path))}\n")
