"""`tenfold evaluate`: the scores of a model on a labelled set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tenfold.cli.models import find_model
from tenfold.cli.options import (
    DataDir,
    DataSource,
    EngineName,
    Json,
    Offline,
    Quiet,
    keeps_scores,
    load_data_for,
)
from tenfold.cli.output import emit_json, percent, plain_table, progress_bar, stderr, stdout

if TYPE_CHECKING:
    from tenfold.evaluation.evaluate import Evaluation


_MOST_CLASSES = 20  # of a confusion matrix that a terminal can show


def evaluate_command(
    model: Annotated[
        Path | None, typer.Argument(help="A run's folder or a model.safetensors (default: the newest run).")
    ] = None,
    data: DataSource = None,
    split: Annotated[str, typer.Option(help="test, train or all.")] = "test",
    data_dir: DataDir = None,
    offline: Offline = False,
    engine: EngineName = "auto",
    require: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIGURE=VALUE",
            help="Exit with 3 if not met: accuracy=0.99, loss=0.05, calibration_error=0.01.",
        ),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Evaluate a model: accuracy with its interval, per class, calibration, the worst misses."""
    from tenfold.classifier import Classifier
    from tenfold.evaluation.evaluate import check_required, evaluate, parse_required

    bounds = [parse_required(text) for text in require or []]
    path = find_model(model, quiet=quiet)
    with progress_bar(quiet=quiet) as progress:
        options = {"data_dir": data_dir, "offline": offline, "progress": progress}
        dataset = load_data_for(path, data, split, options)
    evaluation = evaluate(Classifier.load(path, engine=engine), dataset)
    if keeps_scores(path, data, split):
        _keep(evaluation, path)
    if as_json:
        emit_json({"model": str(path), "split": split} | evaluation.to_dict())
    else:
        _show(evaluation, quiet=quiet)
    check_required(evaluation, bounds)


def _keep(evaluation: Evaluation, folder: Path) -> None:
    """In the run's folder, unless another process writes there, which is said."""
    from tenfold.errors import UsageError
    from tenfold.files import claim_folder

    try:
        with claim_folder(folder):
            evaluation.save(folder)
    except UsageError as error:
        stderr().print(f"these scores are not kept: {error}", markup=False)


def _show(evaluation: Evaluation, *, quiet: bool) -> None:
    console = stdout()
    low, high = evaluation.interval
    console.print(
        f"[bold]accuracy {percent(evaluation.accuracy)}[/bold] (95 % interval {percent(low)} to "
        f"{percent(high)}), loss {evaluation.loss:.4f}, calibration error "
        f"{evaluation.calibration_error:.4f}; {evaluation.misses} of {evaluation.n:,} missed "
        f"({evaluation.dataset})"
    )
    if quiet:
        return
    rows = [
        (row["class"], *(f"{row[key]:.4f}" for key in ("precision", "recall", "f1")), row["support"])
        for row in evaluation.per_class()
    ]
    columns = ("class", "precision", "recall", "F1", "images")
    console.print(plain_table(columns, rows, right=columns[1:]))
    if len(evaluation.class_names) <= _MOST_CLASSES:
        console.print("\nconfusion: rows are what it is, columns what it was read as")
        counts = [[str(count) if count else "." for count in row] for row in evaluation.confusion]
        matrix = [(name, *row) for name, row in zip(evaluation.class_names, counts, strict=True)]
        console.print(plain_table(("", *evaluation.class_names), matrix, right=evaluation.class_names))
    if evaluation.misses:
        console.print("\nthe most confident misses")
        worst = evaluation.to_dict()["most_confident_misses"][:10]
        named = "file" if evaluation.files else "index"
        misses = [(w[named], w["label"], w["predicted"], percent(w["confidence"], 1)) for w in worst]
        console.print(
            plain_table((named, "is", "read as", "confidence"), misses, right=("index", "confidence"))
        )
