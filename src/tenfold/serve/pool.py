"""The workers, as the server sees them: started, asked, ended when they take too long, and replaced.

Light work is done in the order of asking. Heavy work, a large body or more pictures than one, leaves a
worker free for it where there are several.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext, suppress
from time import perf_counter
from typing import Any

import numpy as np
from safetensors.numpy import save

from tenfold.helpers import ONE_CORE
from tenfold.reader.line_reader import AnyModel
from tenfold.serve.images import Refusal, busy
from tenfold.serve.settings import ServeSettings
from tenfold.serve.worker import FRAME, join_frame

Reply = tuple[dict[str, Any], bytes]

_PIPE = 2**20  # bytes that are read ahead from a worker
_START = 60.0  # seconds that a worker may take to begin: PyTorch on a slow disk
_PAUSE = 1.0  # seconds before a worker that did not begin is started again
_MOST_OF = 0.9  # of the time for an answer: as long a request waits for workers that begin
_MOST_HEAVY = 1024  # pieces of heavy work that wait
HEAVY = 2**20  # bytes: a larger body is heavy work


class WorkerDiedError(Refusal):
    """The process ended while it answered: it was killed, or had no memory left."""

    def __init__(self) -> None:
        super().__init__(
            503,
            "the worker that read this ended unexpectedly",
            remedy="send a smaller picture, or try again after a second",
            headers={"Retry-After": "1"},
        )


class Worker:
    """One process. After anything goes wrong in `ask` it is ended: its pipes are out of step."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.alive = True

    @classmethod
    async def start(cls, load: bytes) -> Worker:
        """A process that has loaded the model and answered once."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-P", "-m", "tenfold.serve.worker"),  # -P: modules are not taken from the working folder
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_PIPE,
            env=os.environ | ONE_CORE,
        )
        worker = cls(process)
        async with asyncio.timeout(_START):
            await worker._send(load)
            header, _ = await worker.ask({"do": "warm"})
        if header["status"] != 200:
            worker.end()
            raise busy("a worker cannot read")
        return worker

    def lives(self) -> bool:
        answers = self.process.stdout
        return self.alive and self.process.returncode is None and answers is not None and not answers.at_eof()

    async def ask(self, header: dict[str, Any], data: bytes = b"") -> Reply:
        """Raises WorkerDiedError where the process ended meanwhile."""
        return await self._send(join_frame(header, data))

    async def _send(self, frame: bytes) -> Reply:
        given, answers = self.process.stdin, self.process.stdout
        if given is None or answers is None:
            raise RuntimeError("a worker without pipes")
        try:
            given.write(frame)
            await given.drain()
            sizes = FRAME.unpack(await answers.readexactly(FRAME.size))
            header, data = [await answers.readexactly(size) for size in sizes]
        except (OSError, RuntimeError, asyncio.IncompleteReadError) as error:  # uvloop: RuntimeError
            self.end()
            raise WorkerDiedError from error
        except BaseException:  # out of time, or given up: its answer would be taken for the next one's
            self.end()
            raise
        return json.loads(header), data

    def end(self) -> None:
        self.alive = False
        with suppress(ProcessLookupError):
            self.process.kill()

    async def stop(self) -> None:
        """Lets it end by itself, as its input is closed; then waits until it is gone."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            async with asyncio.timeout(5):
                await self.process.wait()
        except TimeoutError:
            self.end()
            await self.process.wait()


class WorkerPool:
    """Who asks takes an idle worker, in the order of asking; how many wait is bounded."""

    def __init__(self, model: AnyModel, settings: ServeSettings) -> None:
        self.settings = settings
        self.load = _load_frame(model, settings)
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

    @property
    def full(self) -> bool:
        return self.waiting >= self.settings.queue

    def start(self) -> None:
        """Begins to start the workers; `ready` says when they are."""
        for _ in range(self.settings.worker_count):
            self._keep(asyncio.create_task(self._add()))

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(worker.stop() for worker in self._workers))
        self._workers.clear()

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _add(self) -> None:
        while True:
            try:
                worker = await Worker.start(self.load)
            except (Refusal, TimeoutError, OSError):  # OSError: no process can be started
                await asyncio.sleep(_PAUSE)
                continue
            self._workers.add(worker)
            self.ready_at = perf_counter()
            self.idle.put_nowait(worker)
            self._keep(asyncio.create_task(self._replace(worker)))
            return

    def check_capacity(self) -> None:
        """Raises Refusal 503 where too many wait already."""
        if self.full:
            raise busy(f"{self.waiting} requests are waiting already")

    @asynccontextmanager
    async def take(self, *, waits: bool = False, heavy: bool = False) -> AsyncIterator[Worker]:
        """The next idle worker. Raises Refusal 503 where none is idle in time, unless `waits` or
        `heavy`."""
        if self.waiting_heavy >= _MOST_HEAVY:
            raise busy(f"{self.waiting_heavy} large pictures are waiting already")
        async with self._heavy_turn() if heavy else nullcontext():
            worker = await self._next_idle(None if waits or heavy else self.settings.max_wait)
            self.busy += 1
            try:
                yield worker
            finally:
                self.busy -= 1
                if worker.alive:
                    self.idle.put_nowait(worker)

    @asynccontextmanager
    async def _heavy_turn(self) -> AsyncIterator[None]:
        self.waiting_heavy += 1
        try:
            await self._heavy.acquire()
        finally:
            self.waiting_heavy -= 1
        try:
            yield
        finally:
            self._heavy.release()

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
                worker.end()
            return worker

    async def _replace(self, worker: Worker) -> None:
        """By another one, as soon as it has ended, whether it was asked something or not."""
        await worker.process.wait()
        worker.alive = False
        self.restarts += 1
        self._workers.discard(worker)
        await self._add()


def _load_frame(model: AnyModel, settings: ServeSettings) -> bytes:
    """The model as a worker takes it: its card and its weights."""
    engine = model.engine
    header = {
        "card": model.card.to_dict(),
        "engine": engine.name,
        "device": engine.options.device,
        "precision": engine.options.precision,
        "max_pixels": settings.max_pixels,
        "max_images": settings.max_images,
        "max_pictures": settings.max_pictures,
    }
    weights = {name: np.ascontiguousarray(value) for name, value in engine.weights().items()}
    return join_frame(header, save(weights))
