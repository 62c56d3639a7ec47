"""`tenfold explain`: why a model answers as it does, as words, a page or a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tenfold.cli.models import load_classifier_or_reader
from tenfold.cli.options import DataDir, DataSource, EngineName, Json, Offline, Quiet
from tenfold.cli.output import emit_json, progress_bar, stdout

if TYPE_CHECKING:
    import numpy as np

    from tenfold.arrays import ImageDataset
    from tenfold.classifier import Classifier
    from tenfold.explain.explanation import Explanation
    from tenfold.explain.subject import Subject
    from tenfold.reader.line_reader import LineReader
    from tenfold.runs.folder import Run


def explain_command(
    picture: Annotated[
        Path | None, typer.Argument(help="A picture; or use --index for an image of a data set.")
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            "--model",
            "-m",
            help="A run's folder or a model.safetensors (default: the newest run, else the built-in reader).",
        ),
    ] = None,
    index: Annotated[
        int | None, typer.Option(min=0, help="Index of an image in the data set, from 0.")
    ] = None,
    data: DataSource = None,
    split: Annotated[str, typer.Option(help="Part of the data for --index: train, test or all.")] = "test",
    digit: Annotated[
        int | None, typer.Option(min=1, help="Explain only this character of the picture, from 1.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Output file: .html for a page, .png for a picture (line reader: .png only)."),
    ] = None,
    engine: EngineName = "auto",
    data_dir: DataDir = None,
    offline: Offline = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Explain a prediction: the ink that decides, the runner-up, and similar training images.

    The line reader draws the sheet of `tenfold read --explain`. The rest applies to
    models of single images. Neighbours are searched among the images the run was
    trained on, or the training images of --data. Maps: occlusion, gradient, gradient
    times ink, SmoothGrad, integrated gradients, and the answer against the next.
    """
    from tenfold.classifier import Classifier
    from tenfold.explain.explanation import explain_predictions
    from tenfold.show.explanation import check_target, write_explanation

    if out:
        check_target(out)
    _check_subject(picture, index)
    loaded, run = load_classifier_or_reader(model, engine=engine, quiet=quiet or as_json)
    if not isinstance(loaded, Classifier):
        _explain_lines(loaded, picture, index, data, digit, out or Path("explain.png"), as_json)
        return
    with progress_bar(quiet=quiet or as_json) as progress:
        where = {"data_dir": data_dir, "offline": offline, "progress": progress}
        subject = _subject(loaded, run, picture, index, data, split, where).only(digit)
        dataset, rows, notes = _learned(run, data if index is None or run is None else None, where)
        found = explain_predictions(
            loaded,
            list(subject.predictions),
            dataset=dataset,
            rows=rows,
            truth=subject.truth,
            progress=progress,
        )
    shown = subject.shown(run.name if run else str(model), notes)
    path = write_explanation(out or Path("explain.html"), found, shown)
    if as_json:
        explanations = [each.to_dict() for each in found]
        emit_json({"name": subject.name, "explanations": explanations, "notes": notes, "page": str(path)})
    else:
        _tell(found, notes, path)


def _check_subject(picture: Path | None, index: int | None) -> None:
    """Raises UsageError unless one of them is named."""
    from tenfold.errors import UsageError

    if (picture is None) == (index is None):
        raise UsageError(
            "neither a picture nor an --index was named" if picture is None else "a picture and an --index",
            expected="one of them",
        )


def _explain_lines(
    reader: LineReader,
    picture: Path | None,
    index: int | None,
    data: str | None,
    character: int | None,
    out: Path,
    as_json: bool,
) -> None:
    """The sheet of a reading, or of one character of it. Raises UsageError for what is for other models."""
    from tenfold.cli.answers import tell_reading
    from tenfold.errors import UsageError
    from tenfold.reader.explain import explain_reading
    from tenfold.reader.many import write_sheet

    if picture is None or data is not None:
        raise UsageError(
            f"{'--data' if index is None else '--index'} with the line reader",
            expected="a picture",
            remedy="name a run with --model for images of a data set",
        )
    if out.suffix.lower() != ".png":
        raise UsageError(
            f"{out} is not a picture", expected="a name ending in .png for the line reader's sheet"
        )
    reading = reader.read(picture)
    count = len(reading.characters)
    if character and character > count:
        raise UsageError(
            f"{picture} holds {count} characters", expected=f"--digit from 1 to {count}" * bool(count)
        )
    write_sheet(explain_reading(reading, reader, name=picture.name, only=character), out)
    if as_json:
        emit_json({"name": picture.name, "reading": reading.to_dict(), "notes": [], "page": str(out)})
        return
    stdout().print(tell_reading(reading), style="bold", markup=False)
    stdout().print(f"explanation: {out}", markup=False)


def _subject(
    classifier: Classifier,
    run: Run | None,
    picture: Path | None,
    index: int | None,
    data: str | None,
    split: str,
    where: dict[str, Any],
) -> Subject:
    from tenfold.errors import UsageError
    from tenfold.explain.subject import open_subject, take_subject

    if picture is not None:
        return open_subject(classifier, picture)
    if data is None and run is None:
        raise UsageError("--index without --data", expected="the data set that it counts in")
    if data is not None:
        from tenfold.data.load import load_dataset

        dataset = load_dataset(data, split=split, **where)
    else:
        from tenfold.runs.run import load_for_run

        assert run is not None
        dataset = load_for_run(run, split=split, **where)
    return take_subject(classifier, dataset, index or 0, split)


def _learned(
    run: Run | None, data: str | None, where: dict[str, Any]
) -> tuple[ImageDataset | None, np.ndarray | None, list[str]]:
    """The training images, those of them that were learned from, or else a line on why there are none."""
    if data is not None:
        from tenfold.data.load import load_dataset

        return load_dataset(data, split="train", **where), None, []
    if run is None:
        return None, None, ["No training images came with this model: name some with --data for neighbours."]
    from tenfold.errors import DataError, ModelError
    from tenfold.runs.train import load_learned

    try:
        return *load_learned(run, **where), []
    except (DataError, ModelError) as error:
        return None, None, [f"No neighbours: {error}."]


def _tell(found: list[Explanation], notes: list[str], path: Path) -> None:
    from tenfold.show.explanation_words import (
        draw_blocks,
        draw_marks,
        explain_verdict,
        likeliest,
        tell_neighbours,
        tell_runner_up,
    )

    out = stdout()
    for number, each in enumerate(found, start=1):
        out.print(f"{number}: " * (len(found) > 1) + explain_verdict(each), style="bold", markup=False)
        out.print(likeliest(each), markup=False)
        out.print(draw_blocks(each) if out.is_terminal else draw_marks(each), markup=False)
        for sentence in [*tell_runner_up(each), *tell_neighbours(each)]:
            out.print(sentence, markup=False)
        out.print()
    if not found:
        out.print("Nothing was found in the picture.")
    for note in notes:
        out.print(note, markup=False)
    out.print(f"explanation: {path}", markup=False)
