"""`tenfold read`: numbers in pictures and folders of pictures, as text."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tenfold.cli.answers import Answer, Answers, find_pictures, open_answers
from tenfold.cli.form_answers import answer_forms, open_form, open_form_answers
from tenfold.cli.options import Quiet, ReaderEngineName
from tenfold.cli.output import progress_bar

if TYPE_CHECKING:
    from tenfold.forms.template import Form
    from tenfold.reader.line_reader import LineReader
    from tenfold.reader.sheet_folder import SheetFolder

__all__ = ["read_command"]

_OPTIONS = {"least": "min", "most": "max"}  # what they are called on the command line


def read_command(
    pictures: Annotated[
        list[str], typer.Argument(help="Pictures of writing, folders of them, or - for stdin.")
    ],
    model: Annotated[
        Path | None,
        typer.Option(
            "--model", "-m", help="A reader's folder, as tenfold adapt writes; else the built-in one."
        ),
    ] = None,
    engine: ReaderEngineName = "numpy",
    only_digits: Annotated[bool, typer.Option("--digits", help="Digits only, without separators.")] = False,
    pattern: Annotated[
        str | None, typer.Option(help="Each line is of this form, as '\\d{5}' or '\\d+,\\d\\d'.")
    ] = None,
    length: Annotated[int | None, typer.Option(help="Each line has so many digits.")] = None,
    least: Annotated[
        str | None, typer.Option("--min", help="Each line is a number of at least this.")
    ] = None,
    most: Annotated[str | None, typer.Option("--max", help="Each line is a number of at most this.")] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            help="A table's columns: a pattern each, as 'name,\\d{1,2},\\d{1,3}'; a name is text, not read."
        ),
    ] = None,
    form_file: Annotated[
        Path | None,
        typer.Option("--form", help="Photos of one form: its TOML, as tenfold form writes; a row per form."),
    ] = None,
    as_table: Annotated[
        bool, typer.Option("--table", help="CSV of a ruled table's cells; what is not sure is empty.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list on stdout, as it grows.")] = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="path,text,confidence,verdicts,error on stdout; or a form's fields.")
    ] = False,
    explain: Annotated[
        Path | None,
        typer.Option(help="Write a sheet that explains the answer, one per picture, into this folder."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, help="Processes that read side by side; else one per core, for 25 pictures each."
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Read numbers in any picture: drawings, scans, photographs; handwritten or printed.

    A ? stands for a doubtful character. With --pattern, --length, --min or --max only
    answers of that form are given. Tables, forms and sudokus with ruled cells are read cell
    by cell, however the page lies; with --form, the named fields of a form. A folder is read
    with all that lies below it. A picture that cannot be opened is reported, the rest go on,
    and the exit code is 1.
    """
    template: Form | None = None
    form = {"pattern": pattern, "length": length, "least": least, "most": most, "columns": columns}
    if form_file is not None:
        others = {f"--{_OPTIONS.get(name, name)}": value for name, value in form.items()}
        template = open_form(form_file, others | {"--table": as_table, "--digits": only_digits})
        answers = open_form_answers(template, as_json=as_json, as_csv=as_csv)
    else:
        answers = open_answers(as_json=as_json, as_csv=as_csv, as_table=as_table)
        _check(form)
    reader = _load(model, engine)
    sheets = _open_sheets(explain) if explain else None
    paths = [found for given in pictures for found in find_pictures(given)]
    answers.several, failed = len(paths) > 1, 0
    with (
        _to_the_end(answers),
        progress_bar(quiet=quiet or len(paths) < 20) as progress,
        closing(
            answer_forms(reader, template, paths, sheets, workers, _standard_input)
            if template
            else _answer_all(reader, paths, sheets, workers, form)
        ) as answered,
    ):
        for number, answer in enumerate(answered, start=1):
            answer = answers.check(answer)
            failed += bool(answer.error)
            answers.add(answer.only_digits() if only_digits else answer)
            if progress:
                progress("reading", number, len(paths))
    if failed:
        if not quiet and len(paths) > 1:
            sys.stderr.write(f"tenfold: {failed:,} of {len(paths):,} pictures could not be read\n")
        raise typer.Exit(1)


@contextmanager
def _to_the_end(answers: Answers) -> Iterator[None]:
    """What was written stays whole, whoever ends the reading: Ctrl-C, or a pipe that is closed."""
    try:
        answers.open()
        yield
        answers.close()
    except KeyboardInterrupt:
        answers.close()
        sys.stderr.write("tenfold: interrupted\n")
        raise typer.Exit(130) from None
    except BrokenPipeError:
        answers.abandon()
        raise typer.Exit(130) from None


def _check(form: dict[str, Any]) -> None:
    """Raises UsageError for a wrong pattern or range."""
    from tenfold.reader.columns import make_form

    make_form(**form)


def _load(model: Path | None, engine: str) -> LineReader:
    from tenfold.cli.models import find_model
    from tenfold.errors import UsageError
    from tenfold.reader.load import READER_FOLDER, is_line_reader, load_reader

    path = READER_FOLDER if model is None else find_model(model)
    if path.exists() and not is_line_reader(path):
        raise UsageError(
            f"{path} is not a line reader's folder",
            expected="one that tenfold adapt wrote",
            remedy=f"for a model of single images use `tenfold predict --model {path}`",
        )
    return load_reader(path, engine=engine)


def _answer_all(
    reader: LineReader,
    paths: Sequence[tuple[str, str]],
    sheets: SheetFolder | None,
    workers: int | None,
    form: dict[str, Any],
) -> Generator[Answer]:
    """paths: as `find_pictures` gives them. Sheets are drawn one after another, in this process."""
    from tenfold.errors import DataError
    from tenfold.reader.many import read_pictures

    files = [] if sheets else [path for path, error in paths if not error and path != "-"]
    with closing(read_pictures(reader, files, workers=workers, **form)) as readings:
        for path, error in paths:
            if error:
                yield Answer(path, None, error)
            elif sheets or path == "-":
                yield _answer(reader, path, sheets, form)
            elif isinstance(found := next(readings), DataError):
                yield Answer(path, None, str(found))
            else:
                yield Answer(path, found, "")


def _answer(reader: LineReader, path: str, sheets: SheetFolder | None, form: dict[str, Any]) -> Answer:
    from tenfold.errors import DataError

    try:
        reading = reader.read(_standard_input() if path == "-" else path, **form)
    except DataError as error:
        return Answer(path, None, str(error))
    if sheets:
        sheets.add(path, reading, reader)
    return Answer(path, reading, "")


def _standard_input() -> Any:
    from tenfold.errors import UsageError

    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError("- stands for standard input, which is a terminal", expected="a picture piped in")
    return sys.stdin.buffer


def _open_sheets(folder: Path) -> SheetFolder:
    from tenfold.reader.sheet_folder import SheetFolder

    return SheetFolder(folder)
