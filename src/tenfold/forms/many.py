"""Many photos of a form read, on all cores."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

from tenfold.arguments import checked
from tenfold.errors import DataError, UsageError
from tenfold.forms.filled import FilledForm
from tenfold.forms.read import FormReader
from tenfold.forms.template import Form
from tenfold.helpers import MOST_HELPERS, NO_ANSWER, ask_helpers, count_cores, serve_questions
from tenfold.reader.line_reader import LineReader, ReaderCard

__all__ = ["read_forms"]

_WORTH_A_PROCESS = 3  # forms; fewer are read before another process has started


@checked
def read_forms(
    reader: LineReader, paths: Sequence[str | Path], form: Form, *, workers: int | None = None
) -> Generator[FilledForm | DataError]:
    """The fields of each photo of a form, or what is wrong with it, in the order of `paths`.

    They come without their photos. form: as `load_form` gives it. workers: processes that read side by side;
    None chooses by the number of photos and cores. A reader of the PyTorch engine reads in this process.
    Raises UsageError for fewer than one worker.
    """
    if workers is not None and workers < 1:
        raise UsageError(f"workers is {workers}", expected="at least 1, or None")
    return _read_all(reader, [str(path) for path in paths], form, workers)


def _read_all(
    reader: LineReader, names: list[str], form: Form, workers: int | None
) -> Generator[FilledForm | DataError]:
    if workers is None:
        workers = min(count_cores(), MOST_HELPERS, len(names) // _WORTH_A_PROCESS)
    workers = min(workers, len(names))
    own: FormReader | None = None
    if workers > 1 and reader.engine.name == "numpy":
        start = reader.card.to_dict(), reader.engine.weights(), form
        asked = ask_helpers("tenfold.forms.many", names, workers, start=start)
    else:
        asked = ((name, NO_ANSWER) for name in names)
    for name, answer in asked:
        if answer is NO_ANSWER:
            own = own or FormReader(reader, form)
            yield _read(own, name)
        else:
            yield answer


def _read(reader: FormReader, name: str) -> FilledForm | DataError:
    try:
        return reader.read(name, name).without_picture()
    except DataError as error:
        return error


def _prepare(start: tuple[dict[str, Any], dict[str, Any], Form]) -> Callable[[str], FilledForm | DataError]:
    card, weights, form = start
    reader = FormReader(LineReader.from_weights(ReaderCard.from_dict(card, "the model"), weights), form)
    return lambda name: _read(reader, name)


if __name__ == "__main__":
    serve_questions(_prepare)
