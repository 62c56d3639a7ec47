"""`tenfold label-errors`: the records of a data set whose labels are likely wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option

from tenfold.cli.options import (
    DATA,
    Changes,
    Common,
    TrainSplit,
    choose_recipe,
    hold_folder,
    load_data_for,
    renew_report,
    takes_common,
)


@takes_common(*DATA, "engine", "seed", "as_json", "quiet")
def label_errors_command(
    context: typer.Context,
    source: Annotated[str, Argument(help="A data set's name or path, or a run's folder.")],
    recipe: Annotated[str | None, Option(help="Recipe that judges the labels (default: a fast one).")] = None,
    changes: Changes = None,
    folds: Annotated[int, Option(min=2, help="Number of folds.")] = 5,
    split: TrainSplit = "train",
    out: Annotated[
        Path | None, Option(help="Write all suspects: .csv, .json, or .html with their pictures.")
    ] = None,
    *,
    common: Common,
) -> None:
    """Find labels that are likely wrong, by confident learning over folds.

    For a run, in its training data; its folder keeps the result for its report.
    """
    from tenfold.runs.folder import Run
    from tenfold.show.progress import BarProgress
    from tenfold.training.folds import search_labels

    _check(recipe, changes, out)
    place = Path(source)
    kept = Run.is_at(place) and split == "train"
    if kept:
        hold_folder(context, place)
    chosen = choose_recipe(recipe, changes) if recipe else None
    with common.loading(None if Run.is_at(place) else source, split) as request:
        dataset = load_data_for(place, request)
        callbacks = [BarProgress(request.progress, folds)] if request.progress else []
        found = search_labels(
            dataset, chosen, folds=folds, seed=common.seed, engine=common.engine, callbacks=callbacks
        )
    if kept:
        found = found.save(place, images=dataset.images)
    written = {"out": out, "report": renew_report(place) if kept else None}
    if out and out.suffix == ".html":
        from tenfold.show.pages import write_page

        write_page(found, dataset=dataset, path=out)
    elif out:
        found.write(dataset.class_names, out)
    document: dict[str, Any] = {"data": dataset.name, "n": found.n, "note": found.note}
    document["suspects"] = found.rows(dataset.class_names) if common.as_json else ()
    common.tell(document | written, found, dataset=dataset, quiet=common.quiet, written=written)


def _check(recipe: str | None, changes: list[str] | None, out: Path | None) -> None:
    from tenfold.errors import UsageError

    if changes and recipe is None:
        raise UsageError("--set changes a recipe, and none is named", remedy="name one with --recipe")
    if out is not None and out.suffix not in (".csv", ".json", ".html"):
        raise UsageError(f"--out {out}", expected="a name that ends in .csv, .json or .html")
