"""Images of many requests, answered together: whatever has come while a worker was busy is one batch.

Nothing waits for company where a worker is idle; under load a batch grows by itself.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter

from tenfold.serve.pool import WorkerPool
from tenfold.serve.refusal import busy
from tenfold.serve.settings import ServeSettings

__all__ = ["Batches"]

_MOST_BYTES = 2**20  # of a batch's bodies, unless a single one is larger

Answer = tuple[int, bytes]


@dataclass(eq=False)
class _Asked:
    kind: str
    body: bytes
    answer: asyncio.Future[Answer]
    since: float = field(default_factory=perf_counter)


class Batches:
    """What waits to be answered in a batch. One worker at a time takes them; another for a full batch."""

    def __init__(self, pool: WorkerPool, settings: ServeSettings, observe: Callable[[int], None]) -> None:
        self.pool, self.settings, self.observe = pool, settings, observe
        self.waiting: deque[_Asked] = deque()
        self._pumps: set[asyncio.Task[None]] = set()

    def check_room(self) -> None:
        """Raises Refusal 503 where too many wait already."""
        if len(self.waiting) >= self.settings.queue:
            raise busy(f"{len(self.waiting)} requests are waiting already")

    async def ask(self, kind: str, body: bytes) -> Answer:
        """The status and the JSON for one body of /v1/predict."""
        asked = _Asked(kind, body, asyncio.get_running_loop().create_future())
        self.waiting.append(asked)
        if not self._pumps or (len(self.waiting) >= self.settings.max_batch and self._may_pump()):
            task = asyncio.create_task(self._pump())
            self._pumps.add(task)
            task.add_done_callback(self._pumps.discard)
        return await asked.answer

    def _may_pump(self) -> bool:
        return len(self._pumps) < self.settings.worker_count

    async def _pump(self) -> None:
        while self.waiting:
            batch: list[_Asked] = []
            try:
                async with self.pool.take(patient=True) as worker:
                    batch = self._next()
                    if batch:
                        header = {"do": "predict", "bodies": [(each.kind, len(each.body)) for each in batch]}
                        async with asyncio.timeout(self.settings.timeout):
                            reply = await worker.ask(header, b"".join(each.body for each in batch))
                        _share_out(batch, *reply)
            except Exception as error:
                for each in batch or self._drop():
                    if not each.answer.done():
                        each.answer.set_exception(error)

    def _next(self) -> list[_Asked]:
        """The longest waiting ones, without those that gave up or waited too long."""
        batch: list[_Asked] = []
        size = 0
        limit = self.settings.max_wait if self.pool.ready else self.settings.timeout
        while self.waiting and len(batch) < self.settings.max_batch:
            asked = self.waiting[0]
            if batch and size + len(asked.body) > _MOST_BYTES:
                break
            self.waiting.popleft()
            if asked.answer.done():
                continue
            if perf_counter() - asked.since > limit:
                asked.answer.set_exception(busy("more is asked than can be answered"))
                continue
            batch.append(asked)
            size += len(asked.body)
        if batch:
            self.observe(len(batch))
        return batch

    def _drop(self) -> list[_Asked]:
        dropped = list(self.waiting)
        self.waiting.clear()
        return dropped


def _share_out(batch: list[_Asked], header: dict[str, list[tuple[int, int]]], data: bytes) -> None:
    start = 0
    for asked, (status, length) in zip(batch, header["answers"], strict=True):
        if not asked.answer.done():
            asked.answer.set_result((status, data[start : start + length]))
        start += length
