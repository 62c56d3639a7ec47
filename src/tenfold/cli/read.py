"""`tenfold read`: handwritten digits in pictures and folders of pictures, as text."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tenfold.cli.answers import Answer, Answers, open_answers
from tenfold.cli.options import Quiet
from tenfold.cli.output import progress_bar

if TYPE_CHECKING:
    from tenfold.classifier import Classifier
    from tenfold.reader.sheet_folder import SheetFolder

__all__ = ["read_command"]


def read_command(
    pictures: Annotated[
        list[str], typer.Argument(help="Pictures of handwriting, folders of them, or - for stdin.")
    ],
    model: Annotated[
        Path | None,
        typer.Option("--model", "-m", help="A run's folder or model.safetensors; else the built-in reader."),
    ] = None,
    engine: Annotated[str, typer.Option(help="numpy, torch, or auto.")] = "numpy",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list on stdout, as it grows.")] = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="path,text,confidence,verdicts,error on stdout.")
    ] = False,
    explain: Annotated[
        Path | None,
        typer.Option(help="Write a picture of every step, one for each picture, into this folder."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes that read side by side; else one a core, for 25 pictures each."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Read handwritten digits from any picture: drawings, scans, photographs of paper.

    A ? stands for a mark that is no digit, or not surely one. A folder is read with
    all that lies below it. A picture that cannot be opened is reported, the rest go on,
    and the exit code is 1.
    """
    answers = open_answers(as_json=as_json, as_csv=as_csv)
    classifier = _load(model, engine)
    sheets = _open_sheets(explain) if explain else None
    paths = [found for given in pictures for found in _find(given)]
    failed = 0
    with (
        _to_the_end(answers),
        progress_bar(quiet=quiet or len(paths) < 20) as progress,
        closing(_answer_all(classifier, paths, sheets, workers)) as answered,
    ):
        for number, answer in enumerate(answered, start=1):
            failed += bool(answer.error)
            answers.add(answer)
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


def _load(model: Path | None, engine: str) -> Classifier:
    from tenfold.classifier import Classifier
    from tenfold.reader.load import load_reader

    return load_reader(engine=engine) if model is None else Classifier.load(model, engine=engine)


def _find(given: str) -> list[tuple[str, str]]:
    """Paths, each with what is wrong with it; a folder stands for the pictures in it and below."""
    folder = Path(given)
    if given == "-" or not given or not folder.is_dir():
        return [(given, "")]
    from tenfold.data.folders import SUFFIXES

    found: list[tuple[str, str]] = []

    def report(error: OSError) -> None:
        found.append((str(error.filename), f"{error.filename} cannot be opened ({error.strerror})"))

    for place, folders, names in os.walk(folder, onerror=report):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            (str(Path(place, name)), "")
            for name in names
            if name.lower().endswith(SUFFIXES) and not name.startswith(".")
        ]
    return sorted(found) or [(given, f"{given} holds no picture; expected {', '.join(SUFFIXES)}")]


def _answer_all(
    classifier: Classifier, paths: Sequence[tuple[str, str]], sheets: SheetFolder | None, workers: int | None
) -> Generator[Answer]:
    """paths: as `_find` gives them. Sheets are drawn one after another, in this process."""
    from tenfold.errors import DataError
    from tenfold.reader.many import read_pictures

    files = [] if sheets else [path for path, error in paths if not error and path != "-"]
    with closing(read_pictures(classifier, files, workers=workers)) as transcripts:
        for path, error in paths:
            if error:
                yield Answer(path, None, error)
            elif sheets or path == "-":
                yield _answer(classifier, path, sheets)
            else:
                found = next(transcripts)
                if isinstance(found, DataError):
                    yield Answer(path, None, str(found))
                else:
                    yield Answer(path, found, "")


def _answer(classifier: Classifier, path: str, sheets: SheetFolder | None) -> Answer:
    from tenfold.errors import DataError
    from tenfold.reader.reading import read_picture

    try:
        reading = read_picture(classifier, _standard_input() if path == "-" else path)
    except DataError as error:
        return Answer(path, None, str(error))
    if sheets:
        sheets.add(path, reading, classifier)
    return Answer(path, reading, "")


def _standard_input() -> Any:
    from tenfold.errors import UsageError

    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError("- stands for standard input, which is a terminal", expected="a picture piped in")
    return sys.stdin.buffer


def _open_sheets(folder: Path) -> SheetFolder:
    from tenfold.reader.sheet_folder import SheetFolder

    return SheetFolder(folder)
