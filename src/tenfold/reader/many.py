"""Many pictures read, on all cores."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image, PngImagePlugin

from tenfold.arguments import checked
from tenfold.errors import DataError, UsageError, printable
from tenfold.files import replace_file
from tenfold.helpers import (
    ENDED,
    MOST_HELPERS,
    NO_ANSWER,
    TOO_LATE,
    ask_helpers,
    count_cores,
    serve_questions,
)
from tenfold.pictures.formats import PdfPage
from tenfold.pictures.open import open_picture
from tenfold.reader.constraint import Constraint
from tenfold.reader.decode import Columns, make_form
from tenfold.reader.explain import explain_reading
from tenfold.reader.line_reader import LineReader, ReaderCard
from tenfold.reader.reading import Reading

__all__ = ["SheetFolder", "ask_or_not", "check_limits", "read_pictures", "write_sheet"]

MOST_SECONDS = 86_400  # of a timeout
WORTH_A_PROCESS = 25  # pictures; fewer are read before another process has started
TIMEOUT = 60.0  # seconds for a picture, where processes read them and nothing else is said

Given = str | Path | PdfPage | bytes
_G = TypeVar("_G", str | Path | PdfPage | bytes, str | PdfPage)


@checked
def read_pictures(
    reader: LineReader,
    paths: Sequence[str | Path | PdfPage | bytes],
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
    """What is written in each picture, or what is wrong with its file, in the order of `paths`.

    The readings come without their pictures. pattern, length, least, most, columns, printed: as in
    `LineReader.read`. workers: processes that read side by side; None chooses by the number of pictures and
    cores. timeout: seconds for a picture; one that takes longer is an error, and the next one is read. It
    needs a process even for one picture; where pictures are shared among processes it is 60 if not given. A
    reader of the PyTorch engine reads in this process, without a timeout. Raises UsageError for a wrong
    pattern, range or timeout before it opens a picture.
    """
    check_limits(reader, workers, timeout)
    form = {"pattern": pattern, "length": length, "least": least, "most": most, "columns": columns}
    constraint = make_form(**form)  # type: ignore[arg-type]
    given = [str(path) if isinstance(path, Path) else path for path in paths]
    return _read_all(reader, given, workers, {"form": form, "printed": printed}, constraint, timeout)


def check_limits(reader: LineReader, workers: int | None, timeout: float | None) -> None:
    """Raises UsageError for fewer than one worker, and for a timeout that cannot be kept."""
    if workers is not None and workers < 1:
        raise UsageError(f"workers is {workers}", expected="at least 1, or None")
    if timeout is not None and not 0 < timeout <= MOST_SECONDS:
        raise UsageError(f"timeout is {timeout:g}", expected=f"seconds, above 0 and at most {MOST_SECONDS:,}")
    if timeout is not None and reader.engine.name != "numpy":
        raise UsageError("a timeout with this engine", expected="the NumPy engine", remedy="leave one out")


def _read_all(
    reader: LineReader,
    given: Sequence[Given],
    workers: int | None,
    options: dict[str, Any],
    constraint: Constraint | Columns | None,
    timeout: float | None,
) -> Generator[Reading | DataError]:
    if workers is None:
        workers = min(count_cores(), MOST_HELPERS, len(given) // WORTH_A_PROCESS)
    for each, answer in ask_or_not(reader, "tenfold.reader.many", given, workers, timeout, options):
        if answer is NO_ANSWER:
            yield _read(reader, each, constraint, printed=options["printed"])
        else:
            yield answer


def ask_or_not(
    reader: LineReader, module: str, given: Sequence[_G], workers: int, timeout: float | None, options: Any
) -> Generator[tuple[_G, Any]]:
    """Each with its helper's answer, with a DataError where that took too long or ended, or with NO_ANSWER
    where no helper reads. module: what a helper runs, which is given the reader's card and weights, and the
    options."""
    workers = min(max(workers, timeout is not None), len(given))
    if workers <= (timeout is None) or reader.engine.name != "numpy":
        yield from ((each, NO_ANSWER) for each in given)
        return
    limit = TIMEOUT if timeout is None else timeout
    start = (reader.card.to_dict(), reader.engine.weights(), options)
    for each, answer in ask_helpers(module, given, workers, start=start, timeout=limit):
        if answer is TOO_LATE or answer is ENDED:
            answer = _give_up(each, f"took longer than {limit:g} s" if answer is TOO_LATE else "")
        yield each, answer


def _give_up(given: Given, late: str) -> DataError:
    """late: what happened where it took too long, else its process was ended, as for lack of memory."""
    name = "the picture's data" if isinstance(given, bytes) else printable(str(given))
    if late:
        remedy = "make the picture smaller, or allow more with --timeout"
        return DataError(f"{name} {late}", expected="a picture that is read in that time", remedy=remedy)
    return DataError(
        f"{name} ended the process that read it", expected="a picture", remedy="save it anew, or smaller"
    )


def _read(
    reader: LineReader, given: Given, constraint: Constraint | Columns | None, *, printed: bool
) -> Reading | DataError:
    try:
        return reader.read_opened(open_picture(given), constraint, printed=printed).without_picture()
    except DataError as error:
        return error


def _prepare(
    model: tuple[dict[str, Any], dict[str, Any], dict[str, Any]],
) -> Callable[[Given], Reading | DataError]:
    card, weights, options = model
    reader = LineReader.from_weights(ReaderCard.from_dict(card, "the model"), weights)
    constraint = make_form(**options["form"])
    return lambda given: _read(reader, given, constraint, printed=options["printed"])


if __name__ == "__main__":
    serve_questions(_prepare)


# A folder of explaining sheets, one per picture; one replaces only what an earlier run drew.

_MARK = "tenfold read --explain"  # written into each sheet, so that a later run may replace it
_LONGEST = 60  # characters of a name: at most 240 bytes, which every file system takes


class SheetFolder:
    """Makes the folder. Raises UsageError where it cannot be made."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._taken: dict[str, int] = {}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"{folder} cannot be a folder of sheets ({error.strerror})",
                expected="a folder, or a name that is free",
            ) from error

    def add(self, path: str, reading: Reading, reader: LineReader) -> Path:
        """Writes the sheet of the picture at `path` ("-": standard input) as `<its name>.png`."""
        title = "standard input" if path == "-" else Path(path).name
        return self.add_sheet(path, explain_reading(reading, reader, name=title))

    def add_sheet(self, path: str, sheet: Image.Image) -> Path:
        """As `add`, of a sheet that is drawn already."""
        place = self._place("stdin" if path == "-" else Path(path).stem)
        write_sheet(sheet, place)
        return place

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


def write_sheet(sheet: Image.Image, place: Path) -> None:
    """As PNG, beside and renamed."""
    info = PngImagePlugin.PngInfo()
    info.add_text("Software", _MARK)
    with replace_file(place) as beside:
        sheet.save(beside, "PNG", pnginfo=info)


def _may_be_written(place: Path) -> bool:
    """Whether nothing is there, or a sheet of an earlier run."""
    if not place.is_symlink() and not place.exists():
        return True
    try:
        with Image.open(place, formats=("PNG",)) as image:
            return image.info.get("Software") == _MARK
    except Exception:  # whatever it is, it is not a sheet
        return False
