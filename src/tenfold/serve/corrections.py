"""Corrections, kept as `tenfold adapt` takes them: pictures, and a table of what is written on them.

What came in is read in a worker (`read_correction`); the server keeps it (`Corrections`).
"""

from __future__ import annotations

import csv
import errno
import io
import os
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from tenfold.classifier import Classifier
from tenfold.errors import DataError
from tenfold.files import csv_line, replace_file
from tenfold.pictures.lines import HEIGHT, MARGIN, WIDEST
from tenfold.reader.alphabet import CHARACTERS, OTHER
from tenfold.reader.line_reader import AnyModel
from tenfold.serve.answer import as_shown, check_keys, decode_base64
from tenfold.serve.images import Refusal, check_counts, parse_images, parse_json

__all__ = ["LINES", "Correction", "Corrections"]

_MOST = 10_000  # kept in one folder: clients must not fill the server's disk
NOT_A_DIGIT = "not a digit"
LINE_LENGTH = 32  # characters of each line of a label
_LINE = f"[{re.escape(CHARACTERS.replace(OTHER, ''))}]{{1,{LINE_LENGTH}}}"
LINES = rf"{_LINE}(\n{_LINE}){{0,15}}"  # of a picture, as `tenfold adapt` takes them
_COLUMNS = ("path", "label", "read", "kept")
_LONGEST_READ = 200  # characters of what was read instead of a label
_MOST_MARKS = 32  # of each kind, in the JSON of a correction
_MARKS = (
    (b'"', _MOST_MARKS, "quotation marks"),
    (b"[", _MOST_MARKS, "brackets"),
    (b"{", _MOST_MARKS, "brackets"),
)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Correction(NamedTuple):
    """label: what is written there. read: what was read instead. png: the picture as it is kept."""

    label: str
    read: str
    png: bytes


class Corrections:
    """A folder with pictures/ and labels.csv, for `tenfold adapt --labels FOLDER/labels.csv`.

    most_bytes: of all that is in it. Raises DataError where the folder cannot be written.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self.folder, self.table, self.most_bytes = folder, folder / "labels.csv", most_bytes
        try:
            (folder / "pictures").mkdir(parents=True, exist_ok=True)
            if not self.table.exists():
                self._append(_COLUMNS)
            with self.table.open(encoding="utf-8", newline="") as file:
                self.count = max(0, sum(1 for _ in csv.reader(file)) - 1)
            files = [self.table, *(folder / "pictures").iterdir()]
            self.size = sum(path.stat().st_size for path in files)
        except OSError as error:
            raise DataError(
                f"{folder} cannot be written ({error.strerror})", expected="a folder for corrections"
            ) from error

    def check_capacity(self, more: int = 0) -> None:
        """Raises Refusal 507 where the folder holds as many as it may, or `more` bytes were too many."""
        if self.count >= _MOST:
            raise Refusal(507, f"{self.count:,} corrections are kept", remedy="move some of them elsewhere")
        if self.size + more >= self.most_bytes:
            raise Refusal(
                507,
                f"{self.size:,} bytes of corrections are kept",
                expected=f"at most {self.most_bytes:,}",
                remedy="move some of them elsewhere, or allow more with --max-collected",
            )

    def keep(self, given: Correction) -> int:
        """Adds one; the number that are kept now. Raises Refusal 507, and then nothing is kept of it."""
        self.add(given)
        return self.count

    def add(self, given: Correction) -> str:
        """As `keep`; the name of its picture in the table."""
        name = f"pictures/{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:8]}.png"
        row = (name, given.label, given.read, time.strftime("%Y-%m-%dT%H:%M:%S%z"))
        self.check_capacity(len(given.png))
        with _said_when_full():
            with replace_file(self.folder / name) as beside:
                beside.write_bytes(given.png)
            try:
                written = self._append(row)
            except OSError:
                (self.folder / name).unlink(missing_ok=True)
                raise
        self.count += 1
        self.size += len(given.png) + written
        return name

    def remove(self, name: str) -> None:
        """Takes back what `add` named. Raises Refusal 507 where the table cannot be written."""
        with _said_when_full():
            with self.table.open(encoding="utf-8", newline="") as file:
                rows = [row for row in csv.reader(file) if row[:1] != [name]]
            with replace_file(self.table) as beside:
                beside.write_text("".join(map(csv_line, rows)), encoding="utf-8", newline="")
            (self.folder / name).unlink(missing_ok=True)
        self.count -= 1

    def _append(self, row: tuple[str, ...]) -> int:
        """The bytes of a line that stands in the table as a whole, or not at all."""
        line = csv_line(row).encode()
        with self.table.open("ab", buffering=0) as file:
            before = os.fstat(file.fileno()).st_size
            try:
                if (written := file.write(line)) != len(line):
                    raise OSError(errno.ENOSPC, f"only {written} of {len(line)} bytes were written")
                os.fsync(file.fileno())
            except OSError:
                file.truncate(before)
                raise
        return len(line)


@contextmanager
def _said_when_full() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = "the disk is full" if error.errno in _FULL else error.strerror or type(error).__name__
        raise Refusal(
            507, f"the correction cannot be kept ({reason})", remedy="free space in the folder of --collect"
        ) from error


def read_correction(model: AnyModel, body: bytes, max_pixels: int) -> Correction:
    """A body of /v1/corrections -> what is kept of it. Raises Refusal 400, 413 or 422, or DataError."""
    check_counts(body, _MARKS)
    document = parse_json(body)
    check_keys(document, required=("label",), optional=("picture", "image", "read"))
    label, read = document["label"], document.get("read", "")
    if ("picture" in document) == ("image" in document):
        raise Refusal(422, "not one picture", expected="either 'picture', a file, or 'image', its pixels")
    if not isinstance(label, str) or not may_be_label(model, label):
        shown = as_shown(str(label))[:40]
        raise Refusal(422, f"the label {shown!r}", expected=f"what is written on it, or {NOT_A_DIGIT!r}")
    if not isinstance(read, str) or len(read) > _LONGEST_READ:
        raise Refusal(422, "'read' is not a short text", expected="what was read instead")
    return Correction(label, as_shown(read), _png_of(model, document, max_pixels))


def _png_of(model: AnyModel, document: dict[str, Any], max_pixels: int) -> bytes:
    """The PNG that is kept."""
    from tenfold.serve.answer import check_size, correction_picture

    if "image" not in document:
        data = decode_base64(document["picture"], "picture")
        check_size(data, max_pixels, large=True)
        return correction_picture(data)
    data = decode_base64(document["image"], "image")
    shape = _image_shape(model, len(data))
    return _image_to_png(parse_images("raw", data, shape, 1).tobytes(), shape)


def _image_shape(model: AnyModel, size: int) -> tuple[int, int]:
    """Of an image of so many bytes. Raises Refusal 422 where that is not a strip."""
    if isinstance(model, Classifier):
        return model.card.image_shape
    widest = WIDEST + 2 * MARGIN
    if size % HEIGHT or not HEIGHT <= size <= HEIGHT * widest:
        expected = f"{HEIGHT} x W bytes, W from 1 to {widest:,}"
        raise Refusal(422, f"an image of {size:,} bytes", expected=expected)
    return HEIGHT, size // HEIGHT


def may_be_label(model: AnyModel, label: str) -> bool:
    """Whether it is a class name, the lines of a picture for a line reader, or "not a digit"."""
    if label == NOT_A_DIGIT:
        return True
    if isinstance(model, Classifier):
        return label in model.class_names
    return re.fullmatch(LINES, label) is not None


def _image_to_png(pixels: bytes, shape: tuple[int, int]) -> bytes:
    """uint8 (H, W) as bytes -> a grey PNG."""
    file = io.BytesIO()
    Image.fromarray(np.frombuffer(pixels, np.uint8).reshape(shape)).save(file, "PNG")
    return file.getvalue()
