"""What a server allows: every limit it has, in one place."""

from __future__ import annotations

import gc
import math
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import get_type_hints
from urllib.parse import urlsplit

from tenfold.arguments import check_argument
from tenfold.errors import UsageError
from tenfold.helpers import count_cores
from tenfold.serve.images import Refusal

__all__ = ["ServeSettings", "check_origin"]

_MOST_WORKERS = 4  # unless more are asked for
_LARGEST_BODY = 2**30  # bytes


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
        kinds = get_type_hints(ServeSettings)
        for name in kinds:
            check_argument("ServeSettings", name, getattr(self, name), kinds[name])
        for name in ("max_pixels", "max_pictures", "max_images", "queue", "max_batch", "max_collected"):
            self._check(name, getattr(self, name) >= 1, "at least 1")
        self._check("max_body", 1 <= self.max_body <= _LARGEST_BODY, f"1 to {_LARGEST_BODY:,}")
        for name in ("max_wait", "timeout"):
            self._check(name, 0 < getattr(self, name) < math.inf, "seconds, above 0")
        self._check("workers", self.workers is None or 1 <= self.workers <= 64, "1 to 64")

    def _check(self, name: str, fine: bool, expected: str) -> None:
        if not fine:
            raise UsageError(f"{name} = {getattr(self, name)}", expected=expected)

    @property
    def worker_count(self) -> int:
        return self.workers or min(_MOST_WORKERS, count_cores())


# Who a request says it is for, and which page sent it.
#
# A page of another site can make a browser ask this server under a name of its own (DNS rebinding), or post
# to it. So a request must name this machine by an address, as localhost, or by a name that was allowed; and
# one that writes must come from a page of this server, where it comes from a page at all.


def check_host(host: str | None, allowed: Collection[str]) -> None:
    """host: the request's header. allowed: names in lower case; "*" allows all. Raises Refusal 421."""
    if not host or _is_ours(_name_of(f"//{host}"), allowed):  # browsers always send one
        return
    raise Refusal(
        421,
        f"a request for the host {_shown(host)}",
        expected="an address, localhost, or a name that is allowed",
        remedy="allow it with --allowed-host",
    )


def check_origin(origin: str | None, host: str | None, allowed: Collection[str]) -> None:
    """origin, host: the request's headers; programs send no origin. Raises Refusal 403."""
    if origin is None or "*" in allowed:
        return
    name = _name_of(origin)
    if name and (name in allowed or urlsplit(origin).netloc.lower() == (host or "").lower()):
        return
    raise Refusal(
        403,
        f"a request from a page of {_shown(origin)}",
        expected="a page of this server",
        remedy="allow its host with --allowed-host",
    )


def _name_of(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def _is_ours(name: str | None, allowed: Collection[str]) -> bool:
    if "*" in allowed or name == "localhost" or name in allowed:
        return True
    try:
        return bool(ip_address(name or ""))
    except ValueError:
        return False


def _shown(text: str) -> str:
    return ascii(text)[:60]


def client_of(address: str) -> str:
    """Whom an address belongs to: itself, or the 2^64 addresses of IPv6 that one client has."""
    if ":" not in address:
        return address
    try:
        number = IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(number.ipv4_mapped or IPv6Address(int(number) >> 64 << 64))


# Python's garbage collector, out of the way of requests.
#
# It looks through everything that lives, again and again, for the few cycles that requests leave behind;
# what was imported and loaded at the start is most of it, and lives until the end.

_NEW_OBJECTS = 50_000  # before they are looked through


@contextmanager
def collect_rarely() -> Iterator[None]:
    """Inside, what lives already is not looked at, and what is new more rarely. Of the whole process."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
