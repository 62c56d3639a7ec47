"""A small server for one page and one person: on this machine only, at an address that cannot be guessed."""

from __future__ import annotations

import json
import os
import secrets
import sys
import threading
import webbrowser
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.types import Receive, Scope, Send

from tenfold.serve.app import open_socket
from tenfold.serve.connections import Measures, Middleware
from tenfold.serve.images import Refusal
from tenfold.serve.settings import check_origin

Answer = Callable[[Any], Response | dict[str, Any]]
"""A request's document, None of a GET -> what is answered; a dict becomes JSON."""

_STATIC = Path(__file__).with_name("static")
_SHARED = Path(__file__).parents[1] / "web" / "static"
_HOST = "127.0.0.1"
_LONGEST_BODY = 2**18  # bytes
_PATIENCE = 2  # seconds that an answer under way has at the end


class LocalPage:
    """An ASGI application. page: its HTML file in static/, whose script and style have the same name.

    answers: by method and name, as ("GET", "items"). Every path begins with a token that is new each time;
    what comes without it, for another host or from another page is refused.
    """

    def __init__(self, page: str, answers: Mapping[tuple[str, str], Answer]) -> None:
        self.token = secrets.token_urlsafe(24)
        files = {"": _STATIC / f"{page}.html"}
        files |= {name: _STATIC / name for name in (f"{page}.js", f"{page}.css", "local.js")}
        files |= {name: _SHARED / name for name in ("page.css", "icon.svg")}
        self._answers = {("GET", name): _file(path) for name, path in files.items()} | dict(answers)
        self._middleware = Middleware(self._serve, measures=Measures(), access_log=False)
        self._server: Any = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._middleware(scope, receive, send)

    def run(self, *, port: int, open_browser: bool, announce: Callable[[str], None]) -> bool:
        """Blocks until `stop`; False where Ctrl-C or SIGTERM ended it before.

        port: of 127.0.0.1, 0 for any free one. announce: is told the address. Raises UsageError where the
        port is taken.
        """
        import uvicorn

        with open_socket(_HOST, port) as listening:
            config = uvicorn.Config(
                self,
                log_config=None,
                log_level="critical",  # the middleware logs mistakes; a client that is cut off is none
                access_log=False,
                server_header=False,
                proxy_headers=False,
                ws="none",
                lifespan="off",
                timeout_graceful_shutdown=_PATIENCE,
            )
            self._server = uvicorn.Server(config)
            address = f"http://{_HOST}:{listening.getsockname()[1]}/{self.token}/"
            try:
                announce(address)
                if open_browser and _has_browser():
                    threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
                self._server.run(sockets=[listening])
            except KeyboardInterrupt:
                return False
        return True

    def stop(self) -> None:
        """After the answer that is under way."""
        if self._server is not None:
            self._server.should_exit = True

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        answer = await self._answer(request)
        response = answer if isinstance(answer, Response) else JSONResponse(answer)
        response.headers["Cache-Control"] = "no-store"
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response | dict[str, Any]:
        _, given, *rest = [*request.url.path.split("/", 2), "", ""]
        if not secrets.compare_digest(given.encode(), self.token.encode()):
            remedy = "take the whole address, as the terminal told it"
            raise Refusal(403, "an address without this page's token", remedy=remedy)
        method, name = request.method, rest[0]
        answer = self._answers.get((method, name))
        if answer is None:
            raise Refusal(404, "nothing is there")
        if method == "GET":
            return answer(None)
        if self._server is not None and self._server.should_exit:
            raise Refusal(409, "this page has ended", remedy="start the command again")
        check_origin(request.headers.get("origin"), request.headers.get("host"), ())
        return answer(_parse(await _read(request)))


def _file(path: Path) -> Answer:
    return lambda _: FileResponse(path)


async def _read(request: Request) -> bytes:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refusal(415, "a body that is not JSON", expected="application/json")
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _LONGEST_BODY:
            raise Refusal(
                413, "a body that is too large", expected=f"at most {_LONGEST_BODY:,} bytes",
                headers={"Connection": "close"},
            )  # fmt: skip
    return bytes(body)


def _parse(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise Refusal(400, "a body that is not a JSON object")
    return document


def _has_browser() -> bool:
    """Whether one can show a page: not one of text, which would take the terminal."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
