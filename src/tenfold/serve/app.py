"""The server of a model as an ASGI application: what each route does, and one form for every error.

A route takes a body in, has a worker answer, and gives up after the time allowed.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from prometheus_client import Gauge, generate_latest
from starlette.exceptions import HTTPException
from starlette.types import Scope

from tenfold.arguments import checked
from tenfold.classifier import Classifier
from tenfold.errors import UsageError
from tenfold.export.web import page_files
from tenfold.reader.line_reader import AnyModel
from tenfold.serve import requests, schema
from tenfold.serve.bodies import Bodies, Guard, Reservation, media_type
from tenfold.serve.connections import IDLE, Connections, Measures, Middleware, check_origin
from tenfold.serve.corrections import Corrections
from tenfold.serve.pool import HEAVY, Answer, Batches, WorkerPool
from tenfold.serve.requests import FORM, GivenPicture, as_shown
from tenfold.serve.settings import FAILED, Refusal, ServeSettings, busy, collect_rarely
from tenfold.version import __version__

__all__ = ["create_app", "open_socket", "serve"]

PAGE = Path(__file__).parents[1] / "web" / "static"
_KINDS = {"application/json": "json", "application/octet-stream": "raw", "application/x-npy": "npy"}
_NPY = b"\x93NUMPY"
_SPLIT_HERE = 2**16  # bytes of a form or of JSON that are split in this process, in about a millisecond


class Server:
    """The state behind the routes. Raises DataError where settings.collect cannot be written."""

    def __init__(self, model: AnyModel, settings: ServeSettings) -> None:
        self.settings, self.model = settings, model
        self.about = schema.describe_model(model, settings)
        self.measures = Measures()
        self.pool = WorkerPool(model, settings)
        self.batches = Batches(self.pool, settings, self.measures.batches.observe)
        self.bodies = Bodies(settings)
        shape = model.card.image_shape if isinstance(model, Classifier) else (1, 1)
        self.image_marks = requests.predict_marks(shape, settings.max_images)
        self.connections = Connections(settings, self.measures)
        self.corrections = Corrections(settings.collect, settings.max_collected) if settings.collect else None
        self._keeping, self._making = asyncio.Lock(), asyncio.Lock()
        self._made: dict[str, dict[str, bytes]] = {}  # folder -> name -> what `page_file` gives
        pool = self.pool
        for name, text, ask in (
            ("queue_depth", "Requests that wait for a worker.", self._waiting),
            ("workers_busy", "Workers that are answering.", lambda: pool.busy),
            ("worker_restarts", "Workers that were ended and replaced.", lambda: pool.restarts),
            ("body_bytes", "Bytes of bodies in memory.", lambda: self.bodies.held),
            ("connections", "Connections that are open.", lambda: self.connections.count),
            ("ready", "1 when every worker is warm.", lambda: pool.ready),
        ):
            Gauge(f"tenfold_{name}", text, registry=self.measures.registry).set_function(ask)

    def _waiting(self) -> int:
        return self.pool.waiting + self.pool.waiting_heavy + len(self.batches.waiting)

    def _check_queue(self, waiting: int) -> None:
        if waiting >= self.settings.queue:
            raise busy(f"{waiting} requests are waiting already")

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
            raise busy("the workers are starting", "ask again")
        return to_json({"status": "ok"})

    async def metrics(self, _: Request) -> Response:
        """Counts and times, as Prometheus reads them"""
        return Response(generate_latest(self.measures.registry), media_type="text/plain; version=0.0.4")

    async def describe(self, _: Request) -> Response:
        """The model: card, figures, preprocessing"""
        return to_json(self.about)

    async def page_config(self, _: Request) -> Response:
        """What the page must know before it asks"""
        return to_json({"backend": "server", "collect": self.corrections is not None, "lab": True})

    async def page_file(self, request: Request) -> Response:
        """What the page's lab, and its view of the network, load; made when somebody looks"""
        folder, name = request.url.path.strip("/").split("/")
        async with self._making:
            if folder not in self._made:
                self._made[folder] = await asyncio.to_thread(page_files, folder, self.model)
        if name not in self._made[folder]:
            raise Refusal(404, "the sample of MNIST is not installed", remedy="pip install 'tenfold[sample]'")
        kind = "application/json" if name.endswith(".json") else "application/octet-stream"
        return Response(self._made[folder][name], media_type=kind, headers={"Cache-Control": "no-cache"})

    async def read(self, request: Request) -> Response:
        """Read the numbers in one picture or several"""
        started = time.perf_counter()
        asked = requests.parse_query(request.query_params, self.model)
        self._check_queue(self.pool.waiting)
        with self.bodies.reserve(request) as reservation:
            pictures = await self._pictures(request, reservation)
            request.state.pictures = len(pictures)
            async with self._in_time():
                replies = await self._read_all(pictures, asked)
        self.measures.pictures.inc(len(pictures))
        status, entry = replies[0]
        if len(replies) == 1 and status != 200:
            return to_json({"error": json.loads(entry)["error"]}, status)
        entries, seconds = b", ".join(entry for _, entry in replies), time.perf_counter() - started
        whole = b'{"pictures": [%b], "milliseconds": %.3f}' % (entries, 1000 * seconds)
        return Response(whole, media_type="application/json")

    async def _pictures(self, request: Request, reservation: Reservation) -> list[GivenPicture]:
        """The pictures of a body, multipart, JSON or a picture itself. Raises Refusal."""
        kind, most = media_type(request), self.settings.max_pictures
        if kind.startswith("image/") or kind == "application/octet-stream":
            return [GivenPicture("picture", await reservation.read(request))]
        if kind not in (FORM, "application/json"):
            expected = "image/*, multipart/form-data or application/json"
            raise Refusal(415, f"a body of type {as_shown(kind) or 'none'}", expected=expected)
        body = await reservation.read(request, requests.read_marks(most) if kind != FORM else ())
        end = request.headers["content-type"].strip()[len(kind) :]  # as it came: a boundary has capitals
        if len(body) <= _SPLIT_HERE:
            return await requests.split_body(kind + end, body, most)
        async with self._in_time(), self.pool.take(heavy=True) as worker:
            return await worker.ask("split", kind + end, body)

    async def _read_all(self, pictures: Sequence[GivenPicture], asked: dict[str, Any]) -> list[Answer]:
        """Shared out to the workers. Only a light first one may be refused for want of one."""
        heavy = [number > 0 or len(picture.data) > HEAVY for number, picture in enumerate(pictures)]
        if len(pictures) == 1:
            return [await self._read_one(pictures[0], asked, heavy[0])]
        try:
            async with asyncio.TaskGroup() as group:
                reads = (self._read_one(picture, asked, each) for picture, each in zip(pictures, heavy))
                tasks = [group.create_task(read) for read in reads]
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _read_one(self, picture: GivenPicture, asked: dict[str, Any], heavy: bool) -> Answer:
        async with self.pool.take(heavy=heavy) as worker:
            answer = await worker.ask("read", picture, asked, False)
        if answer is None:
            async with self.pool.large, self.pool.take(heavy=True) as worker:  # no other large one meanwhile
                answer = await worker.ask("read", picture, asked, True)
        return answer

    async def refuse_images(self, _: Request) -> Response:
        """What /v1/predict answers for a line reader"""
        remedy = "POST /v1/read, or serve a classifier with --model"
        found, expected = "this model reads lines in pictures", "a classifier of single images"
        raise Refusal(409, found, expected=expected, remedy=remedy)

    async def predict(self, request: Request) -> Response:
        """Classify images of the size the network was trained on"""
        requests.check_query(request.query_params)
        self._check_queue(len(self.batches.waiting))
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
        requests.check_query(request.query_params)
        if self.corrections is None:
            raise RuntimeError("no folder for corrections")
        self.corrections.check_capacity()
        check_origin(request.headers, self.settings)
        if media_type(request) != "application/json":
            raise Refusal(415, "a body of another type", expected="application/json")
        with self.bodies.reserve(request) as reservation:
            body = await reservation.read(request)
            # no other large picture meanwhile
            async with self._in_time(), self.pool.large, self.pool.take(heavy=True) as worker:
                label, read, png = await worker.ask("keep", body)
        async with self._keeping:
            await asyncio.to_thread(self.corrections.add, label, read, png)
            kept = self.corrections.count
        return to_json({"kept": kept, "before": read, "after": label})

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self.settings.timeout):
                yield
        except TimeoutError:
            found = f"no answer in {self.settings.timeout:g} seconds"
            raise Refusal(504, found, remedy="send a smaller picture, or fewer") from None


def to_json(document: Any, status: int = 200) -> Response:
    return Response(json.dumps(document, allow_nan=False), status, media_type="application/json")


# The application.

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


@checked
def create_app(model: AnyModel, settings: ServeSettings | None = None) -> FastAPI:
    """Its workers, processes that hold the model, live as long as the application's lifespan.

    Raises DataError where settings.collect cannot be written.
    """
    settings = settings or ServeSettings()
    server = Server(model, settings)
    app = FastAPI(
        title="tenfold",
        version=__version__,
        description=schema.DOCS["description"],
        lifespan=server.lifespan,
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
    )
    app.router.route_class = _Direct
    app.state.connections, app.state.pool = server.connections, server.pool
    _add_routes(app, server, settings)
    for kind in (HTTPException, Refusal, Exception):
        app.add_exception_handler(kind, _explain)
    app.add_middleware(Middleware, measures=server.measures, settings=settings)
    routes = [route for route in app.routes if isinstance(route, APIRoute)]
    app.mount("/", _Page({route.path: set(route.methods or ()) for route in routes}))
    return app


class _Direct(APIRoute):
    """Hands the request to its handler, which answers with a Response: no dependencies to solve, no body to
    parse and no answer to validate on the way."""

    def get_route_handler(self) -> Handler:
        return self.endpoint


class _Page(StaticFiles):
    """The page's files. It is asked after every route, so it also says which method one wants."""

    def __init__(self, routes: dict[str, set[str]]) -> None:
        super().__init__(directory=PAGE, html=True)
        self.routes = routes

    async def get_response(self, path: str, scope: Scope) -> Response:
        methods = self.routes.get(scope["path"], {"GET", "HEAD"})
        if scope["method"] not in methods or scope["path"] in self.routes:
            raise HTTPException(405, headers={"Allow": ", ".join(sorted(methods))})
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"  # asked anew, and mostly answered with 304
        return response


def _add_routes(app: FastAPI, server: Server, settings: ServeSettings) -> None:
    """Each with what the API's description says of it: its handler's docstring, its statuses, its request."""
    posted = (400, 408, 413, 415, 422, 429, 503, 504)

    def add(method: str, path: str, handler: Handler, answer: Any, codes: Any = (), docs: str = "") -> None:
        app.add_api_route(
            path, handler, methods=[method], response_model=answer,
            response_class=JSONResponse if answer else Response, responses=schema.errors(*codes),
            openapi_extra=schema.request_docs(docs, server.model, settings.max_images) if docs else None,
            summary=(handler.__doc__ or path).partition("\n")[0],
        )  # fmt: skip

    add("POST", "/v1/read", server.read, schema.ReadAnswer, posted, "read")
    if isinstance(server.model, Classifier):
        add("POST", "/v1/predict", server.predict, schema.Predicted, posted, "predict")
    else:
        app.add_api_route("/v1/predict", server.refuse_images, methods=["POST"], include_in_schema=False)
    if server.corrections is not None:
        add("POST", "/v1/corrections", server.correct, schema.Kept, (*posted, 403, 507), "keep")
    add("GET", "/v1/model", server.describe, schema.Model)
    add("GET", "/healthz", server.healthz, schema.Health)
    add("GET", "/readyz", server.readyz, schema.Health, (503,))
    add("GET", "/metrics", server.metrics, None, (), "metrics")
    app.add_api_route("/config.json", server.page_config, include_in_schema=False)  # what the page asks for
    for name in ("lab/presets.json", "lab/sample.bin.gz", "model/card.json", "model/weights.bin"):
        app.add_api_route(f"/{name}", server.page_file, include_in_schema=False)


async def _explain(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        found = f"{as_shown(request.method)} {as_shown(request.url.path)}: {str(error.detail).lower()}"
        remedy, headers = "GET /openapi.json lists the routes", dict(error.headers or {})
        error = Refusal(error.status_code, found, remedy=remedy, headers=headers)
    return (error if isinstance(error, Refusal) else FAILED).to_response()


# A server on an address, until it is told to end: then it answers what it has taken in.


def serve(
    model: AnyModel,
    settings: ServeSettings,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    started: Callable[[str], None] | None = None,
) -> None:
    """Blocks until SIGINT, SIGTERM or SIGHUP. port 0: any free one. started: is told the address.

    Raises UsageError where the port is taken.
    """
    import uvicorn

    app = create_app(model, settings)
    listening = open_socket(host, port)
    config = uvicorn.Config(
        app,
        http=partial(Guard, app.state.connections),  # type: ignore[arg-type]
        timeout_keep_alive=IDLE,
        log_config=None,
        log_level="error",  # what a client does wrong stands in our own log
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nothing here asks who the client is
        ws="none",
        timeout_graceful_shutdown=math.ceil(2 * settings.timeout),
    )
    if started:
        name = f"[{host}]" if ":" in host else host
        started(f"http://{name}:{listening.getsockname()[1]}")
    server = uvicorn.Server(config)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # else: nohup
        signal.signal(signal.SIGHUP, lambda _, frame: server.handle_exit(signal.SIGTERM, frame))
    with listening:
        server.run(sockets=[listening])


def open_socket(host: str, port: int) -> socket.socket:
    """A listening socket. Raises UsageError where the address cannot be had."""
    if not 0 <= port < 2**16:  # some systems would take another one for it
        raise UsageError(f"port {port}", expected="0 to 65535")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        found = f"--host {host}: {error.strerror or error}"
        raise UsageError(found, expected="an address of this machine") from error
    both = family == socket.AF_INET6 and socket.has_dualstack_ipv6()  # :: is every address of IPv4, too
    try:
        return socket.create_server(address, family=family, backlog=2048, dualstack_ipv6=both)
    except OSError as error:
        found, remedy = f"{host}, port {port}: {os.strerror(error.errno or 0)}", "name another with --port"
        raise UsageError(found, expected="a free port of this machine", remedy=remedy) from error
