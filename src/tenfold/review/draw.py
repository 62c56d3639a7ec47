"""A form's boxes, drawn over an example of it on a page, checked, and written as TOML."""

from __future__ import annotations

import filecmp
import io
import math
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from starlette.responses import Response

from tenfold.arguments import checked
from tenfold.errors import TenfoldError, UsageError, printable
from tenfold.files import replace_file, write_text
from tenfold.forms.template import Field, Form
from tenfold.pictures.open import open_picture
from tenfold.review.page import LocalPage

__all__ = ["draw_form"]

_MOST_FIELDS = 500
_MOST_SUMS = 100
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_DIGITS = 4  # of a share
_LONGEST = 1600  # pixels of the picture as it is shown
_QUALITY = 88  # of its JPEG


class Mistake(UsageError):
    """What is wrong, and where: part is "name", "pattern", "box" or "sums"; field its number, or None."""

    def __init__(self, found: str, *, expected: str = "", part: str = "") -> None:
        super().__init__(found, expected=expected)
        self.field: int | None = None
        self.part = part


def parse_form(document: dict[str, Any]) -> tuple[list[Field], list[str]]:
    """{"fields": [{"name", "box", "pattern"}], "sums": [...]} -> fields and sums. Raises Mistake."""
    given, sums = document.get("fields"), document.get("sums", [])
    if not isinstance(given, list) or not given:
        raise Mistake("no box is drawn", expected="a box around each field")
    if len(given) > _MOST_FIELDS:
        raise Mistake(f"{len(given):,} boxes", expected=f"at most {_MOST_FIELDS}")
    fields: list[Field] = []
    for number, each in enumerate(given):
        try:
            fields.append(_parse_field(each, [field.name for field in fields]))
        except Mistake as mistake:
            mistake.field = number
            raise
    if not isinstance(sums, list) or len(sums) > _MOST_SUMS or not all(type(each) is str for each in sums):
        raise Mistake("no list of sums", expected=f"at most {_MOST_SUMS}", part="sums")
    return fields, [_parse_sum(each, [field.name for field in fields]) for each in sums if each.strip()]


def _parse_field(given: Any, taken: Sequence[str]) -> Field:
    if not isinstance(given, dict):
        raise Mistake("no field", expected='{"name": ..., "box": ...}')
    name, pattern = given.get("name"), given.get("pattern", "")
    box: Any = given.get("box")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        shown = f"the name {ascii(name)[:60]}" if name else "a field without a name"
        raise Mistake(shown, expected="letters, digits and _, as points_1", part="name")
    if name in taken:
        raise Mistake(f"two fields are named {name}", expected="a name of its own for each", part="name")
    if not isinstance(pattern, str):
        raise Mistake(f"field {name}: no pattern", expected="a text", part="pattern")
    fine = isinstance(box, list) and len(box) == 4
    fine = fine and all(type(each) in (int, float) and math.isfinite(each) for each in box)
    left, top, right, bottom = (round(float(each), _DIGITS) for each in (box if fine else (1, 1, 0, 0)))
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        found = f"field {name}: a box of no size, or outside the picture"
        raise Mistake(found, expected="a box on the picture", part="box")
    try:
        return Field(name, (left, top, right, bottom), pattern or None)
    except UsageError as error:
        raise Mistake(error.found, expected=error.expected, part="pattern") from error


def _parse_sum(given: str, names: Sequence[str]) -> str:
    """ "total = a + b". Raises Mistake."""
    try:
        check = Form.parse_sum(given)
    except UsageError as error:
        raise Mistake(error.found, expected=error.expected, part="sums") from error
    if unknown := next((name for name in check.names if name not in names), None):
        found = f"sum '{check}': no field is named {unknown}"
        raise Mistake(found, expected="names of fields", part="sums")
    return str(check)


@checked
def draw_form(
    picture: Path,
    output: Path,
    *,
    announce: Callable[[str], None],
    fields: Sequence[Field] = (),
    replace: bool = False,
    port: int = 0,
    open_browser: bool = True,
) -> bool:
    """Blocks until a person has drawn the boxes and saved them as `output`, a TOML with the picture beside
    it; False where Ctrl-C in the terminal came first, and then nothing is written.

    fields: what is drawn already. replace: whether an `output` that is there may be replaced. announce, port:
    as in `review`. Raises UsageError where `output` is there already, DataError for a picture that cannot
    be opened.
    """
    drawing = _Drawing(picture, output, tuple(fields), replace)
    drawing.check_free()
    drawing.page.run(port=port, open_browser=open_browser, announce=announce)
    return drawing.saved


class _Drawing:
    def __init__(self, picture: Path, output: Path, fields: tuple[Field, ...], replace: bool) -> None:
        self.picture, self.output, self.fields, self.replace = picture, output, fields, replace
        self.saved = False
        file = io.BytesIO()
        pixels = open_picture(picture, longest=_LONGEST).pixels
        Image.fromarray(pixels).save(file, "JPEG", quality=_QUALITY)
        shown = Response(file.getvalue(), media_type="image/jpeg")
        self.page = LocalPage(
            "draw",
            {
                ("GET", "picture.jpg"): lambda _: shown,
                ("GET", "form"): self.tell,
                ("POST", "save"): self.save,
            },
        )

    def check_free(self) -> None:
        """Raises UsageError."""
        if self.output.is_dir() or not self.output.name:
            raise UsageError(f"{self.output} is a folder", expected="a file to write, as form.toml")
        if self.output.exists() and not self.replace:
            found = f"{self.output} is there already"
            raise UsageError(found, remedy="name another --output, or add --force")

    def tell(self, _: Any) -> dict[str, Any]:
        fields = [{"name": each.name, "box": each.box, "pattern": each.pattern or ""} for each in self.fields]
        names = {"picture": printable(self.picture.name), "output": printable(self.output.name)}
        return names | {"fields": fields}

    def save(self, given: dict[str, Any]) -> dict[str, Any]:
        try:
            fields, sums = parse_form(given)
            self.check_free()
            picture = self._lay_picture()
            write_text(self.output, Form.render_toml(self.output.stem, picture, fields, sums))
        except TenfoldError as error:
            where = {"field": getattr(error, "field", None), "part": getattr(error, "part", "")}
            return {"saved": False, "why": str(error)} | where
        except OSError as error:
            why = f"{self.output} cannot be written ({error.strerror or error})"
            return {"saved": False, "why": why, "field": None, "part": ""}
        self.saved = True
        self.page.stop()
        output = printable(str(self.output))
        return {"saved": True, "output": output, "picture": picture, "count": len(fields)}

    def _lay_picture(self) -> str:
        """The name of the picture beside the form: it is copied there where it lies elsewhere, and never
        replaces what has its name."""
        folder = self.output.parent
        if folder.exists() and self.picture.parent.samefile(folder):
            return _check_text(self.picture.name)
        names = (self.picture.name, f"{self.output.stem}{self.picture.suffix}")
        for name in map(_check_text, names):
            place = folder / name
            if place.exists() and filecmp.cmp(self.picture, place, shallow=False):
                return name
            if not place.exists() and not place.is_symlink():
                with replace_file(place) as beside:
                    shutil.copyfile(self.picture, beside)
                return name
        found = f"{' and '.join(dict.fromkeys(names))} are there already, beside {self.output.name}"
        raise UsageError(found, expected="a free name for the picture", remedy="name another --output")


def _check_text(name: str) -> str:
    """The name as it can stand in a TOML. Raises UsageError."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UsageError(f"the name {printable(name)} is not text", remedy="rename the file") from None
    return name
