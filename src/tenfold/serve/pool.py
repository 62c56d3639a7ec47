"""The workers, as the server sees them: started, asked, ended when they take too long, and replaced.

Light work is done in the order of asking. Heavy work, a large body or more pictures than one, leaves a
worker free for it where there are several.
"""

from __future__ import annotations

import asyncio
import pickle
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from tenfold.helpers import Helper
from tenfold.reader.line_reader import AnyModel
from tenfold.serve.settings import Refusal, ServeSettings, busy

_START = 60.0  # seconds that a worker may take to begin: PyTorch on a slow disk
_STOP = 5.0  # seconds that it may take to end
_PAUSE = 1.0  # seconds before a worker that did not begin is started again
_MOST_OF = 0.9  # of the time for an answer: as long a request waits for workers that begin
_MOST_HEAVY = 1024  # pieces of heavy work that wait
HEAVY = 2**20  # bytes: a larger body is heavy work


class Worker:
    """A helper that is asked from the event loop, in a thread that waits for it."""

    def __init__(self, load: bytes, threads: ThreadPoolExecutor) -> None:
        self.helper, self.threads = Helper("tenfold.serve.worker", load, logs=True), threads
        self.lives = self.helper.lives

    async def run(self, function: Callable[..., Any], *given: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self.threads, function, *given)

    async def begin(self) -> bool:
        """Whether it gets ready; else it is ended. Raises TimeoutError."""
        ready = False
        try:
            async with asyncio.timeout(_START):
                ready = await self.run(self.helper.begin)
        finally:
            if not ready:
                self.threads.submit(self.helper.end)
        return ready

    async def ask(self, *question: Any) -> Any:
        """What the method of `Answerer` that is named first makes of the rest. Raises the Refusal that it
        answers with, and Refusal 503 where the process ends: it is killed, or has no memory left."""
        try:
            answer = await self.run(self.helper.ask, question)
        except BaseException:  # out of time, or given up: its answer would be taken for the next one's
            self.helper.kill()
            raise
        if answer is Helper.NoAnswer.ENDED:
            remedy = "send a smaller picture, or try again after a second"
            raise busy("the worker that read this ended unexpectedly", remedy)
        if isinstance(answer, Refusal):
            raise answer
        return answer


class WorkerPool:
    """Who asks takes an idle worker, in the order of asking; how many wait is bounded."""

    def __init__(self, model: AnyModel, settings: ServeSettings) -> None:
        self.settings, engine = settings, model.engine
        options = {name: getattr(engine.options, name) for name in ("device", "precision")}
        options["engine"] = engine.name
        self.load = pickle.dumps((model.card.to_dict(), engine.weights(), options, settings))
        self.idle: asyncio.Queue[Worker] = asyncio.Queue()
        self.waiting = self.waiting_heavy = self.busy = self.restarts = 0
        self.ready_at = 0.0  # time.perf_counter() when a worker was started last
        self.large = asyncio.Lock()
        self._heavy = asyncio.Semaphore(max(1, settings.worker_count - 1))
        self._workers: set[Worker] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def ready(self) -> bool:
        """Whether every worker has loaded the model, answered once, and lives."""
        return sum(worker.lives() for worker in self._workers) == self.settings.worker_count

    def start(self) -> None:
        """Begins to start the workers; `ready` says when they are."""
        self._threads = ThreadPoolExecutor(3 * self.settings.worker_count)  # for its answer and its end
        for _ in range(self.settings.worker_count):
            self._keep(self._add())

    async def stop(self) -> None:
        """Lets the workers end by themselves, and waits until they are gone."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(worker.run(worker.helper.end, _STOP) for worker in self._workers))
        self._workers.clear()
        self._threads.shutdown()

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.add(task := asyncio.create_task(work))
        task.add_done_callback(self._tasks.discard)

    async def _add(self) -> None:
        while True:
            with suppress(TimeoutError, OSError):  # OSError: no process can be started
                worker = Worker(self.load, self._threads)
                if await worker.begin():
                    break
            await asyncio.sleep(_PAUSE)
        self._workers.add(worker)
        self.ready_at = perf_counter()
        self.idle.put_nowait(worker)
        self._keep(self._replace(worker))

    async def _replace(self, worker: Worker) -> None:
        """By another one, as soon as it has ended, whether it was asked something or not."""
        await worker.run(worker.helper.process.wait)
        self.restarts += 1
        self._workers.discard(worker)
        await worker.run(worker.helper.end)
        await self._add()

    @asynccontextmanager
    async def take(self, *, waits: bool = False, heavy: bool = False) -> AsyncIterator[Worker]:
        """The next idle worker. Raises Refusal 503 where none is idle in time, unless `waits` or `heavy`."""
        if self.waiting_heavy >= _MOST_HEAVY:
            raise busy(f"{self.waiting_heavy} large pictures are waiting already")
        async with AsyncExitStack() as turn:
            if heavy:
                self.waiting_heavy += 1
                try:
                    await turn.enter_async_context(self._heavy)
                finally:
                    self.waiting_heavy -= 1
            worker = await self._next_idle(None if waits or heavy else self.settings.max_wait)
            self.busy += 1
            try:
                yield worker
            finally:
                self.busy -= 1
                if worker.lives():
                    self.idle.put_nowait(worker)

    async def _next_idle(self, wait: float | None) -> Worker:
        """wait: seconds; longer while workers begin, or one is replaced."""
        self.waiting += 1
        try:
            if self.ready:
                with suppress(TimeoutError):
                    return await self._living(wait)
                if self.ready:
                    raise busy("server overloaded")
            return await self._living(_MOST_OF * self.settings.timeout)
        except TimeoutError:
            raise busy("server overloaded") from None
        finally:
            self.waiting -= 1

    async def _living(self, wait: float | None) -> Worker:
        """One that died while it was idle is not asked: nobody's request is to blame."""
        async with asyncio.timeout(wait):
            while not (worker := await self.idle.get()).lives():
                pass
            return worker


# Images of many requests, answered together: whatever has come while a worker was busy is one batch.
#
# Nothing waits for company where a worker is idle; under load a batch grows by itself. Where a worker dies
# of a batch, each of its requests is asked once more, alone: only the one that a worker dies of again fails.

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

    async def ask(self, kind: str, body: bytes) -> Answer:
        """The status and the JSON for one body of /v1/predict."""
        asked = _Asked(kind, body, asyncio.get_running_loop().create_future())
        if len(body) > HEAVY:
            async with self.pool.take(heavy=True) as worker:
                await self._answer(worker, [asked])
            return await asked.answer
        self.waiting.append(asked)
        full = len(self.waiting) >= self.settings.max_batch
        if not self._pumps or (full and len(self._pumps) < self.settings.worker_count):
            self._pumps.add(asyncio.create_task(self._pump()))
        return await asked.answer

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
            if isinstance(error, Refusal) and len(batch) > 1:  # nothing could be made of it as a whole
                self.alone.extend(batch)
                return
            if not batch:
                batch = [*self.alone, *self.waiting]
                self.alone.clear()
                self.waiting.clear()
            for each in batch:
                if not each.answer.done():
                    each.answer.set_exception(error)

    async def _answer(self, worker: Worker, batch: list[_Asked]) -> None:
        self.observe(len(batch))
        answers = await worker.ask("predict", [(each.kind, each.body) for each in batch])
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
