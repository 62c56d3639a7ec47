"""`tenfold predict`: the verdicts of a model on pictures, folders of pictures, tables and arrays."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from tenfold.cli.options import Common, ModelPath, find_model, takes_common
from tenfold.show.answers import Answer, Answers
from tenfold.show.terminal import stderr

if TYPE_CHECKING:
    from tenfold.classifier import Classifier

_TABLES = (".csv", ".csv.gz", ".npz", ".npy", ".parquet")


@takes_common("engine", "as_json", "quiet")
def predict_command(
    pictures: Annotated[
        list[str],
        Argument(help="Pictures of one thing each, their folders, .csv, .npz, .npy, .parquet."),
    ],
    model: ModelPath = None,
    as_csv: Annotated[bool, Option("--csv", help="path,label,confidence,error on stdout.")] = False,
    submission: Annotated[
        Path | None, Option(help="Also write ImageId,Label to this CSV file, as Kaggle wants it.")
    ] = None,
    *,
    common: Common,
) -> None:
    """Classify pictures with any model of single images. For numbers use `tenfold read`.

    A picture that cannot be read is reported; the others are still classified. A row of a table is named
    by its number, from 1, as in test.csv#1.
    """
    from tenfold.classifier import Classifier
    from tenfold.files import csv_line, write_text

    folder = find_model(model, quiet=common.quiet or common.as_json or as_csv)
    classifier = Classifier.load(folder, engine=common.engine)
    answers = Answers.of("prediction", as_json=common.as_json, as_csv=as_csv)
    found = [each for given in pictures for each in _find(classifier, given)]
    failed, lines = 0, ["ImageId,Label"]
    with to_the_end(answers), stderr.progress_bar(quiet=common.quiet or len(found) < 20) as progress:
        for number, pending in enumerate(found, start=1):
            answer = _classify(classifier, pending)
            failed += bool(answer.error)
            answers.add(answer)
            if answer.reading is not None:
                lines.append(csv_line([_identify(answer.path), answer.reading.label]))
            if progress:
                progress("reading", number, len(found))
    if submission is not None and not failed:
        write_text(submission, "\n".join(lines) + "\n")
        stderr.say(f"{submission}: {len(lines) - 1:,} answers")
    if failed:
        if submission is not None:
            stderr.say(f"{submission} is not written: {failed} of {len(found)} have no answer")
        raise typer.Exit(1)


def _find(classifier: Classifier, given: str) -> list[Answer]:
    """A picture, those of a folder, or the rows of a table (with their answers)."""
    from tenfold.pictures.formats import find_pictures

    if not given.lower().endswith(_TABLES) or not Path(given).is_file():
        return [Answer(path, error=error) for path, error in find_pictures(given)]
    from tenfold.data.decode import Wishes, fit_images
    from tenfold.data.sources import read_images
    from tenfold.errors import DataError

    card = classifier.card
    ends = None if card.value_range == (0.0, 255.0) else card.value_range
    try:
        images, _ = fit_images(read_images(given, value_range=ends), Wishes(len(card.image_shape) == 3))
    except DataError as error:
        return [Answer(given, error=str(error))]
    same = images.shape[1:] == card.image_shape
    read = classifier.predictions(images) if same else [classifier.classify(image) for image in images]
    return [Answer(f"{given}#{row}", reading) for row, reading in enumerate(read, start=1)]


def _identify(path: str) -> str:
    """A row's number, or a picture's name without its ending: what a submission calls it."""
    row = path.rpartition("#")[2]
    return row if row.isdecimal() and "#" in path else Path(path).stem


def _classify(classifier: Classifier, answer: Answer) -> Answer:
    from tenfold.errors import DataError

    if answer.error or answer.reading is not None:
        return answer
    try:
        return answer._replace(reading=classifier.classify(answer.path))
    except DataError as error:
        return answer._replace(error=str(error))


@contextmanager
def to_the_end(answers: Answers, *, opened: bool = True) -> Iterator[None]:
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
