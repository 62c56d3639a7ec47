"""What each route does: it takes a body in, has a worker answer, and gives up after the time allowed."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response

from tenfold.classifier import Classifier
from tenfold.reader.line_reader import AnyModel
from tenfold.serve.answer import (
    EMPTY,
    FORM,
    GivenPicture,
    as_shown,
    check_query,
    includes_of,
    parse_query,
    read_marks,
    split_body,
)
from tenfold.serve.batches import Batches
from tenfold.serve.bodies import Bodies, Reservation, media_type
from tenfold.serve.connections import Connections, Measures
from tenfold.serve.corrections import Correction, Corrections
from tenfold.serve.counters import Gauge
from tenfold.serve.images import Refusal, predict_marks
from tenfold.serve.pool import HEAVY, Reply, WorkerPool
from tenfold.serve.schema import describe_model
from tenfold.serve.settings import ServeSettings, check_origin, collect_rarely

_KINDS = {"application/json": "json", "application/octet-stream": "raw", "application/x-npy": "npy"}
_NPY = b"\x93NUMPY"
_SPLIT_HERE = 2**16  # bytes of a form or of JSON that are split in this process, in about a millisecond


class Server:
    """The state behind the routes. Raises DataError where settings.collect cannot be written."""

    def __init__(self, model: AnyModel, settings: ServeSettings) -> None:
        self.settings, self.model = settings, model
        self.about = describe_model(model, settings)
        self.measures = Measures()
        self.pool = WorkerPool(model, settings)
        self.batches = Batches(self.pool, settings, self.measures.batches.observe)
        self.bodies = Bodies(settings)
        shape = model.card.image_shape if isinstance(model, Classifier) else (1, 1)
        self.image_marks = predict_marks(shape, settings.max_images)
        self.connections = Connections(settings, self.measures)
        self.corrections = Corrections(settings.collect, settings.max_collected) if settings.collect else None
        self._keeping = asyncio.Lock()
        gauges = {
            "tenfold_queue_depth": ("Requests that wait for a worker.", self._waiting),
            "tenfold_workers_busy": ("Workers that are answering.", lambda: self.pool.busy),
            "tenfold_worker_restarts": ("Workers that were ended and replaced.", lambda: self.pool.restarts),
            "tenfold_body_bytes": ("Bytes of bodies in memory.", lambda: self.bodies.held),
            "tenfold_connections": ("Connections that are open.", lambda: self.connections.count),
            "tenfold_ready": ("1 when every worker is warm.", lambda: self.pool.ready),
        }
        for name, (text, ask) in gauges.items():
            self.measures.registry.keep(Gauge(name, text, ask))

    def _waiting(self) -> int:
        return self.pool.waiting + self.pool.waiting_heavy + len(self.batches.waiting)

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        self.pool.start()
        sweeping = asyncio.create_task(self.connections.sweep())
        try:
            with collect_rarely():
                yield
        finally:
            sweeping.cancel()
            await self.pool.stop()

    async def healthz(self, _: Request) -> Response:
        """Whether the server lives"""
        return to_json({"status": "ok"})

    async def readyz(self, _: Request) -> Response:
        """Whether every worker is warm"""
        if not self.pool.ready:
            raise Refusal(503, "the workers are starting", remedy="ask again", headers={"Retry-After": "1"})
        return to_json({"status": "ok"})

    async def metrics(self, _: Request) -> Response:
        """Counts and times, as Prometheus reads them"""
        return Response(self.measures.registry.text(), media_type="text/plain; version=0.0.4")

    async def describe(self, _: Request) -> Response:
        """The model: card, figures, preprocessing"""
        return to_json(self.about)

    async def page_config(self, _: Request) -> Response:
        """What the page must know before it asks"""
        return to_json({"backend": "server", "collect": self.corrections is not None})

    async def read(self, request: Request) -> Response:
        """Read the numbers in one picture or several"""
        started = time.perf_counter()
        asked = parse_query(
            request.query_params, includes_of(self.model), lines=not isinstance(self.model, Classifier)
        )
        self.pool.check_capacity()
        with self.bodies.reserve(request) as reservation:
            pictures = await self._pictures(request, reservation)
            request.state.pictures = len(pictures)
            async with self._in_time():
                replies = await self._read_all(pictures, asked)
        self.measures.pictures.add(by=len(pictures))
        first, body = replies[0]
        if len(replies) == 1 and first["status"] != 200:
            error = json.loads(body)["error"]
            return to_json({"error": error}, first["status"])
        entries = b", ".join(_entry(picture, reply) for picture, reply in zip(pictures, replies, strict=True))
        seconds = time.perf_counter() - started
        whole = b'{"pictures": [%b], "milliseconds": %.3f}' % (entries, 1000 * seconds)
        return Response(whole, media_type="application/json")

    async def _pictures(self, request: Request, reservation: Reservation) -> list[GivenPicture]:
        """The pictures of a body, multipart, JSON or a picture itself. Raises Refusal."""
        kind, most = media_type(request), self.settings.max_pictures
        if kind.startswith("image/") or kind == "application/octet-stream":
            return [GivenPicture("picture", await reservation.read(request))]
        if kind not in (FORM, "application/json"):
            raise Refusal(
                415,
                f"a body of type {as_shown(kind) or 'none'}",
                expected="image/*, multipart/form-data or application/json",
            )
        body = await reservation.read(request, read_marks(most) if kind != FORM else ())
        content_type = (
            kind + request.headers["content-type"].strip()[len(kind) :]
        )  # lower case, but for its end
        if len(body) <= _SPLIT_HERE:
            return split_body(content_type, body, most)
        async with self._in_time():
            header, data = await self._ask({"do": "split", "type": content_type}, body)
        return [GivenPicture(name, piece) for name, piece in _pieces(header["pictures"], data)]

    async def _ask(self, header: dict[str, Any], body: bytes) -> Reply:
        """Heavy work. Raises the Refusal that a worker answers with."""
        async with self.pool.take(heavy=True) as worker:
            reply, answer = await worker.ask(header, body)
        if reply["status"] != 200:
            error = json.loads(answer)["error"]
            raise Refusal(reply["status"], error["found"], expected=error["expected"], remedy=error["remedy"])
        return reply, answer

    async def _read_all(self, pictures: Sequence[GivenPicture], asked: dict[str, Any]) -> list[Reply]:
        """Shared out to the workers. Only a light first one may be refused for want of one."""
        if len(pictures) == 1:
            return [await self._read_one(pictures[0], asked, heavy=len(pictures[0].data) > HEAVY)]
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(
                        self._read_one(picture, asked, heavy=number > 0 or len(picture.data) > HEAVY)
                    )
                    for number, picture in enumerate(pictures)
                ]
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _read_one(self, picture: GivenPicture, asked: dict[str, Any], *, heavy: bool) -> Reply:
        header = {"do": "read", "name": picture.name, "asked": asked, "large": False}
        async with self.pool.take(heavy=heavy) as worker:
            reply = await worker.ask(header, picture.data)
        if reply[0]["status"]:
            return reply
        async with self.pool.large, self.pool.take(heavy=True) as worker:  # no other large one meanwhile
            return await worker.ask(header | {"large": True}, picture.data)

    async def refuse_images(self, _: Request) -> Response:
        """What /v1/predict answers for a line reader"""
        raise Refusal(
            409,
            "this model reads lines in pictures",
            expected="a classifier of single images",
            remedy="POST /v1/read, or serve a classifier with --model",
        )

    async def predict(self, request: Request) -> Response:
        """Classify images of the size the network was trained on"""
        check_query(request.query_params)
        self.batches.check_capacity()
        kind = media_type(request)
        if kind not in _KINDS:
            raise Refusal(415, f"a body of type {as_shown(kind) or 'none'}", expected=" or ".join(_KINDS))
        marks = self.image_marks if _KINDS[kind] == "json" else ()
        with self.bodies.reserve(request) as reservation:
            body = await reservation.read(request, marks)
            form = "npy" if body.startswith(_NPY) else _KINDS[kind]
            async with self._in_time():
                status, answer = await self.batches.ask(form, body)
        return Response(answer, status, media_type="application/json")

    async def correct(self, request: Request) -> Response:
        """Keep a picture with what is written on it, for tenfold adapt"""
        check_query(request.query_params)
        if self.corrections is None:
            raise RuntimeError("no folder for corrections")
        self.corrections.check_capacity()
        headers, allowed = request.headers, self.settings.allowed_hosts
        check_origin(headers.get("origin"), headers.get("host"), {name.lower() for name in allowed})
        if media_type(request) != "application/json":
            raise Refusal(415, "a body of another type", expected="application/json")
        with self.bodies.reserve(request) as reservation:
            body = await reservation.read(request)
            async with self._in_time(), self.pool.large:  # no other large picture meanwhile
                reply, png = await self._ask({"do": "keep"}, body)
        given = Correction(reply["label"], reply["read"], png)
        async with self._keeping:
            kept = await asyncio.to_thread(self.corrections.keep, given)
        return to_json({"kept": kept, "before": given.read, "after": given.label})

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self.settings.timeout):
                yield
        except TimeoutError:
            raise Refusal(
                504,
                f"no answer in {self.settings.timeout:g} seconds",
                remedy="send a smaller picture, or fewer",
            ) from None


def _pieces(told: list[tuple[str, int]], data: bytes) -> Iterator[tuple[str, bytes]]:
    start = 0
    for name, length in told:
        yield name, data[start : start + length]
        start += length


def to_json(document: Any, status: int = 200) -> Response:
    return Response(json.dumps(document, allow_nan=False), status, media_type="application/json")


def _entry(picture: GivenPicture, reply: Reply) -> bytes:
    """A picture's part of the answer; one that was refused unread has an entry of the same form."""
    header, body = reply
    if header["status"] in (200, 422):
        return body
    entry = {"name": picture.name} | EMPTY | {"milliseconds": 0.0}
    return json.dumps(entry | json.loads(body)).encode()
