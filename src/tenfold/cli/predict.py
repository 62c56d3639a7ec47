"""`tenfold predict`: the verdicts of a model on pictures and folders of pictures."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tenfold.cli.models import load_classifier
from tenfold.cli.options import EngineName, Json, ModelPath, Quiet
from tenfold.cli.output import emit_json, percent, progress_bar, stderr, stdout

if TYPE_CHECKING:
    from tenfold.classifier import Classifier

__all__ = ["predict_command"]


def predict_command(
    pictures: Annotated[list[Path], typer.Argument(help="Pictures of one thing each, or folders of them.")],
    model: ModelPath = None,
    engine: EngineName = "auto",
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="path,label,confidence,error on stdout.")] = False,
    quiet: Quiet = False,
) -> None:
    """Name what each picture shows, with any model. For handwriting use `tenfold read`.

    A picture that cannot be read is reported; the rest go on.
    """
    classifier = load_classifier(model, engine=engine, quiet=quiet or as_json or as_csv)
    paths = [path for given in pictures for path in _expand(given)]
    rows: list[dict[str, Any]] = []
    writer = csv.writer(sys.stdout) if as_csv else None
    if writer:
        writer.writerow(("path", "label", "confidence", "error"))
    with progress_bar(quiet=quiet or len(paths) < 20) as progress:
        for number, path in enumerate(paths, start=1):
            rows.append(_predict(classifier, path))
            if writer:
                row = rows[-1]
                writer.writerow((row["path"], row["label"], row["confidence"], row["error"]))
            elif not as_json:
                _show(rows[-1])
            if progress:
                progress("reading", number, len(paths))
    if as_json:
        emit_json(rows)
    if any(row["error"] for row in rows):
        raise typer.Exit(1)


def _expand(given: Path) -> list[Path]:
    """A folder stands for the pictures in it and below."""
    if not given.is_dir():
        return [given]
    from tenfold.data.folders import SUFFIXES
    from tenfold.errors import DataError

    found = sorted(path for path in given.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not found:
        raise DataError(f"{given} holds no picture", expected=", ".join(SUFFIXES))
    return found


def _predict(classifier: Classifier, path: Path) -> dict[str, Any]:
    from tenfold.errors import DataError

    empty: dict[str, Any] = {
        "path": str(path),
        "label": None,
        "confidence": None,
        "alternatives": [],
        "probs": [],
    }
    try:
        verdict = classifier.classify(path).to_dict()
    except DataError as error:
        return empty | {"error": str(error)}
    del verdict["box"], verdict["verdict"], verdict["none"]
    return empty | verdict | {"error": None}


def _show(row: dict[str, Any]) -> None:
    if row["error"]:
        stderr().print(f"tenfold: {row['error']}", markup=False)
        return
    others = ", ".join(f"{a['label']} {percent(a['confidence'], 1)}" for a in row["alternatives"][1:])
    stdout().print(
        f"{row['path']}: {row['label']} ({percent(row['confidence'], 1)}; then {others})", markup=False
    )
