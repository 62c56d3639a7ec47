"""Many pictures read, on all cores; a folder of explaining sheets, one per picture."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

from PIL import Image, PngImagePlugin

from tenfold.arguments import checked, describe_value
from tenfold.errors import DataError, UsageError, printable
from tenfold.files import replace_file
from tenfold.helpers import Helper, count_cores
from tenfold.pictures.formats import PdfPage, find_with_pages
from tenfold.reader.explain import explain_reading
from tenfold.reader.line_reader import LineReader, build_reader, load_reader
from tenfold.reader.page import read_picture
from tenfold.reader.reading import Reading
from tenfold.reader.table import make_form

__all__ = ["SheetFolder", "read_all", "read_many", "read_pictures"]

MOST_SECONDS = 86_400  # of a timeout
_MOST_WORKERS = 8  # where their number is not given
WORTH_A_PROCESS = 25  # pictures; fewer are read before another process has started
TIMEOUT = 60.0  # seconds for a picture, where processes read them and nothing else is said
_MARK = "tenfold read --explain"  # written into each sheet, so that a later run may replace it
_LONGEST = 60  # characters of a sheet's name: at most 240 bytes, which every file system takes

Given = str | Path | PdfPage | bytes


class _Answer(Protocol):
    def without_picture(self) -> Self: ...


Result = TypeVar("Result", bound=_Answer)


@checked
def read_pictures(
    reader: LineReader,
    paths: Sequence[str | Path | PdfPage | bytes] | Iterator[str | Path | PdfPage | bytes],
    *,
    workers: int | None = None,
    pattern: str | None = None,
    length: int | None = None,
    least: float | str | None = None,
    most: float | str | None = None,
    columns: str | None = None,
    printed: bool = False,
    timeout: float | None = None,
) -> Generator[Reading | DataError]:
    """What is written in each picture, or what is wrong with its file, in the order of `paths`,
    which may be an iterator: a few are taken ahead.

    The readings come without their pictures. pattern, length, least, most, columns, printed: as in
    `LineReader.read`. workers: processes that read side by side; None chooses by the number of pictures and
    cores. timeout: seconds for a picture; one that takes longer is an error, and the next one is read. It
    needs a process even for one picture; where pictures are shared among processes it is 60 if not given. A
    reader of the PyTorch engine reads in this process, without a timeout. Raises UsageError for a wrong
    pattern, range or timeout before it opens a picture.
    """
    form: dict[str, Any] = {"pattern": pattern, "length": length, "least": least, "most": most}
    form["columns"] = columns
    read = partial(read_picture, reader, form=make_form(**form), printed=printed)
    return read_all(
        reader, paths, read, workers, timeout,
        helper="tenfold.reader.many", options={"form": form, "printed": printed}, worth=WORTH_A_PROCESS,
    )  # fmt: skip


@checked
def read_many(
    paths: Any, *, model: str | Path | None = None, engine: str = "numpy", **options: Any
) -> list[dict[str, Any]]:
    """A row for each picture: {"path", "page", "text", "confidence", "verdicts", "error"}, in order.

    A plain function, which Ray Data, Spark's mapInPandas or multiprocessing send to their processes; each
    loads the reader once. paths: of pictures, PDF documents (a row for each page) and folders; a list, an
    array or a column of a table. model: a reader's folder; None is the built-in reader. options: as
    `read_pictures` takes them; workers is 1 if not given. text, confidence: None where nothing was read;
    verdicts: of the digits, separated by semicolons; error: what is wrong with the file, or None.
    Raises UsageError for a wrong option, ModelError.
    """
    listed = isinstance(paths, Iterable) and not isinstance(paths, str | bytes)
    given = list(paths) if listed else [None]
    if wrong := [each for each in given if not isinstance(each, str | Path)]:
        told = f"a list with {describe_value(wrong[0])}" if listed else describe_value(paths)
        raise UsageError(f"read_many: paths is {told}", expected="a list of paths")
    found = [each for path in given for each in find_with_pages(str(path))]
    reader = _reader_of(None if model is None else str(model), engine)
    readings = read_pictures(
        reader, [path for path, error in found if not error], **{"workers": 1} | options
    )  # fmt: skip
    return [_row(path, error or next(readings)) for path, error in found]


@lru_cache(maxsize=4)
def _reader_of(model: str | None, engine: str) -> LineReader:
    return load_reader(model, engine=engine)


def _row(path: str | PdfPage, found: Reading | DataError | str) -> dict[str, Any]:
    page = path if isinstance(path, PdfPage) else PdfPage(path, 0)
    row = {"path": page.path, "page": page.number or None, "text": None, "confidence": None, "verdicts": ""}
    if not isinstance(found, Reading):
        return row | {"error": str(found)}
    verdicts = ";".join(digit.verdict for digit in found.digits)
    return row | {"text": found.text, "confidence": found.confidence, "verdicts": verdicts, "error": None}


def read_all(
    reader: LineReader,
    paths: Iterable[Given],
    read: Callable[[Any], Result],
    workers: int | None,
    timeout: float | None,
    *,
    helper: str,
    options: Any,
    worth: int,
) -> Generator[Result | DataError]:
    """What `read` makes of each, or its DataError, without pictures. Raises UsageError for fewer than one
    worker, and for a timeout that cannot be kept. helper: the module that processes run, which is given the
    reader's card and weights, and the options. worth: so many pictures are worth a process."""
    if workers is not None and workers < 1:
        raise UsageError(f"workers is {workers}", expected="at least 1, or None")
    if timeout is not None and not 0 < timeout <= MOST_SECONDS:
        raise UsageError(f"timeout is {timeout:g}", expected=f"seconds, above 0 and at most {MOST_SECONDS:,}")
    if timeout is not None and reader.engine.name != "numpy":
        raise UsageError("a timeout with this engine", expected="the NumPy engine", remedy="leave one out")
    rest = (str(path) if isinstance(path, Path) else path for path in paths)
    first = list(islice(rest, workers or _MOST_WORKERS * worth))  # as many as the choice depends on
    if workers is None:
        workers = min(count_cores(), _MOST_WORKERS, len(first) // worth)
    workers = min(max(workers, timeout is not None), len(first))
    given = chain(first, rest)
    limit = TIMEOUT if timeout is None else timeout
    if workers <= (timeout is None) or reader.engine.name != "numpy":
        return _answers(((each, Helper.NoAnswer.UNASKED) for each in given), read, limit)
    start = (reader.card.to_dict(), reader.engine.weights(), options)
    return _answers(Helper.ask_many(helper, given, workers, start=start, timeout=limit), read, limit)


def _answers(
    asked: Iterable[tuple[Given, Any]], read: Callable[[Any], Result], limit: float
) -> Generator[Result | DataError]:
    for given, answer in asked:
        try:
            if answer is Helper.NoAnswer.UNASKED:
                answer = read(given).without_picture()
            elif isinstance(answer, Helper.NoAnswer):
                answer = _give_up(given, limit if answer is Helper.NoAnswer.LATE else None)
        except DataError as error:
            answer = error
        yield answer


def _give_up(given: Given, limit: float | None) -> DataError:
    """limit: seconds, where it took longer; else its process was ended, as for lack of memory."""
    name = "the picture's data" if isinstance(given, bytes) else printable(str(given))
    if limit is None:
        found = f"{name} ended the process that read it"
        return DataError(found, expected="a picture", remedy="save it anew, or smaller")
    remedy = "make the picture smaller, or allow more with --timeout"
    found, expected = f"{name} took longer than {limit:g} s", "a picture that is read in that time"
    return DataError(found, expected=expected, remedy=remedy)


def _prepare(
    model: tuple[dict[str, Any], dict[str, Any], dict[str, Any]],
) -> Callable[[Given], Reading | DataError]:
    card, weights, options = model
    form = make_form(**options["form"])
    read = partial(read_picture, build_reader(card, weights), form=form, printed=options["printed"])
    return lambda given: next(_answers([(given, Helper.NoAnswer.UNASKED)], read, TIMEOUT))


class SheetFolder:
    """Makes the folder. Raises UsageError where it cannot be made."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._taken: dict[str, int] = {}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            found = f"{folder} cannot be a folder of sheets ({error.strerror})"
            raise UsageError(found, expected="a folder, or a name that is free") from error

    def add(self, path: str, reading: Reading, reader: LineReader) -> Path:
        """Writes the sheet of the picture at `path` ("-": standard input) as `<its name>.png`."""
        title = "standard input" if path == "-" else Path(path).name
        return self.add_sheet(path, explain_reading(reading, reader, name=title))

    def add_sheet(self, path: str, sheet: Image.Image) -> Path:
        """As `add`, of a sheet that is drawn already."""
        place = self._place("stdin" if path == "-" else Path(path).stem)
        self.write(sheet, place)
        return place

    @staticmethod
    def write(sheet: Image.Image, place: Path) -> None:
        """As PNG, beside and renamed."""
        info = PngImagePlugin.PngInfo()
        info.add_text("Software", _MARK)
        with replace_file(place) as beside:
            sheet.save(beside, "PNG", pnginfo=info)

    def _place(self, stem: str) -> Path:
        """name.png, or name-2.png and so on where that is another picture's, or not a sheet."""
        name = "".join(letter if letter.isprintable() else "_" for letter in stem)[:_LONGEST]
        number = self._taken.get(name.casefold(), 0)
        while True:
            number += 1
            free = name if number == 1 else f"{name}-{number}"
            place = self.folder / f"{free}.png"
            if (number == 1 or free.casefold() not in self._taken) and _may_be_written(place):
                self._taken[name.casefold()] = number
                self._taken.setdefault(free.casefold(), 1)
                return place


def _may_be_written(place: Path) -> bool:
    if not place.is_symlink() and not place.exists():
        return True
    try:
        with Image.open(place, formats=("PNG",)) as image:
            return image.info.get("Software") == _MARK
    except Exception:  # whatever it is, it is not a sheet
        return False


if __name__ == "__main__":
    Helper.serve(_prepare)
