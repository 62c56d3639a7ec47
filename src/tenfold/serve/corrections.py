"""Corrections, kept as `tenfold adapt` takes them: pictures, and a table of what is written on them."""

from __future__ import annotations

import csv
import io
import re
import time
import uuid
from pathlib import Path

import numpy as np
from PIL import Image

from tenfold.classifier import Classifier
from tenfold.errors import DataError
from tenfold.files import replace_file
from tenfold.reader.alphabet import CHARACTERS, OTHER
from tenfold.reader.load import AnyModel
from tenfold.serve.refusal import Refusal

__all__ = ["LINES", "LINE_LENGTH", "NOT_A_DIGIT", "Corrections", "image_to_png", "may_be_label"]

_MOST = 10_000  # kept in one folder: whoever reaches the server must not fill its disk
NOT_A_DIGIT = "not a digit"
LINE_LENGTH = 32  # characters of each line of a label
_LINE = f"[{re.escape(CHARACTERS.replace(OTHER, ''))}]{{1,{LINE_LENGTH}}}"
LINES = rf"{_LINE}(\n{_LINE}){{0,15}}"  # of a picture, as `tenfold adapt` takes them
_COLUMNS = ("path", "label", "read", "kept")


class Corrections:
    """A folder with pictures/ and labels.csv, for `tenfold adapt --labels FOLDER/labels.csv`.

    Raises DataError where the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.table = folder, folder / "labels.csv"
        try:
            (folder / "pictures").mkdir(parents=True, exist_ok=True)
            if not self.table.exists():
                self._append(_COLUMNS)
            with self.table.open(encoding="utf-8", newline="") as file:
                self.count = max(0, sum(1 for _ in csv.reader(file)) - 1)
        except OSError as error:
            raise DataError(
                f"{folder} cannot be written ({error.strerror})", expected="a folder for corrections"
            ) from error

    def check_room(self) -> None:
        """Raises Refusal 507 where the folder holds as many as it may."""
        if self.count >= _MOST:
            raise Refusal(507, f"{self.count:,} corrections are kept", remedy="move some of them elsewhere")

    def keep(self, png: bytes, label: str, read: str) -> int:
        """Adds one; the number that are kept now."""
        name = f"pictures/{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:8]}.png"
        with replace_file(self.folder / name) as beside:
            beside.write_bytes(png)
        self._append((name, label, read, time.strftime("%Y-%m-%dT%H:%M:%S%z")))
        self.count += 1
        return self.count

    def _append(self, row: tuple[str, ...]) -> None:
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(row)
        with self.table.open("a", encoding="utf-8", newline="") as file:
            file.write(line.getvalue())


def may_be_label(model: AnyModel, label: str) -> bool:
    """Whether it is a class name, the lines of a picture for a line reader, or "not a digit"."""
    if label == NOT_A_DIGIT:
        return True
    if isinstance(model, Classifier):
        return label in model.class_names
    return re.fullmatch(LINES, label) is not None


def image_to_png(pixels: bytes, shape: tuple[int, int]) -> bytes:
    """uint8 (H, W) as bytes -> a grey PNG."""
    file = io.BytesIO()
    Image.fromarray(np.frombuffer(pixels, np.uint8).reshape(shape)).save(file, "PNG")
    return file.getvalue()
