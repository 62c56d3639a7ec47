"""What a worker does with a body: read a picture. Bytes in, JSON out."""

from __future__ import annotations

import base64
import binascii
import io
import time
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

import numpy as np
from PIL import Image, ImageDraw
from starlette.datastructures import Headers, QueryParams, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from tenfold.classifier import Classifier
from tenfold.errors import DataError, UsageError, nearest, printable
from tenfold.pictures.lines import HEIGHT
from tenfold.pictures.open import open_image, open_picture
from tenfold.reader.constraint import make_constraint
from tenfold.reader.line_reader import AnyModel, LineReader
from tenfold.reader.reading import Line, Reading, middle_of
from tenfold.serve.images import Marks, Refusal, check_counts, parse_json, to_document

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
        from tenfold.explain.attributions import gradient_saliency

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


# Bodies -> the pictures in them. What a body may hold is counted before anything is made of it.
#
# Small bodies are split where they arrive, large ones in a worker: a body of 16 MiB can take seconds.

FORM = "multipart/form-data"
_MOST_BRACKETS = 16  # of each kind, in a body of pictures
_LONGEST_NAME = 200  # characters of a file's name that an answer repeats

Result = TypeVar("Result")


class GivenPicture(NamedTuple):
    name: str
    data: bytes


def split_body(content_type: str, body: bytes, most: int) -> list[GivenPicture]:
    """A form (its content type names the boundary) or JSON -> at least one picture, at most `most`.

    Raises Refusal 400, 413 or 422, and nothing else.
    """
    found = _from_form(content_type, body, most) if content_type.startswith(FORM) else _from_json(body, most)
    if len(found) > most:
        raise Refusal(
            413, f"{len(found)} pictures", expected=f"at most {most}", remedy="send several requests"
        )
    return found


def _from_form(content_type: str, body: bytes, most: int) -> list[GivenPicture]:
    async def whole() -> AsyncIterator[bytes]:
        yield body

    parser = _FormInMemory(
        Headers({"Content-Type": content_type}),
        whole(),  # type: ignore[arg-type]
        max_files=most + 1,
        max_fields=most,
        max_part_size=2**16,
    )
    try:
        form = _finish(parser.parse())
    except Exception as error:  # whatever the parser meets
        reason = as_shown(getattr(error, "message", "") or "broken")
        if isinstance(error, MultiPartException) and reason.startswith("Too many"):
            raise Refusal(413, reason, expected=f"at most {most} pictures") from error
        raise Refusal(400, f"the form cannot be read ({reason})", expected=FORM) from error
    files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
    found = [GivenPicture(as_shown(file.filename or "picture"), file.file.read()) for file in files]
    _finish(form.close())
    if not found:
        raise Refusal(422, "a form without a file", expected="one picture or more, each as a file")
    return found


def _finish(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """The result of one that waits for nothing: its body is in memory, and so are its files."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    coroutine.close()
    raise RuntimeError("a form that waits")


class _FormInMemory(MultiPartParser):
    spool_max_size = 2**62  # bytes: nothing of a picture is written to disk


def read_marks(most: int) -> Marks:
    """What a JSON body of at most `most` pictures may hold of each mark."""
    quotes = 2 * (2 * most + 2)
    return (
        (b'"', quotes, "quotation marks"),
        (b"[", _MOST_BRACKETS, "brackets"),
        (b"{", _MOST_BRACKETS, "brackets"),
    )


def _from_json(body: bytes, most: int) -> list[GivenPicture]:
    check_counts(body, read_marks(most))
    document = parse_json(body)
    check_keys(document, required=("pictures",))
    pictures = document["pictures"]
    if not isinstance(pictures, list) or not pictures:
        raise Refusal(422, "not a list of pictures", expected='{"pictures": ["<base64>", ...]}')
    return [
        GivenPicture(f"picture {number}", decode_base64(text, f"picture {number}"))
        for number, text in enumerate(pictures[: most + 1], start=1)
    ]


def check_keys(document: Any, *, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> None:
    """Raises Refusal 422 unless it is an object with these keys."""
    known = (*required, *optional)
    if not isinstance(document, dict):
        raise Refusal(422, "the JSON is not an object", expected=f"an object with {', '.join(known)}")
    for key in document:
        if key not in known:
            name = as_shown(key[:_LONGEST_NAME])
            raise Refusal(422, f"unknown key {name!r}", remedy=nearest(name, known))
    for key in required:
        if key not in document:
            raise Refusal(422, f"no {key!r}", expected=f"an object with {', '.join(known)}")


def decode_base64(text: Any, what: str) -> bytes:
    """Standard base64, with or without "data:...;base64," before it. Raises Refusal 422."""
    try:
        if isinstance(text, str):
            return base64.b64decode(
                text.partition(",")[2] if text.startswith("data:") else text, validate=True
            )
    except (binascii.Error, ValueError):
        pass
    raise Refusal(422, f"{what} is not base64", expected="the bytes of a picture's file in base64")


def as_shown(text: str) -> str:
    """What a client sent, in a message: printable and short."""
    return printable(text[:_LONGEST_NAME])[:_LONGEST_NAME]


# The parameters of a request: what else an answer should hold, and what a line must look like.

_FORM = {"pattern": "pattern", "length": "length", "min": "least", "max": "most"}
_TRUTHS = {"true": True, "false": False}


def check_query(query: QueryParams, known: Sequence[str] = ()) -> None:
    """Raises Refusal 422 for a parameter that is not known."""
    for key in query:
        if key not in known:
            raise Refusal(
                422, f"unknown parameter {as_shown(key)!r}", expected=" or ".join(known) or "no parameter"
            )


def parse_query(query: QueryParams, includes: Sequence[str], *, lines: bool) -> dict[str, Any]:
    """The parameters of /v1/read as `read_body` takes them. Raises Refusal 422.

    lines: whether the model reads lines, which may have to look like something.
    """
    check_query(query, ("include", "digits", *_FORM) if lines else ("include",))
    digits = query.get("digits", "false")
    if digits not in _TRUTHS:
        raise Refusal(422, f"digits={as_shown(digits)!r}", expected="true or false")
    return {"include": _includes(query, includes), "digits": _TRUTHS[digits], "form": _form(query)}


def _includes(query: QueryParams, known: Sequence[str]) -> list[str]:
    """The parts that ?include=image,saliency asks for, in any number of parameters."""
    names = [name for text in query.getlist("include") for name in text.split(",")]
    for name in names:
        if name not in known:
            raise Refusal(422, f"include={as_shown(name)!r}", remedy=nearest(name[:40], known))
    return names


def _form(query: QueryParams) -> dict[str, Any]:
    """What `make_constraint` takes."""
    form: dict[str, Any] = {known: query[name] for name, known in _FORM.items() if name in query}
    length = form.get("length", "1")
    if not (length.isascii() and length.isdigit() and len(length) < 4):
        raise Refusal(422, f"length={as_shown(length)!r}", expected="a whole number of digits")
    if "length" in form:
        form["length"] = int(length)
    try:
        make_constraint(**form)
    except UsageError as error:
        remedy = "write + as %2B in an address" if " " in query.get("pattern", "") else error.remedy
        raise Refusal(422, error.found, expected=error.expected, remedy=remedy) from error
    return form
