"""Writes docs/recipe.md from the recipe's schema, its docstrings and the carried recipes; held by a test.

python scripts/write_recipe_keys.py
"""

from __future__ import annotations

import inspect
import re
import types
from html import escape
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from tenfold import Recipe, get_recipe, list_recipes
from tenfold.networks import layers

__all__ = ["page"]

PAGE = Path(__file__).parents[1] / "docs" / "recipe.md"
_HEAD = """# Recipes

Made by `python scripts/write_recipe_keys.py` from the code. What to train is data, not code: one TOML file,
with a table for each section below. All keys but `name` and the network's `layers` may be left out; one that
is misspelt is refused, with the nearest known one named. `tenfold recipes show NAME` prints a whole one, and
`--set section.key=value` changes one value without a file.
"""
_BOUNDS = (("ge", "at least"), ("gt", "above"), ("le", "at most"), ("lt", "below"))


def page() -> str:
    sections = {key: field for key, field in Recipe.model_fields.items() if _is_section(field.annotation)}
    plain = {key: field for key, field in Recipe.model_fields.items() if key not in sections}
    _, meanings = _meanings(inspect.getdoc(Recipe) or "", list(plain))
    parts = [_HEAD, "## The head\n", _table(plain, meanings)]
    for inner in _inner(Recipe):
        parts += [f"### {inner.__name__}\n", *_section(inner)]
    for key, field in sections.items():
        parts += [f"## [{key}]\n", *_section(field.annotation)]
        for inner in _inner(field.annotation):
            parts += [f"### {inner.__name__}\n", *_section(inner)]
    parts += ["## Layers\n", f"```text\n{inspect.getdoc(layers)}\n```\n", "## Carried recipes\n", _carried()]
    return "\n".join(parts)


def _section(section: Any) -> list[str]:
    lead, meanings = _meanings(inspect.getdoc(section) or "", list(section.model_fields))
    return [*([lead + "\n"] if lead else []), _table(section.model_fields, meanings)]


def _meanings(text: str, keys: list[str]) -> tuple[str, dict[str, str]]:
    """A docstring taken apart: what it says at first, and what it says of `key, key: ...`."""
    known = "|".join(keys)
    parts = re.split(rf"(?:^|(?<=\.)\s+|\n\n)((?:{known})(?:, (?:{known}))*): ", text)
    meanings: dict[str, str] = {}
    for said, meaning in zip(parts[1::2], parts[2::2], strict=True):
        meanings |= dict.fromkeys(said.split(", "), _prose(" ".join(meaning.split())))
    return _prose(parts[0]), meanings


def _is_section(annotation: Any) -> bool:
    return inspect.isclass(annotation) and issubclass(annotation, BaseModel)


def _inner(section: Any) -> list[type[BaseModel]]:
    """Tables within a section, such as an optimiser's groups."""
    found = [inner for field in section.model_fields.values() for inner in get_args(field.annotation)]
    return [inner for inner in found if _is_section(inner)]


def _table(fields: dict[str, FieldInfo], meanings: dict[str, str]) -> str:
    """A line for each key; without a last column where nothing is said of any."""
    head = ["key", "default", "takes", *(["what it does"] if meanings else [])]
    rows = [head, ["---"] * len(head)]
    for key, field in fields.items():
        cells = [f"`{key}`", _default(field), _kind(field.annotation) + _bounds(field), meanings.get(key, "")]
        rows.append([cell.replace("|", "\\|") for cell in cells[: len(head)]])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _kind(annotation: Any) -> str:
    """In words: a number, one of these, a list of ..."""
    plain = {float: "a number", int: "a whole number", str: "text", bool: "true or false", Any: "anything"}
    if annotation in plain:
        return plain[annotation]
    if annotation is type(None):
        return "nothing"
    if _is_section(annotation):
        return f"`{annotation.__name__}`"
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in inner)
    if origin is tuple and inner[-1] is not Ellipsis:
        return f"{len(inner)} numbers"
    if origin is tuple:
        return f"a list, each {_kind(inner[0])}"
    if origin in (Union, types.UnionType):
        parts = [part for part in inner if part is not type(None) and not (part is int and float in inner)]
        return " or ".join(_kind(part) for part in parts)
    return f"a table, each {_kind(inner[1])}" if origin is dict else _kind(inner[0])  # Annotated


def _bounds(field: FieldInfo) -> str:
    said = [f"{words} {value:g}" for name, words in _BOUNDS for part in field.metadata
            if (value := getattr(part, name, None)) is not None]  # fmt: skip
    return (", " + ", ".join(said)) if said else ""


def _default(field: FieldInfo) -> str:
    value = field.default
    if field.is_required():
        return "must be given"
    if value in ("", (), PydanticUndefined, None):
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, BaseModel):
        return "none"
    return (
        f"`{value:g}`"
        if isinstance(value, float)
        else f"`{list(value) if isinstance(value, tuple) else value}`"
    )


def _prose(text: str) -> str:
    """Words as Markdown: what would be markup is escaped, code in backticks stays."""
    pieces = re.split(r"(`[^`]*`)", text)
    pieces[::2] = [re.sub(r"([\\*_\[\]])", r"\\\1", escape(piece, quote=False)) for piece in pieces[::2]]
    return "".join(pieces)


def _carried() -> str:
    lines = ["| recipe | what it is | from |", "|---|---|---|"]
    for name in list_recipes():
        recipe = get_recipe(name)
        lines.append(f"| `{name}` | {recipe.title}. {recipe.description} | {recipe.source} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
