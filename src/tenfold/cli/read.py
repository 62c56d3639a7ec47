"""`tenfold read`: numbers in pictures and folders of pictures, as text."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer
from typer import Argument, Option

from tenfold.cli.options import Quiet, ReaderEngineName, built_in_reader, find_model
from tenfold.cli.predict import to_the_end
from tenfold.cli.shards import check_sources, read_shard
from tenfold.errors import DataError, TenfoldError, UsageError, printable
from tenfold.show.answers import Answer, Answers
from tenfold.show.terminal import stderr

if TYPE_CHECKING:
    from tenfold.forms.template import Form
    from tenfold.pictures.formats import PdfPage
    from tenfold.reader.line_reader import LineReader
    from tenfold.reader.many import SheetFolder
    from tenfold.review.page import Review


_OPTIONS = {"least": "min", "most": "max"}  # what they are called on the command line


def read_command(
    pictures: Annotated[
        list[str] | None, Argument(help="Pictures of writing, PDFs, folders of them, or - for stdin.")
    ] = None,
    model: Annotated[
        Path | None,
        Option(
            "--model",
            "-m",
            help="A reader's folder, written by tenfold adapt (default: the built-in reader).",
        ),
    ] = None,
    engine: ReaderEngineName = "numpy",
    only_digits: Annotated[bool, Option("--digits", help="Digits only, without separators.")] = False,
    pattern: Annotated[str | None, Option(help="Pattern of every line: '\\d{5}' or '\\d+,\\d\\d'.")] = None,
    length: Annotated[int | None, Option(help="Number of digits in every line.")] = None,
    least: Annotated[str | None, Option("--min", help="Smallest number of a line.")] = None,
    most: Annotated[str | None, Option("--max", help="Largest number of a line.")] = None,
    columns: Annotated[
        str | None,
        Option(help="A table's columns, one pattern each: 'name,\\d{1,2},\\d{1,3}'; a name: not read."),
    ] = None,
    form_file: Annotated[
        Path | None,
        Option(
            "--form", help="Read photos of a form: its template, written by tenfold form; one row per form."
        ),
    ] = None,
    as_table: Annotated[
        bool, Option("--table", help="Write a ruled table's cells as CSV; doubtful cells are empty.")
    ] = False,
    as_json: Annotated[bool, Option("--json", help="One JSON list on stdout, written item by item.")] = False,
    as_csv: Annotated[
        bool, Option("--csv", help="path,text,confidence,verdicts,error on stdout; or a form's fields.")
    ] = False,
    explain: Annotated[
        Path | None, Option(help="Write a sheet that explains the answer, one per picture, to this folder.")
    ] = None,
    workers: Annotated[
        int | None,
        Option(min=1, help="Processes that read in parallel (default: one per core and 25 pictures)."),
    ] = None,
    review: Annotated[
        bool, Option("--review", help="Then open a page on which you confirm doubtful readings.")
    ] = False,
    collect: Annotated[
        Path | None, Option(help="With --review: keep the answers in this folder, for tenfold adapt.")
    ] = None,
    printed: Annotated[
        bool, Option("--print", help="Also read numbers between printed words, each separately.")
    ] = False,
    listed: Annotated[
        Path | None, Option("--list", help="With --out: a file with one path per line, or - for stdin.")
    ] = None,
    shard: Annotated[str, Option(help="With --out: share i of n, counted from 0, such as 3/8.")] = "0/1",
    out: Annotated[
        Path | None, Option(help="Write JSON lines to a file in this folder; repeated, it is continued.")
    ] = None,
    timeout: Annotated[
        float | None, Option(help="Seconds per picture (default: 60 with several processes, else no limit).")
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
    With --out, a command that was stopped continues when it is repeated; a picture that
    cannot be read has its error in the file, and the exit code is 0.
    """
    from tenfold.reader.table import make_form

    form: Any = {"pattern": pattern, "length": length, "least": least, "most": most, "columns": columns}
    others = {"--table": as_table, "--digits": only_digits, "--print": printed}
    template = _open_template(form_file, form, others) if form_file else None
    answers = Answers.of(template or "reading", as_json=as_json, as_csv=as_csv, as_table=as_table)
    expected = template or make_form(**form)
    excluded = {"--json": as_json, "--csv": as_csv, "--table": as_table, "--explain": explain}
    check_sources(pictures, listed, shard, out, excluded | {"--review": review, "--collect": collect})
    person = _open_review(collect, wanted=review)
    if timeout is not None and explain:
        raise UsageError("--timeout and --explain exclude each other", remedy="leave one out")
    options = form | {"printed": printed}
    answer = partial(
        _answer_all, _load(model, engine), template, workers=workers, timeout=timeout, options=options
    )
    if out is not None:
        same = options | {"model": model, "form": form_file, "digits": only_digits}
        read_shard(shard, out, pictures, listed, same, template, answer, quiet=quiet)
        return
    answer = partial(answer, sheets=_open_sheets(explain) if explain else None)
    _read_named(pictures or (), answers, answer, person, expected, only_digits=only_digits, quiet=quiet)


def _read_named(
    pictures: Sequence[str],
    answers: Answers,
    answer: Callable[..., Generator[Answer]],
    person: Review | None,
    expected: Any,
    *,
    only_digits: bool,
    quiet: bool,
) -> None:
    """expected: as the pictures are read with."""
    from tenfold.pictures.formats import find_with_pages

    paths = [found for given in pictures for found in find_with_pages(given)]
    answers.several, failed = len(paths) > 1, 0
    found = answer(paths)
    with (
        to_the_end(answers, opened=person is None),
        stderr.progress_bar(quiet=quiet or len(paths) < 20) as progress,
        closing(found),
    ):
        answered = _review(found, answers, person, expected, progress, len(paths)) if person else found
        for number, told in enumerate(answered, start=1):
            told = answers.check(told)
            failed += bool(told.error)
            answers.add(told.only_digits() if only_digits else told)
            if progress:
                progress("reading", number, len(paths))
    _count(failed, len(paths), quiet=quiet)


def _open_template(path: Path, form: dict[str, Any], others: dict[str, Any]) -> Form:
    """form, others: options that it excludes, with what was given. Raises UsageError, DataError."""
    from tenfold.forms.template import load_form

    options = {f"--{_OPTIONS.get(name, name)}": value for name, value in form.items()} | others
    if given := next((name for name, value in options.items() if value), None):
        found = f"--form and {given} exclude each other"
        raise UsageError(found, remedy=f"leave {given} out: the form says what is where")
    return load_form(path)


def _count(failed: int, total: int, *, quiet: bool) -> None:
    if failed:
        if not quiet and total > 1:
            sys.stderr.write(f"tenfold: {failed:,} of {total:,} pictures could not be read\n")
        raise typer.Exit(1)


def standard_input() -> BinaryIO:
    """Where - stands for a picture. Raises UsageError where it is a terminal."""
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError("- stands for standard input, which is a terminal", expected="a picture piped in")
    return sys.stdin.buffer


def _load(model: Path | None, engine: str) -> LineReader:
    from tenfold.reader.line_reader import is_line_reader, load_reader

    path = find_model(model) if model else built_in_reader()
    if path.exists() and not is_line_reader(path):
        found = f"{path} is not a line reader's folder"
        remedy = f"for a model of single images use `tenfold predict --model {path}`"
        raise UsageError(found, expected="one that tenfold adapt wrote", remedy=remedy)
    return load_reader(path, engine=engine)


def _answer_all(
    reader: LineReader,
    template: Form | None,
    paths: Iterable[tuple[str | PdfPage, str]],
    *,
    sheets: SheetFolder | None = None,
    workers: int | None,
    timeout: float | None,
    options: dict[str, Any],
) -> Generator[Answer]:
    """paths: as `find_with_pages` gives them; a few are taken ahead. Sheets are drawn one after another, in
    this process. options: of a reading without a template."""
    asked: deque[tuple[str | PdfPage, str, bool]] = deque()  # with whether it is read here

    def others() -> Iterator[Any]:
        for path, error in paths:
            own = bool(sheets) or (path == "-" and (timeout is None or template is not None))
            asked.append((path, error, own))
            if not error and not own:
                yield standard_input().read() if path == "-" else path

    read: Any  # what stands in one picture
    readings: Generator[Any]
    if template is not None:
        from tenfold.forms.read import read_form, read_forms

        read = partial(read_form, reader, form=template)
        readings = read_forms(reader, others(), template, workers=workers, timeout=timeout)
    else:
        from tenfold.reader.many import read_pictures

        read = partial(reader.read, **options)
        readings = read_pictures(reader, others(), workers=workers, timeout=timeout, **options)
    with closing(readings):
        for reading in chain(readings, [None]):  # None: for what stands behind the last of them
            left = True
            while asked and left:
                path, error, own = asked.popleft()
                left = own or bool(error)
                found = _read_here(read, path) if own and not error else reading if not left else None
                answer = Answer.about(path, error or (str(found) if isinstance(found, DataError) else ""))
                answer = answer if answer.error else answer._replace(reading=found)
                if sheets and answer.reading:
                    _add_sheet(sheets, str(path), answer.reading, reader)
                yield answer


def _read_here(read: Callable[[Any], Any], path: str | PdfPage) -> Any:
    try:
        return read(standard_input() if path == "-" else path)
    except DataError as wrong:
        return wrong


def _add_sheet(sheets: SheetFolder, path: str, found: Any, reader: LineReader) -> None:
    from tenfold.reader.reading import Reading

    if isinstance(found, Reading):
        sheets.add(path, found, reader)
    else:
        sheets.add_sheet(path, found.explain(path))


def _open_sheets(folder: Path) -> SheetFolder:
    from tenfold.reader.many import SheetFolder

    return SheetFolder(folder)


# --review: answers are held back until a person has reviewed what is doubtful in them.


def _open_review(collect: Path | None, *, wanted: bool) -> Review | None:
    """Raises MissingDependencyError and DataError, before anything is read, where there can be no review."""
    if not wanted:
        if collect is not None:
            raise UsageError("--collect keeps the answers of a review", remedy="add --review")
        return None
    from tenfold.review.page import Review

    return Review(collect)


def _review(
    answered: Iterable[Answer],
    answers: Answers,
    person: Review,
    form: Any,
    progress: Callable[[str, int, int], None] | None,
    total: int,
) -> Iterator[Answer]:
    """All answers, when they are there and reviewed; where the reading is stopped, those so far. Ctrl-C stops
    the review, and is raised again when all are told. form: as the pictures are read with."""
    held: list[tuple[Answer, list[Any]]] = []
    try:
        for number, answer in enumerate(answered, start=1):
            answer = answers.check(answer)
            items = person.items_of(answer.reading, answer.source, form) if answer.reading else []
            slim = answer.reading and answer.reading.without_picture()
            held.append((answer._replace(reading=slim), items))
            if progress:
                progress("reading", number, total)
        texts, ended = _ask(person, [item for _, items in held for item in items])
    except (KeyboardInterrupt, TenfoldError):
        answers.open()
        yield from (answer for answer, _ in held)
        raise
    answers.open()
    for answer, items in held:
        said = [next(texts) for _ in items]
        yield answer._replace(reading=person.with_texts(answer.reading, said)) if said else answer
    if not ended:
        raise KeyboardInterrupt


def _ask(person: Review, items: list[Any]) -> tuple[Iterator[str | None], bool]:
    """Their texts, and whether the review came to its end."""
    if not items:
        _say("nothing is doubtful, so there is nothing to review")
        return iter(()), True
    what = f"{len(items):,} doubtful reading{'s' * (len(items) != 1)}"
    texts, ended = person.ask(
        items, announce=lambda address: _say(f"{what} to review on {address} (Ctrl-C ends the review)")
    )
    reviewed = sum(text is not None for text in texts)
    kept = f", kept in {printable(str(person.keep))}" if person.keep and any(texts) else ""
    _say(f"{reviewed:,} of {len(items):,} doubtful readings reviewed{kept}")
    return iter(texts), ended


def _say(text: str) -> None:
    sys.stderr.write(f"tenfold: {text}\n")
    sys.stderr.flush()
