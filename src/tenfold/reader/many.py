"""Many pictures read, on all cores."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

from tenfold.errors import DataError
from tenfold.helpers import MOST_HELPERS, NO_ANSWER, ask_helpers, count_cores, serve_questions
from tenfold.reader.constraint import Constraint
from tenfold.reader.line_reader import LineReader, ReaderCard
from tenfold.reader.reading import Reading

__all__ = ["read_pictures"]

WORTH_A_PROCESS = 25  # pictures; fewer are read before another process has started


def read_pictures(
    classifier: Classifier, paths: Sequence[str | Path], *, workers: int | None = None
) -> Generator[Transcript | DataError]:
    """What is written in each picture, or what is wrong with its file, in the order of `paths`.

    workers: processes that read side by side; None chooses by the number of pictures and cores. A
    classifier of the PyTorch engine reads in this process. Raises UsageError for one that reads no ink.
    """
    check_reads_ink(classifier)
    if workers is None:
        workers = min(count_cores(), MOST_HELPERS, len(paths) // WORTH_A_PROCESS)
    names = [str(path) for path in paths]
    if workers > 1 and classifier.engine.name == "numpy":
        model = (classifier.card.to_dict(), classifier.engine.weights())
        asked = ask_helpers("tenfold.reader.many", names, workers, start=model)
    else:
        asked = ((name, NO_ANSWER) for name in names)
    for name, answer in asked:
        yield _transcribe(classifier, name) if answer is NO_ANSWER else answer


def _transcribe(classifier: Classifier, name: str) -> Transcript | DataError:
    try:
        return read_picture(classifier, name).transcript()
    except DataError as error:
        return error


def _prepare(model: tuple[dict[str, Any], dict[str, Any]]) -> Callable[[str], Transcript | DataError]:
    card, weights = model
    classifier = Classifier.from_weights(ModelCard.from_dict(card, "the model"), weights, engine="numpy")
    return lambda name: _transcribe(classifier, name)


if __name__ == "__main__":
    serve_questions(_prepare)
