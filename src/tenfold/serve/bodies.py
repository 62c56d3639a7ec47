"""Bodies, taken in piece by piece within their limits, and split into pictures."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from fastapi import Request
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from tenfold.errors import nearest
from tenfold.serve.images import check_counts, parse_json
from tenfold.serve.refusal import Refusal, busy
from tenfold.serve.settings import ServeSettings

__all__ = ["Bodies", "GivenPicture", "check_keys", "decode_base64", "media_type", "printable"]

_MOST_BRACKETS = 16  # of each kind, in a body of pictures
_LONGEST_NAME = 200  # characters of a file's name that an answer repeats


class GivenPicture(NamedTuple):
    name: str
    data: bytes


class Bodies:
    """Bodies in memory, each of limited size and all together, too."""

    def __init__(self, settings: ServeSettings) -> None:
        self.settings, self.held = settings, 0

    @contextmanager
    def room(self) -> Iterator[_Room]:
        """What is taken in inside is counted until the end of it."""
        room = _Room(self)
        try:
            yield room
        finally:
            self.held -= room.size


class _Room:
    def __init__(self, bodies: Bodies) -> None:
        self.bodies, self.size = bodies, 0

    async def read(self, request: Request) -> bytes:
        """Raises Refusal: 413 where it is too large, before all of it has come; 408 where it is too slow."""
        settings = self.bodies.settings
        claimed = request.headers.get("content-length", "")
        if claimed.isascii() and claimed.isdigit() and int(claimed) > settings.max_body:
            raise self._too_large(f"a body of {int(claimed):,} bytes")
        pieces = []
        try:
            async with asyncio.timeout(settings.timeout):
                async for piece in request.stream():
                    self._count(len(piece))
                    pieces.append(piece)
        except TimeoutError:
            raise Refusal(
                408, "the body did not arrive", expected=f"all of it in {settings.timeout:g} seconds"
            ) from None
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _count(self, length: int) -> None:
        self.size += length
        self.bodies.held += length
        if self.size > self.bodies.settings.max_body:
            raise self._too_large(f"a body of more than {self.bodies.settings.max_body:,} bytes")
        if self.bodies.held > self.bodies.settings.max_buffered:
            raise busy("too many large bodies are held at this moment")

    def _too_large(self, found: str) -> Refusal:
        return Refusal(
            413,
            found,
            expected=f"at most {self.bodies.settings.max_body:,}",
            remedy="send smaller pictures, or fewer",
            headers={"Connection": "close"},
        )

    async def pictures(self, request: Request) -> list[GivenPicture]:
        """The pictures of a body, multipart, JSON or a picture itself. Raises Refusal."""
        kind = media_type(request)
        if kind == "multipart/form-data":
            found = await self._from_form(request.headers, await self.read(request))
        elif kind == "application/json":
            body, most = await self.read(request), self.bodies.settings.max_pictures
            found = await asyncio.to_thread(_from_json, body, most)
        elif kind.startswith("image/") or kind == "application/octet-stream":
            found = [GivenPicture("picture", await self.read(request))]
        else:
            raise Refusal(
                415,
                f"a body of type {printable(kind) or 'none'}",
                expected="image/*, multipart/form-data or application/json",
            )
        most = self.bodies.settings.max_pictures
        if len(found) > most:
            raise Refusal(
                413, f"{len(found)} pictures", expected=f"at most {most}", remedy="send several requests"
            )
        return found

    async def _from_form(self, headers: Headers, body: bytes) -> list[GivenPicture]:
        async def whole() -> AsyncIterator[bytes]:
            yield body

        most = self.bodies.settings.max_pictures
        parser = _FormInMemory(headers, whole(), max_files=most + 1, max_fields=most, max_part_size=2**16)  # type: ignore[arg-type]
        try:
            form = await parser.parse()
        except (MultiPartException, KeyError, UnicodeDecodeError) as error:
            reason = printable(getattr(error, "message", "") or "broken")
            if reason.startswith("Too many"):
                raise Refusal(413, reason, expected=f"at most {most} pictures") from error
            raise Refusal(
                400, f"the form cannot be read ({reason})", expected="multipart/form-data"
            ) from error
        files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
        found = [GivenPicture(printable(file.filename or "picture"), await file.read()) for file in files]
        await form.close()
        if not found:
            raise Refusal(422, "a form without a file", expected="one picture or more, each as a file")
        return found


class _FormInMemory(MultiPartParser):
    spool_max_size = 2**62  # bytes: nothing of a picture is written to disk


def _from_json(body: bytes, most: int) -> list[GivenPicture]:
    """At most `most` pictures. Their number is bounded before anything is parsed, by the quotation marks."""
    if (strings := body.count(b'"') // 2 - 1) > 2 * most:
        raise Refusal(
            413, f"{strings:,} pictures", expected=f"at most {most}", remedy="send several requests"
        )
    for bracket in (b"[", b"{"):
        check_counts(body, bracket, _MOST_BRACKETS, "brackets")
    document = parse_json(body)
    check_keys(document, required=("pictures",))
    pictures = document["pictures"]
    if not isinstance(pictures, list) or not pictures:
        raise Refusal(422, "no list of pictures", expected='{"pictures": ["<base64>", ...]}')
    return [
        GivenPicture(f"picture {number}", decode_base64(text, f"picture {number}"))
        for number, text in enumerate(pictures, start=1)
    ]


def check_keys(document: Any, *, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> None:
    """Raises Refusal 422 unless it is an object with these keys."""
    known = (*required, *optional)
    if not isinstance(document, dict):
        raise Refusal(422, "the JSON is no object", expected=f"an object with {', '.join(known)}")
    for key in document:
        if key not in known:
            name = printable(key[:_LONGEST_NAME])
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
    raise Refusal(422, f"{what} is no base64", expected="the bytes of a picture's file in base64")


def media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def printable(text: str) -> str:
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)[:_LONGEST_NAME]
