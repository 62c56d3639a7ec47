"""`tenfold export`: a model in the forms that other programs load."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tenfold.cli.models import find_model
from tenfold.cli.options import Json
from tenfold.cli.output import emit_json, stdout

if TYPE_CHECKING:
    import numpy as np

    from tenfold.classifier import Classifier
    from tenfold.export.forms import Exported, Source


_CHECKED = 1000  # images that what was written is asked about


def export_command(
    model: Annotated[
        Path | None,
        typer.Argument(
            help="A run's folder, a model.safetensors, or reader (built-in); default: the newest run."
        ),
    ] = None,
    to: Annotated[str, typer.Option(help="onnx, safetensors, web or card.")] = "onnx",
    out: Annotated[
        Path | None,
        typer.Option(help="The file or folder to write (default: one here, named after the model)."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a model as a file or folder for other programs, and check that it gives the same answers.

    onnx: one file, from uint8 pixels to probabilities, checked in ONNX Runtime; the
    reader's takes strips of one line, of any width. safetensors: weights and model
    card, as tenfold loads them. web: a folder for any static host, with a page that
    reads in the browser, also offline. card: the model card (training, scores,
    limits), in Markdown. An existing --out is replaced only if an export wrote it.
    """
    from tenfold.export.forms import export_as

    source = _source(find_model(model, quiet=as_json))
    done = export_as(source, to, out)
    if as_json:
        emit_json(done.to_dict())
    else:
        _show(done)


def _source(path: Path) -> Source:
    from tenfold.classifier import Classifier
    from tenfold.export.forms import Source
    from tenfold.reader.line_reader import is_line_reader
    from tenfold.runs.folder import Run, is_run

    folder = path if path.is_dir() else path.parent
    told = (
        (folder / "card.md").read_text(encoding="utf-8", errors="replace")
        if (folder / "card.md").is_file()
        else ""
    )
    if is_line_reader(path):
        return _reader_source(path, told)
    classifier = Classifier.load(path, engine="numpy")
    if path.is_dir() and is_run(path):
        run = Run(path)
        images, kind = _test_images(run, classifier)
        figures = run.evaluation.to_dict() if run.evaluation else None
        data = run.environment.get("data") or {}
        told_of = data if {"name", "train", "val", "sha256"} <= set(data) else None
        return Source(classifier, run.name, str(path), images, kind, data=told_of, figures=figures)
    images, kind = _some_images(classifier)
    return Source(classifier, _name_of(path), str(path), images, kind, told=told)


def _reader_source(path: Path, told: str) -> Source:
    from tenfold.export.forms import Source, check_strips
    from tenfold.reader.line_reader import READER_FOLDER, load_reader

    built_in = path == READER_FOLDER
    name, saved = ("reader", "") if built_in else (_name_of(path), str(path))
    return Source(load_reader(path), name, saved, check_strips(), "made-up strips", told=told)


def _name_of(path: Path) -> str:
    """Of a folder its name; of a file that of the folder it lies in."""
    folder = path.resolve() if path.is_dir() else path.resolve().parent
    return folder.name or "model"


def _test_images(run: Any, classifier: Classifier) -> tuple[np.ndarray, str]:
    """The first of the run's test set, where it can be had without network."""
    from tenfold.errors import TenfoldError
    from tenfold.runs.run import load_for_run

    try:
        dataset = load_for_run(run, split="test", offline=True)
    except TenfoldError:
        return _some_images(classifier)
    return dataset.images[:_CHECKED], f"test images of {dataset.name}"


def _some_images(classifier: Classifier) -> tuple[np.ndarray, str]:
    from tenfold.export.forms import check_images

    return check_images(classifier.card.image_shape, _CHECKED), "made-up images"


def _show(done: Exported) -> None:
    console = stdout()
    files = f", {len(done.files)} files" if len(done.files) > 1 else ""
    console.print(f"{done.form}: {done.path} ({_size(sum(done.files.values()))}{files})", markup=False)
    if done.agreement:
        checked = done.agreement
        console.print(
            f"checked on {checked.images:,} {checked.kind}: the same answers, probabilities within "
            f"{checked.difference:.1g}",
            markup=False,
        )
    if done.form == "web":
        console.print(f"try it: python -m http.server --directory {done.path}", markup=False)


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{max(1, round(count / 1e3))} KB"
