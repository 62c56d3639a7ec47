"""Bodies -> the pictures in them. What a body may hold is counted before anything is made of it.

Small bodies are split where they arrive, large ones in a worker: a body of 16 MiB can take seconds.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator, Coroutine
from typing import Any, NamedTuple, TypeVar

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from tenfold.errors import nearest, printable
from tenfold.serve.images import Marks, check_counts, parse_json
from tenfold.serve.refusal import Refusal

__all__ = ["FORM", "GivenPicture", "as_shown", "check_keys", "decode_base64", "read_marks", "split_body"]

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
