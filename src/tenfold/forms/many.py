"""Many photos of a form read, on all cores."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

from tenfold.arguments import checked
from tenfold.errors import DataError
from tenfold.forms.filled import FilledForm
from tenfold.forms.read import FormReader
from tenfold.forms.template import Form
from tenfold.helpers import MOST_HELPERS, NO_ANSWER, count_cores, serve_questions
from tenfold.ink.pdf import PdfPage
from tenfold.reader.line_reader import LineReader, ReaderCard
from tenfold.reader.many import ask_or_not, check_limits

__all__ = ["read_forms"]

_WORTH_A_PROCESS = 3  # forms; fewer are read before another process has started


@checked
def read_forms(
    reader: LineReader,
    paths: Sequence[str | Path | PdfPage],
    form: Form,
    *,
    workers: int | None = None,
    timeout: float | None = None,
) -> Generator[FilledForm | DataError]:
    """The fields of each photo of a form, or what is wrong with it, in the order of `paths`.

    They come without their photos. form: as `load_form` gives it. workers: processes that read side by side;
    None chooses by the number of photos and cores. timeout: seconds for a photo, as in `read_pictures`. A
    reader of the PyTorch engine reads in this process, without a timeout. Raises UsageError for fewer than
    one worker, and for a wrong timeout.
    """
    check_limits(reader, workers, timeout)
    given = [str(path) if isinstance(path, Path) else path for path in paths]
    return _read_all(reader, given, form, workers, timeout)


def _read_all(
    reader: LineReader,
    given: Sequence[str | PdfPage],
    form: Form,
    workers: int | None,
    timeout: float | None,
) -> Generator[FilledForm | DataError]:
    if workers is None:
        workers = min(count_cores(), MOST_HELPERS, len(given) // _WORTH_A_PROCESS)
    own: FormReader | None = None
    for each, answer in ask_or_not(reader, "tenfold.forms.many", given, workers, timeout, form):
        if answer is NO_ANSWER:
            own = own or FormReader(reader, form)
            yield _read(own, each)
        else:
            yield answer


def _read(reader: FormReader, given: str | PdfPage) -> FilledForm | DataError:
    try:
        return reader.read(given, str(given)).without_picture()
    except DataError as error:
        return error


def _prepare(
    start: tuple[dict[str, Any], dict[str, Any], Form],
) -> Callable[[str | PdfPage], FilledForm | DataError]:
    card, weights, form = start
    reader = FormReader(LineReader.from_weights(ReaderCard.from_dict(card, "the model"), weights), form)
    return lambda given: _read(reader, given)


if __name__ == "__main__":
    serve_questions(_prepare)
