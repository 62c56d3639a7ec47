"""`tenfold recipes`: what can be trained by name."""

from __future__ import annotations

from typing import Annotated

import typer
from typer import Argument

from tenfold.cli.options import Json
from tenfold.show.terminal import stdout

app = typer.Typer(help="List the recipes, or show one.", invoke_without_command=True)


@app.callback()
def list_command(context: typer.Context, as_json: Json = False) -> None:
    """List the built-in recipes."""
    if context.invoked_subcommand:
        return
    from tenfold.recipes.load import get_recipe, list_recipes

    found = [get_recipe(name) for name in list_recipes()]
    if as_json:
        keep = {"name", "title", "source", "description", "published"}
        stdout.json([recipe.model_dump(mode="json", include=keep, exclude_none=True) for recipe in found])
        return
    rows = [(recipe.name, recipe.title, recipe.source) for recipe in found]
    stdout.table(("recipe", "what it is", "source"), rows)
    stdout.say("\n`tenfold recipes show NAME` prints one; save it, change it, train it by its path.")


@app.command("show")
def show_command(
    name: Annotated[str, Argument(help="A recipe's name, file, or a run's folder.")], as_json: Json = False
) -> None:
    """Print a complete recipe as TOML (or JSON)."""
    from tenfold.recipes.load import get_recipe

    recipe = get_recipe(name)
    if as_json:
        stdout.json(recipe.model_dump(mode="json", exclude_none=True))
    else:
        typer.echo(recipe.to_toml(), nl=False)
