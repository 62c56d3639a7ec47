"""`tenfold lab`: a page that trains networks while one watches."""

from __future__ import annotations

import sys
import threading
import webbrowser
from typing import Annotated

from typer import Option

from tenfold.cli.options import built_in_reader


def lab_command(
    port: Annotated[int, Option(min=0, max=65535, help="Port to listen on; 0 for any free one.")] = 0,
    browser: Annotated[bool, Option(help="Open the page in the browser.")] = True,
) -> None:
    """Open the lab: a page that trains networks on handwritten digits while you watch.

    It listens on this machine only, until Ctrl-C. Everything is computed in the
    browser; the page that reads numbers is served beside it.
    """
    from tenfold.reader.line_reader import load_reader
    from tenfold.serve.app import serve
    from tenfold.serve.settings import ServeSettings

    def say(address: str) -> None:
        page = f"{address}/lab/"
        sys.stderr.write(f"tenfold: the lab is on {page} (Ctrl-C stops)\n")
        sys.stderr.flush()
        if browser:
            threading.Thread(target=webbrowser.open, args=(page,), daemon=True).start()

    settings = ServeSettings(workers=1, about=built_in_reader(), access_log=False)
    serve(load_reader(), settings, port=port, started=say)
