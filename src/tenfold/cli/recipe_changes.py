"""Recipes as they are named on the command line, changed as its options ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tenfold.cli.output import stderr

if TYPE_CHECKING:
    from tenfold.recipes.schema import Recipe

__all__ = ["choose_recipe", "choose_recipes"]


def choose_recipe(
    name: str, changes: Sequence[str] | None = None, short: Mapping[str, Any] | None = None
) -> Recipe:
    """changes: KEY=VALUE each; short: dotted key -> value, None where that option was not given. Raises
    UsageError where one key is given two values.
    """
    from tenfold.errors import UsageError
    from tenfold.recipes.load import change_recipe, get_recipe, parse_change

    given = [parse_change(change) for change in changes or []]
    wanted: dict[str, Any] = {}
    for key, value in given + [pair for pair in (short or {}).items() if pair[1] is not None]:
        if wanted.setdefault(key, value) != value:
            raise UsageError(f"{key} is given twice: {wanted[key]} and {value}", expected="one value")
    recipe = get_recipe(name)
    if not wanted:
        return recipe
    changed = change_recipe(recipe, wanted)
    for key in ("min_steps", "steps"):
        own = getattr(recipe.training, key)
        if own and f"training.{key}" not in wanted and not getattr(changed.training, key):
            stderr().print(
                f"{changed.training.epochs} epochs, as asked for: {key} = {own} of {name} is left out",
                markup=False,
            )
    return changed


def choose_recipes(names: Sequence[str], changes: Sequence[str] | None = None) -> list[Recipe]:
    """Several recipes with different names, all changed alike. Raises UsageError."""
    from tenfold.errors import UsageError

    recipes = [choose_recipe(name, changes) for name in names]
    known = [recipe.name for recipe in recipes]
    for recipe in recipes:
        if known.count(recipe.name) > 1:
            raise UsageError(
                f"{known.count(recipe.name)} of the recipes are called {recipe.name!r}",
                expected="each once, under a different name",
                remedy="change `name` in one's file",
            )
    return recipes
