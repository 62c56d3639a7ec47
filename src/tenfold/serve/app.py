"""The server of a model as an ASGI application: its routes, and one form for every error."""

from __future__ import annotations

import math
import signal
import socket
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.types import Scope

from tenfold.arguments import checked
from tenfold.classifier import Classifier
from tenfold.errors import UsageError
from tenfold.reader.line_reader import AnyModel
from tenfold.serve import schema
from tenfold.serve.answer import as_shown
from tenfold.serve.connections import Middleware
from tenfold.serve.images import Refusal
from tenfold.serve.server import Server
from tenfold.serve.settings import ServeSettings
from tenfold.version import __version__

if TYPE_CHECKING:
    from tenfold.reader.line_reader import AnyModel

__all__ = ["create_app", "open_socket", "serve"]

PAGE = Path(__file__).parents[1] / "web" / "static"


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
        description=schema.DESCRIPTION,
        lifespan=server.lifespan,
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
    )
    app.router.route_class = _Direct
    app.state.connections, app.state.pool = server.connections, server.pool
    _add_routes(app, server, settings)
    for kind in (HTTPException, Refusal, Exception):
        app.add_exception_handler(kind, _explain)
    app.add_middleware(
        Middleware,
        measures=server.measures,
        access_log=settings.access_log,
        allowed_hosts=settings.allowed_hosts,
    )
    routes = [route for route in app.routes if isinstance(route, APIRoute)]
    app.mount("/", _Page({route.path: set(route.methods or ()) for route in routes}))
    return app


class _Direct(APIRoute):
    """Hands the request to its handler, which answers with a Response: no dependencies to solve, no body to
    parse and no answer to validate on the way."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
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
    body, load = (400, 408, 413, 415, 422), (429, 503, 504)
    post, get = partial(_add, app, "POST"), partial(_add, app, "GET")
    post("/v1/read", server.read, schema.ReadAnswer, (*body, *load), schema.read_docs(server.model))
    if isinstance(server.model, Classifier):
        predict = schema.predict_docs(server.model.card.image_shape, settings.max_images)
        post("/v1/predict", server.predict, schema.Predicted, (*body, *load), predict)
    else:
        app.add_api_route("/v1/predict", server.refuse_images, methods=["POST"], include_in_schema=False)
    if server.corrections is not None:
        post(
            "/v1/corrections",
            server.correct,
            schema.Kept,
            (*body, *load, 403, 507),
            schema.keep_docs(server.model),
        )
    get("/v1/model", server.describe, schema.Model)
    get("/healthz", server.healthz, schema.Health)
    get("/readyz", server.readyz, schema.Health, (503,))
    get("/metrics", server.metrics, None, (), schema.metrics_docs())
    app.add_api_route("/config.json", server.page_config, include_in_schema=False)  # what the page asks for


def _add(
    app: FastAPI,
    method: str,
    path: str,
    handler: Callable[..., Any],
    answer: type[BaseModel] | None,
    statuses: tuple[int, ...] = (),
    docs: dict[str, Any] | None = None,
) -> None:
    """A route; its handler's docstring is what the API's description says of it."""
    app.add_api_route(
        path,
        handler,
        methods=[method],
        response_model=answer,
        response_class=Response if answer is None else JSONResponse,
        responses=schema.errors(*statuses),
        openapi_extra=docs,
        summary=(handler.__doc__ or path).partition("\n")[0],
    )


async def _explain(request: Request, error: Exception) -> Response:
    """Every error in the same form."""
    if isinstance(error, HTTPException):
        error = Refusal(
            error.status_code,
            f"{as_shown(request.method)} {as_shown(request.url.path)}: {str(error.detail).lower()}",
            remedy="GET /openapi.json lists the routes",
            headers=dict(error.headers or {}),
        )
    elif not isinstance(error, Refusal):
        error = Refusal(500, "the server failed", remedy="see its log")
    return Response(error.to_bytes(), error.status, error.headers, "application/json")


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

    from tenfold.serve.bodies import make_protocol
    from tenfold.serve.connections import IDLE

    app = create_app(model, settings)
    listening = open_socket(host, port)
    config = uvicorn.Config(
        app,
        http=make_protocol(app.state.connections),  # type: ignore[arg-type]
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
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, proto)
    except OSError as error:
        raise UsageError(
            f"--host {host}: {error.strerror or error}", expected="an address of this machine"
        ) from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(2048)
    except (OSError, OverflowError) as error:
        listening.close()
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"{host}, port {port}: {reason}",
            expected="a free port of this machine",
            remedy="name another with --port",
        ) from error
    return listening
