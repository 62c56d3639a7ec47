"""`tenfold` commands that die, or meet an error, at a file operation of one's choice.

    with Killer() as killer:
        whole = killer.run("train", "tiny.toml", cwd=folder)
        for number in range(1, len(whole.operations) + 1):
            killer.run("train", "tiny.toml", cwd=copy_of(folder), at=number)

One process imports everything once and forks for each command, which takes as long as the command's own work.
An operation is a file opened for writing, a folder made, a rename, a link or a removal, below `cwd`; what
changes nothing (a folder that is there is made) is not counted.
"""

# Within an audit hook, and in a process that ends without cleaning up:
# ruff: noqa: PTH109, PTH115, PTH117, PTH118, S102, SIM115
from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

__all__ = ["Ended", "Killer", "survey"]

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate"}


@dataclass(frozen=True)
class Ended:
    """code: of the exit, -9 where it was killed. operations: "event path", in order, up to the end."""

    code: int
    out: str
    err: str
    operations: tuple[str, ...]

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        return json.loads(self.out)


class Killer:
    """A process that has imported tenfold and forks for each command; a context manager.

    modules: what else it imports before, such as "torch".
    """

    def __init__(self, *modules: str) -> None:
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-P", __file__, *modules],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip

        assert self._process.stdin is not None and self._process.stdout is not None
        self._questions, self._answers = self._process.stdin, self._process.stdout

    def __enter__(self) -> Killer:
        return self

    def __exit__(self, *_error: object) -> None:
        self._questions.close()
        self._answers.close()
        self._process.wait()

    def run(
        self,
        *arguments: object,
        cwd: Path,
        at: int = 0,
        error: int = 0,
        reads: bool = False,
        seconds: int = 120,
    ) -> Ended:
        """`tenfold ARGUMENTS` in the folder cwd; with "-c", a program in Python.

        at: the operation, counted from 1, before which the process dies as by SIGKILL; 0 lets it live.
        error: an errno that this operation raises instead. reads: files opened for reading count, too.
        seconds: after which it is killed in any case.
        """
        values = [list(map(str, arguments)), str(cwd), at, error, reads, seconds]
        self._questions.write(json.dumps(values) + "\n")
        self._questions.flush()
        code, out, err, operations = json.loads(self._answers.readline())
        return Ended(code, out, err, tuple(operations))


def survey(
    killer: Killer, make: Callable[[Path], object], *arguments: object, root: Path, error: int = 0
) -> Iterator[tuple[str, Path, Ended]]:
    """Runs a command once for each file operation that it makes, in a folder that `make` fills each time.

    Yields the operation, the folder as it was left and how the command ended; removes the folder after that.
    """
    number, operation = 0, ""
    while True:
        number += 1
        folder = root / f"{number}"
        folder.mkdir(parents=True)
        make(folder)
        ended = killer.run(*arguments, cwd=folder, at=number, error=error)
        if len(ended.operations) < number:
            assert ended.code == 0, ended.err
            shutil.rmtree(folder)
            return
        operation = f"{number}: {ended.operations[-1] if not error else ended.operations[number - 1]}"
        yield operation, folder, ended
        shutil.rmtree(folder)


def _serve(modules: list[str]) -> None:
    """Runs the commands that come in as lines of JSON, and answers each with a line."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    for module in (
        "tenfold.cli.app",
        "tenfold.runs.run",
        "tenfold.show.report",
        "matplotlib.figure",
        *modules,
    ):
        __import__(module)
    for line in sys.stdin:
        answers.write(json.dumps(_fork(*json.loads(line))) + "\n")
        answers.flush()


def _fork(arguments: list[str], cwd: str, *options: Any) -> list[object]:
    """Exit code, stdout, stderr and operations of a command."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as told:
        child = os.fork()
        if not child:
            _run(arguments, cwd, (out.fileno(), err.fileno(), told.fileno()), *options)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        texts = []
        for file in (out, err, told):
            file.seek(0)
            texts.append(file.read().decode("utf-8", "backslashreplace"))
    return [code, *texts[:2], texts[2].splitlines()]


def _run(
    arguments: list[str],
    cwd: str,
    files: tuple[int, int, int],
    at: int,
    error: int,
    reads: bool,
    seconds: int,
) -> NoReturn:
    """In the forked process: the command, and the end of it."""
    code: object = 1
    try:
        os.chdir(cwd)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(files[0], 1)
        os.dup2(files[1], 2)
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False, buffering=1)
        sys.argv = ["tenfold", *arguments]
        sys.dont_write_bytecode = True
        signal.alarm(seconds)
        from tenfold.cli import main

        program = compile(arguments[1], "-c", "exec") if arguments[0] == "-c" else None
        _watch(os.path.realpath(cwd), at, error, reads, files[2])
        main() if program is None else exec(program, {"__name__": "__main__"})
        code = 0
    except SystemExit as end:
        code = end.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


def _watch(root: str, at: int, error: int, reads: bool, told: int) -> None:
    """Counts this process's file operations below `root`, and dies or fails at the one of that number."""
    process, count, inside = os.getpid(), 0, False

    def hook(event: str, values: tuple[Any, ...]) -> None:
        nonlocal count, inside
        if inside or os.getpid() != process or not _counts(event, values, reads):
            return
        inside = True
        try:
            path = _place(values, event)
            if path is None or not f"{path}/".startswith(f"{root}/") or _is_idle(event, path):
                return
            count += 1
            os.write(told, f"{event} {os.path.relpath(path, root)}\n".encode("utf-8", "backslashreplace"))
            if count != at:
                return
            if not error:
                os.kill(process, signal.SIGKILL)
            raise OSError(error, os.strerror(error), path)
        finally:
            inside = False

    sys.addaudithook(hook)


def _counts(event: str, values: tuple[Any, ...], reads: bool) -> bool:
    if event != "open":
        return event in _CHANGES
    return reads or bool(values[2] & _WRITING)


def _is_idle(event: str, path: str) -> bool:
    """Whether it makes what is there already, or removes what is not there."""
    return {"os.mkdir": True, "os.remove": False}.get(event) is os.path.lexists(path)


def _place(values: tuple[Any, ...], event: str) -> str | None:
    """The path that an operation changes, or None for one that has no name."""
    which = 1 if event in ("os.rename", "os.link", "os.symlink") else 0
    try:
        name = os.fsdecode(values[which])
    except TypeError:  # the number of an open file
        return None
    holder = values[-1] if event in ("os.remove", "os.rmdir", "os.mkdir") else -1
    if holder != -1 and not os.path.isabs(name):
        return os.path.join(os.readlink(f"/proc/self/fd/{holder}"), name)
    return os.path.normpath(os.path.join(os.getcwd(), name))


if __name__ == "__main__":
    _serve(sys.argv[1:])
