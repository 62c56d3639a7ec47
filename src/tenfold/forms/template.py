"""What a form is: an example, named fields as boxes on it, and sums that must hold; one TOML."""

from __future__ import annotations

import math
import os
import re
import shutil
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tenfold.arguments import checked
from tenfold.errors import DataError, UsageError, nearest, printable
from tenfold.files import is_special, replace_file, write_text
from tenfold.pictures.open import Picture, open_picture
from tenfold.reader.constraint import Constraint
from tenfold.recipes.schema import toml_value

__all__ = ["Field", "Form", "load_form"]

MOST_FIELDS = 500
_MOST_CHECKS = 100
_MOST_BYTES = 2**20
_LONGEST_NAME = 64  # characters
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SHOWN = 60  # characters of a wrong value, in a message
_EXAMPLE_SIDE = 1600  # pixels that the example is reduced to
_KEYS = ("name", "picture", "field", "check")
_LIMITS = ("pattern", "length", "min", "max")

Share = tuple[float, float, float, float]


@dataclass(frozen=True)
class Field:
    """One field. box: left, top, right, bottom, as shares of the example's width and height. pattern, length,
    least, most: what is written there, as in `tenfold read`. Raises UsageError."""

    name: str
    box: Share
    pattern: str | None = None
    length: int | None = None
    least: str | float | None = None
    most: str | float | None = None

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_box(self.name, self.box)
        try:
            _ = self.constraint
        except UsageError as error:
            found = f"field {self.name}: {error.found}"
            raise UsageError(found, expected=error.expected, remedy=error.remedy) from error

    @property
    def constraint(self) -> Constraint | None:
        """What the answer must look like; None for any number."""
        return Constraint.make(pattern=self.pattern, length=self.length, least=self.least, most=self.most)


@dataclass(frozen=True)
class Check:
    """One sum that must hold: the field `total` is the sum of the fields `parts`."""

    total: str
    parts: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Check:
        """ "total = a + b". Raises UsageError."""
        total, equals, rest = text.partition("=")
        parts = tuple(part.strip() for part in rest.split("+"))
        names = (total.strip(), *parts)
        if not equals or len(names) > MOST_FIELDS or not all(map(_NAME.fullmatch, names)):
            raise UsageError(f"sum {text[:_SHOWN]!r}", expected="names of fields, as 'total = a + b'")
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise UsageError(f"sum {text[:_SHOWN]!r} names {twice} twice", expected="each field once")
        return cls(names[0], parts)

    @property
    def names(self) -> tuple[str, ...]:
        """All its fields."""
        return (self.total, *self.parts)

    def __str__(self) -> str:
        return f"{self.total} = {' + '.join(self.parts)}"


@dataclass(frozen=True, eq=False)
class Form:
    """picture: the file of an example, blank or filled. example: that picture, open; its pixels are uint8
    (H, W, 3). Raises UsageError for two fields of one name, or a sum of fields that there are not."""

    name: str
    picture: Path
    fields: tuple[Field, ...]
    checks: tuple[Check, ...] = ()
    example: Picture = field(repr=False, kw_only=True)

    def __post_init__(self) -> None:
        if not 1 <= len(self.fields) <= MOST_FIELDS:
            raise UsageError(f"{len(self.fields):,} fields", expected=f"1 to {MOST_FIELDS}")
        names = [each.name for each in self.fields]
        if twice := next((name for number, name in enumerate(names) if name in names[:number]), None):
            raise UsageError(f"two fields are called {twice}", remedy="rename one of them")
        if len(self.checks) > _MOST_CHECKS:
            raise UsageError(f"{len(self.checks):,} checks", expected=f"at most {_MOST_CHECKS}")
        for check in self.checks:
            if unknown := next((name for name in check.names if name not in names), None):
                found = f"sum '{check}': no field is called {unknown}"
                raise UsageError(found, remedy=nearest(unknown, names))

    @checked
    def save(self, path: str | Path) -> None:
        """Writes the TOML, with the picture's path relative to it; the picture itself is left where it is."""
        write_text(Path(path), self.to_toml(Path(path).parent))

    @checked
    def write(self, path: str | Path) -> None:
        """As `save`, with a copy of the example beside the TOML where that lies elsewhere. Raises UsageError
        where either is there already."""
        path = Path(path)
        picture = path.parent / self.picture.name
        own = picture.exists() and self.picture.exists() and picture.samefile(self.picture)
        for place in (path,) if own else (path, picture):
            if place.exists() or place.is_symlink():
                found = f"{printable(str(place))} is there already"
                raise UsageError(found, remedy="name another one with --output")
        if not own:
            try:
                with replace_file(picture) as beside:
                    shutil.copyfile(self.picture, beside)
            except OSError as error:
                found = f"{printable(str(picture))} cannot be written ({error.strerror})"
                raise UsageError(found, expected="a folder to write to") from error
        replace(self, picture=picture).save(path)

    @checked
    def to_toml(self, folder: Path) -> str:
        """The file's text, where it is to lie in `folder`."""
        picture = Path(os.path.relpath(self.picture.resolve(), folder.resolve())).as_posix()
        return self.render_toml(self.name, picture, self.fields, self.checks)

    @classmethod
    @checked
    def parse_sum(cls, text: str) -> Check:
        """ "total = a + b". Raises UsageError."""
        return Check.parse(text)

    @classmethod
    @checked
    def render_toml(
        cls, name: str, picture: str, fields: Sequence[Field], sums: Sequence[Check | str]
    ) -> str:
        """The text of a form's file. picture: its path from there. sums: checks, or their texts."""
        lines = [f"name = {toml_value(name)}", f"picture = {toml_value(picture)}"]
        for each in fields:
            box = ", ".join(f"{edge:.5g}" for edge in each.box)
            lines += ["", "[[field]]", f"name = {toml_value(each.name)}", f"box = [{box}]"]
            limits = (each.pattern, each.length, each.least, each.most)
            lines += [f"{key} = {_quoted(value)}" for key, value in zip(_LIMITS, limits) if value is not None]
        for each_sum in map(str, sums):
            lines += ["", "[[check]]", f"sum = {toml_value(each_sum)}"]
        return "\n".join(lines) + "\n"


def _quoted(value: Any) -> str:
    """A pattern as it is, in single quotes, where TOML allows it."""
    if isinstance(value, str) and "'" not in value and value.isprintable():
        return f"'{value}'"
    return toml_value(value)


@checked
def load_form(path: str | Path) -> Form:
    """A form's TOML and its example. Raises DataError, in one line, for whatever is wrong with either."""
    path = Path(path)
    where = printable(str(path))
    try:
        values = tomllib.loads(_read(path, where))
    except RecursionError as error:
        raise DataError(f"{where} is nested too deeply", expected="the TOML of a form") from error
    except ValueError as error:  # TOMLDecodeError, and Python's own for a number of thousands of digits
        raise DataError(f"{where} is not TOML: {error}", remedy="fix that line") from error
    try:
        _check_keys(values, _KEYS, "")
        name = _text(values, "name") if "name" in values else path.stem
        picture = path.parent / _text(values, "picture")
        fields = tuple(map(_field, _tables(values, "field", MOST_FIELDS)))
        checks = tuple(map(_check, _tables(values, "check", _MOST_CHECKS)))
        return Form(name, picture, fields, checks, example=_open_example(picture))
    except (UsageError, DataError) as error:
        raise DataError(f"{where}: {error.found}", expected=error.expected, remedy=error.remedy) from error


def _read(path: Path, where: str) -> str:
    expected = "the TOML of a form, as `tenfold form` writes it"
    if is_special(path):
        raise DataError(f"{where} is a pipe or a device", expected=expected)
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{where} cannot be read ({reason})", expected=expected) from error
    if len(data) > _MOST_BYTES:
        raise DataError(f"{where} has more than {_MOST_BYTES:,} bytes", expected=expected)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{where} is not text", expected=expected) from error


def _open_example(picture: Path) -> Picture:
    try:
        return open_picture(picture, longest=_EXAMPLE_SIDE)
    except DataError as error:
        found = f"its picture: {error.found}"
        raise DataError(found, expected=error.expected, remedy=error.remedy) from error


def _check_keys(values: Mapping[str, Any], known: Sequence[str], inside: str) -> None:
    if unknown := next((key for key in values if key not in known), None):
        shown = printable(unknown[:_SHOWN])
        raise UsageError(f"unknown key '{inside}{shown}'", remedy=nearest(unknown[:_SHOWN], known))


def _text(values: Mapping[str, Any], key: str) -> str:
    value = values.get(key)
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise UsageError(f"{key} is {_show(value)}", expected="a text in quotes")
    return value


def _tables(values: Mapping[str, Any], key: str, most: int) -> list[dict[str, Any]]:
    tables = values.get(key, [])
    if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
        raise UsageError(f"{key} is {_show(tables)}", expected=f"tables that begin with [[{key}]]")
    if len(tables) > most:
        raise UsageError(f"{len(tables):,} of [[{key}]]", expected=f"at most {most}")
    return tables


def _field(values: dict[str, Any]) -> Field:
    _check_keys(values, ("name", "box", *_LIMITS), "field.")
    name = _text(values, "name")
    _check_name(name)
    box, length, pattern = values.get("box"), values.get("length"), values.get("pattern")
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
        raise UsageError(f"field {name}: box is {_show(box)}", expected="[left, top, right, bottom]")
    if length is not None and (not isinstance(length, int) or isinstance(length, bool)):
        raise UsageError(f"field {name}: length is {_show(length)}", expected="a whole number of digits")
    if pattern is not None and not isinstance(pattern, str):
        raise UsageError(f"field {name}: pattern is {_show(pattern)}", expected="a text in quotes")
    for key in ("min", "max"):
        value = values.get(key)
        if value is not None and not isinstance(value, str) and not _is_number(value):
            raise UsageError(f"field {name}: {key} is {_show(value)}", expected="a number")
    left, top, right, bottom = map(float, box)
    return Field(name, (left, top, right, bottom), pattern, length, values.get("min"), values.get("max"))


def _check(values: dict[str, Any]) -> Check:
    _check_keys(values, ("sum",), "check.")
    return Check.parse(_text(values, "sum"))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e18


def _show(value: Any) -> str:
    return "missing" if value is None else printable(repr(value)[:_SHOWN])


def _check_name(name: str) -> None:
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        found = f"a field is called {_show(name)}"
        expected = f"letters, digits and _, no digit first, at most {_LONGEST_NAME} characters"
        raise UsageError(found, expected=expected)


def _check_box(name: str, box: Share) -> None:
    left, top, right, bottom = box
    if not all(math.isfinite(edge) and 0 <= edge <= 1 for edge in box):
        raise UsageError(
            f"field {name}: box {list(box)}"[:200],
            expected="shares of the picture's width and height, from 0 to 1",
        )
    if left >= right or top >= bottom:
        raise UsageError(f"field {name}: box {list(box)} is empty", expected="left < right and top < bottom")
