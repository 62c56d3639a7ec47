"""A name or a path -> a Recipe; values changed by dotted key; a Recipe -> TOML."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from tenfold.arguments import checked
from tenfold.errors import RecipeError, nearest
from tenfold.networks.layers import LayerSpec, parse_layers
from tenfold.recipes.schema import Recipe

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

Lines = Sequence[str | Mapping[str, Any]]  # of a recipe's network

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
    path = _FOLDER / f"{text}.toml" if text in list_recipes() else Path(name_or_path)
    if path.is_dir() and (path / "recipe.toml").is_file():
        path /= "recipe.toml"
    if path.suffix != ".toml" and not path.is_file():
        raise RecipeError(
            f"no recipe is called {text!r}", remedy=f"{nearest(text, list_recipes())} (a file ends in .toml)"
        )
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
    """A dictionary of the TOML's form -> Recipe. Raises RecipeError that names the key and the nearest known
    one."""
    _refuse_huge(values, where)
    try:
        recipe = Recipe.model_validate(values)
        parse_layers(recipe.network.layers)
    except RecipeError as error:
        raise RecipeError(f"{where}: {error.found}", expected=error.expected, remedy=error.remedy) from error
    return recipe


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
            network["layers"] = change_layers(network["layers"], dotted.removeprefix(_IN_LAYERS), value)
        else:
            path = dotted.split(".")
            _look_up(values, path)
            _look_up(values, path[:-1])[path[-1]] = value
    return recipe_from_dict(values, where=recipe.name)


def value_at(recipe: Recipe, dotted: str) -> Any:
    """What `change_recipe` would replace. Raises RecipeError."""
    if not dotted.startswith(_IN_LAYERS):
        return _look_up(recipe.model_dump(), dotted.split("."))
    known, which = layer_numbers(recipe.network.layers), dotted.removeprefix(_IN_LAYERS)
    if which not in known:
        raise RecipeError(f"no layer {which!r} has a number", remedy=nearest(which, known))
    return known[which]


def _look_up(values: dict[str, Any], path: Sequence[str]) -> Any:
    """What stands at this path in a recipe's values. Raises RecipeError."""
    found: Any = values
    for part in path:
        if not isinstance(found, Mapping) or part not in found:
            known = [
                f"{table}.{key}" if isinstance(inner, Mapping) else table
                for table, inner in values.items()
                for key in (inner if isinstance(inner, Mapping) else [table])
            ]
            dotted = ".".join(path)
            raise RecipeError(f"unknown key {dotted!r}", remedy=nearest(dotted, known))
        found = found[part]
    return found


# The numbers in the lines of a network's layers.


def layer_numbers(lines: Lines) -> dict[str, int | float]:
    """The number after the first word of a line (UNITS, CHANNELS, K or P), by kind and by name.

    linear1 is the first linear layer, residual1.conv1 one inside; of a kind it is the first one's number.
    Layers without one number ("linear classes", "max-pool 2x1") are left out.
    """
    numbers: dict[str, int | float] = {}

    def note(spec: LayerSpec, words: list[str]) -> list[str]:
        if len(words) > 1 and words[1].replace(".", "", 1).isdigit():
            number = float(words[1]) if "." in words[1] else int(words[1])
            numbers.setdefault(spec.kind, number)
            numbers[spec.name] = number
        return words

    _rewrite(lines, parse_layers(lines), note)
    return numbers


def change_layers(lines: Lines, which: str, number: float) -> list[str | dict[str, Any]]:
    """The lines with another number in the layers meant: `which` is a key of `layer_numbers`, and a kind
    means every layer of that kind. Raises RecipeError.
    """
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise RecipeError(f"layer {which!r} with {number!r}", expected="a number")
    known, text = layer_numbers(lines), format(Decimal(repr(number)), "f")  # never 1e-05
    if which not in known:
        raise RecipeError(f"no layer {which!r} has a number to change", remedy=nearest(which, known))

    def put(spec: LayerSpec, words: list[str]) -> list[str]:
        meant = spec.name in known and which in (spec.kind, spec.name)
        return [words[0], text, *words[2:]] if meant else words

    return _rewrite(lines, parse_layers(lines), put)


def _rewrite(
    lines: Lines, specs: Sequence[LayerSpec], change: Callable[[LayerSpec, list[str]], list[str]]
) -> list[str | dict[str, Any]]:
    """The lines with their words changed, inside residuals too."""
    return [
        {"residual": _rewrite(line["residual"], spec.inner, change)}
        if isinstance(line, Mapping)
        else " ".join(change(spec, line.split()))
        for line, spec in zip(lines, specs, strict=True)
    ]


def parse_change(text: str) -> tuple[str, Any]:
    """ "training.epochs=3" -> ("training.epochs", 3); the value is TOML, or else a plain string."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"{text!r} changes nothing", expected="KEY=VALUE, such as training.epochs=3")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except (ValueError, RecursionError):
        return key.strip(), value.strip()


def recipe_to_toml(recipe: Recipe) -> str:
    """The complete recipe, defaults written out; `parse_recipe` of it gives the same recipe."""
    values = recipe.model_dump(exclude_none=True)
    tables = {name: table for name, table in values.items() if isinstance(table, dict)}
    lines = [f"{key} = {toml_value(value)}" for key, value in values.items() if key not in tables]
    for name, table in tables.items():
        if table or name != "search":
            pairs = ((json.dumps(key) if "." in key else key, value) for key, value in table.items())
            lines += ["", f"[{name}]", *(f"{key} = {toml_value(value)}" for key, value in pairs)]
    return "\n".join(lines) + "\n"


def toml_value(value: Any) -> str:
    """A value of a recipe as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # JSON escapes as TOML does, but leaves alone what a terminal would obey or an editor hide.
        text = json.dumps(value, ensure_ascii=False)
        return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in text)
    if isinstance(value, Mapping):
        inner = ", ".join(f"{key} = {toml_value(item)}" for key, item in value.items())
        return f"{{ {inner} }}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    return repr(value)
