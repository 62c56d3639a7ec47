"""Folders behind an address of this machine alone: modules do not load from file:."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

__all__ = ["host"]


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, *args: object, places: dict[str, Path], **options: object) -> None:
        self.places = places
        super().__init__(*args, **options)  # type: ignore[arg-type]

    def translate_path(self, path: str) -> str:
        for start, folder in self.places.items():
            if path.startswith(start):
                self.directory = str(folder)
                return super().translate_path("/" + path.removeprefix(start))
        return super().translate_path(path)

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")  # the next test writes other files of the same name
        super().end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def host(places: dict[str, Path]) -> Iterator[str]:
    """Serves folders, {"/js/": folder, ...}, the longest start first; yields http://127.0.0.1:PORT."""
    ordered = dict(sorted(places.items(), key=lambda item: -len(item[0])))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, places=ordered))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
