"""Which model a command works with when none is named."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tenfold.cli.options import Json
from tenfold.cli.output import emit_json, plain_table, stderr, stdout

if TYPE_CHECKING:
    from tenfold.classifier import Classifier
    from tenfold.reader.line_reader import AnyModel
    from tenfold.runs.folder import Run


def find_model(named: Path | None, *, quiet: bool = False) -> Path:
    """The model named, or the newest finished run under runs/, which is then said on stderr.

    "reader" names the one that comes with the package, unless there is a file of that name.
    """
    if named is not None:
        return _built_in() if str(named) == "reader" and not named.exists() else named
    from tenfold.errors import ModelError

    newest = _newest_run()
    if newest is None:
        raise ModelError(
            "no model was named and runs/ holds none",
            remedy="train one with `tenfold train`, or name one with --model",
        )
    if not quiet:
        stderr().print(f"model: {newest.folder}", markup=False)
    return newest.folder


def _newest_run() -> Run | None:
    """The newest finished run under runs/."""
    from tenfold.runs.folder import list_runs

    finished = [run for run in list_runs() if (run.folder / "model.safetensors").is_file()]
    return finished[-1] if finished else None


def _built_in() -> Path:
    from tenfold.reader.line_reader import READER_FOLDER

    return READER_FOLDER


def load_classifier(named: Path | None, *, engine: str, quiet: bool = False) -> Classifier:
    from tenfold.classifier import Classifier

    return Classifier.load(find_model(named, quiet=quiet), engine=engine)


def load_classifier_or_reader(
    named: Path | None, *, engine: str, quiet: bool = False
) -> tuple[AnyModel, Run | None]:
    """The model named, the newest finished run, or else the built-in reader; said on stderr if none is
    named. And the run that it is of, if it lies in a run's folder.
    """
    from tenfold.reader.line_reader import is_line_reader, load_model
    from tenfold.runs.folder import is_run, open_run

    if named is None and _newest_run() is None:
        if not quiet:
            stderr().print("model: the built-in reader", markup=False)
        path = _built_in()
    else:
        path = find_model(named, quiet=quiet)
    if engine == "auto" and is_line_reader(path):
        engine = "numpy"  # PyTorch takes long to import
    folder = path if path.is_dir() else path.parent
    return load_model(path, engine=engine), open_run(folder) if is_run(folder) else None


# `tenfold recipes`: what can be trained by name.

app = typer.Typer(help="List the recipes, or show one.", invoke_without_command=True)


@app.callback()
def list_command(context: typer.Context, as_json: Json = False) -> None:
    """List the built-in recipes."""
    if context.invoked_subcommand:
        return
    from tenfold.recipes.load import get_recipe, list_recipes

    found = [get_recipe(name) for name in list_recipes()]
    if as_json:
        emit_json([_summary(recipe) for recipe in found])
        return
    rows = [(recipe.name, recipe.title, recipe.source) for recipe in found]
    stdout().print(plain_table(("recipe", "what it is", "source"), rows))
    stdout().print("\n`tenfold recipes show NAME` prints one; save it, change it, train it by its path.")


def _summary(recipe: Any) -> dict[str, Any]:
    keep = {"name", "title", "source", "description", "published"}
    values: dict[str, Any] = recipe.model_dump(mode="json", include=keep, exclude_none=True)
    return values


@app.command("show")
def show_command(
    name: Annotated[str, typer.Argument(help="A recipe's name, file, or a run's folder.")],
    as_json: Json = False,
) -> None:
    """Print a complete recipe as TOML (or JSON)."""
    from tenfold.recipes.load import get_recipe, recipe_to_toml

    recipe = get_recipe(name)
    if as_json:
        emit_json(recipe.model_dump(mode="json", exclude_none=True))
    else:
        typer.echo(recipe_to_toml(recipe), nl=False)
