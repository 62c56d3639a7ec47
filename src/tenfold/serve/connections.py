"""Connections: how many there may be, and how long each may keep the server waiting.

uvicorn's protocol does the work. What is added: deadlines for a request's head, its body and the taking of
its answer; a limit of all connections, from the descriptors that this process may open, and of those of
one address. Where one too many comes, the one that has kept the server waiting the longest is closed for
it: so half-sent requests, however many, keep nobody out. A connection whose request is being answered is
never closed for another.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import traceback
from collections.abc import Callable, Collection
from enum import Enum
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tenfold.serve.counters import Counter, Histogram, Registry
from tenfold.serve.images import Refusal, busy, too_much
from tenfold.serve.settings import ServeSettings, check_host, client_of

if TYPE_CHECKING:
    from tenfold.serve.bodies import Guard

__all__ = ["Measures", "Middleware"]

# Around every request: its line in the log, its counts, and the headers of every answer.

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)
LONGEST_HEAD = 2**15  # bytes of a request's headers
_HEADER = 4  # bytes around a header's name and value
_LONGEST_PATH = 500  # characters of it in the log
_LONGEST_NUMBER = 18  # digits of a Content-Length
_GONE = 499  # nginx's status for a client that did not wait for its answer; nobody receives it
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
CLOSED = "closed"
"""The key of a request's state for the status with which its connection was closed."""
_ENCODED = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]


class Measures:
    """What /metrics shows."""

    def __init__(self) -> None:
        self.registry = Registry()
        keep = self.registry.keep
        self.requests = keep(
            Counter("tenfold_requests_total", "Requests answered.", ("method", "route", "status"))
        )
        self.seconds = keep(
            Histogram("tenfold_request_seconds", "From a request's head to its answer.", _SECONDS, ("route",))
        )
        self.batches = keep(
            Histogram("tenfold_batch_requests", "Requests whose images one batch answered.", _BATCHES)
        )
        self.pictures = keep(Counter("tenfold_pictures_total", "Pictures read."))
        self.refused = keep(Counter("tenfold_refused_total", "Requests refused under load.", ("route",)))
        self.closed = keep(
            Counter("tenfold_connections_closed_total", "Connections that the server ended.", ("reason",))
        )


class Middleware:
    """Pure ASGI, so that bodies and answers pass through as they are."""

    def __init__(
        self, app: ASGIApp, *, measures: Measures, access_log: bool, allowed_hosts: Collection[str] = ()
    ) -> None:
        self.app, self.measures, self.access_log = app, measures, access_log
        self.allowed_hosts = frozenset(name.lower() for name in allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        passage = _Passage(scope, receive, send)
        try:
            _check_head(scope)
            check_host(_header(scope, b"host"), self.allowed_hosts)
            await self.app(scope, passage.receive, passage.send)
        except ClientDisconnect:  # while its body was taken in
            passage.status = scope.get("state", {}).get(CLOSED, _GONE)
        except Refusal as refusal:
            await passage.refuse(refusal)
        except Exception as error:  # a mistake of ours: said in full in the log, and in a line to the client
            write_line({"error": repr(error), "traceback": traceback.format_exc()})
            if not passage.status:
                await passage.refuse(Refusal(500, "the server failed", remedy="see its log"))
        finally:
            self._note(passage)

    def _note(self, passage: _Passage) -> None:
        seconds, route = time.perf_counter() - passage.started, _route(passage.scope)
        method = passage.scope["method"]
        measures = self.measures
        measures.requests.add(method if method in _METHODS else "other", route, str(passage.status))
        measures.seconds.observe(seconds, route)
        if passage.status in (429, 503):
            measures.refused.add(route)
        if self.access_log:
            write_line(passage.told(seconds))


def _header(scope: Scope, name: bytes) -> str | None:
    found = [value for key, value in scope["headers"] if key == name]
    return found[0].decode("latin-1") if found else None


def _check_head(scope: Scope) -> None:
    """Raises Refusal 431 for headers that are too large, 400 for a length that is not a number."""
    if sum(len(key) + len(value) + _HEADER for key, value in scope["headers"]) > LONGEST_HEAD:
        raise Refusal(431, "headers that are too large", expected=f"at most {LONGEST_HEAD:,} bytes")
    length = _header(scope, b"content-length")
    if length is None:
        return
    if not (length.isascii() and length.isdigit() and len(length) <= _LONGEST_NUMBER):
        raise Refusal(
            400,
            f"a Content-Length of {length[:_LONGEST_NUMBER]!a}",
            expected=f"a number of bytes, of at most {_LONGEST_NUMBER} digits",
            headers={"Connection": "close"},
        )


class _Passage:
    """One request on its way in, and its answer on the way out."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope, self._receive, self._send = scope, receive, send
        self.started = time.perf_counter()
        self.status = self.taken = self.given = 0

    async def receive(self) -> Message:
        message = await self._receive()
        self.taken += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": [*message.get("headers", ()), *_ENCODED]}
        else:
            self.given += len(message.get("body", b""))
        await self._send(message)

    async def refuse(self, refusal: Refusal) -> None:
        body = refusal.to_bytes()
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body))} | refusal.headers
        encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": refusal.status, "headers": encoded})
        await self.send({"type": "http.response.body", "body": body})

    def told(self, seconds: float) -> dict[str, Any]:
        return {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "method": self.scope["method"],
            "path": self.scope["path"][:_LONGEST_PATH],
            "status": self.status,
            "ms": round(1000 * seconds, 2),
            "bytes_in": self.taken,
            "bytes_out": self.given,
            "pictures": self.scope.get("state", {}).get("pictures", 0),
        }


def _route(scope: Scope) -> str:
    """The path as it was declared; what is not a route of ours counts as one, however it was spelt."""
    return getattr(scope.get("route"), "path", None) or ("page" if scope["method"] == "GET" else "other")


def write_line(document: dict[str, Any], write: Callable[[str], Any] | None = None) -> None:
    (write or sys.stderr.write)(json.dumps(document) + "\n")


if sys.platform != "win32":
    import resource


IDLE = 5  # seconds that a connection may stay open after an answer: uvicorn sees to it
_MOST = 1024  # connections, where there are descriptors enough
_FEWEST = 8
_RESERVE = 48  # descriptors for workers, files, and connections on their way in and out
_MOST_LINGERING = 16  # connections that are answered and not yet closed, of those descriptors
_GRACE = 1.0  # seconds after a body's deadline: a request that is being read says 408 itself


class Step(Enum):
    """What a connection does. All but ANSWER wait for the client."""

    HEAD = "head"  # its request's head is on its way
    BODY = "body"
    ANSWER = "answer"  # its request has come, and is answered
    IDLE = "idle"


class _Waits(NamedTuple):
    """Why a connection is closed that is too long at a step, and after how many seconds."""

    reason: str
    seconds: float


class Connections:
    """All of a server. Grouped by the client's address."""

    def __init__(self, settings: ServeSettings, measures: Measures, limit: int | None = None) -> None:
        self.settings, self.measures = settings, measures
        self.limit = limit or _find_limit()
        self.share = max(1, self.limit // 2)
        self.by_address: dict[str, dict[Guard, None]] = {}  # each in the order in which they began to wait
        self.count = 0
        self.lingering: set[Guard] = set()
        self.waits = {
            Step.HEAD: _Waits("slow head", settings.timeout),
            Step.BODY: _Waits("slow body", settings.timeout + _GRACE),
        }

    def enter(self, guard: Guard, host: str) -> Refusal | None:
        """Adds one; another is closed for it where there are too many. Why it cannot be taken, or None."""
        address = client_of(host)
        own = self.by_address.get(address, {})
        refusal = None
        if len(own) >= self.share and not self._displace(own):
            refusal = too_much(f"{len(own)} connections of your address are open")
        elif self.count >= self.limit and not self._displace_any():
            refusal = busy(f"{self.count} connections are open")
        if refusal is None:
            self.by_address.setdefault(address, {})[guard] = None
            guard.address = address
            self.count += 1
        return refusal

    def leave(self, guard: Guard) -> None:
        own = self.by_address.get(guard.address, {})
        if guard in own:
            del own[guard]
            self.count -= 1
            if not own:
                del self.by_address[guard.address]

    def may_linger(self, guard: Guard) -> bool:
        """Whether it, which has left, may stay open for a moment."""
        if len(self.lingering) >= _MOST_LINGERING:
            return False
        self.lingering.add(guard)
        return True

    def move(self, guard: Guard) -> None:
        """It has come a step further, and is now the one that waited the shortest time."""
        own = self.by_address.get(guard.address, {})
        if guard in own:
            del own[guard]
            own[guard] = None

    def _displace_any(self) -> bool:
        """Of the address that has the most, where it can be."""
        return any(self._displace(own) for own in sorted(self.by_address.values(), key=len, reverse=True))

    def _displace(self, own: dict[Guard, None]) -> bool:
        """Closes the one that has waited for its client the longest, if there is one."""
        for guard in own:
            if guard.step is not Step.ANSWER:
                said = None if guard.step is Step.IDLE else too_much("too many connections are open")
                guard.end(said, "displaced")
                return True
        return False

    async def sweep(self) -> None:
        """Closes what is too slow, until it is cancelled."""
        pause = min(1.0, self.settings.timeout / 4)
        while True:
            await asyncio.sleep(pause)
            now = time.monotonic()
            for guard in [guard for own in self.by_address.values() for guard in own]:
                self._look_at(guard, now)

    def _look_at(self, guard: Guard, now: float) -> None:
        if not guard.is_taken():  # its client does not take what it was answered
            guard.stuck_since = guard.stuck_since or now
            if now - guard.stuck_since > self.settings.timeout:
                guard.end(None, "slow to take its answer")
            return
        guard.stuck_since = 0.0
        limit = self.waits.get(guard.step)
        if limit and now - guard.since > limit.seconds:
            what = "request" if guard.step is Step.HEAD else "body"
            refusal = Refusal(
                408, f"the {what} did not arrive", expected=f"all of it in {limit.seconds:g} seconds"
            )
            guard.end(refusal, limit.reason)

    def note(self, guard: Guard, status: int, reason: str, *, told: bool) -> None:
        """Counts one that is closed. told: also as a request, and in a line of the log, which a request that
        was being read has anyway."""
        self.measures.closed.add(reason)
        if told and status:
            self.measures.requests.add("none", "none", str(status))
        if told and self.settings.access_log:
            line: dict[str, Any] = {
                "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
                "client": guard.address,
                "status": status,
                "ms": round(1000 * (time.monotonic() - guard.since), 2),
                "bytes_in": guard.taken,
                "closed": reason,
            }
            write_line(line)


def _find_limit() -> int:
    """From the descriptors that are still free, with some to spare for connections that are closing."""
    if sys.platform == "win32":
        return _MOST // 2
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed == resource.RLIM_INFINITY:
        return _MOST
    try:
        used = sum(1 for _ in Path("/dev/fd").iterdir())
    except OSError:
        used = _RESERVE
    return max(_FEWEST, min(_MOST, (allowed - used - _RESERVE) * 3 // 4))


def raw_answer(refusal: Refusal) -> bytes:
    """A refusal as it goes over the wire, where no request is there to be answered."""
    body = refusal.to_bytes()
    headers = {
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **refusal.headers,
        "Connection": "close",
    }
    lines = [f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join((*lines, "", "")).encode() + body
