"""Workers: whatever a body does is its own answer; one that dies costs only the request that it died of."""

from __future__ import annotations

import asyncio
import io
import json
import pickle
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from fastapi import Request
from PIL import Image
from serving import EXAMPLES, AppClient, base64_of, make_classifier

from tenfold.classifier import Classifier
from tenfold.errors import DataError
from tenfold.serve import bodies, worker
from tenfold.serve.bodies import Bodies
from tenfold.serve.pool import Batches, WorkerPool
from tenfold.serve.requests import GivenPicture, predict_marks, split_body
from tenfold.serve.settings import Refusal, ServeSettings, busy
from tenfold.serve.worker import Answerer

FIVE = (EXAMPLES / "five.png").read_bytes()
SETTINGS = ServeSettings(workers=2, max_wait=60, timeout=60)


class DeadlyWorker:
    """Dies of a body that says so, and of no other. answerer: of the others, which else come back."""

    def __init__(self, answerer: Answerer | None) -> None:
        self.answerer = answerer

    async def ask(self, name: str, asked: list[tuple[str, bytes]]) -> Any:
        if any(b"die" in body for _, body in asked):
            raise busy("the worker ended")
        answer = self.answerer.answer((name, asked)) if self.answerer else [(200, body) for _, body in asked]
        if isinstance(answer, Refusal):
            raise answer
        return answer


class DeadlyPool:
    """Counts what is asked of its workers. The first waits until there is a batch."""

    ready, ready_at = True, 0.0

    def __init__(self, answerer: Answerer | None = None) -> None:
        self.taken, self.open, self.answerer = 0, asyncio.Event(), answerer

    @asynccontextmanager
    async def take(self, **_: Any) -> AsyncIterator[DeadlyWorker]:
        self.taken += 1
        await self.open.wait()
        yield DeadlyWorker(self.answerer)


def ask_together(bodies_asked: list[bytes], pool: DeadlyPool) -> list[Any]:
    """The answers, or what was raised instead."""

    async def run() -> list[Any]:
        batches = Batches(pool, SETTINGS, lambda _: None)  # type: ignore[arg-type]
        asked = [asyncio.create_task(batches.ask("raw", body)) for body in bodies_asked]
        while len(batches.waiting) < len(asked):
            await asyncio.sleep(0)
        pool.open.set()
        return await asyncio.gather(*asked, return_exceptions=True)

    return asyncio.run(run())


@pytest.mark.parametrize("bodies_asked", [[b"die"], [b"a", b"die", b"b", b"c"], [b"die", b"a", b"die"]])
def test_only_the_request_that_a_worker_died_of_fails(bodies_asked: list[bytes]) -> None:
    pool = DeadlyPool()
    answers, taken = ask_together(bodies_asked, pool), pool.taken
    for body, answer in zip(bodies_asked, answers, strict=True):
        if b"die" in body:
            assert isinstance(answer, Refusal) and answer.status == 503
        else:
            assert answer == (200, body)
    assert taken == (1 if len(bodies_asked) == 1 else 1 + len(bodies_asked))  # each once more, and no more


def test_who_asks_as_a_batch_ends_is_answered() -> None:
    async def run() -> None:
        pool = DeadlyPool()
        pool.open.set()
        batches = Batches(pool, SETTINGS, lambda _: None)  # type: ignore[arg-type]
        for _ in range(3):
            assert await asyncio.wait_for(batches.ask("raw", b"a"), 30) == (200, b"a")

    asyncio.run(run())


@pytest.mark.parametrize(
    "error", [ValueError("x"), MemoryError(), RecursionError(), DataError("broken"), KeyError(1)]
)
def test_whatever_reading_raises_is_a_refusal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(worker, "read_body", fail)
    answerer = Answerer(None, ServeSettings(max_pixels=100, max_pictures=4))
    status, told = answerer.answer(("read", GivenPicture("a", b"data"), {}, False))
    assert status == (413 if isinstance(error, MemoryError) else 422)
    assert set(json.loads(told)["error"]) == {"found", "expected", "remedy"}
    assert ("traceback" in capsys.readouterr().err) is not isinstance(error, DataError)
    refusal = answerer.answer(("split", "application/json", b"["))
    assert isinstance(refusal, Refusal) and refusal.status == 400  # and it lives


def test_a_refusal_comes_back_from_a_worker_as_it_was() -> None:
    refusal = Refusal(413, "much", expected="less", remedy="send less", headers={"Connection": "close"})
    again = pickle.loads(pickle.dumps(refusal))  # noqa: S301
    assert isinstance(again, Refusal) and str(again) == str(refusal)
    assert (again.status, again.headers) == (413, refusal.headers) and again.to_bytes() == refusal.to_bytes()


def test_a_large_picture_is_put_off() -> None:
    """Until no other one is decoded."""
    file = io.BytesIO()
    Image.new("1", (3000, 3000)).save(file, "PNG")
    answerer = Answerer(make_classifier(), ServeSettings(max_pixels=10**7))
    picture = GivenPicture("a", file.getvalue())
    assert answerer.answer(("read", picture, {}, False)) is None
    assert answerer.answer(("read", picture, {}, True))[0] in (200, 422)


def test_what_a_batch_cannot_do_each_does_alone(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where memory is enough for each, and not for all."""
    rng = np.random.default_rng(3)
    bodies_asked = [rng.integers(0, 256, 784, np.uint8).tobytes() for _ in range(3)]
    answerer = Answerer(classifier, SETTINGS)
    expected = [answerer.predict([("raw", body)])[0] for body in bodies_asked]
    real = classifier.predictions

    def scarce(images: np.ndarray) -> Any:
        if len(images) > 1 or images.sum() == 0:
            raise MemoryError
        return real(images)

    monkeypatch.setattr(classifier, "predictions", scarce)
    *good, bad = ask_together([*bodies_asked, bytes(784)], DeadlyPool(answerer))
    assert good == expected
    assert isinstance(bad, Refusal) and bad.status == 413 and "memory" in bad.found


def test_a_worker_that_died_idle_is_nobodys_fault(image_client: AppClient) -> None:
    """It is replaced without a request, the server says that it is not ready, and requests wait for it."""
    pool: WorkerPool = image_client.app.state.pool
    (idle,) = pool._workers
    before = pool.restarts
    image_client.portal.call(idle.helper.process.kill)
    image_client.portal.call(idle.helper.process.wait)
    answer = image_client.get("/readyz")
    assert answer.status_code == 503 and "tenfold_ready 0" in image_client.get("/metrics").text
    raw = {"Content-Type": "application/octet-stream"}
    assert image_client.post("/v1/predict", content=bytes(784), headers=raw).status_code == 200
    assert image_client.get("/readyz").status_code == 200
    assert pool.restarts == before + 1


class IdlePool(WorkerPool):
    """Of workers that are never asked anything."""

    def __init__(self, count: int) -> None:
        self.settings = ServeSettings(workers=count, max_wait=60, timeout=60)
        self.idle = asyncio.Queue()
        self.waiting = self.waiting_heavy = self.busy = 0
        self._workers = set()
        self._heavy = asyncio.Semaphore(max(1, count - 1))
        for _ in range(count):
            self.idle.put_nowait(IdleWorker())  # type: ignore[arg-type]


class IdleWorker:
    def lives(self) -> bool:
        return True


def test_heavy_work_leaves_a_worker_free() -> None:
    async def run() -> tuple[int, int]:
        pool, done = IdlePool(3), asyncio.Event()

        async def work() -> None:
            async with pool.take(heavy=True):
                await done.wait()

        heavy = [asyncio.create_task(work()) for _ in range(9)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for _ in range(20):
            async with pool.take():
                found = pool.busy, pool.waiting_heavy
        done.set()
        await asyncio.gather(*heavy)
        return found

    assert asyncio.run(run()) == (3, 7)  # two heavy ones, and the light one


# Bodies in memory


def request_of(
    address: str, pieces: list[bytes], length: int | None, hold: asyncio.Event | None = None
) -> Request:
    """hold: after the pieces nothing more comes until it is set."""
    left = iter(pieces)

    async def receive() -> dict[str, Any]:
        piece = next(left, None)
        if piece is not None:
            return {"type": "http.request", "body": piece, "more_body": True}
        if hold is not None:
            await hold.wait()
        return {"type": "http.request", "body": b"", "more_body": False}

    headers = [] if length is None else [(b"content-length", str(length).encode())]
    return Request({"type": "http", "client": (address, 1), "headers": headers, "state": {}}, receive)


async def read(held: Bodies, request: Request) -> int:
    with held.reserve(request) as reservation:
        return len(await reservation.read(request))


def test_large_bodies_wait_for_memory_and_small_ones_do_not() -> None:
    """Eight clients send the largest bodies slowly; 47 others of the same address are served meanwhile."""

    async def run() -> None:
        held, hold = Bodies(ServeSettings(max_body=2**22)), asyncio.Event()
        large = [
            asyncio.create_task(read(held, request_of("a", [bytes(2**20)], 2**22, hold))) for _ in range(8)
        ]
        await asyncio.sleep(0.01)
        assert held.large.held == 2 * 2**22 and held.waiting == 6  # one address has half of it
        small = [read(held, request_of("a", [bytes(2**19)] * 2, 2**20)) for _ in range(47)]
        assert await asyncio.gather(*small) == [2**20] * 47
        other = await read(held, request_of("b", [bytes(2**21)] * 2, 2**22))
        assert other == 2**22
        hold.set()
        assert await asyncio.gather(*large) == [2**20] * 8
        assert held.held == held.waiting == 0
        assert not held.large.by_address and not held.small.by_address

    asyncio.run(run())


@pytest.mark.parametrize("length", [2**22, None], ids=["with a length", "chunked"])
def test_who_waits_too_long_for_memory_is_told_whose_fault_it_is(length: int | None) -> None:
    async def run() -> None:
        held, hold = Bodies(ServeSettings(max_body=2**22, timeout=0.05)), asyncio.Event()
        held.large.take("a", 2 * 2**22)
        pieces = [bytes(2**19)] * 3
        assert await status_of(read(held, request_of("a", pieces, length))) == 429
        held.large.take("b", 2 * 2**22)
        assert await status_of(read(held, request_of("c", pieces, length))) == 503
        assert await status_of(read(held, request_of("c", [b"a"], 9, hold))) == 408
        held.waiting = bodies._MOST_WAITING
        assert await status_of(read(held, request_of("a", pieces, length))) == 429  # at once
        assert held.small.held == 0

    asyncio.run(run())


def test_small_bodies_of_one_address_leave_memory_for_others() -> None:
    async def run() -> None:
        held, hold = Bodies(ServeSettings()), asyncio.Event()
        count = held.small.most // 2**20
        slow = [
            asyncio.create_task(read(held, request_of("a", [bytes(2**20)], 2**20, hold)))
            for _ in range(count)
        ]
        await asyncio.sleep(0.01)
        assert held.small.held == held.small.most // 2
        assert await read(held, request_of("b", [bytes(2**20)], 2**20)) == 2**20
        assert await status_of(read(held, request_of("a", [b"x"], 1))) == 429
        hold.set()
        found = await asyncio.gather(*slow, return_exceptions=True)
        assert sum(isinstance(each, Refusal) for each in found) == count // 2
        assert held.held == 0

    asyncio.run(run())


async def status_of(reading: Any) -> int:
    with pytest.raises(Refusal) as caught:
        await reading
    return caught.value.status


def test_too_many_marks_end_a_body_while_it_arrives() -> None:
    """Sixteen MiB of empty texts: refused after the first piece, and nothing is kept."""

    def pieces() -> Iterator[bytes]:
        for _ in range(256):
            taken.append(1)
            yield b'"",' * (2**16 // 3)

    taken: list[int] = []

    async def run() -> None:
        held = Bodies(ServeSettings())
        request = request_of("a", pieces(), None)  # type: ignore[arg-type]
        with held.reserve(request) as reservation:
            with pytest.raises(Refusal, match="more than 64 quotation marks") as caught:
                await reservation.read(request, predict_marks((28, 28), 1024))
            assert caught.value.status == 413 and caught.value.headers["Connection"] == "close"
        assert held.held == 0

    asyncio.run(run())
    assert len(taken) == 1


def test_a_large_body_is_split_in_a_worker_as_a_small_one_here(client: AppClient) -> None:
    """The same answers, and the same refusals."""
    noise = np.random.default_rng(1).bytes(100_000)
    for answer in (
        client.post("/v1/read", json={"pictures": [base64_of(FIVE), base64_of(noise)]}),
        client.post("/v1/read", files=[("a", ("a.png", FIVE)), ("b", ("b.png", noise))]),
    ):
        first, second = answer.json()["pictures"]
        assert first["text"] == "5" and "error" in second
    form = {"Content-Type": "Multipart/Form-Data; boundary=aB"}
    for body, headers, status in (
        (b'{"pictures": ["%s"]}' % (b"%" * 100_000), {"Content-Type": "application/json"}, 422),
        (b"--aB\r\n" + b"\r\n-" * 30_000, form, 400),
        (b"--ab\r\n" + bytes(100_000), form, 400),
    ):
        found = client.post("/v1/read", content=body, headers=headers)
        assert found.status_code == status, found.text
        with pytest.raises(Refusal) as here:
            asyncio.run(split_body(headers["Content-Type"].lower().replace("ab", "aB"), body, 4))
        assert found.json()["error"]["found"] == here.value.found
