"""`tenfold serve`: the line reader, or a trained run, as an HTTP server with a page to draw on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from typer import Option

from tenfold.cli.options import Quiet, ReaderEngineName, built_in_reader, find_model

_MIB = 2**20


def serve_command(
    model: Annotated[
        Path | None,
        Option("--model", "-m", help="A reader's or run's folder (default: the built-in reader)."),
    ] = None,
    host: Annotated[str, Option(help="The address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, Option(min=0, max=65535, help="Port to listen on; 0 for any free one.")] = 8000,
    engine: ReaderEngineName = "numpy",
    collect: Annotated[
        Path | None,
        Option(help="Store corrections in this folder, for tenfold adapt (default: store nothing)."),
    ] = None,
    max_collected: Annotated[float, Option(help="Most MiB of corrections to keep.")] = 1024,
    workers: Annotated[
        int | None, Option(help="Processes that read (default: one per core, at most four).")
    ] = None,
    max_body: Annotated[float, Option(help="Largest request, in MiB.")] = 16,
    max_megapixels: Annotated[float, Option(help="Largest picture, in megapixels.")] = 24,
    max_pictures: Annotated[int, Option(help="Most pictures per request.")] = 16,
    queue: Annotated[int, Option(help="Most requests that wait; further ones are refused with 503.")] = 64,
    max_wait: Annotated[float, Option(help="Seconds a request may wait before it is refused.")] = 0.15,
    timeout: Annotated[float, Option(help="Seconds for a request to arrive, and for its answer.")] = 10,
    allowed_host: Annotated[
        list[str] | None,
        Option(help="Allowed host name besides localhost and IP addresses; * for all. Repeatable."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Serve the line reader over HTTP: a page to draw on, and an API (POST /v1/read).

    With --model it serves a trained run instead, which also takes images (POST
    /v1/predict).

    Each request is logged as one line of JSON on stderr, unless --quiet. Ctrl-C,
    SIGTERM or SIGHUP stops the server after it has answered the requests it has
    accepted. GET /openapi.json describes the API.
    """
    from tenfold.reader.line_reader import load_model
    from tenfold.serve.app import serve
    from tenfold.serve.settings import ServeSettings

    folder = find_model(model) if model else built_in_reader()
    settings = ServeSettings(
        workers=workers, max_body=int(max_body * _MIB), max_pixels=int(max_megapixels * 1_000_000),
        max_pictures=max_pictures, queue=queue, max_wait=max_wait, timeout=timeout, collect=collect,
        max_collected=int(max_collected * _MIB), about=folder if folder.is_dir() else folder.parent,
        access_log=not quiet, allowed_hosts=tuple(allowed_host or ()),
    )  # fmt: skip
    served = load_model(folder, engine=engine)

    def say(address: str) -> None:
        sys.stderr.write(f"tenfold: {served.card.recipe.name} on {address} (Ctrl-C stops)\n")
        sys.stderr.flush()

    serve(served, settings, host=host, port=port, started=say)
