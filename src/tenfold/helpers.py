"""One pool for all work that is shared among processes: questions are handed out, answers come in order.

A helper is a module of ours, run by itself, which answers pickled questions until its input is closed. Not
threads: reading a picture is many short calls of PIL and NumPy, which fight for the GIL. multiprocessing, and
with it concurrent.futures and pebble, imports the user's script anew in every process. loky's processes
outlive a parent that is killed; it limits no question's time, and does not say which one ended a process.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import ExitStack, suppress
from enum import Enum
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from threading import Lock, Timer
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ["Helper", "ProcessName", "Ranks", "count_cores", "wait_without_spinning"]

# The environment of a process that is to compute on one core.
ONE_CORE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_AHEAD = 4  # questions that wait for each helper


def count_cores() -> int:
    """Those that a container or taskset leaves this process."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


T = TypeVar("T")


class Ranks:
    """The processes that train one network together, each on its rows of every batch: here this one alone;
    `tenfold.torch_engine.ranks` has those that torchrun starts. All of them call the same methods in the same
    order.

    number: of this process, from 0; count: of all. total: images in the batch that `share` shared last.
    """

    number, count, total = 0, 1, 0

    @staticmethod
    def started() -> int:
        """How many processes torchrun, or whatever sets WORLD_SIZE, started."""
        size = os.environ.get("WORLD_SIZE", "")
        return int(size) if size.isdigit() else 1

    def share(self, total: int) -> slice:
        """This process's rows of a batch of so many images."""
        self.total = total
        return slice(total * self.number // self.count, total * (self.number + 1) // self.count)

    def sum(self, tensors: Sequence[Any]) -> None:
        """Each tensor of the engine, in place, over all processes."""

    def first(self, make: Callable[[], T]) -> T:
        """What `make` gives in process 0, which alone calls it."""
        return make()

    def any(self, flag: bool) -> bool:
        """Whether it is true in one of them."""
        return flag


class ProcessName(str):
    """A process as text: its machine, number and start, which no later process shares."""

    @classmethod
    def own(cls) -> ProcessName:
        """Of this process."""
        return cls(f"{socket.gethostname()} {os.getpid()} {_started(os.getpid())}")

    def is_gone(self) -> bool:
        """Whether it has ended; False where it is of another machine, or the text names no process."""
        host, *rest = self.rsplit(" ", 2)
        if host != socket.gethostname() or len(rest) != 2 or not rest[0].isdigit():
            return False
        number, start = int(rest[0]), rest[1]
        if _started(os.getpid()):
            return _started(number) != start
        try:
            os.kill(number, 0)
        except OSError as error:
            return isinstance(error, ProcessLookupError)
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
    try:
        for _ in range(5):
            looks.append(int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0]))
            time.sleep(0.002)
    except (OSError, ValueError, IndexError):
        return 0
    return min(looks)


class Helper:
    """A process that answers one question after another. It is started here, and ready after `begin`.

    start: pickled, what the module's `prepare` gets. logs: whether it shares this process's stderr.
    """

    class NoAnswer(Enum):
        """What comes in place of an answer."""

        UNASKED = "no helper gets ready: the question is still to be answered"
        LATE = "the helper was ended because it took too long"
        ENDED = "helpers that were ready ended over this question: it is not to be asked anywhere else"

    def __init__(self, module: str, start: bytes, *, logs: bool = False) -> None:
        from subprocess import DEVNULL, PIPE, Popen

        folders = os.pathsep.join(str(Path(folder).absolute()) for folder in sys.path)
        self.start, self.ready, self.late, self.ended = start, False, False, False
        self.process = Popen(
            [sys.executable, "-P", "-m", module],  # -P: modules are not taken from the working folder
            stdin=PIPE,
            stdout=PIPE,
            stderr=None if logs else DEVNULL,
            env=os.environ | ONE_CORE | {"PYTHONPATH": folders},
        )

    def lives(self) -> bool:
        return not self.ended and self.process.poll() is None

    def begin(self) -> bool:
        """Whether it says that it is ready."""
        self.ready = self.ready or self._exchange(self.start) is True
        return self.ready and self.lives()

    def ask(self, question: Any, timeout: float | None = None) -> Any:
        """Its answer; ENDED where it ends, LATE where it is ended after so many seconds."""
        data = pickle.dumps(question, pickle.HIGHEST_PROTOCOL)
        if timeout is None:
            return self._exchange(data)
        timer = Timer(timeout, self.kill, (True,))
        timer.start()
        answer = self._exchange(data)
        timer.cancel()
        return Helper.NoAnswer.LATE if answer is Helper.NoAnswer.ENDED and self.late else answer

    def _exchange(self, data: bytes) -> Any:
        try:
            self.process.stdin.write(data)  # type: ignore[union-attr]
            self.process.stdin.flush()  # type: ignore[union-attr]
            return pickle.load(self.process.stdout)  # type: ignore[arg-type]  # noqa: S301
        except (OSError, EOFError, ValueError, pickle.UnpicklingError):  # it has ended, or is closed
            self.kill()
            return Helper.NoAnswer.ENDED

    def kill(self, late: bool = False) -> None:
        self.ended, self.late = True, self.late or late
        self.process.kill()

    def end(self, grace: float = 0.0) -> None:
        """Waits until it is gone. grace: seconds in which it may end by itself, as its input is closed."""
        from subprocess import TimeoutExpired

        if grace:
            with suppress(OSError, ValueError, TimeoutExpired):
                self.process.stdin.close()  # type: ignore[union-attr]
                self.process.wait(grace)
        self.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with suppress(OSError, ValueError):
                pipe.close()  # type: ignore[union-attr]

    @staticmethod
    def ask_many(
        module: str, questions: Iterable[Any], count: int, *, start: Any = None, timeout: float | None = None
    ) -> Generator[tuple[Any, Any]]:
        """(question, its answer or Helper.NoAnswer) each, in order. Close it when you want no more of them.

        module: what a helper runs; it calls `serve`. start: what that gets. count: helpers. timeout:
        seconds for an answer. Another helper takes the place of one that has ended.
        """
        from concurrent.futures import ThreadPoolExecutor  # not for who only reads one picture

        rest, load = iter(questions), pickle.dumps(start)
        idle: SimpleQueue[_Place] = SimpleQueue()
        waiting: deque[tuple[Any, Future[Any]]] = deque()

        def ask(question: Any) -> Any:
            place = idle.get()
            try:
                return place.ask(question)
            finally:
                idle.put(place)

        def hand_out(most: int) -> None:
            for question in islice(rest, most):
                waiting.append((question, threads.submit(ask, question)))

        # the helpers are inside, so that they are ended before their threads are waited for
        with ThreadPoolExecutor(count) as threads, ExitStack() as stack:
            for _ in range(count):
                place = _Place(lambda: Helper(module, load), timeout)
                stack.callback(place.end)
                idle.put(place)
            hand_out(_AHEAD * count)
            while waiting:
                question, answer = waiting.popleft()
                yield question, answer.result()
                hand_out(1)

    @staticmethod
    def serve(prepare: Callable[[Any], Callable[[Any], Any]]) -> None:
        """The helper's side: prepare(start) gives the function that answers. What that raises ends it."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the other side's business
        given, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)  # what libraries print is not an answer
        answer = prepare(pickle.load(given))  # noqa: S301 - from our own process
        told: Any = True  # ready: from here on the time counts
        while True:
            pickle.dump(told, answers, pickle.HIGHEST_PROTOCOL)
            answers.flush()
            try:
                question = pickle.load(given)  # noqa: S301
            except (EOFError, pickle.UnpicklingError):  # the other side has ended
                return
            told = answer(question)


class _Place:
    def __init__(self, make: Callable[[], Helper], timeout: float | None) -> None:
        self.make, self.timeout = make, timeout
        self.lock, self.closed = Lock(), False
        self.helper = make()

    def ask(self, question: Any) -> Any:
        for _ in range(2):  # one that was ended from outside is not the question's fault
            if not (self.helper.begin() or self._replace()):
                self.closed = True  # no helper gets ready: no more are started
                return Helper.NoAnswer.UNASKED
            answer = self.helper.ask(question, self.timeout)
            if answer is not Helper.NoAnswer.ENDED:
                return answer
        return Helper.NoAnswer.ENDED

    def _replace(self) -> bool:
        with self.lock:
            if self.closed:
                return False
            self.helper.end()
            self.helper = self.make()
        return self.helper.begin()

    def end(self) -> None:
        with self.lock:
            self.closed = True
            self.helper.end()
