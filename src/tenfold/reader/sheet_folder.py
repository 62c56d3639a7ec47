"""A folder of explaining sheets, one per picture; one replaces only what an earlier run drew."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, PngImagePlugin

from tenfold.errors import UsageError
from tenfold.files import replace_file
from tenfold.reader.explain import explain_reading
from tenfold.reader.line_reader import LineReader
from tenfold.reader.reading import Reading

__all__ = ["SheetFolder", "write_sheet"]

_MARK = "tenfold read --explain"  # written into each sheet, so that a later run may replace it
_LONGEST = 60  # characters of a name: at most 240 bytes, which every file system takes


class SheetFolder:
    """Makes the folder. Raises UsageError where it cannot be made."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._taken: dict[str, int] = {}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"{folder} cannot be a folder of sheets ({error.strerror})",
                expected="a folder, or a name that is free",
            ) from error

    def add(self, path: str, reading: Reading, reader: LineReader) -> Path:
        """Writes the sheet of the picture at `path` ("-": standard input) as `<its name>.png`."""
        title = "standard input" if path == "-" else Path(path).name
        return self.add_sheet(path, explain_reading(reading, reader, name=title))

    def add_sheet(self, path: str, sheet: Image.Image) -> Path:
        """As `add`, of a sheet that is drawn already."""
        place = self._place("stdin" if path == "-" else Path(path).stem)
        write_sheet(sheet, place)
        return place

    def _place(self, stem: str) -> Path:
        """name.png, or name-2.png and so on where that is another picture's, or not a sheet."""
        name = "".join(letter if letter.isprintable() else "_" for letter in stem)[:_LONGEST]
        number = self._taken.get(name.casefold(), 0)
        while True:
            number += 1
            free = name if number == 1 else f"{name}-{number}"
            place = self.folder / f"{free}.png"
            if (number == 1 or free.casefold() not in self._taken) and _may_be_written(place):
                self._taken[name.casefold()] = number
                self._taken.setdefault(free.casefold(), 1)
                return place


def write_sheet(sheet: Image.Image, place: Path) -> None:
    """As PNG, beside and renamed."""
    info = PngImagePlugin.PngInfo()
    info.add_text("Software", _MARK)
    with replace_file(place) as beside:
        sheet.save(beside, "PNG", pnginfo=info)


def _may_be_written(place: Path) -> bool:
    """Whether nothing is there, or a sheet of an earlier run."""
    if not place.is_symlink() and not place.exists():
        return True
    try:
        with Image.open(place, formats=("PNG",)) as image:
            return image.info.get("Software") == _MARK
    except Exception:  # whatever it is, it is not a sheet
        return False
