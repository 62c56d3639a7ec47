"""`tenfold search`: the numbers of a recipe, found by trying."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tenfold.cli.options import (
    Changes,
    DataDir,
    DataSource,
    DeviceName,
    EngineName,
    Json,
    Offline,
    Quiet,
    Seed,
    hold_folder,
)
from tenfold.cli.output import emit_json, percent, plain_table, progress_bar, stderr, stdout

if TYPE_CHECKING:
    from tenfold.search.result import SearchResult, SearchTrial


_LISTED = 5  # trials in the table


def search_command(
    context: typer.Context,
    recipe: Annotated[str, typer.Argument(help="A recipe with a table \\[search], by name or file.")],
    data: DataSource = None,
    trials: Annotated[
        int, typer.Option(min=1, help="Number of trials, including those of earlier calls.")
    ] = 30,
    seconds: Annotated[
        float | None, typer.Option(min=0, help="Start no trial after this many seconds.")
    ] = None,
    folds: Annotated[
        int, typer.Option(min=0, help="Number of folds to score on; 0 holds out the recipe's share once.")
    ] = 0,
    metric: Annotated[str, typer.Option(help="accuracy or loss, of the validation images.")] = "accuracy",
    out: Annotated[
        Path | None, typer.Option(help="Folder for best.toml and search.html (default: searches/RECIPE).")
    ] = None,
    storage: Annotated[
        Path | None,
        typer.Option(help="The study's file, which processes may share (default: OUT/study.journal)."),
    ] = None,
    changes: Changes = None,
    data_dir: DataDir = None,
    offline: Offline = False,
    engine: EngineName = "auto",
    device: DeviceName = "cpu",
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Search a recipe's best hyper-parameters on validation images. Repeat to continue."""
    from tenfold.cli.options import choose_recipe
    from tenfold.cli.training_progress import TrialProgress
    from tenfold.data.load import load_dataset
    from tenfold.engines.create import check_engine, preload_engine
    from tenfold.files import remove_parts
    from tenfold.search.study import check_plan, search_recipe
    from tenfold.training.checkpoint import POINTER

    chosen = choose_recipe(recipe, changes)
    check_engine(chosen, engine, device)
    check_plan(chosen, trials, folds, metric)
    folder = out or Path("searches") / chosen.name
    preload_engine(chosen, engine, device)
    with progress_bar(quiet=quiet) as progress:
        dataset = load_dataset(data, data_dir=data_dir, offline=offline, progress=progress)
        if dataset.note:
            stderr().print(dataset.note, markup=False)
        hold_folder(context, folder)
        remove_parts(folder)
        result = search_recipe(
            chosen, dataset, trials=trials, seconds=seconds, folds=folds, metric=metric,
            journal=storage or folder / "study.journal", seed=seed, engine=engine, device=device,
            callbacks=[TrialProgress(progress)] if progress else [],
            after_trial=lambda trial, best: None if quiet else _tell(trial, best),
        )  # fmt: skip
    written = _write(result, folder) if result.ranked else {}
    if as_json:
        emit_json(result.to_dict() | {"written": written})
    else:
        _show(result, written)
        if result.problem:
            stdout().print(f"{chosen.name} did not learn: {result.problem}; {POINTER}", markup=False)
    if result.interrupted:
        raise typer.Exit(130)
    if not result.ranked:
        _ = result.best  # says why none is there


def _write(result: SearchResult, folder: Path) -> dict[str, str]:
    from tenfold.search.result import write_best
    from tenfold.show.search import write_search_page

    best = write_best(result, folder / "best.toml")
    return {"best": str(best), "page": str(write_search_page(result, folder / "search.html"))}


def _tell(trial: SearchTrial, best: SearchTrial | None) -> None:
    """A line per trial, as it ends."""
    mark = "  best so far" if best is trial else ""
    values = "  ".join(f"{key} {value}" for key, value in trial.values.items())
    score = f"{percent(trial.accuracy)}  loss {trial.loss:.4f}" if trial.loss is not None else trial.status
    stderr().print(f"trial {trial.number}  {score}  {values}{mark}", markup=False)


def _show(result: SearchResult, written: dict[str, str]) -> None:
    console = stdout()
    how = f"{result.folds} folds" if result.folds else "one share held out"
    over = len(result.ranked) + result.count("pruned") + result.count("failed")
    console.print(
        f"{result.recipe.name} on {result.dataset}: {over} trials, {result.count('pruned')} given up early, "
        f"{result.count('failed')} failed; judged by {result.metric} on {how}",
        markup=False,
    )
    keys = list(result.recipe.search)
    rows = [
        (
            str(trial.number),
            percent(trial.accuracy),
            f"{trial.loss:.4f}",
            *(trial.values[key] for key in keys),
            f"{trial.seconds:.1f}",
        )
        for trial in result.ranked[:_LISTED]
    ]
    if rows:
        columns = ("trial", "accuracy", "loss", *keys, "seconds")
        console.print(plain_table(columns, rows, right=columns))
    for what, path in written.items():
        console.print(f"{what}: {path}", markup=False)
    if written:
        console.print(f"train it with: tenfold train {written['best']}", markup=False)
