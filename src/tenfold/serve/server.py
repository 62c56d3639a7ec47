"""What each route does: it takes a body in, has a worker answer, and gives up after the time allowed."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response

from tenfold.classifier import Classifier
from tenfold.ink.strip import HEIGHT, MARGIN, WIDEST
from tenfold.reader.load import AnyModel
from tenfold.serve.about import describe_model
from tenfold.serve.answer import EMPTY, includes_of
from tenfold.serve.batches import Batches
from tenfold.serve.bodies import Bodies, GivenPicture, check_keys, decode_base64, media_type, printable
from tenfold.serve.collecting import collect_rarely
from tenfold.serve.corrections import NOT_A_DIGIT, Corrections, image_to_png, may_be_label
from tenfold.serve.counters import Gauge
from tenfold.serve.gate import Measures
from tenfold.serve.hosts import check_origin
from tenfold.serve.images import check_counts, parse_images, parse_json
from tenfold.serve.pool import Reply, WorkerPool
from tenfold.serve.query import check_query, parse_query
from tenfold.serve.refusal import Refusal
from tenfold.serve.settings import ServeSettings

__all__ = ["Server"]

_KINDS = {"application/json": "json", "application/octet-stream": "raw", "application/x-npy": "npy"}
_NPY = b"\x93NUMPY"
_MOST_MARKS = 32  # quotation marks, and brackets of each kind, in a correction
_LONGEST_READ = 200  # characters of what was read instead of a label


class Server:
    """The state behind the routes. Raises DataError where settings.collect cannot be written."""

    def __init__(self, model: AnyModel, settings: ServeSettings) -> None:
        self.settings, self.model = settings, model
        self.about = describe_model(model, settings)
        self.measures = Measures()
        self.pool = WorkerPool(model, settings)
        self.batches = Batches(self.pool, settings, self.measures.batches.observe)
        self.bodies = Bodies(settings)
        self.corrections = Corrections(settings.collect) if settings.collect else None
        gauges = {
            "tenfold_queue_depth": ("Requests that wait for a worker.", self._waiting),
            "tenfold_workers_busy": ("Workers that are answering.", lambda: self.pool.busy),
            "tenfold_worker_restarts": ("Workers that were ended and replaced.", lambda: self.pool.restarts),
            "tenfold_body_bytes": ("Bytes of bodies in memory.", lambda: self.bodies.held),
            "tenfold_ready": ("1 when every worker is warm.", lambda: self.pool.ready),
        }
        for name, (text, ask) in gauges.items():
            self.measures.registry.keep(Gauge(name, text, ask))

    def _waiting(self) -> int:
        return self.pool.waiting + len(self.batches.waiting)

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        self.pool.start()
        try:
            with collect_rarely():
                yield
        finally:
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
        self.pool.check_room()
        with self.bodies.room() as room:
            pictures = await room.pictures(request)
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

    async def _read_all(self, pictures: Sequence[GivenPicture], asked: dict[str, Any]) -> list[Reply]:
        """Shared out to the workers. Only the first may be refused for want of one: it waits in front."""
        if len(pictures) == 1:
            return [await self._read_one(pictures[0], asked, patient=False)]
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._read_one(picture, asked, patient=number > 0))
                    for number, picture in enumerate(pictures)
                ]
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _read_one(self, picture: GivenPicture, asked: dict[str, Any], *, patient: bool) -> Reply:
        header = {"do": "read", "name": picture.name, "asked": asked, "large": False}
        async with self.pool.take(patient=patient) as worker:
            reply = await worker.ask(header, picture.data)
        if reply[0]["status"]:
            return reply
        async with self.pool.large, self.pool.take(patient=True) as worker:  # no other large one meanwhile
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
        self.batches.check_room()
        kind = media_type(request)
        if kind not in _KINDS:
            raise Refusal(415, f"a body of type {printable(kind) or 'none'}", expected=" or ".join(_KINDS))
        with self.bodies.room() as room:
            body = await room.read(request)
            form = "npy" if body.startswith(_NPY) else _KINDS[kind]
            async with self._in_time():
                status, answer = await self.batches.ask(form, body)
        return Response(answer, status, media_type="application/json")

    async def correct(self, request: Request) -> Response:
        """Keep a picture with what is written on it, for tenfold adapt"""
        check_query(request.query_params)
        if self.corrections is None:
            raise RuntimeError("no folder for corrections")
        self.corrections.check_room()
        headers, allowed = request.headers, self.settings.allowed_hosts
        check_origin(headers.get("origin"), headers.get("host"), {name.lower() for name in allowed})
        if media_type(request) != "application/json":
            raise Refusal(415, "a body of another type", expected="application/json")
        with self.bodies.room() as room:
            document = await asyncio.to_thread(_parse_correction, await room.read(request))
            label, read = self._check_correction(document)
            async with self._in_time():
                png = await self._picture_of(document)
        kept = self.corrections.keep(png, label, read)
        return to_json({"kept": kept, "before": read, "after": label})

    def _check_correction(self, document: Any) -> tuple[str, str]:
        """Its label, and what was read instead. Raises Refusal 422."""
        check_keys(document, required=("label",), optional=("picture", "image", "read"))
        label, read = document["label"], document.get("read", "")
        if ("picture" in document) == ("image" in document):
            raise Refusal(422, "not one picture", expected="either 'picture', a file, or 'image', its pixels")
        if not isinstance(label, str) or not may_be_label(self.model, label):
            shown = printable(str(label))[:40]
            raise Refusal(422, f"the label {shown!r}", expected=f"what is written on it, or {NOT_A_DIGIT!r}")
        if not isinstance(read, str) or len(read) > _LONGEST_READ:
            raise Refusal(422, "'read' is no short text", expected="what was read instead")
        return label, printable(read)

    def _image_shape(self, size: int) -> tuple[int, int]:
        """Of an image of so many bytes. Raises Refusal 422 where that is not a strip."""
        if isinstance(self.model, Classifier):
            return self.model.card.image_shape
        widest = WIDEST + 2 * MARGIN
        if size % HEIGHT or not HEIGHT <= size <= HEIGHT * widest:
            expected = f"{HEIGHT} x W bytes, W from 1 to {widest:,}"
            raise Refusal(422, f"an image of {size:,} bytes", expected=expected)
        return HEIGHT, size // HEIGHT

    async def _picture_of(self, document: dict[str, Any]) -> bytes:
        """The PNG that is kept."""
        if "image" in document:
            data = decode_base64(document["image"], "image")
            shape = self._image_shape(len(data))
            return image_to_png(parse_images("raw", data, shape, 1).tobytes(), shape)
        data = decode_base64(document["picture"], "picture")
        async with self.pool.large, self.pool.take() as worker:
            header, answer = await worker.ask({"do": "keep"}, data)
        if header["status"] != 200:
            error = json.loads(answer)["error"]
            raise Refusal(
                header["status"], error["found"], expected=error["expected"], remedy=error["remedy"]
            )
        return answer

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


def _parse_correction(body: bytes) -> Any:
    for mark, what in ((b'"', "quotation marks"), (b"[", "brackets"), (b"{", "brackets")):
        check_counts(body, mark, _MOST_MARKS, what)
    return parse_json(body)


def to_json(document: Any, status: int = 200) -> Response:
    return Response(json.dumps(document, allow_nan=False), status, media_type="application/json")


def _entry(picture: GivenPicture, reply: Reply) -> bytes:
    """A picture's part of the answer; one that was refused unread has an entry of the same form."""
    header, body = reply
    if header["status"] in (200, 422):
        return body
    entry = {"name": picture.name} | EMPTY | {"milliseconds": 0.0}
    return json.dumps(entry | json.loads(body)).encode()
