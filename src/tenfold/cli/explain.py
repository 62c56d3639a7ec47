"""`tenfold explain`: why a model answers as it does, as words, a page or a picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from tenfold.cli.options import Common, DataSource, built_in_reader, find_model, newest_run, takes_common
from tenfold.errors import DataError, ModelError, UsageError
from tenfold.show.terminal import stderr

if TYPE_CHECKING:
    from tenfold.classifier import Classifier
    from tenfold.data.load import DataRequest
    from tenfold.explain.explanation import Subject
    from tenfold.reader.line_reader import AnyModel, LineReader
    from tenfold.runs.folder import Run
    from tenfold.show.explained import Explained

_MODELS = "A run's folder or a model.safetensors (default: the newest run, else the built-in reader)."
_OUT = "Output file: .html for a page, .png for a picture (line reader: .png only)."


@takes_common("engine", "data_dir", "offline", "as_json", "quiet")
def explain_command(
    picture: Annotated[
        Path | None, Argument(help="A picture; or use --index for an image of a data set.")
    ] = None,
    model: Annotated[Path | None, Option("--model", "-m", help=_MODELS)] = None,
    index: Annotated[int | None, Option(min=0, help="Index of an image in the data set, from 0.")] = None,
    data: DataSource = None,
    split: Annotated[str, Option(help="Part of the data for --index: train, test or all.")] = "test",
    digit: Annotated[
        int | None, Option(min=1, help="Explain only this character of the picture, from 1.")
    ] = None,
    out: Annotated[Path | None, Option(help=_OUT)] = None,
    *,
    common: Common,
) -> None:
    """Explain a prediction: the ink that decides, the runner-up, and similar training images.

    The line reader draws the sheet of `tenfold read --explain`. The rest applies to
    models of single images. Neighbours are searched among the images the run was
    trained on, or the training images of --data. Maps: occlusion, gradient, gradient
    times ink, SmoothGrad, integrated gradients, and the answer against the next.
    """
    from tenfold.reader.line_reader import LineReader
    from tenfold.show.explained import Explained

    if out:
        Explained.check_target(out)
    if (picture is None) == (index is None):
        found = "a picture and an --index" if picture else "neither a picture nor an --index was named"
        raise UsageError(found, expected="one of them")
    loaded, run = _load(model, common)
    if isinstance(loaded, LineReader):
        out = out or Path("explain.png")
        if picture is None or data is not None:
            found = f"{'--data' if picture else '--index'} with the line reader"
            remedy = "name a run with --model for images of a data set"
            raise UsageError(found, expected="a picture", remedy=remedy)
        explained = _explain_lines(loaded, picture, digit, out)
    else:
        out = out or Path("explain.html")
        with common.loading() as where:
            subject = _subject(loaded, run, picture, index, data, split, where).only(digit)
            learned, notes = _learned(run, data if index is None or run is None else None, where)
            name = run.name if run else str(model)
            explained = Explained.predictions(
                loaded, subject, name, notes, progress=where.progress, **learned
            )
    explained.save(out)
    document = {"name": explained.name, **explained.document, "notes": explained.notes, "page": str(out)}
    common.tell(document, explained, written={"explanation": out})


def _load(named: Path | None, common: Common) -> tuple[AnyModel, Run | None]:
    """The model named, the newest finished run, or else the built-in reader; said on stderr if none is named.
    And the run that it is of, if it lies in a run's folder."""
    from tenfold.reader.line_reader import is_line_reader, load_model
    from tenfold.runs.folder import Run

    quiet = common.quiet or common.as_json
    if named is not None or newest_run() is not None:
        path = find_model(named, quiet=quiet)
    else:
        path = built_in_reader()
        if not quiet:
            stderr.say("model: the built-in reader")
    light = common.engine == "auto" and is_line_reader(path)  # PyTorch takes long to import
    folder = path if path.is_dir() else path.parent
    run = Run.open(folder) if Run.is_at(folder) else None
    return load_model(path, engine="numpy" if light else common.engine), run


def _explain_lines(reader: LineReader, picture: Path, character: int | None, out: Path) -> Explained:
    """A reading, or one character of it. Raises UsageError for what is for other models."""
    from tenfold.show.explained import Explained

    if out.suffix.lower() != ".png":
        found = f"{out} is not a picture"
        raise UsageError(found, expected="a name ending in .png for the line reader's sheet")
    reading = reader.read(picture)
    count = len(reading.characters)
    if character and character > count:
        found = f"{picture} holds {count} characters"
        raise UsageError(found, expected=f"--digit from 1 to {count}" * bool(count))
    return Explained.reading(reader, reading, picture.name, character)


def _subject(
    classifier: Classifier,
    run: Run | None,
    picture: Path | None,
    index: int | None,
    data: str | None,
    split: str,
    where: DataRequest,
) -> Subject:
    from tenfold.explain.explanation import Subject

    if picture is not None:
        return Subject.open(classifier, picture)
    if data is not None:
        dataset = replace(where, source=data, split=split).load()
    elif run is not None:
        dataset = run.load_data(replace(where, split=split))
    else:
        raise UsageError("--index without --data", expected="the data set that it counts in")
    return Subject.take(classifier, dataset, index or 0, split)


def _learned(run: Run | None, data: str | None, where: DataRequest) -> tuple[dict[str, Any], list[str]]:
    """The training images, those of them that were learned from, or else a line on why there are none."""
    if data is not None:
        return {"dataset": replace(where, source=data).load()}, []
    if run is None:
        return {}, ["No training images came with this model: name some with --data for neighbours."]
    try:
        return dict(zip(("dataset", "rows"), run.load_learned(where), strict=True)), []
    except (DataError, ModelError) as error:
        return {}, [f"No neighbours: {error}."]
