"""`tenfold robustness`: what corruptions leave of a model's accuracy."""

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
    Seed,
    hold_folder,
    keeps_scores,
    load_data_for,
    renew_report,
)
from tenfold.cli.output import emit_json, percent, plain_table, progress_bar, stdout

if TYPE_CHECKING:
    from tenfold.evaluation.robustness import Robustness


def robustness_command(
    context: typer.Context,
    model: Annotated[
        Path | None, typer.Argument(help="A run's folder or a model.safetensors (default: the newest run).")
    ] = None,
    data: DataSource = None,
    split: Annotated[str, typer.Option(help="test, train or all.")] = "test",
    images: Annotated[int, typer.Option(min=1, help="Number of images, drawn at random.")] = 1000,
    data_dir: DataDir = None,
    offline: Offline = False,
    engine: EngineName = "auto",
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure a model on corrupted pictures: fifteen corruptions, five severities each.

    Noise, blur, rotation, occlusion, ... The run's folder keeps the result for its report.
    """
    from tenfold.classifier import Classifier
    from tenfold.evaluation.robustness import measure_robustness
    from tenfold.runs.folder import is_run

    path = find_model(model, quiet=quiet)
    kept = path.is_dir() and is_run(path) and keeps_scores(path, data, split)
    if kept:
        hold_folder(context, path)
    with progress_bar(quiet=quiet) as progress:
        options = {"data_dir": data_dir, "offline": offline, "progress": progress}
        dataset = load_data_for(path, data, split, options)
    found = measure_robustness(Classifier.load(path, engine=engine), dataset, n=images, seed=seed)
    if kept:
        found.save(path)
    report = renew_report(path) if kept else None
    if as_json:
        told = {"report": str(report) if report else None}
        emit_json({"model": str(path), "split": split} | found.to_dict() | told)
        return
    _show(found)
    if report is not None:
        stdout().print(f"report: {report}", markup=False)


def _show(found: Robustness) -> None:
    console, severities = stdout(), found.accuracies.shape[1]
    console.print(
        f"[bold]accuracy {percent(found.mean_accuracy)}[/bold] on corrupted pictures, "
        f"{percent(found.accuracy)} on the same {found.n:,} as they are ({found.dataset})"
    )
    columns = ("corruption", "severity 1", *map(str, range(2, severities + 1)), "mean")
    rows = [
        (name, *(percent(share, 1) for share in row), percent(row.mean(), 1))
        for name, row in zip(found.corruptions, found.accuracies, strict=True)
    ]
    rows.sort(key=lambda row: found.accuracies[found.corruptions.index(row[0])].mean())
    console.print(plain_table(columns, rows, right=columns[1:]))
