"""Many pictures read, on all cores."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

from tenfold.arguments import checked
from tenfold.errors import DataError, UsageError
from tenfold.helpers import MOST_HELPERS, NO_ANSWER, ask_helpers, count_cores, serve_questions
from tenfold.ink.open import open_picture
from tenfold.reader.columns import Columns, make_form
from tenfold.reader.constraint import Constraint
from tenfold.reader.line_reader import LineReader, ReaderCard
from tenfold.reader.reading import Reading

__all__ = ["read_pictures"]

WORTH_A_PROCESS = 25  # pictures; fewer are read before another process has started


@checked
def read_pictures(
    reader: LineReader,
    paths: Sequence[str | Path],
    *,
    workers: int | None = None,
    pattern: str | None = None,
    length: int | None = None,
    least: float | str | None = None,
    most: float | str | None = None,
    columns: str | None = None,
) -> Generator[Reading | DataError]:
    """What is written in each picture, or what is wrong with its file, in the order of `paths`.

    The readings come without their pictures. pattern, length, least, most, columns: as in `LineReader.read`.
    workers: processes that read side by side; None chooses by the number of pictures and cores. A
    reader of the PyTorch engine reads in this process. Raises UsageError for a wrong pattern or range
    before it opens a picture.
    """
    if workers is not None and workers < 1:
        raise UsageError(f"workers is {workers}", expected="at least 1, or None")
    form = {"pattern": pattern, "length": length, "least": least, "most": most, "columns": columns}
    constraint = make_form(**form)  # type: ignore[arg-type]
    return _read_all(reader, [str(path) for path in paths], workers, form, constraint)


def _read_all(
    reader: LineReader,
    names: list[str],
    workers: int | None,
    form: dict[str, Any],
    constraint: Constraint | Columns | None,
) -> Generator[Reading | DataError]:
    if workers is None:
        workers = min(count_cores(), MOST_HELPERS, len(names) // WORTH_A_PROCESS)
    workers = min(workers, len(names))
    if workers > 1 and reader.engine.name == "numpy":
        model = (reader.card.to_dict(), reader.engine.weights(), form)
        asked = ask_helpers("tenfold.reader.many", names, workers, start=model)
    else:
        asked = ((name, NO_ANSWER) for name in names)
    for name, answer in asked:
        yield _read(reader, name, constraint) if answer is NO_ANSWER else answer


def _read(reader: LineReader, name: str, constraint: Constraint | Columns | None) -> Reading | DataError:
    try:
        return reader.read_opened(open_picture(name), constraint).without_picture()
    except DataError as error:
        return error


def _prepare(
    model: tuple[dict[str, Any], dict[str, Any], dict[str, Any]],
) -> Callable[[str], Reading | DataError]:
    card, weights, form = model
    reader = LineReader.from_weights(ReaderCard.from_dict(card, "the model"), weights)
    constraint = make_form(**form)
    return lambda name: _read(reader, name, constraint)


if __name__ == "__main__":
    serve_questions(_prepare)
