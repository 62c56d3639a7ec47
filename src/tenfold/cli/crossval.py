"""`tenfold crossval`: recipes over folds, and whether one is better than another."""

from __future__ import annotations

from typing import Annotated

from typer import Argument, Option

from tenfold.cli.options import DATA, Changes, Common, DataSource, TrainSplit, choose_recipe, takes_common


@takes_common(*DATA, "engine", "device", "seed", "as_json", "quiet")
def crossval_command(
    recipes: Annotated[list[str], Argument(help="Recipes by name or file.", metavar="RECIPE...")],
    data: DataSource = None,
    split: TrainSplit = "train",
    folds: Annotated[int, Option(min=2, help="Number of folds.")] = 10,
    changes: Changes = None,
    stratified: Annotated[
        bool, Option("--stratified/--random", help="Keep the class proportions in every fold.")
    ] = True,
    *,
    common: Common,
) -> None:
    """Evaluate recipes by k-fold cross-validation: mean, spread, and whether differences are significant."""
    from tenfold.show.progress import BarProgress
    from tenfold.training.folds import compare_folds, cross_validate

    chosen = [choose_recipe(name, changes) for name in recipes]
    _check_names([recipe.name for recipe in chosen])
    with common.loading(data, split) as request:
        dataset = common.load_to_train(chosen, request)
        progress = request.progress
        results = [
            cross_validate(
                recipe, dataset, folds=folds, seed=common.seed, engine=common.engine, device=common.device,
                stratified=stratified, callbacks=[BarProgress(progress, folds)] if progress else [],
            )
            for recipe in chosen
        ]  # fmt: skip
    comparisons = compare_folds(results)
    document = {
        "data": dataset.name,
        "images": len(dataset),
        "folds": folds,
        "seed": common.seed,
        "recipes": [result.to_dict() for result in results],
        "comparisons": [comparison.to_dict() for comparison in comparisons],
    }
    common.tell(document, results, comparisons=comparisons, quiet=common.quiet)


def _check_names(names: list[str]) -> None:
    from tenfold.errors import UsageError

    if twice := next((name for name in names if names.count(name) > 1), None):
        found = f"{names.count(twice)} of the recipes are called {twice!r}"
        expected = "each once, under a different name"
        raise UsageError(found, expected=expected, remedy="change `name` in one's file")
