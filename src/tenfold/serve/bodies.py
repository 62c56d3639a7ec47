"""Bodies, taken in piece by piece, so that neither one client nor all of them fill the memory.

A small body is counted as it comes. A larger one claims memory for all of it before it is read, and waits
for that: a slow sender of large bodies delays only other large bodies. No address
has more than half of that memory. While other requests are served, the large bodies of one address are let in
at a bounded rate, so that the time for them is not taken from others.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import Request

from tenfold.serve.hosts import client_of
from tenfold.serve.images import MarkCounter, Marks
from tenfold.serve.pool import HEAVY
from tenfold.serve.refusal import Refusal, busy, too_much
from tenfold.serve.settings import ServeSettings

__all__ = ["Bodies", "Reservation", "media_type"]

_SMALL = 96 * 2**20  # bytes of small bodies that are held at one time
_LARGE = 4  # large bodies of the largest size
_MOST_WAITING = 32  # large bodies that wait for memory
_RATE = 8 * 2**20  # bytes of large bodies per second and address, while other requests are served
_BESIDE = 1.0  # seconds after another request for which it counts as beside


class _Share:
    """Bytes that are held, by address; one may have half of them."""

    def __init__(self, most: int, what: str) -> None:
        self.most, self.what = most, what
        self.held = 0
        self.by_address: Counter[str] = Counter()

    def refusal(self, address: str, more: int) -> Refusal | None:
        """Why there is no memory for so many bytes more, or None."""
        if self.by_address[address] + more > self.most // 2:
            return too_much(f"your address has too many {self.what} under way")
        return busy(f"too many {self.what} are held at this moment") if self.held + more > self.most else None

    def take(self, address: str, more: int) -> None:
        self.held += more
        self.by_address[address] += more

    def give(self, address: str, size: int) -> None:
        self.held -= size
        self.by_address[address] -= size
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
            self.small.give(reservation.address, reservation.small)
            if reservation.claimed:
                self.large.give(reservation.address, reservation.claimed)
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
            self._plan(address, length)
        finally:
            self.waiting -= 1

    def _pause(self, address: str) -> float:
        """Seconds for which a large body of this address has to wait; 0 where nobody else is served."""
        now = time.monotonic()
        beside = now - self._small_at < _BESIDE
        return max(0.0, self._next.get(address, 0.0) - now) if beside else 0.0

    def _plan(self, address: str, length: int) -> None:
        now = time.monotonic()
        self._next = {other: due for other, due in self._next.items() if due > now}
        self._next[address] = max(now, self._next.get(address, 0.0)) + length / _RATE


class Reservation:
    """What one request holds. small: bytes counted as they came. wanted, claimed: of a large body, before
    it came."""

    def __init__(self, bodies: Bodies, address: str) -> None:
        self.bodies, self.address = bodies, address
        self.settings = bodies.settings
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
        seconds, headers = self.settings.timeout, {"Connection": "close"}
        return Refusal(
            408, "the body did not arrive", expected=f"all of it in {seconds:g} seconds", headers=headers
        )

    def _too_large(self, found: str) -> Refusal:
        return Refusal(
            413,
            found,
            expected=f"at most {self.settings.max_body:,}",
            remedy="send smaller pictures, or fewer",
            headers={"Connection": "close"},
        )


def media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
