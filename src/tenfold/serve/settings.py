"""What a server allows: every limit it has, in one place; and how it refuses the rest."""

from __future__ import annotations

import gc
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any, get_type_hints

from starlette.responses import Response

from tenfold.arguments import check_argument
from tenfold.errors import TenfoldError, UsageError
from tenfold.helpers import count_cores

__all__ = ["Refusal", "ServeSettings"]


@dataclass(frozen=True)
class ServeSettings:
    """Limits of a server. Raises UsageError for one that makes no sense.

    workers: processes that read and answer; None: one per core, four at most.
    max_body: bytes of a request's body. max_pixels: of one picture, before it is decoded.
    max_pictures, max_images: of one request to /v1/read, and to /v1/predict.
    queue: requests that may wait for a worker. max_wait: seconds that one waits before it is refused.
    timeout: seconds that a request's head may take to arrive, its body, an answer to be made, and to be
    taken.
    max_batch: requests to /v1/predict whose images are answered together.
    collect: the folder that corrections are kept in; None: nothing is stored. max_collected: its bytes.
    about: the model's folder, for its figures. access_log: a line of JSON per request, on stderr.
    allowed_hosts: names that requests may be for, besides localhost and addresses; "*" for all.
    """

    workers: int | None = None
    max_body: int = 16 * 2**20
    max_pixels: int = 24_000_000
    max_pictures: int = 16
    max_images: int = 1024
    queue: int = 64
    max_wait: float = 0.15
    timeout: float = 10.0
    max_batch: int = 64
    collect: Path | None = None
    max_collected: int = 2**30
    about: Path | None = None
    access_log: bool = True
    allowed_hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, kind in get_type_hints(ServeSettings).items():
            check_argument("ServeSettings", name, getattr(self, name), kind)
        for name in ("max_pixels", "max_pictures", "max_images", "queue", "max_batch", "max_collected"):
            self._check(name, getattr(self, name) >= 1, "at least 1")
        self._check("max_body", 1 <= self.max_body <= 2**30, f"1 to {2**30:,}")
        for name in ("max_wait", "timeout"):
            self._check(name, 0 < getattr(self, name) < math.inf, "seconds, above 0")
        self._check("workers", self.workers is None or 1 <= self.workers <= 64, "1 to 64")

    def _check(self, name: str, fine: bool, expected: str) -> None:
        if not fine:
            raise UsageError(f"{name} = {getattr(self, name)}", expected=expected)

    @property
    def worker_count(self) -> int:
        return self.workers or min(4, count_cores())


Head = dict[str, str]
CLOSE = {"Connection": "close"}
_AGAIN = {"Retry-After": "1"}


class Refusal(TenfoldError):
    """Why a request is refused: an error with its HTTP status, and the headers that belong to it."""

    def __init__(
        self, status: int, found: str, *, expected: str = "", remedy: str = "", headers: Head | None = None
    ) -> None:
        super().__init__(found, expected=expected, remedy=remedy)
        self.status, self.headers = status, headers or {}

    def __reduce__(self) -> tuple[Any, ...]:
        make = partial(Refusal, expected=self.expected, remedy=self.remedy, headers=self.headers)
        return make, (self.status, self.found)

    def to_bytes(self) -> bytes:
        return json.dumps({"error": to_document(self)}).encode()

    def to_response(self) -> Response:
        return Response(self.to_bytes(), self.status, self.headers, "application/json")


FAILED = Refusal(500, "the server failed", remedy="see its log")


def to_document(error: TenfoldError) -> dict[str, Any]:
    """The same form everywhere: what was found, what was expected, and the remedy."""
    return {"found": error.found, "expected": error.expected, "remedy": error.remedy}


def busy(found: str, remedy: str = "try again after a second") -> Refusal:
    return Refusal(503, found, remedy=remedy, headers=_AGAIN)


def too_much(found: str) -> Refusal:
    """Of one client, where others would still be served."""
    return Refusal(429, found, remedy="send fewer requests at a time", headers=_AGAIN)


def client_of(address: str) -> str:
    """Whom an address belongs to: itself, or the 2^64 addresses of IPv6 that one client has."""
    if ":" not in address:
        return address
    try:
        number = IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(number.ipv4_mapped or IPv6Address(int(number) >> 64 << 64))


@contextmanager
def collect_rarely() -> Iterator[None]:
    """Python's garbage collector, out of the way of requests: it would look through all that lives, again and
    again, for the few cycles that they leave. Inside, what lives already is not looked at, and what is new
    more rarely. Of the whole process."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
