"""Work for several processes: questions are handed out, answers come back in the order of the questions.

Not threads: many short calls of PIL and NumPy fight for the interpreter's lock. Not multiprocessing: it
imports the user's script anew in every process, and what it started outlives a parent that is killed. A
helper is a module of ours run by itself, which answers pickled questions until its input is closed.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Lock, Timer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from concurrent.futures import Future
    from subprocess import Popen

__all__ = [
    "ENDED",
    "MOST_HELPERS",
    "NO_ANSWER",
    "ONE_CORE",
    "TOO_LATE",
    "ask_helpers",
    "count_cores",
    "is_gone",
    "name_process",
    "serve_questions",
    "wait_without_spinning",
]

MOST_HELPERS = 8
NO_ANSWER = object()  # the helper ended instead of answering: the question is still to be answered
TOO_LATE = object()  # the helper was ended because it took too long
ENDED = object()  # two helpers, both ready, ended over this question: it is not to be asked anywhere else
# The environment of a process that is to compute on one core.
ONE_CORE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_AHEAD = 4  # questions that wait for each helper


def count_cores() -> int:
    """Those that a container or taskset leaves this process."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def name_process() -> str:
    """Of this process: its machine, number and start, which no later process shares."""
    return f"{socket.gethostname()} {os.getpid()} {_started(os.getpid())}"


def is_gone(name: str) -> bool:
    """Whether the process that `name_process` named has ended; False where it is of another machine."""
    host, *rest = name.rsplit(" ", 2)
    if host != socket.gethostname() or len(rest) != 2 or not rest[0].isdigit():
        return False
    number, start = int(rest[0]), rest[1]
    if _started(os.getpid()):
        return _started(number) != start
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _started(number: int) -> str:
    """Clock ticks since the machine started, as /proc tells them; "" where it does not, or it has ended."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def wait_without_spinning() -> None:
    """Call it before PyTorch is loaded: where other processes keep the cores busy, its threads then sleep
    while they wait for each other. As OpenMP has it, they would spin, each on a core that the other needs.

    An idle machine is left as it is, since a thread that sleeps takes longer to go on. Results do not change.
    """
    if "torch" in sys.modules or os.environ.keys() & {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}:
        return
    others = _count_running() - 2  # without this thread, and one that may be reading data
    if others + count_cores() > (os.cpu_count() or 1):
        os.environ["OMP_WAIT_POLICY"] = "passive"


def _count_running() -> int:
    """Threads of the whole machine that run or wait for a core, this one too; the fewest of a few looks.
    0 where the system does not tell."""
    looks = []
    for _ in range(5):
        try:
            fields = Path("/proc/loadavg").read_text(encoding="ascii").split()
            looks.append(int(fields[3].partition("/")[0]))
        except (OSError, ValueError, IndexError):
            return 0
        time.sleep(0.002)
    return min(looks)


def ask_helpers(
    module: str,
    questions: Iterable[Any],
    count: int,
    *,
    start: object = None,
    timeout: float | None = None,
) -> Generator[tuple[Any, Any]]:
    """(question, its answer or NO_ANSWER) each, in order. Close it when you want no more of them.

    module: what a helper runs; it calls `serve_questions`. start: what that gets. count: helpers. timeout:
    seconds for an answer. With one, a question that takes longer is answered TOO_LATE, one over which helpers
    end ENDED, and other helpers take their place.
    """
    from concurrent.futures import ThreadPoolExecutor  # not for who only reads one picture

    rest = iter(questions)
    waiting: deque[tuple[Any, Future[Any]]] = deque()
    # the helpers are inside, so that they are ended before their threads are waited for
    with ThreadPoolExecutor(count) as threads, _helpers(module, count, pickle.dumps(start), timeout) as idle:

        def ask(most: int) -> None:
            for question in islice(rest, most):
                waiting.append((question, threads.submit(_ask, idle, question)))

        ask(_AHEAD * count)
        while waiting:
            question, answer = waiting.popleft()
            yield question, answer.result()
            ask(1)


def serve_questions(prepare: Callable[[Any], Callable[[Any], Any]]) -> None:
    """The helper's side: prepare(start) gives the function that answers. What that raises ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the other side's business
    given, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is not an answer
    answer = prepare(pickle.load(given))  # noqa: S301 - from our own process
    answers.write(pickle.dumps(True))  # ready: from here on the time counts
    answers.flush()
    while True:
        try:
            question = pickle.load(given)  # noqa: S301
        except EOFError:
            return
        answers.write(pickle.dumps(answer(question)))
        answers.flush()


class _Helper:
    """A process that answers. With a timeout, another one is started where it has ended."""

    def __init__(self, module: str, start: bytes, timeout: float | None) -> None:
        self.module, self.start, self.timeout = module, start, timeout
        self.lock, self.closed, self.ready = Lock(), False, False
        self.process = self._begin()

    def _begin(self) -> Popen[bytes]:
        from subprocess import DEVNULL, PIPE, Popen

        folders = os.pathsep.join(str(Path(folder).absolute()) for folder in sys.path)
        self.ready = False
        return Popen(
            [sys.executable, "-P", "-m", self.module],
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            env=os.environ | ONE_CORE | {"PYTHONPATH": folders},
        )

    def ask(self, question: Any) -> Any:
        if self.timeout is None:
            return self._ask(question) if self._prepare() else NO_ANSWER
        for _ in range(2):  # one that was ended from outside is not the question's fault
            if self.closed or not (self._prepare() or self._replace()):
                self.closed = True  # no helper gets ready: no more are started
                return NO_ANSWER
            late = Event()
            timer = Timer(self.timeout, self._stop, (self.process, late))
            timer.start()
            answer = self._ask(question)
            timer.cancel()
            if answer is not NO_ANSWER:
                return answer
            self.ready = False
            if late.is_set():
                return TOO_LATE
        return ENDED

    def _prepare(self) -> bool:
        """Whether the helper says that it is ready."""
        if not self.ready:
            self.ready = self._send(self.start) and self._receive() is True
        return self.ready and self.process.poll() is None

    def _replace(self) -> bool:
        with self.lock:
            if self.closed:
                return False
            self._clear()
            self.process = self._begin()
        return self._prepare()

    def _ask(self, question: Any) -> Any:
        return self._receive() if self._send(pickle.dumps(question)) else NO_ANSWER

    def _send(self, data: bytes) -> bool:
        try:
            self.process.stdin.write(data)  # type: ignore[union-attr]
            self.process.stdin.flush()  # type: ignore[union-attr]
        except (OSError, ValueError):  # it has ended, or is closed
            return False
        return True

    def _receive(self) -> Any:
        try:
            return pickle.load(self.process.stdout)  # type: ignore[arg-type]  # noqa: S301
        except (OSError, EOFError, ValueError, pickle.UnpicklingError):
            return NO_ANSWER

    def _stop(self, process: Popen[bytes], late: Event) -> None:
        late.set()
        process.kill()

    def _clear(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with suppress(OSError, ValueError):
                if pipe:
                    pipe.close()

    def end(self) -> None:
        with self.lock:
            self.closed = True
            self._clear()


@contextmanager
def _helpers(module: str, count: int, start: bytes, timeout: float | None) -> Iterator[SimpleQueue[_Helper]]:
    idle: SimpleQueue[_Helper] = SimpleQueue()
    helpers: list[_Helper] = []
    try:
        for _ in range(count):
            helpers.append(_Helper(module, start, timeout))
            idle.put(helpers[-1])
        yield idle
    finally:
        for helper in helpers:
            helper.end()


def _ask(idle: SimpleQueue[_Helper], question: Any) -> Any:
    helper = idle.get()
    try:
        return helper.ask(question)
    finally:
        idle.put(helper)
