"""`tenfold search`: the numbers of a recipe, found by trying."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from tenfold.cli.options import DATA, Changes, Common, DataSource, choose_recipe, hold_folder, takes_common


@takes_common(*DATA, "engine", "device", "seed", "as_json", "quiet")
def search_command(
    context: typer.Context,
    recipe: Annotated[str, Argument(help="A recipe with a table \\[search], by name or file.")],
    data: DataSource = None,
    trials: Annotated[int, Option(min=1, help="Number of trials, including those of earlier calls.")] = 30,
    seconds: Annotated[float | None, Option(min=0, help="Start no trial after this many seconds.")] = None,
    folds: Annotated[
        int, Option(min=0, help="Number of folds to score on; 0 holds out the recipe's share once.")
    ] = 0,
    metric: Annotated[str, Option(help="accuracy or loss, of the validation images.")] = "accuracy",
    out: Annotated[
        Path | None, Option(help="Folder for best.toml and search.html (default: searches/RECIPE).")
    ] = None,
    storage: Annotated[
        str | None,
        Option(
            help="The study, which processes may share: a file, or a database's URL, postgresql://, mysql:// "
            "or sqlite:/// (default: OUT/study.journal)."
        ),
    ] = None,
    changes: Changes = None,
    *,
    common: Common,
) -> None:
    """Search a recipe's best hyper-parameters on validation images. Repeat to continue."""
    from tenfold.files import Claim
    from tenfold.show.pages import write_page
    from tenfold.show.progress import BarProgress
    from tenfold.show.results import print_result
    from tenfold.training.search_storage import Place
    from tenfold.training.search_study import check_plan, search_recipe

    chosen = choose_recipe(recipe, changes)
    Place(storage)  # refused before the data are read
    check_plan(chosen, trials, folds, metric)
    folder = out or Path("searches") / chosen.name
    with common.loading(data) as request:
        dataset = common.load_to_train([chosen], request)
        hold_folder(context, folder)
        Claim.remove_parts(folder)
        result = search_recipe(
            chosen, dataset, trials=trials, seconds=seconds, folds=folds, metric=metric,
            journal=storage or folder / "study.journal",
            seed=common.seed, engine=common.engine, device=common.device,
            callbacks=[BarProgress(request.progress)] if request.progress else [],
            after_trial=lambda trial, best: None if common.quiet else print_result(trial, best=best),
        )  # fmt: skip
    files = {}
    if result.ranked:
        best = result.write_best(folder / "best.toml")
        files = {"best": str(best), "page": str(write_page(result, path=folder / "search.html"))}
    common.tell(result.to_dict() | {"written": files}, result, files=files)
    if result.interrupted:
        raise typer.Exit(130)
    if not result.ranked:
        _ = result.best  # says why none is there
