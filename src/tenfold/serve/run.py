"""A server on an address, until it is told to end: then it answers what it has taken in."""

from __future__ import annotations

import math
import signal
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from tenfold.errors import UsageError
from tenfold.serve.settings import ServeSettings

if TYPE_CHECKING:
    from tenfold.reader.load import AnyModel

__all__ = ["open_socket", "serve"]


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

    from tenfold.serve.app import create_app
    from tenfold.serve.connections import IDLE
    from tenfold.serve.protocol import make_protocol

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
