"""`tenfold label-errors`: the records of a data set whose labels are likely wrong."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tenfold.cli.options import (
    Changes,
    DataDir,
    EngineName,
    Json,
    Offline,
    Quiet,
    Seed,
    hold_folder,
    load_data_for,
    renew_report,
)
from tenfold.cli.output import emit_json, percent, plain_table, progress_bar, stdout

if TYPE_CHECKING:
    from rich.console import Console

    from tenfold.arrays import ImageDataset
    from tenfold.evaluation.label_errors import LabelErrors


_LISTED, _PICTURED = 20, 10  # suspects as lines of text, as pictures
_SIDE = 16  # of a picture, in characters


def label_errors_command(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="A data set's name or path, or a run's folder.")],
    recipe: Annotated[
        str | None, typer.Option(help="Recipe that judges the labels (default: a fast one).")
    ] = None,
    changes: Changes = None,
    folds: Annotated[int, typer.Option(min=2, help="Number of folds.")] = 5,
    split: Annotated[str, typer.Option(help="train, test or all.")] = "train",
    out: Annotated[
        Path | None, typer.Option(help="Write all suspects: .csv, .json, or .html with their pictures.")
    ] = None,
    data_dir: DataDir = None,
    offline: Offline = False,
    engine: EngineName = "auto",
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find labels that are likely wrong, by confident learning over folds.

    For a run, in its training data; its folder keeps the result for its report.
    """
    from tenfold.cli.options import choose_recipe
    from tenfold.cli.training_progress import FoldProgress
    from tenfold.errors import UsageError
    from tenfold.runs.folder import is_run
    from tenfold.runs.train import search_labels, suspect_rows

    if changes and recipe is None:
        raise UsageError("--set changes a recipe, and none is named", remedy="name one with --recipe")
    if out is not None and out.suffix not in (".csv", ".json", ".html"):
        raise UsageError(f"--out {out}", expected="a name that ends in .csv, .json or .html")
    place = Path(source)
    run = place if is_run(place) else None
    kept = run if split == "train" else None
    if kept is not None:
        hold_folder(context, kept)
    chosen = choose_recipe(recipe, changes) if recipe else None
    with progress_bar(quiet=quiet) as progress:
        options = {"data_dir": data_dir, "offline": offline, "progress": progress}
        dataset = load_data_for(place, None if run else source, split, options)
        callbacks = [FoldProgress(folds, progress)] if progress else []
        found = search_labels(dataset, chosen, folds=folds, seed=seed, engine=engine, callbacks=callbacks)
    report = None
    if kept is not None:
        found = found.save(kept, images=dataset.images)
        report = renew_report(kept)
    if out is not None:
        _write(found, dataset, out)
    written = {"out": str(out) if out else None, "report": str(report) if report else None}
    if as_json:
        rows = suspect_rows(found, dataset.class_names)
        emit_json({"data": dataset.name, "n": found.n, "note": found.note, "suspects": rows} | written)
        return
    _show(found, dataset, quiet=quiet)
    for what, path in written.items():
        if path is not None:
            stdout().print(f"{what}: {path}", markup=False)


def _write(found: LabelErrors, dataset: ImageDataset, out: Path) -> None:
    if out.suffix == ".html":
        from tenfold.show.scores import write_label_errors_page

        write_label_errors_page(found, dataset, out)
    else:
        from tenfold.runs.train import write_suspects

        write_suspects(found, dataset.class_names, out)


def _show(found: LabelErrors, dataset: ImageDataset, *, quiet: bool) -> None:
    from tenfold.runs.train import suspect_rows

    console = stdout()
    share = percent(len(found) / found.n)
    console.print(f"[bold]{len(found):,} of {found.n:,} labels ({share}) are likely wrong[/bold]")
    console.print(f"{dataset.name}: {found.note}", markup=False)
    if not len(found):
        return
    rows = suspect_rows(found, dataset.class_names, _LISTED)
    named = "file" if found.files else "index"
    cells = [(row[named], row["given"], row["suggested"], f"{row['quality']:.4f}") for row in rows]
    columns = (named, "given", "suggested", "quality")
    console.print(plain_table(columns, cells, right=("index", "quality")))
    if len(found) > len(rows):
        console.print(f"and {len(found) - len(rows):,} more: see --out")
    if console.is_terminal and console.encoding.startswith("utf") and not quiet:
        _print_pictures(found, dataset, console)


def _print_pictures(found: LabelErrors, dataset: ImageDataset, console: Console) -> None:
    """As many beside each other as fit, each with its label and the class it looks like."""
    from rich.columns import Columns
    from rich.text import Text

    from tenfold.show.components import half_blocks
    from tenfold.show.data_terminal import shrink

    grey, names, cells = console.color_system in ("truecolor", "256"), dataset.class_names, []
    for index, given, suggested in list(zip(found.index, found.given, found.suggested, strict=True))[
        :_PICTURED
    ]:
        lines = half_blocks(shrink(dataset.images[index], _SIDE), grey=grey)
        caption = Text(f"{names[given]}, {names[suggested]}?"[:_SIDE])
        cells.append(Text("\n").join([*lines, caption]))
    console.print(Columns(cells, width=_SIDE, padding=(1, 2)))
