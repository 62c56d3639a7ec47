"""Around every request: its line in the log, its counts, and the headers of every answer."""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Callable, Collection
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tenfold.serve.counters import Counter, Histogram, Registry
from tenfold.serve.hosts import check_host
from tenfold.serve.refusal import Refusal

__all__ = ["CLOSED", "LONGEST_HEAD", "Measures", "Middleware", "write_line"]

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
