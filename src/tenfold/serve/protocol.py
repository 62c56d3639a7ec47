"""uvicorn's protocols, watched over: each tells `Connections` what it is waiting for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from tenfold.serve.connections import Connections, Step, raw_answer
from tenfold.serve.middleware import CLOSED, LONGEST_HEAD
from tenfold.serve.refusal import Refusal, too_much

try:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
except ImportError:  # Windows: the extra installs no httptools there
    HttpToolsProtocol = H11Protocol  # type: ignore[assignment,misc]

__all__ = ["Guard", "make_protocol"]

_MOST_PIPELINED = 16  # requests that a client sends before it has its answers
_MOST_UNWANTED = 2**18  # bytes of a body that come when its request is answered already
_FRAMING = 2**16  # bytes around a chunked body, beside as many again as it has
_LINGER = 1.0  # seconds that a refused client may go on sending: a closed socket would lose it the answer


class Guard(HttpToolsProtocol):
    """One connection. step: what it does, since when (time.monotonic). taken: bytes that came."""

    def __init__(self, connections: Connections, **options: Any) -> None:
        super().__init__(**options)
        self.guards = connections
        self.address = ""
        self.step, self.since, self.stuck_since = Step.HEAD, time.monotonic(), 0.0
        self.taken = self.head = self.raw = self.body = self.unwanted = 0
        self.in_head = True
        self.lingering = False  # it is answered and left, and what still comes is dropped
        self.broken = Refusal(400, "not an HTTP request", expected="HTTP/1.1")

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        refusal = self.guards.enter(self, self.client[0] if self.client else "")
        if refusal is not None:
            self.end(refusal, "too many")

    def connection_lost(self, exc: Exception | None) -> None:
        self.guards.leave(self)
        self.guards.lingering.discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.is_over():
            self._drop(len(data))
            return
        self.taken += len(data)
        before = self.cycle
        super().data_received(data)
        if self.is_over():
            return
        step = self._find_step(arriving=True)
        if self.cycle is not before:
            self.raw = self.head = self.unwanted = 0
        elif step is Step.HEAD:
            self.head += len(data)
            if self.head > LONGEST_HEAD:
                expected = f"at most {LONGEST_HEAD:,} bytes"
                self.end(Refusal(431, "headers that are too large", expected=expected), "large head")
                return
        self._check_body(len(data), step)
        self._go(step, anew=self.cycle is not before)

    def _drop(self, more: int) -> None:
        self.unwanted += more
        if self.unwanted > _MOST_UNWANTED:
            self.transport.abort()

    def _check_body(self, more: int, step: Step) -> None:
        """Of a body only what is needed is taken: nothing once it is answered, and little that is framing."""
        if step is not Step.BODY:
            return
        self.raw += more
        if self.cycle.response_complete:
            self.unwanted += more
            if self.unwanted > _MOST_UNWANTED:
                self.end(None, "unwanted body")
        elif self.raw > 2 * self.body + _FRAMING and HttpToolsProtocol is not H11Protocol:
            self.end(Refusal(400, "chunks that are too small", expected="larger ones"), "small chunks")

    def _find_step(self, *, arriving: bool = False) -> Step:
        cycle = self.cycle
        if getattr(self, "pipeline", None):  # an earlier request is answered
            return Step.ANSWER
        if cycle is not None and cycle.more_body:
            return Step.BODY
        if cycle is not None and not cycle.response_complete:
            return Step.ANSWER
        return Step.HEAD if arriving or cycle is None else Step.IDLE

    def _go(self, step: Step, *, anew: bool = False) -> None:
        if step is not self.step or anew:
            self.step, self.since = step, time.monotonic()
            self.guards.move(self)

    def on_message_begin(self) -> None:
        self.body, self.in_head = 0, True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self.in_head = False
        if len(self.pipeline) >= _MOST_PIPELINED:
            self.broken = too_much(f"more than {_MOST_PIPELINED} requests ahead of their answers")
            raise OverflowError  # which httptools takes for a broken request
        super().on_headers_complete()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.in_head:  # else it follows the body, and nobody asks for it
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        self.body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self.cycle.more_body = False  # where its answer was complete before, too

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._go(self._find_step())

    def timeout_keep_alive_handler(self) -> None:
        if not self.is_over():
            self.guards.note(self, 0, "idle", told=False)
        super().timeout_keep_alive_handler()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        self.end(self.broken, "broken request")

    def is_over(self) -> bool:
        """Whether nothing more is read from it."""
        return self.lingering or self.transport.is_closing()

    def is_taken(self) -> bool:
        """Whether the client has taken all that it was answered."""
        return self.transport.get_write_buffer_size() == 0

    def end(self, refusal: Refusal | None, reason: str) -> None:
        """Closes it, and says why where no answer has begun. A request that is being read is told."""
        cycle, status = self.cycle, refusal.status if refusal else 0
        reading = cycle is not None and not cycle.response_complete
        answering = getattr(self, "pipeline", None) or (reading and cycle.response_started)
        telling = refusal is not None and not answering and not self.is_over()
        if refusal and telling:
            self.transport.write(raw_answer(refusal))
        if reading:
            cycle.scope["state"][CLOSED] = status
            cycle.disconnected = True
            cycle.message_event.set()
        self.guards.leave(self)
        self.guards.note(self, status, reason, told=not reading)
        if not self.is_taken():
            self.transport.abort()
        elif telling and self.guards.may_linger(self):
            self._linger()
        else:
            self.transport.close()

    def _linger(self) -> None:
        """Says that no more is answered, and gives the client time to read what was."""
        self.lingering, self.unwanted = True, 0
        self.transport.write_eof()
        self.loop.call_later(_LINGER, self.transport.abort)


def make_protocol(connections: Connections) -> Callable[..., asyncio.Protocol]:
    """What uvicorn makes a connection with."""
    return partial(Guard, connections)
