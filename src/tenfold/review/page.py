"""Pages for one person, on this machine only, at an address that cannot be guessed; and doubtful readings,
one after the other on such a page: a person confirms or corrects each by keyboard."""

from __future__ import annotations

import io
import json
import os
import secrets
import sys
import threading
import unicodedata
import webbrowser
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.types import Receive, Scope, Send

from tenfold.errors import TenfoldError, printable
from tenfold.reader.decode import CHARACTERS, OTHER
from tenfold.review.items import ReviewItem, items_of, with_texts
from tenfold.serve.app import open_socket
from tenfold.serve.connections import Middleware
from tenfold.serve.corrections import Corrections
from tenfold.serve.settings import Refusal

__all__ = ["Review"]

# A request's document, None of a GET -> what is answered; a dict becomes JSON.
Answer = Callable[[Any], Response | dict[str, Any]]

_STATIC = Path(__file__).with_name("static")
_SHARED = Path(__file__).parents[1] / "web" / "static"
_HOST = "127.0.0.1"
_LONGEST_BODY = 2**18  # bytes
_PATIENCE = 2  # seconds that an answer under way has at the end
LONGEST_TEXT = 100  # characters of an answer
_KNOWN = CHARACTERS.replace(OTHER, "")
_KEYS = str.maketrans({"x": "×", "X": "×", "*": "×", "−": "-", "–": "-"})  # what keyboards have instead
_MOST_BYTES = 2**30  # of answers that are kept in a folder


class LocalPage:
    """page: its HTML file in static/, whose script and style have the same name.

    answers: by method and name, as ("GET", "items"). Every path begins with a token that is new each time;
    what comes without it, for another host or from another page is refused.
    """

    def __init__(self, page: str, answers: Mapping[tuple[str, str], Answer]) -> None:
        self.token = secrets.token_urlsafe(24)
        files = {"": _STATIC / f"{page}.html"}
        files |= {name: _STATIC / name for name in (f"{page}.js", f"{page}.css", "local.js")}
        files |= {name: _SHARED / name for name in ("page.css", "icon.svg")}
        self._answers = {("GET", name): partial(_file, path) for name, path in files.items()} | dict(answers)
        self._middleware = Middleware(self._serve, own_pages=True)
        self._server: Any = None

    def run(self, *, port: int, open_browser: bool, announce: Callable[[str], None]) -> bool:
        """Blocks until `stop`; False where Ctrl-C or SIGTERM ended it before.

        port: of 127.0.0.1, 0 for any free one. announce: is told the address. Raises UsageError where the
        port is taken.
        """
        import uvicorn

        with open_socket(_HOST, port) as listening:
            config = uvicorn.Config(  # no log: the middleware has one; a client that is cut off is no mistake
                self._middleware, log_config=None, log_level="critical", access_log=False, ws="none",
                server_header=False, proxy_headers=False, lifespan="off", timeout_graceful_shutdown=_PATIENCE,
            )  # fmt: skip
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
        return answer(await _read(request))


def _file(path: Path, _: Any) -> Response:
    return FileResponse(path)


async def _read(request: Request) -> dict[str, Any]:
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


# What a person typed as the text of a reading: whether it can be one, and has the expected form.


def to_text(typed: str) -> str:
    """As the reader would write it: without spaces, and with its own signs."""
    return "".join(unicodedata.normalize("NFKC", typed).split()).translate(_KEYS)


def why_not_text(text: str) -> str:
    """What makes it no text that the reader could have read, in words; "" where it is one."""
    if not text:
        return "Nothing is typed: type what is written there, or press Escape where nothing can be read."
    if OTHER in text:
        return "Type what stands in the place of ?, or press Escape where it cannot be read."
    if strange := next((each for each in text if each not in _KNOWN), ""):
        shown = strange if strange.isprintable() else ascii(strange)
        known = " ".join(_KNOWN[10:])
        return f"{shown} is not read here: digits and {known} are. Press Escape where something else stands."
    return f"Too long: at most {LONGEST_TEXT} characters." if len(text) > LONGEST_TEXT else ""


# A review


class Review:
    """keep: a folder in which each answer is kept at once, with its picture, for `tenfold adapt --labels
    FOLDER/labels.csv`. Raises DataError, before anything is asked, where it cannot be written."""

    items_of, with_texts = staticmethod(items_of), staticmethod(with_texts)

    def __init__(self, keep: Path | None = None) -> None:
        self.keep = keep
        self._kept = Corrections(keep, _MOST_BYTES) if keep is not None else None
        self._names: dict[int, tuple[str, str]] = {}  # of each item's picture that is kept, and its text

    def ask(
        self,
        items: Sequence[ReviewItem],
        *,
        announce: Callable[[str], None],
        port: int = 0,
        open_browser: bool = True,
    ) -> tuple[list[str | None], bool]:
        """Blocks until a person has answered all, finishes early, or presses Ctrl-C in the terminal. The
        texts of the items: "" where nothing can be read, None where it was not reviewed; and whether the page
        came to its end, rather than Ctrl-C or SIGTERM.

        announce: is told the page's address, on this machine only. port: 0 for any free one. Raises
        UsageError where the port is taken.
        """
        self.items, self.next = items, 0
        self.texts: list[str | None] = [None] * len(items)
        answers: dict[tuple[str, str], Answer] = {
            ("GET", f"crop-{i}.png"): partial(self.show, i) for i in range(len(items))
        }
        answers["GET", "items"] = self.tell
        answers["POST", "answer"] = self.take
        answers["POST", "finish"] = self.finish
        self.page = LocalPage("review", answers)
        ended = not items or self.page.run(port=port, open_browser=open_browser, announce=announce)
        return self.texts, ended

    def tell(self, _: Any) -> dict[str, Any]:
        items = [
            {"source": printable(item.source), "name": printable(item.name), "text": item.text,
             "answer": answer, "form": item.constraint.describe() if item.constraint else ""}
            for item, answer in zip(self.items, self.texts, strict=True)
        ]  # fmt: skip
        return {"items": items, "next": self.next, "done": None not in self.texts}

    def take(self, given: dict[str, Any]) -> dict[str, Any]:
        """given: "item", its number; "text"; "unread", whether nothing can be read; "sure", whether a text
        that is not of the expected form is meant."""
        number, typed = given.get("item"), given.get("text", "")
        if not isinstance(number, int) or not 0 <= number < len(self.items) or not isinstance(typed, str):
            raise Refusal(422, "no answer to an item", expected='{"item": 0, "text": "1049"}')
        text, constraint = to_text(typed[: 2 * LONGEST_TEXT]), self.items[number].constraint
        if given.get("unread") is True:
            text = ""
        else:
            if why := why_not_text(text):
                return {"taken": False, "why": why, "unusual": False}
            if given.get("sure") is not True and constraint is not None and not constraint.fits(text):
                why = f"{text} is not {constraint.describe()}. Press Enter again to take it all the same."
                return {"taken": False, "why": why, "unusual": True}
        self.texts[number], self.next = text, number + 1
        trouble = self._keep(number, text)
        if done := None not in self.texts:
            self.page.stop()
        return {"taken": True, "text": text, "trouble": trouble, "done": done}

    def show(self, number: int, _: Any) -> Response:
        return Response(_png(self.items[number].crop), media_type="image/png")

    def finish(self, _: dict[str, Any]) -> dict[str, Any]:
        self.page.stop()
        return {"reviewed": sum(text is not None for text in self.texts)}

    def _keep(self, number: int, text: str) -> str:
        """Replaces the answer before; "" is not kept, as it teaches nothing. What went wrong with it, or "";
        the answer itself counts all the same."""
        name, before = self._names.get(number, ("", ""))
        if self._kept is None or text == before:
            return ""
        try:
            if Corrections.takes_lines(text):
                item = self.items[number]
                self._names[number] = self._kept.add(text, item.text, _png(item.crop)), text
            else:
                self._names.pop(number, None)
            if name:
                self._kept.remove(name)
        except TenfoldError as error:
            return str(error)
        return ""


def _png(crop: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(crop)).save(file, "PNG")
    return file.getvalue()
