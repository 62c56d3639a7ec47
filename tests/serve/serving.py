"""Servers for tests: the application in this process, and real ones on loopback."""

from __future__ import annotations

import base64
import io
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI
from PIL import Image

from tenfold.classifier import Classifier, ModelCard
from tenfold.networks.shapes import Network
from tenfold.reader.line_reader import AnyModel
from tenfold.recipes.load import change_recipe, get_recipe
from tenfold.serve.app import create_app
from tenfold.serve.settings import ServeSettings
from tenfold.synthesis.glyphs import load_glyphs
from tenfold.synthesis.scenes import canvas_picture, paper_picture

__all__ = ["EXAMPLES", "AppClient", "Running", "base64_of", "canvases", "make_classifier", "numbers"]
__all__ += ["open_client", "png_of", "running"]

EXAMPLES = Path(__file__).parents[2] / "examples"
_PATIENCE = 60.0  # seconds, on a busy machine


class AppClient:
    """Requests to an application in this process, whose event loop runs in a thread."""

    def __init__(self, app: FastAPI, settings: ServeSettings, portal: BlockingPortal) -> None:
        self.app, self.settings, self.portal = app, settings, portal

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.portal.call(partial(self._request, method, path, **options))

    async def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=60) as client:
            return await client.request(method, path, **options)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)


@contextmanager
def open_client(model: AnyModel, settings: ServeSettings) -> Iterator[AppClient]:
    """The application in this process, when its workers are warm."""
    app = create_app(model, settings)
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(app.router.lifespan_context(app)),
    ):
        client, until = AppClient(app, settings, portal), time.monotonic() + _PATIENCE
        while client.get("/readyz").status_code != 200:
            assert time.monotonic() < until
            time.sleep(0.05)
        yield client


def _hear_hang_ups() -> None:
    """Under nohup the tests' own processes, and so what they start, ignore SIGHUP."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


class Running:
    """A `tenfold serve` of its own on a free port of loopback."""

    def __init__(self, *options: str, descriptors: int | None = None) -> None:
        command = [sys.executable, "-P", "-m", "tenfold", "serve", "--port", "0", *options]
        surroundings = os.environ | {"OMP_NUM_THREADS": "1"}
        if descriptors:
            command = ["sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh", *command]
        hears = None if sys.platform == "win32" else _hear_hang_ups
        self.process = subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, env=surroundings, preexec_fn=hears
        )
        assert self.process.stderr is not None
        found = re.search(r"http://127\.0\.0\.1:(\d+)", self.process.stderr.readline())
        assert found, "the server did not start"
        self.port = int(found[1])
        self.address = f"http://127.0.0.1:{self.port}"

    def wait_until_ready(self) -> None:
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            try:
                if httpx.get(f"{self.address}/readyz").status_code == 200:
                    return
            except httpx.ConnectError:
                pass
            time.sleep(0.05)
        raise AssertionError("the server is not ready")

    def finish(self) -> list[str]:
        """Waits for its end; what it wrote to stderr since it said its address."""
        _, written = self.process.communicate(timeout=_PATIENCE)
        return written.splitlines()


@contextmanager
def running(*options: str, descriptors: int | None = None) -> Iterator[Running]:
    """descriptors: how many the server may open, where not as many as here."""
    server = Running(*options, descriptors=descriptors)
    try:
        server.wait_until_ready()
        yield server
    finally:
        if server.process.poll() is None:
            server.process.terminate()
            server.finish()


def canvases(count: int) -> list[bytes]:
    """PNGs of digits drawn on a canvas, all different."""
    rng = np.random.default_rng(6)
    glyphs = [glyph for glyph in load_glyphs() if glyph.label.isdigit()]
    chosen = rng.permutation(len(glyphs))[:count]
    return [png_of(canvas_picture(glyphs[i], rng, style="black-on-white")) for i in chosen]


def numbers(count: int) -> list[bytes]:
    """PNGs of photographed numbers of two to five digits, all different."""
    rng = np.random.default_rng(8)
    glyphs = [glyph for glyph in load_glyphs() if glyph.label.isdigit()]
    chosen = [rng.choice(len(glyphs), rng.integers(2, 6)) for _ in range(count)]
    return [png_of(paper_picture([glyphs[i] for i in each], rng)[0]) for each in chosen]


def make_classifier(
    names: tuple[str, ...] = tuple("0123456789"), shape: tuple[int, int] = (28, 28), **options: Any
) -> Classifier:
    """A linear one with random weights; by default of 28 x 28 images of digits, or of none of them."""
    options = options or {"background": "dark", "rejects": True}
    recipe = change_recipe(get_recipe("mlp-small"), {"network.layers": ["flatten", "linear classes"]})
    card = ModelCard(recipe, names, shape, 0.1, 0.3, **options)
    weights = Network.initial_weights(recipe.plan(shape, card.outputs), "kaiming", seed=0)
    return Classifier.from_weights(card, weights, engine="numpy")


def png_of(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()
