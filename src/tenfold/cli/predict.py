"""`tenfold predict`: the verdicts of a model on pictures and folders of pictures."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tenfold.cli.answers import find_pictures
from tenfold.cli.models import load_classifier
from tenfold.cli.options import EngineName, Json, ModelPath, Quiet
from tenfold.cli.output import emit_json, percent, progress_bar, stderr, stdout
from tenfold.files import csv_line

if TYPE_CHECKING:
    from tenfold.classifier import Classifier


def predict_command(
    pictures: Annotated[list[str], typer.Argument(help="Pictures of one thing each, or folders of them.")],
    model: ModelPath = None,
    engine: EngineName = "auto",
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="path,label,confidence,error on stdout.")] = False,
    quiet: Quiet = False,
) -> None:
    """Classify pictures with any model of single images. For numbers use `tenfold read`.

    A picture that cannot be read is reported; the others are still classified.
    """
    classifier = load_classifier(model, engine=engine, quiet=quiet or as_json or as_csv)
    paths = [found for given in pictures for found in find_pictures(given)]
    rows: list[dict[str, Any]] = []
    columns = ("path", "label", "confidence", "error")
    if as_csv:
        sys.stdout.write(csv_line(columns, "\r\n"))
    with progress_bar(quiet=quiet or len(paths) < 20) as progress:
        for number, (path, error) in enumerate(paths, start=1):
            rows.append(_predict(classifier, path, error))
            if as_csv:
                sys.stdout.write(csv_line([rows[-1][column] for column in columns], "\r\n"))
            elif not as_json:
                _show(rows[-1])
            if progress:
                progress("reading", number, len(paths))
    if as_json:
        emit_json(rows)
    if any(row["error"] for row in rows):
        raise typer.Exit(1)


def _predict(classifier: Classifier, path: str, error: str) -> dict[str, Any]:
    """error: what is wrong with the path already, or ""."""
    from tenfold.errors import DataError

    row: dict[str, Any] = {"path": path, "label": None, "confidence": None, "alternatives": [], "probs": []}
    if error:
        return row | {"error": error}
    try:
        verdict = classifier.classify(path).to_dict()
    except DataError as found:
        return row | {"error": str(found)}
    del verdict["box"], verdict["verdict"], verdict["none"]
    return row | verdict | {"error": None}


def _show(row: dict[str, Any]) -> None:
    if row["error"]:
        stderr().print(f"tenfold: {row['error']}", markup=False)
        return
    others = ", ".join(f"{a['label']} {percent(a['confidence'], 1)}" for a in row["alternatives"][1:])
    stdout().print(
        f"{row['path']}: {row['label']} ({percent(row['confidence'], 1)}; then {others})", markup=False
    )
