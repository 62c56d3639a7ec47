"""A form's boxes, drawn over an example of it on a page, and written as TOML."""

from __future__ import annotations

import filecmp
import io
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from starlette.responses import Response

from tenfold.arguments import checked
from tenfold.errors import TenfoldError, UsageError, printable
from tenfold.files import replace_file, write_text
from tenfold.forms.template import Field, write_form_text
from tenfold.ink.open import open_picture
from tenfold.review.form_file import DrawnForm, Mistake, parse_form
from tenfold.review.local import LocalPage

__all__ = ["draw_form"]

_LONGEST = 1600  # pixels of the picture as it is shown
_QUALITY = 88  # of its JPEG


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
        self.jpeg = _shown(picture)
        self.saved = False
        self.page = LocalPage(
            "draw",
            {
                ("GET", "picture.jpg"): lambda _: Response(self.jpeg, media_type="image/jpeg"),
                ("GET", "form"): self.tell,
                ("POST", "save"): self.save,
            },
        )

    def check_free(self) -> None:
        """Raises UsageError."""
        if self.output.is_dir() or not self.output.name:
            raise UsageError(f"{self.output} is a folder", expected="a file to write, as form.toml")
        if self.output.exists() and not self.replace:
            raise UsageError(
                f"{self.output} is there already", remedy="name another --output, or add --force"
            )

    def tell(self, _: Any) -> dict[str, Any]:
        fields = [{"name": each.name, "box": each.box, "pattern": each.pattern or ""} for each in self.fields]
        return {
            "picture": printable(self.picture.name),
            "output": printable(self.output.name),
            "fields": fields,
        }

    def save(self, given: dict[str, Any]) -> dict[str, Any]:
        try:
            form = parse_form(given)
            self.check_free()
            name = self._write(form)
        except Mistake as error:
            return {"saved": False, "why": str(error), "field": error.field, "part": error.part}
        except TenfoldError as error:
            return {"saved": False, "why": str(error), "field": None, "part": ""}
        except OSError as error:
            why = f"{self.output} cannot be written ({error.strerror or error})"
            return {"saved": False, "why": why, "field": None, "part": ""}
        self.saved = True
        self.page.stop()
        return {
            "saved": True,
            "output": printable(str(self.output)),
            "picture": name,
            "count": len(form.fields),
        }

    def _write(self, form: DrawnForm) -> str:
        """The name of the picture beside the form."""
        name = self._lay_picture()
        write_text(self.output, write_form_text(self.output.stem, name, form.fields, form.sums))
        return name

    def _lay_picture(self) -> str:
        """Copies it beside the form where it lies elsewhere; what has its name there is never replaced."""
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
        raise UsageError(
            f"{' and '.join(dict.fromkeys(names))} are there already, beside {self.output.name}",
            expected="a free name for the picture",
            remedy="name another --output",
        )


def _check_text(name: str) -> str:
    """The name as it can stand in a TOML. Raises UsageError."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UsageError(f"the name {printable(name)} is not text", remedy="rename the file") from None
    return name


def _shown(picture: Path) -> bytes:
    """The JPEG of a page."""
    file = io.BytesIO()
    pixels = open_picture(picture, longest=_LONGEST).pixels
    Image.fromarray(pixels).save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()
