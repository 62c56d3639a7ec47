"""`tenfold predict`: the verdicts of a model on pictures and folders of pictures."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from tenfold.cli.options import Common, ModelPath, find_model, takes_common
from tenfold.show.answers import Answer, Answers
from tenfold.show.terminal import stderr

if TYPE_CHECKING:
    from tenfold.classifier import Classifier


@takes_common("engine", "as_json", "quiet")
def predict_command(
    pictures: Annotated[list[str], Argument(help="Pictures of one thing each, or folders of them.")],
    model: ModelPath = None,
    as_csv: Annotated[bool, Option("--csv", help="path,label,confidence,error on stdout.")] = False,
    *,
    common: Common,
) -> None:
    """Classify pictures with any model of single images. For numbers use `tenfold read`.

    A picture that cannot be read is reported; the others are still classified.
    """
    from tenfold.classifier import Classifier
    from tenfold.pictures.formats import find_pictures

    folder = find_model(model, quiet=common.quiet or common.as_json or as_csv)
    classifier = Classifier.load(folder, engine=common.engine)
    answers = Answers.of("prediction", as_json=common.as_json, as_csv=as_csv)
    paths, failed = [found for given in pictures for found in find_pictures(given)], 0
    with to_the_end(answers), stderr.progress_bar(quiet=common.quiet or len(paths) < 20) as progress:
        for number, (path, error) in enumerate(paths, start=1):
            answer = _classify(classifier, Answer(path, error=error))
            failed += bool(answer.error)
            answers.add(answer)
            if progress:
                progress("reading", number, len(paths))
    if failed:
        raise typer.Exit(1)


def _classify(classifier: Classifier, answer: Answer) -> Answer:
    from tenfold.errors import DataError

    try:
        return answer if answer.error else answer._replace(reading=classifier.classify(answer.path))
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
