"""The command line: one command a file, no logic of its own. Heavy imports stay inside the commands."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """The entry point. A user's mistake is one line on stderr and an exit code, never a traceback."""
    from tenfold.cli.app import app
    from tenfold.errors import TenfoldError

    try:
        code = app(prog_name="tenfold", standalone_mode=False)
    except TenfoldError as error:
        code = _complain(str(error), error.exit_code)
    except KeyboardInterrupt:
        code = _complain("interrupted", 130)
    except OSError as error:
        told = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
        code = _complain(told, 1)
    except Exception as error:
        format_message = getattr(error, "format_message", None)  # the command line's usage errors
        if format_message is None:
            raise
        code = _complain(f"{format_message()} (see tenfold --help)", getattr(error, "exit_code", 2))
    sys.exit(code if isinstance(code, int) else 0)


def _complain(message: str, code: int) -> int:
    sys.stderr.write("tenfold: " + " ".join(message.split()) + "\n")
    return code
