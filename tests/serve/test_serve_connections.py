"""Connections: what is too slow, too large or too many is closed, said, counted, logged; others are served.

The protocol and the middleware of the real server, around an application that does what its path says.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import Any

import pytest
import uvicorn
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from tenfold.serve import connections
from tenfold.serve.bodies import Guard
from tenfold.serve.connections import Connections, Measures, Middleware
from tenfold.serve.settings import ServeSettings, client_of

PATIENCE = 60.0  # seconds, on a busy machine
LONG, SHORT = 30.0, 0.2  # deadlines that a test does not meet, and that it waits for
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
HALF = b"GET / HTTP/1.1\r\nHost: loc"


class Watched:
    """A server with `limit` connections, half of them for one address."""

    def __init__(self, limit: int, timeout: float, keep_alive: float) -> None:
        self.measures, self.lines = Measures(), list[dict[str, Any]]()
        settings = ServeSettings(timeout=timeout)
        self.connections = Connections(settings, self.measures, limit)
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listening.getsockname()[1]
        self.go_on = threading.Event()
        app = Middleware(self.answer, self.measures, settings)
        config = uvicorn.Config(
            app,
            http=partial(Guard, self.connections),  # type: ignore[arg-type]
            timeout_keep_alive=keep_alive,  # type: ignore[arg-type]
            log_config=None,
            log_level="error",
            lifespan="off",
        )
        self.server = uvicorn.Server(config)

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request, body = Request(scope, receive), b""
        if scope["path"] == "/body":
            body = await request.body()
        elif scope["path"] == "/wait":
            while not self.go_on.is_set():
                await asyncio.sleep(0.01)
        elif scope["path"] == "/large":
            body = bytes(2**23)
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def run(self) -> None:
        sweeping = asyncio.create_task(self.connections.sweep())
        await self.server.serve(sockets=[self.listening])
        sweeping.cancel()

    def open(self, sent: bytes = b"", source: str = "127.0.0.1") -> socket.socket:
        opened = socket.create_connection(("127.0.0.1", self.port), PATIENCE, source_address=(source, 0))
        opened.sendall(sent)
        return opened

    def closed(self, reason: str) -> float:
        return self.measures.closed.labels(reason)._value.get()

    def answered(self, *labels: str) -> float:
        """method, route, status."""
        return self.measures.requests.labels(*labels)._value.get()

    def answers(self, count: int) -> bool:
        return len(self.server.server_state.tasks) == count

    def until(self, done: Callable[[], bool]) -> None:
        until = time.monotonic() + PATIENCE
        while not done():
            assert time.monotonic() < until
            time.sleep(0.005)


@contextmanager
def watched(
    monkeypatch: pytest.MonkeyPatch, limit: int = 16, timeout: float = LONG, keep_alive: float = LONG
) -> Iterator[Watched]:
    made = Watched(limit, timeout, keep_alive)
    for module in (connections, connections):
        monkeypatch.setattr(module, "write_line", made.lines.append)
    thread = threading.Thread(target=lambda: asyncio.run(made.run()))
    thread.start()
    try:
        made.until(lambda: made.server.started)
        yield made
    finally:
        made.go_on.set()
        made.server.should_exit = made.server.force_exit = True
        thread.join(PATIENCE)
        made.listening.close()


def rest(connection: socket.socket) -> bytes:
    """All that comes until it is closed."""
    pieces = []
    with suppress(OSError):
        while piece := connection.recv(2**16):
            pieces.append(piece)
    connection.close()
    return b"".join(pieces)


def ask(connection: socket.socket, request: bytes = GET) -> int:
    """The status of an answer without a body."""
    connection.sendall(request)
    return int(connection.recv(2**16)[9:12])


def status(answer: bytes) -> int:
    """Of a refusal, which has the form of all others."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert set(json.loads(body)["error"]) == {"found", "expected", "remedy"}
    assert b"connection: close" in head.lower()
    return int(head[9:12])


@pytest.mark.parametrize("sent", [b"", b"GET", HALF], ids=["nothing", "a word", "half a head"])
def test_a_head_has_a_deadline(monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    with watched(monkeypatch, timeout=SHORT) as server:
        assert status(rest(server.open(sent))) == 408
        assert server.closed("slow head") == 1
        assert server.answered("none", "none", "408") == 1
    (line,) = server.lines
    assert (line["status"], line["closed"], line["client"]) == (408, "slow head", "127.0.0.1")
    assert line["bytes_in"] == len(sent)


def test_so_has_a_body(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that the application does not time."""
    monkeypatch.setattr(connections, "_GRACE", 0.0)
    with watched(monkeypatch, timeout=SHORT) as server:
        head = b"POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nab"
        assert status(rest(server.open(head))) == 408
        server.until(lambda: bool(server.lines))
    (line,) = server.lines
    assert (line["path"], line["status"], line["bytes_in"]) == ("/body", 408, 2)


def test_an_idle_connection_is_closed_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    with watched(monkeypatch, keep_alive=SHORT) as server, server.open(GET) as client:
        assert rest(client).count(b"HTTP/1.1") == 1
        assert server.closed("idle") == 1
    assert [line["status"] for line in server.lines] == [200]


@pytest.mark.parametrize(
    "sent", [b"", HALF, b"POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nab"]
)
def test_half_sent_requests_keep_nobody_out(monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    """The oldest of them are closed for newer ones; a client that is served keeps its connection."""
    with ExitStack() as stack:
        server = stack.enter_context(watched(monkeypatch, limit=32))
        served = stack.enter_context(server.open())
        for _ in range(20):  # in a round five come, and the server may be some behind
            for _ in range(4):
                stack.enter_context(server.open(sent))
            assert ask(served) == 200
            with server.open() as newcomer:
                assert ask(newcomer) == 200
        assert server.connections.count <= 16
        assert server.closed("displaced") >= 80 - 16


def test_no_address_takes_all_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is being answered is closed for nobody: 429 for the address, 503 where all are taken."""
    wait = b"GET /wait HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with ExitStack() as stack:
        server = stack.enter_context(watched(monkeypatch))
        busy: list[socket.socket] = []
        for source in ("127.0.0.1", "127.0.0.2"):
            busy += [stack.enter_context(server.open(wait, source)) for _ in range(8)]
            server.until(partial(server.answers, len(busy)))
            answer = rest(server.open(source=source))
            assert status(answer) == 429 and b"Retry-After: 1" in answer
            if source == "127.0.0.1":
                with server.open(source="127.0.0.9") as other:
                    assert ask(other) == 200
                server.until(lambda: server.connections.count == 8)
        answer = rest(server.open(source="127.0.0.3"))
        assert status(answer) == 503 and b"Retry-After: 1" in answer
        server.go_on.set()
        assert all(rest(each).startswith(b"HTTP/1.1 200") for each in busy)
    assert server.closed("too many") == 3
    assert server.answered("none", "none", "429") == 2


BAD_HEADS = {
    431: [b"a: " + b"b" * 2**16, b"a: b\r\n" * 2**13],
    400: [b"Content-Length: " + b"9" * 5001, b"Content-Length: -1", b"Content-Length: x",
          b"Content-Length: 1\r\nContent-Length: 2", b"Content-Length: " + b"9" * 19,
          b"Content-Length: 1\r\nTransfer-Encoding: chunked", b"no header"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("expected", "line"), [(status, line) for status, lines in BAD_HEADS.items() for line in lines]
)
def test_bad_heads(monkeypatch: pytest.MonkeyPatch, expected: int, line: bytes) -> None:
    """Whole or without an end."""
    with watched(monkeypatch) as server:
        for end in (b"\r\n\r\n", b"") if expected == 431 else (b"\r\n\r\n",):
            opened = server.open()
            with suppress(OSError):
                opened.sendall(b"POST /body HTTP/1.1\r\nHost: localhost\r\n" + line + end)
                opened.shutdown(socket.SHUT_WR)
            assert int(rest(opened)[9:12]) == expected
        server.until(lambda: all(each["status"] == expected for each in server.lines))
    assert server.lines and "traceback" not in str(server.lines)


def test_a_refused_client_may_finish_sending(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the answer would be lost with what it still sends; but it may not go on for long."""
    long = b"GET / HTTP/1.1\r\na: " + b"b" * 2**16
    with watched(monkeypatch, limit=128) as server:
        opened = server.open(long)
        server.until(lambda: server.closed("large head") == 1)
        for _ in range(4):  # a closed socket would answer the first with a reset, and lose the rest
            opened.sendall(b"b" * 1000)
            time.sleep(0.02)
        assert status(rest(opened)) == 431
        server.until(lambda: not server.connections.lingering)
        silent = [server.open(long) for _ in range(connections.MOST_LINGERING + 4)]
        assert len(server.connections.lingering) <= connections.MOST_LINGERING
        server.until(lambda: server.closed("large head") == 1 + len(silent))
        server.until(lambda: not server.connections.lingering)  # though none of them has closed
        answers = [rest(each) for each in silent]
        assert all(status(answer) == 431 for answer in answers[: connections.MOST_LINGERING])
        endless, sent = server.open(long), 0
        with suppress(OSError):
            while sent < 2**25:
                sent += endless.send(bytes(2**16))
        endless.close()
        assert sent < 2**25


def test_requests_ahead_of_their_answers_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    with watched(monkeypatch) as server:
        opened = server.open(GET.replace(b"/ ", b"/wait ", 1) + GET * 5000)
        rest(opened)
        assert server.closed("broken request") == 1
        assert server.answered("GET", "page", "200") < 20
        with server.open(GET * 10) as fine:
            found = b""
            while found.count(b"HTTP/1.1 200") < 10:
                found += fine.recv(2**16)


ENDLESS = {
    "chunks of a byte": (b"Transfer-Encoding: chunked", b"1\r\na\r\n", b""),
    "chunks with extensions": (b"Transfer-Encoding: chunked", b"1;" + b"e" * 1000 + b"\r\na\r\n", b""),
    "what follows the chunks": (b"Transfer-Encoding: chunked", b"a: b\r\n", b"0\r\n"),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_framing_without_an_end(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Refused after some ten thousand bytes, which hold next to nothing."""
    header, piece, start = ENDLESS[name]
    with watched(monkeypatch) as server:
        opened, sent = server.open(b"POST /body HTTP/1.1\r\nHost: a\r\n".replace(b"a\r", b"localhost\r")), 0
        opened.sendall(header + b"\r\n\r\n" + start)
        with suppress(OSError):
            while sent < 2**25:
                sent += opened.send(piece * 5000)
        assert sent < 2**25
        answer = rest(opened)
        assert not answer or status(answer) == 400
        assert server.closed("small chunks") == 1


def test_a_body_that_nobody_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows an answer is not taken in for long; a little is, and the connection is used again."""
    with watched(monkeypatch) as server:
        head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
        with server.open() as fine:
            assert ask(fine, head % 1000) == 200
            fine.sendall(bytes(1000))
            assert ask(fine) == 200
        opened, sent = server.open(head % 2**40), 0
        with suppress(OSError):
            while sent < 2**27:
                sent += opened.send(bytes(2**16))
        opened.close()
        assert sent < 2**27
        assert server.closed("unwanted body") == 1


def test_who_does_not_take_an_answer_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    with watched(monkeypatch, timeout=SHORT) as server, server.open(GET.replace(b"/ ", b"/large ", 1)):
        server.until(lambda: server.closed("slow to take its answer") == 1)
        server.until(lambda: server.connections.count == 0)


def test_an_aborted_upload_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with watched(monkeypatch) as server:
        opened = server.open(b"POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\nab")
        server.until(lambda: server.connections.count == 1 and bool(server.server.server_state.tasks))
        opened.close()
        server.until(lambda: bool(server.lines) and not server.connections.count)
    (line,) = server.lines
    assert (line["path"], line["status"], line["bytes_in"]) == ("/body", 499, 2)
    assert server.answered("POST", "other", "499") == 1


def test_the_limit_comes_from_the_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    for allowed, least, most in ((256, 8, 160), (1024, 600, 740), (10**6, 1024, 1024), (10, 8, 8)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, allowed=allowed: (allowed, allowed))
        assert least <= Connections(ServeSettings(), Measures()).limit <= most


def test_whom_an_address_belongs_to() -> None:
    assert client_of("192.0.2.1") == client_of("::ffff:192.0.2.1") == "192.0.2.1"
    assert client_of("2001:db8::1") == client_of("2001:db8::ffff:2%eth0") != client_of("2001:db8:0:1::1")
    assert client_of("") == "" and client_of("a:b") == "a:b"
