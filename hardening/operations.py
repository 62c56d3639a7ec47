"""A command in a process of its own, forked with everything imported, in which something happens at its
k-th file operation."""

from __future__ import annotations

import errno
import gc
import importlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["ACTIONS", "Done", "import_what_it_needs", "run_command"]

_EVENTS = ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate")
_PATIENCE = 120  # seconds after which a command counts as stuck
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


@dataclass(frozen=True)
class Done:
    """code: below 0 the signal that ended it. operations: "open run/model.json" each; modules: imported ones
    (of both nothing is known where it was killed)."""

    code: int
    err: str
    operations: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()


def _kill(_count: int, _at: int, _event: str, _flags: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _no_space(_count: int, _at: int, event: str, flags: int) -> None:
    """From here on, for all that needs disk space."""
    if event in ("os.mkdir", "os.link", "os.symlink", "os.fsync") or (event == "open" and flags & _WRITING):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _broken(count: int, at: int, _event: str, _flags: int) -> None:
    if count == at:
        raise OSError(errno.EIO, os.strerror(errno.EIO))


def _no_memory(count: int, at: int, _event: str, _flags: int) -> None:
    if count == at:
        raise MemoryError


# What happens at the k-th operation; called for the later ones too.
ACTIONS: dict[str, Callable[[int, int, str, int], None]] = {
    "kill": _kill,
    "ENOSPC": _no_space,
    "EIO": _broken,
    "ENOMEM": _no_memory,
}


class _Watch:
    """Counts the operations on files below `root`, and acts from the k-th on."""

    def __init__(self, root: Path, action: str, at: int) -> None:
        self.root, self.act, self.at = str(root), ACTIONS.get(action), at
        self.done: list[str] = []
        self.sync = os.fsync

    def start(self) -> None:
        sys.addaudithook(self)
        vars(os)["fsync"] = self.fsync  # which Python does not audit

    def fsync(self, number: int) -> None:
        self._reach("os.fsync", str(number), 0)
        self.sync(number)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _EVENTS and self._is_below(arguments[0]):
            self._reach(event, os.fsdecode(arguments[0]), arguments[2] if event == "open" else 0)

    def _is_below(self, path: Any) -> bool:
        if isinstance(path, int):
            return False
        text = os.fsdecode(path)
        return not text.startswith("/") or text.startswith(self.root)

    def _reach(self, event: str, path: str, flags: int) -> None:
        self.done.append(f"{event} {path.removeprefix(self.root + '/')}")
        if self.act is not None and len(self.done) >= self.at:
            self.act(len(self.done), self.at, event, flags)


def run_command(words: Sequence[str], root: Path, *, action: str = "", at: int = 0) -> Done:
    """`tenfold WORDS` in the folder `root`; what it prints goes into files beside the folder."""
    out, err, told = (root.with_name(f"{root.name}.{name}") for name in ("out", "err", "told"))
    told.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        _be_command(words, root, action, at, (out, err, told))
    _, status = os.waitpid(child, 0)
    known = json.loads(told.read_text()) if told.exists() else ((), ())
    return Done(os.waitstatus_to_exitcode(status), err.read_text(errors="replace"), *map(tuple, known))


def _be_command(words: Sequence[str], root: Path, action: str, at: int, outputs: tuple[Path, ...]) -> None:
    """Never returns."""
    code: Any = 1
    try:
        signal.alarm(_PATIENCE)
        os.chdir(root)
        for number, path in enumerate(outputs[:2], 1):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        sys.argv = ["tenfold", *words]
        watch = _Watch(root, action, at)
        watch.start()
        try:
            from tenfold.cli import main

            main()
        except SystemExit as end:
            code = end.code
        except BaseException:
            traceback.print_exc()
        watch.act = None
        sys.stdout.flush()
        sys.stderr.flush()
        outputs[2].write_text(json.dumps([watch.done, list(sys.modules)]))
    finally:
        os._exit(code if isinstance(code, int) else 1)


def import_what_it_needs(modules: Sequence[str]) -> None:
    """In this process, so that those forked from it find it there."""
    for name in modules:
        with suppress(Exception):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()
