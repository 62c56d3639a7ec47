"""Bodies, taken in piece by piece, so that neither one client nor all of them fill the memory.

A small body is counted as it comes. A larger one claims memory for all of it before it is read, and waits
for that: a slow sender of large bodies delays only other large bodies. No address has more than half of that
memory. While other requests are served, the large bodies of one address are let in at a bounded rate.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastapi import Request
from uvicorn.protocols.http.h11_impl import H11Protocol

from tenfold.serve.connections import CLOSED, LONGEST_HEAD, MOST_LINGERING, Connections, Step, raw_answer
from tenfold.serve.pool import HEAVY
from tenfold.serve.requests import MarkCounter, Marks
from tenfold.serve.settings import CLOSE, Refusal, ServeSettings, busy, client_of, too_much

try:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
except ImportError:  # Windows: the extra installs no httptools there
    HttpToolsProtocol = H11Protocol  # type: ignore[assignment,misc]

_SMALL = 96 * 2**20  # bytes of small bodies that are held at one time
_LARGE = 4  # large bodies of the largest size
_MOST_WAITING = 32  # large bodies that wait for memory
_RATE = 8 * 2**20  # bytes of large bodies per second and address, while other requests are served
_BESIDE = 1.0  # seconds after another request for which it counts as beside


class _Share:
    """Bytes that are held, by address; one may have half of them."""

    def __init__(self, most: int, what: str) -> None:
        self.most, self.what, self.held = most, what, 0
        self.by_address: Counter[str] = Counter()

    def refusal(self, address: str, more: int) -> Refusal | None:
        """Why there is no memory for so many bytes more, or None."""
        if self.by_address[address] + more > self.most // 2:
            return too_much(f"your address has too many {self.what} under way")
        return busy(f"too many {self.what} are held at this moment") if self.held + more > self.most else None

    def take(self, address: str, more: int) -> None:
        """more: below 0 for bytes that are given back."""
        self.held += more
        self.by_address[address] += more
        if not self.by_address[address]:
            del self.by_address[address]


class Bodies:
    """Bodies in memory, each of limited size and all together, too."""

    def __init__(self, settings: ServeSettings) -> None:
        self.settings = settings
        self.small = _Share(_SMALL, "bodies")
        self.large = _Share(_LARGE * settings.max_body, "large bodies")
        self.waiting = 0
        self._freed = asyncio.Event()
        self._small_at = -_BESIDE  # time.monotonic() when a request without a large body ended last
        self._next: dict[str, float] = {}  # by address, when the next large body may be let in

    @property
    def held(self) -> int:
        return self.small.held + self.large.held

    @contextmanager
    def reserve(self, request: Request) -> Iterator[Reservation]:
        """What is taken in inside is counted until the end of it."""
        reservation = Reservation(self, client_of(request.client.host if request.client else ""))
        try:
            yield reservation
        finally:
            self.small.take(reservation.address, -reservation.small)
            if reservation.claimed:
                self.large.take(reservation.address, -reservation.claimed)
                self._freed.set()
            elif not reservation.wanted:
                self._small_at = time.monotonic()

    async def claim(self, address: str, length: int) -> None:
        """Waits until there is memory for a large body. Raises Refusal 429 or 503 where too many wait."""
        if (refusal := self.large.refusal(address, length)) and self.waiting >= _MOST_WAITING:
            raise refusal
        self.waiting += 1
        try:
            while (pause := self._pause(address)) or self.large.refusal(address, length):
                if pause:
                    await asyncio.sleep(min(pause, _BESIDE))
                    continue
                self._freed.clear()
                await self._freed.wait()
            self.large.take(address, length)
            now = time.monotonic()
            self._next = {other: due for other, due in self._next.items() if due > now}
            self._next[address] = self._next.get(address, now) + length / _RATE
        finally:
            self.waiting -= 1

    def _pause(self, address: str) -> float:
        """Seconds for which a large body of this address has to wait; 0 where nobody else is served."""
        now = time.monotonic()
        return max(0.0, self._next.get(address, 0.0) - now) if now - self._small_at < _BESIDE else 0.0


class Reservation:
    """What one request holds. small: bytes counted as they came. wanted, claimed: of a large body, before
    it came."""

    def __init__(self, bodies: Bodies, address: str) -> None:
        self.bodies, self.address, self.settings = bodies, address, bodies.settings
        self.size = self.small = self.wanted = self.claimed = 0

    async def read(self, request: Request, marks: Marks = ()) -> bytes:
        """marks: what the body may hold of each. Raises Refusal: 413 where it is too large, or holds too many
        marks, before all of it has come; 408 where it is too slow; 429 or 503 where memory is short."""
        claimed = request.headers.get("content-length")
        length = int(claimed) if claimed else 0  # the middleware has checked it
        if length > self.settings.max_body:
            raise self._too_large(f"a body of {length:,} bytes")
        counter, pieces = MarkCounter(marks), []
        try:
            async with asyncio.timeout(self.settings.timeout):
                if length > HEAVY:
                    await self._claim(length)
                async for piece in request.stream():
                    await self._count(len(piece))
                    counter.add(piece)
                    pieces.append(piece)
        except TimeoutError:
            raise self._too_slow() from None
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def _claim(self, length: int) -> None:
        self.wanted = length
        await self.bodies.claim(self.address, length)
        self.claimed = length

    async def _count(self, more: int) -> None:
        self.size += more
        if self.size > self.settings.max_body:
            raise self._too_large(f"a body of more than {self.settings.max_body:,} bytes")
        if self.size <= self.claimed:
            return
        if self.size > HEAVY:  # one that did not say how long it is
            await self._claim(self.settings.max_body)
            return
        if refusal := self.bodies.small.refusal(self.address, more):
            raise refusal
        self.bodies.small.take(self.address, more)
        self.small += more

    def _too_slow(self) -> Refusal:
        if self.wanted and not self.claimed:
            refusal = self.bodies.large.refusal(self.address, self.wanted)
            return refusal or busy("no memory for a large body")
        expected = f"all of it in {self.settings.timeout:g} seconds"
        return Refusal(408, "the body did not arrive", expected=expected, headers=CLOSE)

    def _too_large(self, found: str) -> Refusal:
        expected, remedy = f"at most {self.settings.max_body:,}", "send smaller pictures, or fewer"
        return Refusal(413, found, expected=expected, remedy=remedy, headers=CLOSE)


def media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


# uvicorn's protocols, watched over: each tells `Connections` what it is waiting for.

_MOST_PIPELINED = 16  # requests that a client sends before it has its answers
_MOST_UNWANTED = 2**18  # bytes of a body that come when its request is answered already
_FRAMING = 2**16  # bytes around a chunked body, beside as many again as it has
_LINGER = 1.0  # seconds that a refused client may go on sending: a closed socket would lose it the answer


class Guard(HttpToolsProtocol):
    """One connection. step: what it does, since when (time.monotonic). taken: bytes that came."""

    def __init__(self, connections: Connections, **options: Any) -> None:
        super().__init__(**options)
        self.guards, self.address = connections, ""
        self.step, self.since, self.stuck_since = Step.HEAD, time.monotonic(), 0.0
        self.taken = self.head = self.raw = self.body = self.unwanted = 0
        self.in_head = True
        self.lingering = False  # it is answered and left, and what still comes is dropped
        self.broken = Refusal(400, "not an HTTP request", expected="HTTP/1.1")

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        refusal = self.guards.enter(self, self.client[0] if self.client else "")
        if refusal:
            self.end(refusal, "too many")

    def connection_lost(self, exc: Exception | None) -> None:
        self.guards.leave(self)
        self.guards.lingering.discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.is_over():
            self.unwanted += len(data)
            if self.unwanted > _MOST_UNWANTED:
                self.transport.abort()
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
        elif telling and len(self.guards.lingering) < MOST_LINGERING:  # it may read what was answered
            self.guards.lingering.add(self)
            self.lingering, self.unwanted = True, 0
            self.transport.write_eof()
            self.loop.call_later(_LINGER, self.transport.abort)
        else:
            self.transport.close()
