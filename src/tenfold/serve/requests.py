"""What a request asks: its parameters, the pictures of a form or of JSON, the images of an array.

What a body may hold is counted before anything is made of it. Small bodies are split where they arrive, large
ones in a worker: a body of 16 MiB can take seconds.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from pydantic_core import from_json
from starlette.datastructures import Headers, QueryParams, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from tenfold.data.ranges import PixelRange
from tenfold.data.tables import to_pixels
from tenfold.errors import DataError, UsageError, nearest, printable
from tenfold.reader.constraint import Constraint
from tenfold.reader.line_reader import AnyModel, LineReader
from tenfold.serve.settings import CLOSE, Refusal

FORM = "multipart/form-data"
SEVERAL = "send several requests"
_LONGEST_NAME = 200  # characters of a file's name that an answer repeats

Shape = tuple[int, ...]  # of one image: (H, W), in colour (H, W, 3)


def as_shown(text: str) -> str:
    """What a client sent, in a message: printable and short."""
    return printable(text[:_LONGEST_NAME])[:_LONGEST_NAME]


# The parameters of a request: what else an answer should hold, and what a line must look like.

_LINE_FORM = {"pattern": "pattern", "length": "length", "min": "least", "max": "most"}


def includes_of(model: AnyModel) -> tuple[str, ...]:
    """What an answer may hold beside the texts and verdicts."""
    return ("image", "saliency", "strip") if isinstance(model, LineReader) else ("image", "saliency")


def check_query(query: QueryParams, known: Sequence[str] = ()) -> None:
    """Raises Refusal 422 for a parameter that is not known."""
    for key in query:
        if key not in known:
            expected = " or ".join(known) or "no parameter"
            raise Refusal(422, f"unknown parameter {as_shown(key)!r}", expected=expected)


def parse_query(query: QueryParams, model: AnyModel) -> dict[str, Any]:
    """The parameters of /v1/read as `read_body` takes them. Raises Refusal 422.

    ?include=image,saliency names parts in any number of parameters. Of a line reader, each line may have to
    look like something.
    """
    lines, known = isinstance(model, LineReader), includes_of(model)
    check_query(query, ("include", "digits", *_LINE_FORM) if lines else ("include",))
    digits, length = query.get("digits", "false"), query.get("length", "1")
    if digits not in ("true", "false"):
        raise Refusal(422, f"digits={as_shown(digits)!r}", expected="true or false")
    include = [name for text in query.getlist("include") for name in text.split(",")]
    for name in include:
        if name not in known:
            raise Refusal(422, f"include={as_shown(name)!r}", remedy=nearest(name[:40], known))
    if not (length.isascii() and length.isdigit() and len(length) < 4):
        raise Refusal(422, f"length={as_shown(length)!r}", expected="a whole number of digits")
    form: dict[str, Any] = {known: query[name] for name, known in _LINE_FORM.items() if name in query}
    if "length" in form:
        form["length"] = int(length)
    try:
        Constraint.make(**form)
    except UsageError as error:
        remedy = "write + as %2B in an address" if " " in query.get("pattern", "") else error.remedy
        raise Refusal(422, error.found, expected=error.expected, remedy=remedy) from error
    return {"include": include, "digits": digits == "true", "form": form}


# How often a body may hold bytes of a kind: what is made of it is then bounded, too.

Marks = tuple[tuple[bytes, int, str], ...]  # bytes, how many a body may hold, and what they are called


def read_marks(most: int) -> Marks:
    """Of a JSON body of at most `most` pictures."""
    return brackets_and_quotes(16, 2 * (2 * most + 2))


def brackets_and_quotes(brackets: int, quotes: int) -> Marks:
    return (b'"', quotes, "quotation marks"), (b"[", brackets, "brackets"), (b"{", brackets, "brackets")


def predict_marks(shape: Shape, max_images: int) -> Marks:
    """Of a JSON body of at most so many images."""
    arrays = sum(math.prod(shape[:depth]) for depth in range(len(shape)))  # of one image
    return (
        (b'"', 64, "quotation marks"),  # strings are its keys only
        (b"[", 2 * (max_images * arrays + 2), "arrays"),
        (b",", 2 * max_images * math.prod(shape) + 2, "numbers"),
    )


class MarkCounter:
    """Counts the marks of a body while it arrives. Raises Refusal 413 at the first one too many."""

    def __init__(self, marks: Marks) -> None:
        self.marks, self.counts = marks, [0] * len(marks)

    def add(self, piece: bytes) -> None:
        for number, (mark, most, what) in enumerate(self.marks):
            self.counts[number] += piece.count(mark)
            if self.counts[number] > most:
                found, expected = f"more than {most:,} {what}", f"at most {most:,}"
                raise Refusal(413, found, expected=expected, remedy=SEVERAL, headers=CLOSE)


def parse_json(body: bytes, marks: Marks) -> Any:
    """Raises Refusal 413 where a mark stands in the body more often than it may, before it is parsed; 400 for
    what is not JSON, NaN and the like included."""
    MarkCounter(marks).add(body)
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Refusal(400, f"the body is not JSON ({str(error)[:100]})", expected="a JSON document") from None


def check_keys(document: Any, *, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> None:
    """Raises Refusal 422 unless it is an object with these keys."""
    known = (*required, *optional)
    if not isinstance(document, dict):
        raise Refusal(422, "the JSON is not an object", expected=f"an object with {', '.join(known)}")
    for key in document:
        if key not in known:
            name = as_shown(key)
            raise Refusal(422, f"unknown key {name!r}", remedy=nearest(name, known))
    for key in required:
        if key not in document:
            raise Refusal(422, f"no {key!r}", expected=f"an object with {', '.join(known)}")


def decode_base64(text: Any, what: str) -> bytes:
    """Standard base64, with or without "data:...;base64," before it. Raises Refusal 422."""
    data = text.partition(",")[2] if isinstance(text, str) and text.startswith("data:") else text
    try:
        return base64.b64decode(data, validate=True)
    except (TypeError, ValueError):
        expected = "the bytes of a picture's file in base64"
        raise Refusal(422, f"{what} is not base64", expected=expected) from None


# Bodies of /v1/read -> the pictures in them.


class GivenPicture(NamedTuple):
    name: str
    data: bytes


async def split_body(content_type: str, body: bytes, most: int) -> list[GivenPicture]:
    """A form (its content type names the boundary) or JSON -> at least one picture, at most `most`.

    Raises Refusal 400, 413 or 422, and nothing else.
    """
    is_form = content_type.startswith(FORM)
    found = await _from_form(content_type, body, most) if is_form else _from_json(body, most)
    if len(found) > most:
        raise Refusal(413, f"{len(found)} pictures", expected=f"at most {most}", remedy=SEVERAL)
    return found


async def _from_form(content_type: str, body: bytes, most: int) -> list[GivenPicture]:
    async def whole() -> AsyncIterator[bytes]:
        yield body

    parser = MultiPartParser(
        Headers({"Content-Type": content_type}),
        whole(),  # type: ignore[arg-type]
        max_files=most + 1,
        max_fields=most,
        max_part_size=2**16,
    )
    parser.spool_max_size = 2**62  # bytes: nothing of a picture is written to disk
    try:
        form = await parser.parse()
    except Exception as error:  # whatever the parser meets
        reason = as_shown(getattr(error, "message", "") or "broken")
        if isinstance(error, MultiPartException) and reason.startswith("Too many"):
            raise Refusal(413, reason, expected=f"at most {most} pictures") from error
        raise Refusal(400, f"the form cannot be read ({reason})", expected=FORM) from error
    files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
    found = [GivenPicture(as_shown(file.filename or "picture"), file.file.read()) for file in files]
    await form.close()
    if not found:
        raise Refusal(422, "a form without a file", expected="one picture or more, each as a file")
    return found


def _from_json(body: bytes, most: int) -> list[GivenPicture]:
    document = parse_json(body, read_marks(most))
    check_keys(document, required=("pictures",))
    pictures = document["pictures"]
    if not isinstance(pictures, list) or not pictures:
        raise Refusal(422, "not a list of pictures", expected='{"pictures": ["<base64>", ...]}')
    names = [f"picture {number}" for number in range(1, len(pictures[: most + 1]) + 1)]
    return [GivenPicture(name, decode_base64(text, name)) for name, text in zip(names, pictures)]


# Bodies of /v1/predict -> images.


def times(shape: Shape) -> str:
    return " x ".join(map(str, shape))


def parse_images(
    kind: str, body: bytes, shape: Shape, max_images: int, value_range: tuple[float, float] = PixelRange()
) -> np.ndarray:
    """kind: "json", "npy" or "raw" (the images' bytes) -> uint8 (N, *shape), N >= 1. Raises Refusal.

    value_range: the numbers of the data that the model learned from which are black and white. Where they are
    not 0 and 255, the numbers of a body are in the same units.
    """
    if kind == "json":
        document = parse_json(body, predict_marks(shape, max_images))
        images = _images_from_json(document, body, shape, value_range == PixelRange())
    else:
        images = {"npy": _from_npy, "raw": _from_raw}[kind](body, shape)
    if images.shape[1:] != shape or not len(images):
        found = f"images of shape ({', '.join(map(str, images.shape))})"
        raise Refusal(422, found, expected=f"(N, {', '.join(map(str, shape))}), N at least 1")
    if len(images) > max_images:
        raise Refusal(413, f"{len(images):,} images", expected=f"at most {max_images:,}", remedy=SEVERAL)
    if value_range == PixelRange():
        return images
    try:
        return to_pixels(images, "the body", value_range=value_range)
    except DataError as error:
        low, high = value_range
        found = f"numbers from {images.min():g} to {images.max():g}"
        expected = f"{low:g} (black) to {high:g} (white), as in the data that the model learned from"
        raise Refusal(422, found, expected=expected) from error


def _from_raw(body: bytes, shape: Shape) -> np.ndarray:
    if not body or len(body) % math.prod(shape):
        expected = f"{times(shape)} = {math.prod(shape)} per image"
        raise Refusal(422, f"{len(body):,} bytes", expected=expected)
    return np.frombuffer(body, np.uint8).reshape(-1, *shape)


def _from_npy(body: bytes, shape: Shape) -> np.ndarray:
    """NumPy's own format, read without its loader, which makes what the header claims."""
    file, headers = io.BytesIO(body), np.lib.format
    readers = {(1, 0): headers.read_array_header_1_0, (2, 0): headers.read_array_header_2_0}
    try:
        claimed, fortran, dtype = readers[headers.read_magic(file)](file)
    except Exception as error:  # its readers raise half a dozen kinds
        raise Refusal(400, "the .npy file's header cannot be read", expected="numpy.save's format") from error
    rest, expected = body[file.tell() :], f"(N, {', '.join(map(str, shape))}), one byte per number"
    if not all(type(size) is int and 0 <= size <= len(rest) for size in claimed):
        raise Refusal(422, f"a shape that {len(rest):,} bytes cannot have", expected=expected)
    if dtype != np.uint8 or fortran:
        order = " in Fortran order" if fortran else ""
        raise Refusal(422, f"an array of {dtype}{order}", expected="uint8 in C order")
    if len(claimed) != len(shape) + 1 or math.prod(claimed) != len(rest):
        raise Refusal(422, f"an array of shape {claimed} in {len(rest):,} bytes", expected=expected)
    return np.frombuffer(rest, np.uint8).reshape(claimed)


def _images_from_json(document: Any, body: bytes, shape: Shape, whole: bool) -> np.ndarray:
    if not isinstance(document, dict) or "images" not in document:
        raise Refusal(422, "no images", expected='{"images": [[[0, ...], ...], ...]}')
    check_keys(document, required=("images",))
    expected = f"whole numbers 0 to 255, N x {times(shape)} of them"
    images = document["images"]
    if not isinstance(images, list):
        raise Refusal(422, "images are not an array", expected=expected)
    if body.count(b'"') > 2:  # texts, of which NumPy would make one array as wide as the longest
        raise Refusal(422, "images that are not numbers", expected=expected)
    has_bools = b"true" in body or b"false" in body  # which Python and NumPy take for numbers
    if not has_bools and (values := _bytes_of(images, shape)) is not None:
        return values
    try:
        values = np.array(images)
    except (ValueError, OverflowError):
        raise Refusal(422, "images with rows of unequal length", expected=expected) from None
    if not values.size:
        return values
    if values.dtype.kind not in "iuf" or has_bools:
        raise Refusal(422, "images that are not numbers", expected=expected)
    if not whole:
        return values
    if values.min() < 0 or not values.max() <= 255 or (values != np.floor(values)).any():
        raise Refusal(422, f"numbers from {values.min():g} to {values.max():g}", expected=expected)
    return values.astype(np.uint8)


def _bytes_of(images: list[Any], shape: Shape) -> np.ndarray | None:
    """Images of whole numbers 0 to 255 and this shape, which nearly all are; None for all else."""
    rows = [images]
    for size in (len(images), *shape[:-1]):
        if not size or not all(isinstance(row, list) and len(row) == size for row in rows):
            return None
        rows = [part for row in rows for part in row]
    if not all(
        isinstance(row, list) and len(row) == shape[-1] for row in rows
    ):  # bytes(28) would be 28 zeros
        return None
    try:
        return np.frombuffer(b"".join(map(bytes, rows)), np.uint8).reshape(-1, *shape)
    except (TypeError, ValueError):
        return None
