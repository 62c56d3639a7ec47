"""A name or a path -> a Recipe; values changed by dotted key; a Recipe -> TOML."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from tenfold.arguments import checked
from tenfold.errors import RecipeError, nearest
from tenfold.networks.layers import LayerSpec
from tenfold.recipes.schema import IN_LAYERS, Recipe, look_up

__all__ = ["change_recipe", "get_recipe", "list_recipes", "suit_recipe"]


_FOLDER = Path(__file__).parent
_EPOCHS, _STEPS = "training.epochs", ("training.min_steps", "training.steps")


@cache
def list_recipes() -> tuple[str, ...]:
    """The names of the recipes that tenfold carries."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


@checked
def get_recipe(name_or_path: str | Path | Recipe) -> Recipe:
    """A carried recipe by name, or a recipe file by path; a Recipe is given back. Raises RecipeError."""
    if isinstance(name_or_path, Recipe):
        return name_or_path
    text = str(name_or_path)
    path = _FOLDER / f"{text}.toml" if text in list_recipes() else Path(name_or_path)
    if path.is_dir() and (path / "recipe.toml").is_file():
        path /= "recipe.toml"
    if path.suffix != ".toml" and not path.is_file():
        found = f"no recipe is called {text!r}"
        raise RecipeError(found, remedy=f"{nearest(text, list_recipes())} (a file ends in .toml)")
    try:
        return parse_recipe(path.read_text(encoding="utf-8"), where=str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} cannot be read ({error})", expected="a recipe in TOML") from error


def parse_recipe(text: str, *, where: str = "recipe") -> Recipe:
    """TOML -> Recipe. Raises RecipeError that names the key and the nearest known one."""
    try:
        values = tomllib.loads(text)
    except RecursionError as error:
        raise RecipeError(f"{where} is nested too deeply", expected="a recipe in TOML") from error
    except ValueError as error:  # TOMLDecodeError, and Python's own for a number of thousands of digits
        raise RecipeError(f"{where} is not TOML: {error}", remedy="fix that line") from error
    return Recipe.from_dict(values, where=where)


@checked
def change_recipe(recipe: Recipe | str | Path, changes: Mapping[str, Any]) -> Recipe:
    """A copy with values replaced by dotted key: {"training.epochs": 3}. Raises RecipeError.

    recipe: a Recipe, or the name or path of one.

    "network.layers.dropout" is the number of every dropout layer, "network.layers.linear1" that of the
    first linear layer (see tenfold.networks.layers). "training.epochs" is what runs: a number of steps that
    the recipe has in its place, or at least, is set to 0 unless it is changed as well. What is changed counts
    for images in colour too.
    """
    recipe = get_recipe(recipe)
    if _EPOCHS in changes:
        if changes.get(_STEPS[1]):
            raise RecipeError(
                f"{_EPOCHS} = {changes[_EPOCHS]} and {_STEPS[1]} = {changes[_STEPS[1]]} are both asked for",
                expected="one of them: steps run in the place of epochs",
            )
        changes = dict.fromkeys(_STEPS, 0) | dict(changes)
    values = recipe.model_dump()
    values["colour"] = {key: value for key, value in recipe.colour.items() if key not in changes}
    for dotted, value in changes.items():
        if dotted.startswith(IN_LAYERS):
            network = values["network"]
            network["layers"] = LayerSpec.change_numbers(
                network["layers"], dotted.removeprefix(IN_LAYERS), value
            )
        else:
            _put(values, dotted, value)
    return Recipe.from_dict(values, where=recipe.name)


@checked
def suit_recipe(recipe: Recipe | str | Path, image_shape: tuple[int, ...]) -> Recipe:
    """The recipe for images of (H, W), or in colour (H, W, 3), where its table [colour] counts.

    Raises RecipeError.
    """
    recipe = get_recipe(recipe)
    if len(image_shape) < 3 or not recipe.colour:
        return recipe
    values = recipe.model_dump() | {"colour": {}}
    for dotted, value in recipe.colour.items():
        _put(values, dotted, value)
    return Recipe.from_dict(values, where=recipe.name)


def _put(values: dict[str, Any], dotted: str, value: Any) -> None:
    path = dotted.split(".")
    look_up(values, path)
    look_up(values, path[:-1])[path[-1]] = value
