"""Writes docs/api.md from tenfold's public names: signatures and docstrings; held by a test.

python scripts/write_api.py
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

import tenfold

__all__ = ["page"]

PAGE = Path(__file__).parents[1] / "docs" / "api.md"
_WIDE = 88  # characters: a longer signature gets a line for each parameter
_HEAD = """# Python

Made by `python scripts/write_api.py` from the code. Everything here is `tenfold.NAME`, and imported when it
is first used. Images are uint8 (N, H, W), labels int64 (N,); a user's mistakes raise a `TenfoldError`.
"""


def page() -> str:
    names = [name for name in tenfold.__all__ if name != "__version__"]
    kinds: dict[str, Callable[[object], bool]] = {
        "Functions": lambda thing: not inspect.isclass(thing),
        "Classes": inspect.isclass,
    }
    parts = [_HEAD]
    for title, belongs in kinds.items():
        parts.append(f"## {title}\n")
        parts += [describe(name) for name in names if belongs(getattr(tenfold, name))]
    return "\n".join(parts)


def describe(name: str) -> str:
    """One public name as Markdown."""
    thing = getattr(tenfold, name)
    lines = [f"### {name}", "", _code(_signature(name, thing)), "", _prose(thing), ""]
    if inspect.isclass(thing):
        lines += [part for member in _members(thing) for part in (*member, "")]
    return "\n".join(lines)


def _signature(name: str, thing: Any) -> str:
    if inspect.isclass(thing) and not dataclasses.is_dataclass(thing) and not _own_init(thing):
        bases = ", ".join(base.__name__ for base in thing.__bases__ if base is not object)
        return f"class {name}({bases})" if bases else f"class {name}"
    signature = inspect.signature(thing)
    if inspect.isclass(thing):
        signature = signature.replace(return_annotation=inspect.Signature.empty)
    start = "class " if inspect.isclass(thing) else ""
    text = f"{start}{name}{_unquoted(signature)}"
    return text if len(text) <= _WIDE else start + name + _in_lines(signature)


def _own_init(thing: type) -> bool:
    return "__init__" in vars(thing)


def _in_lines(signature: inspect.Signature) -> str:
    """A parameter a line, the star that makes the rest keyword-only on one of its own."""
    lines: list[str] = []
    starred = False
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            lines, starred = [*lines, "*"], True
        lines.append(_unquoted(str(parameter)))
    given = signature.return_annotation
    end = ")" if given is signature.empty else f") -> {given}"
    return "(\n" + "".join(f"    {line},\n" for line in lines) + end


def _unquoted(signature: object) -> str:
    """Annotations are kept as text, which Python prints in quotes; a function as a default has an address."""
    plain = re.sub(r"(->|:) '([^']*)'", r"\1 \2", str(signature))
    return re.sub(r"<function .*? at 0x[0-9a-f]+>", "...", plain)


def _members(thing: type) -> list[tuple[str, ...]]:
    """Public methods and properties that the class itself defines and describes."""
    found: list[tuple[str, ...]] = []
    for name, member in vars(thing).items():
        function = member.func if isinstance(member, cached_property) else member
        function = getattr(function, "__func__", getattr(function, "fget", function))
        if name.startswith("_") or not inspect.isfunction(function) or not function.__doc__:
            continue
        if isinstance(member, property | cached_property):
            shown = f"{name}: {function.__annotations__.get('return', 'Any')}"
        else:
            shown = name + _unquoted(inspect.signature(getattr(thing, name)))
        found.append((f"**`{thing.__name__}.{shown}`**", "", _prose(function)))
    return found


def _code(text: str) -> str:
    return f"```text\n{text}\n```"


def _prose(thing: Any) -> str:
    """The docstring as Markdown: what would be markup is escaped, code in backticks stays."""
    pieces = re.split(r"(`[^`]*`)", inspect.getdoc(thing) or "")
    pieces[::2] = [re.sub(r"([\\*_\[\]#])", r"\\\1", escape(piece, quote=False)) for piece in pieces[::2]]
    return re.sub(r"\n +", "\n", "".join(pieces))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
