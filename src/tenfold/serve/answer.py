"""What a worker does with a body: read a picture. Bytes in, JSON out."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from tenfold.classifier import Classifier
from tenfold.errors import DataError
from tenfold.ink.open import open_image, open_picture
from tenfold.ink.strip import HEIGHT
from tenfold.reader.constraint import make_constraint
from tenfold.reader.line_reader import LineReader
from tenfold.reader.load import AnyModel
from tenfold.reader.reading import Line, Reading, middle_of
from tenfold.serve.refusal import Refusal, to_document

__all__ = [
    "EMPTY",
    "LargePictureError",
    "check_size",
    "correction_picture",
    "includes_of",
    "read_body",
    "warming_picture",
]

EMPTY: dict[str, Any] = {
    "text": "",
    "confidence": None,
    "digits": [],
    "characters": [],
    "lines": [],
    "troubles": [],
    "table": None,
    "turned": 0,
}
"""The answer for a picture in which nothing was read."""

_LARGE = 64 * 2**20  # bytes that decoding takes: larger pictures are read one at a time
_BYTES_A_PIXEL = {"JPEG": 2, "WEBP": 18, "HEIF": 18}  # what decoding takes; JPEG is reduced meanwhile
_PROGRESSIVE, _OTHERS = 8, 8
_FULL = 255  # grey levels

_constraint = lru_cache(maxsize=16)(make_constraint)  # with the steps that it has worked out


class LargePictureError(Exception):
    """A picture that is to be read while no other large one is."""


def includes_of(model: AnyModel) -> tuple[str, ...]:
    """What an answer may hold beside the texts and verdicts."""
    return ("image", "saliency", "strip") if isinstance(model, LineReader) else ("image", "saliency")


def check_size(data: bytes, max_pixels: int, *, large: bool) -> None:
    """From the header alone. Raises Refusal 413, and LargePictureError unless `large` are welcome.

    Says nothing of what is not a picture: opening it does.
    """
    try:
        with open_image(io.BytesIO(data)) as image:
            (width, height), form = image.size, image.format or ""
            progressive = form == "JPEG" and "progressive" in image.info
    except Exception:  # PIL's readers raise a dozen kinds; opening it says which
        return
    if width * height > max_pixels:
        raise Refusal(
            413,
            f"the picture has {width:,} x {height:,} pixels",
            expected=f"at most {max_pixels:,} in all",
            remedy="make it smaller",
        )
    each = _PROGRESSIVE if progressive else _BYTES_A_PIXEL.get(form, _OTHERS)
    if not large and width * height * each > _LARGE:
        raise LargePictureError


def read_body(
    model: AnyModel,
    data: bytes,
    name: str,
    *,
    include: Sequence[str] = (),
    digits: bool = False,
    form: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A picture's bytes -> its entry in the answer; one that cannot be read has an "error".

    include: see `includes_of`. digits: without separators. form: what `make_constraint` takes. The last
    two are of a line reader.
    """
    started = time.perf_counter()
    try:
        if isinstance(model, LineReader):
            entry = _read(model, data, include, digits, form or {})
        else:
            entry = _classify(model, data, include)
    except DataError as error:
        entry = EMPTY | {"error": to_document(error)}
    return {"name": name} | entry | {"milliseconds": round(1000 * (time.perf_counter() - started), 3)}


def _classify(classifier: Classifier, data: bytes, include: Sequence[str]) -> dict[str, Any]:
    """The whole picture is one digit."""
    digit = classifier.classify(data)
    told = digit.to_dict()
    if digit.image is not None and "image" in include:
        told["image"] = _base64(digit.image.tobytes())
    if digit.image is not None and "saliency" in include:
        from tenfold.explain.gradient import gradient_saliency

        told["saliency"] = _rounded(gradient_saliency(classifier, digit.image))
    text = digit.label if digit.verdict == "digit" else "?"
    return EMPTY | {"text": text, "confidence": digit.confidence, "digits": [told], "characters": [told]}


def _read(
    reader: LineReader, data: bytes, include: Sequence[str], digits: bool, form: Mapping[str, Any]
) -> dict[str, Any]:
    reading = reader.read_opened(open_picture(data), _constraint(**form))
    if digits:
        reading = reading.only_digits()
    entry = reading.to_dict()
    if include:
        _add_seen(reader, reading, entry, include)
    return entry


def _add_seen(reader: LineReader, reading: Reading, entry: dict[str, Any], include: Sequence[str]) -> None:
    """What the network saw: to each line, and to each character under "characters" and "digits"."""
    seen: dict[int, dict[str, Any]] = {}
    for line, told in zip(reading.lines, entry["lines"], strict=True):
        if "strip" in include:
            told["strip"] = _base64(_png(Image.fromarray(line.strip)))
        maps = _saliency(reader, line) if "saliency" in include else [None] * len(line.characters)
        for character, saliency in zip(line.characters, maps, strict=True):
            seen[id(character)] = {"saliency": saliency} if saliency else {}
            if "image" in include and character.image is not None:
                seen[id(character)]["image"] = _base64(character.image.tobytes())
    for key, found in (("digits", reading.digits), ("characters", reading.characters)):
        for told, character in zip(entry[key], found, strict=True):
            told |= seen[id(character)]


def _saliency(reader: LineReader, line: Line) -> list[list[float]]:
    """Of each character, in the 32 x 32 pixels around its column: what each pixel adds to its lead."""
    from tenfold.reader.explain import decisive_pixels

    _, logs = reader.read_strip(line.strip)
    shares = decisive_pixels(reader, line, logs) / (_FULL * reader.card.recipe.input.std)
    half = HEIGHT // 2
    padded = np.pad(shares, ((0, 0), (0, 0), (half, half)))  # a column's window begins where its middle was
    starts = [middle_of(place) for place in line.places]
    return [_rounded(each[:, start : start + HEIGHT]) for each, start in zip(padded, starts, strict=True)]


def correction_picture(data: bytes) -> bytes:
    """A picture as it is kept, a PNG: upright, no larger than it is read, without what else its file told.

    Raises DataError where it cannot be read.
    """
    return _png(Image.fromarray(open_picture(data).pixels))


def warming_picture() -> bytes:
    """A seven drawn on flat paper."""
    picture = Image.new("L", (140, 140), 255)
    ImageDraw.Draw(picture).line([(40, 30), (100, 30), (60, 110)], fill=0, width=10)
    return _png(picture)


def _rounded(shares: np.ndarray) -> list[float]:
    return [round(value, 5) for value in shares.ravel().tolist()]


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
