"""Images of many requests, answered together: whatever has come while a worker was busy is one batch.

Nothing waits for company where a worker is idle; under load a batch grows by itself. Where a worker dies
of a batch, each of its requests is asked once more, alone: only the one that a worker dies of again fails.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import perf_counter

from tenfold.serve.images import busy
from tenfold.serve.pool import HEAVY, Worker, WorkerDiedError, WorkerPool
from tenfold.serve.settings import ServeSettings

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
        self.alone: deque[_Asked] = deque()  # of a batch that a worker died of
        self._pumps: set[asyncio.Task[None]] = set()

    def check_capacity(self) -> None:
        """Raises Refusal 503 where too many wait already."""
        if len(self.waiting) >= self.settings.queue:
            raise busy(f"{len(self.waiting)} requests are waiting already")

    async def ask(self, kind: str, body: bytes) -> Answer:
        """The status and the JSON for one body of /v1/predict."""
        asked = _Asked(kind, body, asyncio.get_running_loop().create_future())
        if len(body) > HEAVY:
            async with self.pool.take(heavy=True) as worker:
                await self._answer(worker, [asked])
            return await asked.answer
        self.waiting.append(asked)
        if not self._pumps or (len(self.waiting) >= self.settings.max_batch and self._may_pump()):
            self._pumps.add(asyncio.create_task(self._pump()))
        return await asked.answer

    def _may_pump(self) -> bool:
        return len(self._pumps) < self.settings.worker_count

    async def _pump(self) -> None:
        while self.waiting or self.alone:
            await self._pump_once()
        if task := asyncio.current_task():  # now: whoever asks before this task is done starts another one
            self._pumps.discard(task)

    async def _pump_once(self) -> None:
        batch: list[_Asked] = []
        try:
            async with self.pool.take(waits=True) as worker:
                batch = self._next()
                if batch:
                    async with asyncio.timeout(self.settings.timeout):
                        await self._answer(worker, batch)
        except Exception as error:
            if isinstance(error, WorkerDiedError) and len(batch) > 1:
                self.alone.extend(batch)
                return
            for each in batch or self._drop():
                if not each.answer.done():
                    each.answer.set_exception(error)

    async def _answer(self, worker: Worker, batch: list[_Asked]) -> None:
        self.observe(len(batch))
        header = {"do": "predict", "bodies": [(each.kind, len(each.body)) for each in batch]}
        reply, data = await worker.ask(header, b"".join(each.body for each in batch))
        if "answers" not in reply and len(batch) > 1:  # nothing could be made of it as a whole
            self.alone.extend(batch)
            return
        answers = list(_parts(reply["answers"], data)) if "answers" in reply else [(reply["status"], data)]
        for asked, answer in zip(batch, answers, strict=True):
            if not asked.answer.done():
                asked.answer.set_result(answer)

    def _next(self) -> list[_Asked]:
        """The longest waiting ones, without those that gave up or waited too long."""
        while self.alone:
            if not (asked := self.alone.popleft()).answer.done():
                return [asked]
        batch: list[_Asked] = []
        size = 0
        limit = self.settings.max_wait if self.pool.ready else self.settings.timeout
        while self.waiting and len(batch) < self.settings.max_batch:
            asked = self.waiting[0]
            if batch and size + len(asked.body) > HEAVY:
                break
            self.waiting.popleft()
            if asked.answer.done():
                continue
            if perf_counter() - max(asked.since, self.pool.ready_at) > limit:
                asked.answer.set_exception(busy("server overloaded"))
                continue
            batch.append(asked)
            size += len(asked.body)
        return batch

    def _drop(self) -> list[_Asked]:
        dropped = [*self.alone, *self.waiting]
        self.alone.clear()
        self.waiting.clear()
        return dropped


def _parts(told: list[tuple[int, int]], data: bytes) -> Iterator[Answer]:
    start = 0
    for status, length in told:
        yield status, data[start : start + length]
        start += length
