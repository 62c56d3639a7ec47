"""`tenfold read`: numbers in pictures and folders of pictures, as text."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tenfold.cli.answers import Answer, Answers, find_pages, open_answers, standard_input
from tenfold.cli.form_answers import answer_forms, open_form, open_form_answers
from tenfold.cli.options import Quiet, ReaderEngineName
from tenfold.cli.output import progress_bar
from tenfold.errors import UsageError

if TYPE_CHECKING:
    from tenfold.cli.reviewing import Reviewing
    from tenfold.forms.template import Form
    from tenfold.pictures.formats import PdfPage
    from tenfold.reader.constraint import Constraint
    from tenfold.reader.decode import Columns
    from tenfold.reader.line_reader import LineReader
    from tenfold.reader.many import SheetFolder


_OPTIONS = {"least": "min", "most": "max"}  # what they are called on the command line


def read_command(
    pictures: Annotated[
        list[str], typer.Argument(help="Pictures of writing, PDFs, folders of them, or - for stdin.")
    ],
    model: Annotated[
        Path | None,
        typer.Option(
            "--model",
            "-m",
            help="A reader's folder, written by tenfold adapt (default: the built-in reader).",
        ),
    ] = None,
    engine: ReaderEngineName = "numpy",
    only_digits: Annotated[bool, typer.Option("--digits", help="Digits only, without separators.")] = False,
    pattern: Annotated[
        str | None, typer.Option(help="Pattern of every line: '\\d{5}' or '\\d+,\\d\\d'.")
    ] = None,
    length: Annotated[int | None, typer.Option(help="Number of digits in every line.")] = None,
    least: Annotated[str | None, typer.Option("--min", help="Smallest number of a line.")] = None,
    most: Annotated[str | None, typer.Option("--max", help="Largest number of a line.")] = None,
    columns: Annotated[
        str | None,
        typer.Option(help="A table's columns, one pattern each: 'name,\\d{1,2},\\d{1,3}'; a name: not read."),
    ] = None,
    form_file: Annotated[
        Path | None,
        typer.Option(
            "--form", help="Read photos of a form: its template, written by tenfold form; one row per form."
        ),
    ] = None,
    as_table: Annotated[
        bool, typer.Option("--table", help="Write a ruled table's cells as CSV; doubtful cells are empty.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON list on stdout, written item by item.")
    ] = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="path,text,confidence,verdicts,error on stdout; or a form's fields.")
    ] = False,
    explain: Annotated[
        Path | None,
        typer.Option(help="Write a sheet that explains the answer, one per picture, to this folder."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes that read in parallel (default: one per core and 25 pictures)."),
    ] = None,
    review: Annotated[
        bool, typer.Option("--review", help="Then open a page on which you confirm doubtful readings.")
    ] = False,
    collect: Annotated[
        Path | None,
        typer.Option(help="With --review: keep the answers in this folder, for tenfold adapt."),
    ] = None,
    printed: Annotated[
        bool, typer.Option("--print", help="Also read numbers between printed words, each separately.")
    ] = False,
    timeout: Annotated[
        float | None,
        typer.Option(help="Seconds per picture (default: 60 with several processes, else no limit)."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Read numbers in any picture: drawings, scans, photographs; handwritten or printed.

    A ? stands for a doubtful character. With --pattern, --length, --min or --max only
    matching answers are given. Tables, forms and sudokus with ruled cells are read
    cell by cell, in any orientation; with --form, the named fields of a form. A page
    of words is reported as text; --print reads the numbers in it. Folders are read
    recursively, PDFs page by page. A picture that cannot be opened or takes longer
    than --timeout is reported, the others are still read, and the exit code is 1.
    """
    form = {"pattern": pattern, "length": length, "least": least, "most": most, "columns": columns}
    others = {"--table": as_table, "--digits": only_digits, "--print": printed}
    template = _open_template(form_file, form, others) if form_file else None
    if template is None:
        answers = open_answers(as_json=as_json, as_csv=as_csv, as_table=as_table)
    else:
        answers = open_form_answers(template, as_json=as_json, as_csv=as_csv)
    reviewing = _open_review(_check(form) if template is None else template, collect, wanted=review)
    if timeout is not None and explain:
        raise UsageError("--timeout and --explain exclude each other", remedy="leave one out")
    reader = _load(model, engine)
    sheets = _open_sheets(explain) if explain else None
    paths = [found for given in pictures for found in find_pages(given)]
    answers.several, failed = len(paths) > 1, 0
    if template is None:
        found = _answer_all(reader, paths, sheets, workers, timeout, form | {"printed": printed})
    else:
        found = answer_forms(reader, template, paths, sheets, workers, timeout)
    with (
        _to_the_end(answers, opened=reviewing is None),
        progress_bar(quiet=quiet or len(paths) < 20) as progress,
        closing(found) as answered,
    ):
        held = answered if reviewing is None else reviewing.hold(answered, answers, progress, len(paths))
        for number, answer in enumerate(held, start=1):
            answer = answers.check(answer)
            failed += bool(answer.error)
            answers.add(answer.only_digits() if only_digits else answer)
            if progress:
                progress("reading", number, len(paths))
    _count(failed, len(paths), quiet=quiet)


def _open_template(path: Path, form: dict[str, Any], others: dict[str, Any]) -> Form:
    """form, others: what it excludes."""
    return open_form(path, {f"--{_OPTIONS.get(name, name)}": value for name, value in form.items()} | others)


def _count(failed: int, total: int, *, quiet: bool) -> None:
    """Ends with exit code 1 where pictures failed."""
    if failed:
        if not quiet and total > 1:
            sys.stderr.write(f"tenfold: {failed:,} of {total:,} pictures could not be read\n")
        raise typer.Exit(1)


@contextmanager
def _to_the_end(answers: Answers, *, opened: bool) -> Iterator[None]:
    """The output written so far stays valid when Ctrl-C or a closed pipe ends the reading.

    opened: at once, as what is written does not wait for a review.
    """
    try:
        if opened:
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


def _check(form: dict[str, Any]) -> Constraint | Columns | None:
    """Raises UsageError for a wrong pattern or range."""
    from tenfold.reader.decode import make_form

    return make_form(**form)


def _load(model: Path | None, engine: str) -> LineReader:
    from tenfold.cli.models import find_model
    from tenfold.reader.line_reader import READER_FOLDER, is_line_reader, load_reader

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
    paths: Sequence[tuple[str | PdfPage, str]],
    sheets: SheetFolder | None,
    workers: int | None,
    timeout: float | None,
    options: dict[str, Any],
) -> Generator[Answer]:
    """paths: as `find_pages` gives them. Sheets are drawn one after another, in this process."""
    from tenfold.errors import DataError
    from tenfold.reader.many import read_pictures

    given = [
        standard_input().read() if path == "-" else path
        for path, error in paths
        if not error and not sheets and (path != "-" or timeout is not None)
    ]
    with closing(read_pictures(reader, given, workers=workers, timeout=timeout, **options)) as readings:
        for path, error in paths:
            answer = Answer.about(path, error)
            if error:
                yield answer
            elif sheets or (path == "-" and timeout is None):
                yield _answer(reader, path, answer, sheets, options)
            elif isinstance(found := next(readings), DataError):
                yield answer._replace(error=str(found))
            else:
                yield answer._replace(reading=found)


def _answer(
    reader: LineReader,
    path: str | PdfPage,
    answer: Answer,
    sheets: SheetFolder | None,
    options: dict[str, Any],
) -> Answer:
    from tenfold.errors import DataError

    try:
        reading = reader.read(standard_input() if path == "-" else path, **options)
    except DataError as error:
        return answer._replace(error=str(error))
    if sheets:
        sheets.add(str(path), reading, reader)
    return answer._replace(reading=reading)


def _open_review(
    form: Constraint | Columns | Form | None, collect: Path | None, *, wanted: bool
) -> Reviewing | None:
    if not wanted:
        if collect is not None:
            raise UsageError("--collect keeps the answers of a review", remedy="add --review")
        return None
    from tenfold.cli.reviewing import Reviewing

    return Reviewing(form, collect)


def _open_sheets(folder: Path) -> SheetFolder:
    from tenfold.reader.many import SheetFolder

    return SheetFolder(folder)
