"""`tenfold crossval`: recipes over folds, and whether one is better than another."""

from __future__ import annotations

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
)
from tenfold.cli.output import emit_json, percent, plain_table, progress_bar, stderr, stdout

if TYPE_CHECKING:
    from tenfold.training.folds import CrossValidation, FoldComparison


def crossval_command(
    recipes: Annotated[list[str], typer.Argument(help="Recipes by name or file.", metavar="RECIPE...")],
    data: DataSource = None,
    split: Annotated[str, typer.Option(help="train, test or all.")] = "train",
    folds: Annotated[int, typer.Option(min=2, help="Number of folds.")] = 10,
    changes: Changes = None,
    stratified: Annotated[
        bool, typer.Option("--stratified/--random", help="Keep the class proportions in every fold.")
    ] = True,
    data_dir: DataDir = None,
    offline: Offline = False,
    engine: EngineName = "auto",
    device: DeviceName = "cpu",
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Evaluate recipes by k-fold cross-validation: mean, spread, and whether differences are significant."""
    from tenfold.cli.options import choose_recipes
    from tenfold.cli.training_progress import FoldProgress
    from tenfold.data.load import load_dataset
    from tenfold.engines.create import check_engine, preload_engine
    from tenfold.training.folds import compare_folds, cross_validate

    chosen = choose_recipes(recipes, changes)
    for each in chosen:
        check_engine(each, engine, device)
    preload_engine(chosen[0], engine, device)
    with progress_bar(quiet=quiet) as progress:
        dataset = load_dataset(data, split=split, data_dir=data_dir, offline=offline, progress=progress)
        if dataset.note:
            stderr().print(dataset.note, markup=False)
        results = [
            cross_validate(
                recipe, dataset, folds=folds, seed=seed, engine=engine, device=device, stratified=stratified,
                callbacks=[FoldProgress(folds, progress)] if progress else [],
            )
            for recipe in chosen
        ]  # fmt: skip
    comparisons = compare_folds(results)
    if as_json:
        emit_json(
            {
                "data": dataset.name,
                "images": len(dataset),
                "folds": folds,
                "seed": seed,
                "recipes": [result.to_dict() for result in results],
                "comparisons": [comparison.to_dict() for comparison in comparisons],
            }
        )
    else:
        _show(results, comparisons, quiet=quiet)


def _show(results: list[CrossValidation], comparisons: list[FoldComparison], *, quiet: bool) -> None:
    from tenfold.training.checkpoint import POINTER

    console, first = stdout(), results[0]
    console.print(f"{first.dataset}: {len(first.fold):,} images in {len(first.scores)} folds", markup=False)
    columns = (
        *("recipe", "accuracy", "deviation", "standard error"),
        *("lowest", "highest", "loss", "seconds per fold"),
    )
    rows = [
        (
            result.recipe.name,
            percent(result.mean),
            f"{100 * result.deviation:.2f}",
            f"{100 * result.standard_error:.2f}",
            percent(result.accuracies.min()),
            percent(result.accuracies.max()),
            f"{result.loss:.4f}",
            f"{sum(score.seconds for score in result.scores) / len(result.scores):.2f}",
        )
        for result in results
    ]
    console.print(plain_table(columns, rows, right=columns[1:]))
    for result in results:
        if result.problem:
            console.print(f"{result.recipe.name} did not learn: {result.problem}; {POINTER}", markup=False)
    if quiet:
        return
    console.print("accuracy: mean of the folds; deviation: from fold to fold, in points")
    for comparison in comparisons:
        console.print(comparison.in_words(), markup=False)
    if comparisons:
        several = ", with Bonferroni's correction for several pairs" if len(comparisons) > 1 else ""
        console.print(
            f"by the corrected resampled t-test of Nadeau and Bengio (2003) over the same folds{several}"
        )
