"""The command line: one command per file, no logic of its own. Heavy imports stay inside the commands."""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["main"]


def main() -> None:
    """The entry point. A user's mistake is one line on stderr and an exit code, never a traceback.

    SIGTERM does what Ctrl-C does: what was done is kept. The exit codes are 143 and 130.
    """
    terminated: list[int] = []
    with _on_termination(terminated):
        try:
            code = _run()
        except BaseException as error:
            if not _was_interrupted(error):
                raise
            code = _complain("terminated" if terminated else "interrupted", 130)
    sys.exit(143 if terminated and code in (0, 130) else code)  # asyncio may have taken the interrupt


@contextmanager
def _on_termination(received: list[int]) -> Iterator[None]:
    """Notes a SIGTERM, and passes it on to the handler of SIGINT."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if callable(handler := signal.getsignal(signal.SIGINT)):
            handler(signal.SIGINT, frame)

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _run() -> int:
    from tenfold.cli.app import app
    from tenfold.errors import TenfoldError

    try:
        with _warnings_in_one_line():
            code = app(prog_name="tenfold", standalone_mode=False)
    except TenfoldError as error:
        code = _complain(str(error), error.exit_code)
    except MemoryError:
        code = _complain("there is not enough memory; take fewer images, a smaller model or batch_size", 1)
    except OSError as error:
        told = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
        code = _complain(told, 1)
    except Exception as error:
        format_message = getattr(error, "format_message", None)  # the command line's usage errors
        if format_message is None:
            raise
        code = _complain(f"{format_message()} (see tenfold --help)", getattr(error, "exit_code", 2))
    return code if isinstance(code, int) else 0


@contextmanager
def _warnings_in_one_line() -> Iterator[None]:
    """Tenfold's own; those of libraries stay as they are."""
    from tenfold.errors import TenfoldWarning

    with warnings.catch_warnings():
        warnings.filterwarnings("default", category=TenfoldWarning)
        show = warnings.showwarning

        def tell(message: Warning | str, category: type[Warning], *where: Any, **options: Any) -> None:
            if issubclass(category, TenfoldWarning):
                _complain(str(message), 0)
            else:
                show(message, category, *where, **options)

        warnings.showwarning = tell
        yield


def _was_interrupted(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind it: a library that is interrupted while it is imported tells of an error."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False


def _complain(message: str, code: int) -> int:
    from tenfold.errors import printable

    rank = os.environ.get("RANK", "0")  # of the processes that torchrun starts
    who = "tenfold" if rank == "0" else f"tenfold, process {rank}"
    sys.stderr.write(f"{who}: {printable(' '.join(message.split()))}\n")
    return code
