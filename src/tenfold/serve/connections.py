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
from contextlib import suppress
from enum import Enum
from functools import partial
from http import HTTPStatus
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tenfold.serve.settings import CLOSE, FAILED, Refusal, ServeSettings, busy, client_of, too_much

if TYPE_CHECKING:
    from tenfold.serve.bodies import Guard

if sys.platform != "win32":
    import resource

__all__ = ["Middleware"]

# Around every request: its line in the log, its counts, and the headers of every answer.

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)
LONGEST_HEAD = 2**15  # bytes of a request's headers
STAMP = "%Y-%m-%dT%H:%M:%S%z"
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
_ENCODED = Headers(_HEADERS).raw
_POLICY = "content-security-policy"  # of the lab: it may compile WebAssembly, too
_LAB_POLICY = _HEADERS[_POLICY].replace("; ", "; script-src 'self' 'wasm-unsafe-eval'; ", 1)
_LAB = Headers(_HEADERS | {_POLICY: _LAB_POLICY}).raw
CLOSED = "closed"  # the key of a request's state for the status with which its connection was closed


class Measures:
    """What /metrics shows."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        count = partial(Counter, registry=self.registry)
        measure = partial(Histogram, registry=self.registry)
        self.requests = count("tenfold_requests_total", "Requests answered.", ("method", "route", "status"))
        took, joined = "From a request's head to its answer.", "Requests whose images one batch answered."
        self.seconds = measure("tenfold_request_seconds", took, ("route",), buckets=_SECONDS)
        self.batches = measure("tenfold_batch_requests", joined, buckets=_BATCHES)
        self.pictures = count("tenfold_pictures_total", "Pictures read.")
        self.refused = count("tenfold_refused_total", "Requests refused under load.", ("route",))
        self.closed = count(
            "tenfold_connections_closed_total", "Connections that the server ended.", ("reason",)
        )


class Middleware:
    """Pure ASGI, so that bodies and answers pass through as they are. settings: None logs nothing. own_pages:
    nothing is posted from a page of another host."""

    def __init__(
        self, app: ASGIApp, measures: Any = None, settings: Any = None, *, own_pages: bool = False
    ) -> None:
        self.app, self.own_pages = app, own_pages
        self.measures: Measures = measures or Measures()
        self.settings: ServeSettings = settings or ServeSettings(access_log=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        passage = _Passage(scope, receive, send)
        try:
            headers = Headers(scope=scope)
            _check_head(headers)
            _check_host(headers, self.settings)
            if self.own_pages and scope["method"] == "POST":
                check_origin(headers, self.settings)
            await self.app(scope, passage.receive, passage.send)
        except ClientDisconnect:  # while its body was taken in
            passage.status = scope.get("state", {}).get(CLOSED, _GONE)
        except Refusal as refusal:
            await refusal.to_response()(scope, passage.receive, passage.send)
        except Exception as error:  # a mistake of ours: said in full in the log, and in a line to the client
            write_line({"error": repr(error), "traceback": traceback.format_exc()})
            if not passage.status:
                await FAILED.to_response()(scope, passage.receive, passage.send)
        finally:
            self._note(passage)

    def _note(self, passage: _Passage) -> None:
        """What is not a route of ours counts as one, however it was spelt."""
        seconds, method = time.perf_counter() - passage.started, passage.scope["method"]
        path = getattr(passage.scope.get("route"), "path", None)  # as it was declared
        route = path or ("page" if method == "GET" else "other")
        known = method if method in _METHODS else "other"
        self.measures.requests.labels(known, route, passage.status).inc()
        self.measures.seconds.labels(route).observe(seconds)
        if passage.status in (429, 503):
            self.measures.refused.labels(route).inc()
        if self.settings.access_log:
            write_line(passage.told(seconds))


def _check_head(headers: Headers) -> None:
    """Raises Refusal 431 for headers that are too large, 400 for a length that is not a number."""
    if sum(len(key) + len(value) + 4 for key, value in headers.raw) > LONGEST_HEAD:
        raise Refusal(431, "headers that are too large", expected=f"at most {LONGEST_HEAD:,} bytes")
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit() and len(length) <= _LONGEST_NUMBER):
        found = f"a Content-Length of {length[:_LONGEST_NUMBER]!a}"
        expected = f"a number of bytes, of at most {_LONGEST_NUMBER} digits"
        raise Refusal(400, found, expected=expected, headers=CLOSE)


# A page of another site can make a browser ask this server under a name of its own (DNS rebinding), or
# post to it. So a request must name this machine by an address, as localhost, or by a name that is
# allowed; and one that writes must come from a page of this server, where it comes from a page at all.


def _allows(settings: ServeSettings, name: str | None) -> bool:
    return "*" in settings.allowed_hosts or name in [each.lower() for each in settings.allowed_hosts]


def _check_host(headers: Headers, settings: ServeSettings) -> None:
    """Raises Refusal 421 for a request to another host."""
    host = headers.get("host")
    name = _name_of(f"//{host}")
    if not host or name == "localhost" or _allows(settings, name):  # browsers always send one
        return
    with suppress(ValueError):
        ip_address(name or "")
        return
    expected, remedy = "an address, localhost, or a name that is allowed", "allow it with --allowed-host"
    raise Refusal(421, f"a request for the host {ascii(host)[:60]}", expected=expected, remedy=remedy)


def check_origin(headers: Headers, settings: ServeSettings) -> None:
    """Raises Refusal 403 for a request from a page of another host; programs send no origin."""
    origin, host = headers.get("origin"), headers.get("host", "")
    name = _name_of(origin or "")
    own = name and urlsplit(origin).netloc.lower() == host.lower()
    if origin is None or own or _allows(settings, name):
        return
    found, remedy = f"a request from a page of {ascii(origin)[:60]}", "allow its host with --allowed-host"
    raise Refusal(403, found, expected="a page of this server", remedy=remedy)


def _name_of(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


class _Passage:
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
            own = _LAB if self.scope["path"].startswith("/lab/") else _ENCODED
            message = {**message, "headers": [*message.get("headers", ()), *own]}
        else:
            self.given += len(message.get("body", b""))
        await self._send(message)

    def told(self, seconds: float) -> dict[str, Any]:
        pictures = self.scope.get("state", {}).get("pictures", 0)
        line = {"time": time.strftime(STAMP), "method": self.scope["method"]}
        line |= {"path": self.scope["path"][:_LONGEST_PATH], "status": self.status}
        line |= {"ms": round(1000 * seconds, 2), "bytes_in": self.taken, "bytes_out": self.given}
        return line | {"pictures": pictures}


def write_line(document: dict[str, Any]) -> None:
    sys.stderr.write(json.dumps(document) + "\n")


# All connections of a server.

IDLE = 5  # seconds that a connection may stay open after an answer: uvicorn sees to it
_MOST = 1024  # connections, where there are descriptors enough
_FEWEST = 8
_RESERVE = 48  # descriptors for workers, files, and connections on their way in and out
MOST_LINGERING = 16  # connections that are answered and not yet closed, of those descriptors
_GRACE = 1.0  # seconds after a body's deadline: a request that is being read says 408 itself


class Step(Enum):
    """What a connection does. All but ANSWER wait for the client."""

    HEAD = "head"  # its request's head is on its way
    BODY = "body"
    ANSWER = "answer"  # its request has come, and is answered
    IDLE = "idle"


class Connections:
    """All of a server. Grouped by the client's address."""

    def __init__(self, settings: ServeSettings, measures: Measures, limit: int | None = None) -> None:
        self.settings, self.measures = settings, measures
        self.limit = limit or _find_limit()
        self.share = max(1, self.limit // 2)
        self.by_address: dict[str, dict[Guard, None]] = {}  # each in the order in which they began to wait
        self.count = 0
        self.lingering: set[Guard] = set()
        self.waits = {Step.HEAD: settings.timeout, Step.BODY: settings.timeout + _GRACE}  # seconds, at most

    def enter(self, guard: Guard, host: str) -> Refusal | None:
        """Adds one; another is closed for it where there are too many. Why it cannot be taken, or None."""
        address = client_of(host)
        own = self.by_address.get(address, {})
        if len(own) >= self.share and not self._displace(own):
            return too_much(f"{len(own)} connections of your address are open")
        if self.count >= self.limit:
            by_size = sorted(self.by_address.values(), key=len, reverse=True)
            if not any(map(self._displace, by_size)):
                return busy(f"{self.count} connections are open")
        self.by_address.setdefault(address, {})[guard] = None
        guard.address = address
        self.count += 1
        return None

    def leave(self, guard: Guard) -> None:
        own = self.by_address.get(guard.address, {})
        if guard in own:
            del own[guard]
            self.count -= 1
            if not own:
                del self.by_address[guard.address]

    def move(self, guard: Guard) -> None:
        """It has come a step further, and is now the one that waited the shortest time."""
        own = self.by_address.get(guard.address, {})
        if guard in own:
            del own[guard]
            own[guard] = None

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
        step, limit = guard.step.value, self.waits.get(guard.step)
        if limit and now - guard.since > limit:
            found = f"the {'request' if guard.step is Step.HEAD else 'body'} did not arrive"
            guard.end(Refusal(408, found, expected=f"all of it in {limit:g} seconds"), f"slow {step}")

    def note(self, guard: Guard, status: int, reason: str, *, told: bool) -> None:
        """Counts one that is closed. told: also as a request, and in a line of the log, which a request that
        was being read has anyway."""
        self.measures.closed.labels(reason).inc()
        if told and status:
            self.measures.requests.labels("none", "none", status).inc()
        if told and self.settings.access_log:
            line = {"time": time.strftime(STAMP), "client": guard.address, "status": status}
            line["ms"] = round(1000 * (time.monotonic() - guard.since), 2)
            write_line(line | {"bytes_in": guard.taken, "closed": reason})


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
    headers = {"Content-Type": "application/json", "Content-Length": len(body)} | refusal.headers | CLOSE
    lines = [f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join((*lines, "", "")).encode() + body
