"""A name or a path -> a Recipe; a Recipe -> TOML; and the list of those that tenfold carries."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from tenfold.arguments import checked
from tenfold.errors import RecipeError, nearest
from tenfold.networks.layers import change_layers, layer_numbers, parse_layers
from tenfold.recipes.schema import Recipe, SearchRange

__all__ = [
    "change_recipe",
    "get_recipe",
    "list_recipes",
    "parse_change",
    "recipe_from_dict",
    "recipe_to_toml",
    "toml_value",
    "value_at",
]

_FOLDER = Path(__file__).parent
_IN_LAYERS = "network.layers."
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
    if text in list_recipes():
        return _read(_FOLDER / f"{text}.toml")
    path = Path(name_or_path)
    if path.is_dir() and (path / "recipe.toml").is_file():
        return _read(path / "recipe.toml")
    if path.suffix == ".toml" or path.is_file():
        return _read(path)
    raise RecipeError(
        f"no recipe is called {text!r}", remedy=f"{nearest(text, list_recipes())} (a file ends in .toml)"
    )


def _read(path: Path) -> Recipe:
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
    return recipe_from_dict(values, where=where)


def recipe_from_dict(values: Mapping[str, Any], *, where: str = "recipe") -> Recipe:
    """A dictionary of the TOML's form -> Recipe. Raises RecipeError."""
    _refuse_huge(values, where)
    _refuse_unknown(values, Recipe, where, "")
    try:
        recipe = Recipe.model_validate(values)
        parse_layers(recipe.network.layers)
    except RecipeError as error:
        raise RecipeError(f"{where}: {error.found}", expected=error.expected, remedy=error.remedy) from error
    return recipe


def _refuse_unknown(values: Mapping[str, Any], model: type[BaseModel], where: str, prefix: str) -> None:
    """Pydantic would refuse them too, but without naming the nearest known key."""
    for key, value in values.items():
        if key == "search" and model is Recipe:
            _refuse_unknown_ranges(value, where)
            continue
        if key not in model.model_fields:
            raise RecipeError(
                f"{where}: unknown key '{prefix}{key}'", remedy=nearest(key, model.model_fields)
            )
        inner = _section_of(model.model_fields[key].annotation)
        tables = value if isinstance(value, list | tuple) else [value]
        for table in tables if inner else []:
            if inner and isinstance(table, Mapping):
                _refuse_unknown(table, inner, where, f"{prefix}{key}.")


def _refuse_unknown_ranges(ranges: Any, where: str) -> None:
    """[search] has keys of the user's choosing, and a range in each; `tenfold.search` looks at the keys."""
    for key, value in ranges.items() if isinstance(ranges, Mapping) else []:
        if not isinstance(value, Mapping):
            continue
        if not set(value) & set(SearchRange.model_fields) and any(map(_is_table, value.values())):
            inner = next(iter(value))
            raise RecipeError(
                f"{where}: search.{key}.{inner} stands without quotes", expected=f'"{key}.{inner}" = ...'
            )
        _refuse_unknown(value, SearchRange, where, f"search.{key}.")


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping)


def _section_of(annotation: Any) -> type[BaseModel] | None:
    """The section that a field holds, or a tuple of which it holds."""
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _refuse_huge(value: Any, where: str) -> None:
    """Whole numbers that no engine can take, some of which Python does not even print."""
    if isinstance(value, int) and abs(value) >= 2**63:
        raise RecipeError(f"{where}: a whole number of {value.bit_length()} bits", expected="at most 63 bits")
    for inner in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        _refuse_huge(inner, where)


@checked
def change_recipe(recipe: Recipe | str | Path, changes: Mapping[str, Any]) -> Recipe:
    """A copy with values replaced by dotted key: {"training.epochs": 3}. Raises RecipeError.

    recipe: a Recipe, or the name or path of one.

    "network.layers.dropout" is the number of every dropout layer, "network.layers.linear1" that of the
    first linear layer (see tenfold.networks.layers). "training.epochs" is what runs: a number of steps that
    the recipe has in its place, or at least, is set to 0 unless it is changed as well.
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
    for dotted, value in changes.items():
        if dotted.startswith(_IN_LAYERS):
            network = values["network"]
            which = dotted.removeprefix(_IN_LAYERS)
            network["layers"] = change_layers(network["layers"], which, value)
            continue
        table: Any = values
        *path, last = dotted.split(".")
        for part in path:
            table = table.get(part) if isinstance(table, dict) else None
        if not isinstance(table, dict) or last not in table:
            raise RecipeError(f"unknown key {dotted!r}", remedy=nearest(dotted, _dotted_keys(recipe)))
        table[last] = value
    return recipe_from_dict(values, where=recipe.name)


def value_at(recipe: Recipe, dotted: str) -> Any:
    """What `change_recipe` would replace. Raises RecipeError."""
    if dotted.startswith(_IN_LAYERS):
        known = layer_numbers(recipe.network.layers)
        which = dotted.removeprefix(_IN_LAYERS)
        if which in known:
            return known[which]
        raise RecipeError(f"no layer {which!r} has a number", remedy=nearest(which, known))
    value: Any = recipe.model_dump()
    for part in dotted.split("."):
        if not isinstance(value, Mapping) or part not in value:
            raise RecipeError(f"unknown key {dotted!r}", remedy=nearest(dotted, _dotted_keys(recipe)))
        value = value[part]
    return value


def parse_change(text: str) -> tuple[str, Any]:
    """ "training.epochs=3" -> ("training.epochs", 3); the value is TOML, or else a plain string."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"{text!r} changes nothing", expected="KEY=VALUE, such as training.epochs=3")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except (ValueError, RecursionError):
        return key.strip(), value.strip()


def _dotted_keys(recipe: Recipe) -> list[str]:
    tables = recipe.model_dump()
    return [
        f"{table}.{key}" if isinstance(inner, dict) else table
        for table, inner in tables.items()
        for key in (inner if isinstance(inner, dict) else [table])
    ]


def recipe_to_toml(recipe: Recipe) -> str:
    """The complete recipe, defaults written out; `parse_recipe` of it gives the same recipe."""
    lines: list[str] = []
    tables: list[tuple[str, dict[str, Any]]] = []
    for key, value in recipe.model_dump(exclude_none=True).items():
        if isinstance(value, dict):
            tables.append((key, value))
        else:
            lines.append(f"{key} = {toml_value(value)}")
    for name, table in tables:
        if name == "search" and not table:
            continue
        pairs = ((json.dumps(key) if "." in key else key, value) for key, value in table.items())
        lines += ["", f"[{name}]", *(f"{key} = {toml_value(value)}" for key, value in pairs)]
    return "\n".join(lines) + "\n"


def _toml_character(character: str) -> str:
    """JSON escapes as TOML does, but leaves alone what a terminal would obey or an editor hide."""
    if character.isprintable():
        return character
    return f"\\U{ord(character):08x}"


def toml_value(value: Any) -> str:
    """A value of a recipe as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return "".join(map(_toml_character, json.dumps(value, ensure_ascii=False)))
    if isinstance(value, Mapping):
        inner = ", ".join(f"{key} = {toml_value(item)}" for key, item in value.items())
        return f"{{ {inner} }}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    return repr(value)
