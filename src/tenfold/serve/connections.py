"""Connections: how many there may be, and how long each may keep the server waiting.

uvicorn's protocol does the work. What is added: deadlines for a request's head, its body and the taking of
its answer; a limit of all connections, from the descriptors that this process may open, and of those of
one address. Where one too many comes, the one that has kept the server waiting the longest is closed for
it: so half-sent requests, however many, keep nobody out. A connection whose request is being answered is
never closed for another.
"""

from __future__ import annotations

import asyncio
import sys
import time
from enum import Enum
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tenfold.serve.hosts import client_of
from tenfold.serve.middleware import Measures, write_line
from tenfold.serve.refusal import Refusal, busy, too_much
from tenfold.serve.settings import ServeSettings

if sys.platform != "win32":
    import resource

if TYPE_CHECKING:
    from tenfold.serve.protocol import Guard

__all__ = ["IDLE", "Connections", "Step", "raw_answer"]

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
