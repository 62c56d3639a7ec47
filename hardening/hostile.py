"""Hostile requests, slow clients and overload, against a `tenfold serve` of its own.

Every answer has a status below 500, or 503, 504 or 507, as docs/serving.md has them. Beside the attack,
clients at another address ask for images of their own and get the answers of these. At the end the server and
its first workers are still there, ready, within their memory, and have told of no error of their own.
"""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from hardening.commands import make_model
from hardening.requests_made import SIDE, Hostile, draw_request, good_body
from hardening.tally import Options, Tally
from tenfold.classifier import Classifier

__all__ = ["attack_server"]

_HOSTILE, _OVERLOAD = 5000, 2000  # requests
_FINE = {503, 504, 507}
_PATIENCE = 60  # seconds that an answer may take
_THREADS, _CROWD = 8, 64  # that send hostile requests, and at overload
_HELD = 150  # connections of slow clients at one time
_MOST_MEMORY = 600  # MiB, of the server and its workers
# The address of those who mean no harm; elsewhere than on Linux they share the one of the attack.
_OTHER = ("127.0.0.2", 0) if sys.platform == "linux" else None


def attack_server(options: Options) -> list[Tally]:
    """Five rows; the server runs on its own, with a model that answers quickly."""
    rows = (
        "hostile requests",
        "answers beside them",
        "answers at overload",
        "schemathesis",
        "server afterwards",
    )
    hostile, beside, overload, made_up, after = tallies = [
        Tally(name, alone=name == rows[0]) for name in rows
    ]
    with tempfile.TemporaryDirectory(prefix="hardening-") as folder:
        model = make_model()
        model.save(Path(folder) / "model")
        with _running(Path(folder)) as server:
            if options.only:
                request = draw_request(_rng(options, int(options.chosen([], 1)[0])))
                print(request.data[:1000], _send(server, request, []) or "as it should be", sep="\n")
                return []
            workers = server.workers()
            with hostile.timed(), _others(server, model, beside):
                _send_all(server, options, hostile)
            with overload.timed():
                _crowd(server, model, min(_OVERLOAD, 20 * options.most), overload)
            if not options.quick:
                with made_up.timed():
                    _send_made_up(server, options, made_up)
            for what, found in _state(server, model, workers).items():
                after.count("requests", what, found)
    return tallies


class _Server:
    def __init__(self, folder: Path) -> None:
        self.told = folder / "stderr"
        words = ["--port", "0", "--workers", "2", "--timeout", "5", "--max-body", "4", "--quiet"]
        words += ["--model", str(folder / "model"), "--collect", str(folder / "kept")]
        with self.told.open("w") as told:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "tenfold", "serve", *words], stderr=told, cwd=folder
            )
        self.port = int(self.wait_for(lambda: re.search(r"127\.0\.0\.1:(\d+)", self.told.read_text()))[1])
        self.wait_for(lambda: self.status("/readyz") == 200)

    def wait_for(self, find: Any) -> Any:
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until and self.process.poll() is None:
            found = find()
            if found:
                return found
            time.sleep(0.05)
        self.process.kill()
        raise SystemExit(f"the server does not start: {self.told.read_text()[-500:]}")

    def status(self, path: str) -> int:
        with suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, _PATIENCE, _OTHER)
            connection.request("GET", path)
            return connection.getresponse().status
        return 0

    def workers(self) -> set[int]:
        """Its child processes, where the system tells them."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return {int(number) for task in tasks for number in task.read_text().split()}

    def memory(self) -> float:
        """MiB of the server and its workers."""
        total = 0.0
        for number in (self.process.pid, *self.workers()):
            with suppress(OSError):
                found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{number}/status").read_text())
                total += int(found[1]) / 1024 if found else 0
        return total


@contextmanager
def _running(folder: Path) -> Iterator[_Server]:
    server = _Server(folder)
    try:
        yield server
    finally:
        server.process.send_signal(signal.SIGTERM)
        try:
            server.process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            server.process.kill()


def _rng(options: Options, number: int) -> Random:
    return Random(f"{options.seed} request {number}")


def _send_all(server: _Server, options: Options, tally: Tally) -> None:
    held: list[socket.socket] = []

    def trial(number: int) -> tuple[int, str]:
        return number, _send(server, draw_request(_rng(options, number)), held)

    with ThreadPoolExecutor(_THREADS) as threads:
        for number, found in threads.map(trial, range(min(_HOSTILE, 25 * options.most))):
            tally.count("requests", f"hostile:{number}", found)
    for connection in held:
        connection.close()


def _send(server: _Server, request: Hostile, held: list[socket.socket]) -> str:
    """What was wrong with the answer, or ""."""
    if len(held) > _HELD:
        held.pop(0).close()
    try:
        connection = socket.create_connection(("127.0.0.1", server.port), _PATIENCE)
        with suppress(BrokenPipeError, ConnectionResetError):  # refused before all of it was sent
            connection.sendall(request.data)
        if request.end == "hold":
            held.append(connection)
            return ""
        with connection:
            return "" if request.end == "abort" else _answer(connection, request)
    except ConnectionResetError:
        return ""  # refused with bytes of ours still unread
    except OSError as error:
        return f"{type(error).__name__} after {request.data[:80]!r}"


def _answer(connection: socket.socket, request: Hostile) -> str:
    if not request.answered:
        connection.shutdown(socket.SHUT_WR)
    start = b""
    while len(start) < 12 and (data := connection.recv(4096)):
        start += data
    status = int(start[9:12]) if re.match(rb"HTTP/1\.[01] \d{3}", start) else 0
    if status == 0:
        return f"no answer to {request.data[:80]!r}" if request.answered and not start else ""
    return f"status {status} for {request.data[:200]!r}" if status >= 500 and status not in _FINE else ""


class _Client:
    """One of those who mean no harm: images of its own, and the answers that belong to them."""

    def __init__(self, server: _Server, model: Classifier, seed: int) -> None:
        self.server, self.model = server, model
        self.rng = np.random.default_rng([seed, *b"client"])

    def ask(self) -> str:
        image = self.rng.integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, _PATIENCE, _OTHER)
        try:
            connection.request("POST", "/v1/predict", good_body(image), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            return f"{type(error).__name__}: {error}"
        finally:
            connection.close()
        if answer.status != 200:
            return "" if answer.status in {429, *_FINE} else f"status {answer.status}: {text[:100]!r}"
        right = np.allclose(json.loads(text)["probs"][0], self.model.predict_proba(image[None])[0], atol=1e-5)
        return "" if right else "the answer of another image"


@contextmanager
def _others(server: _Server, model: Classifier, tally: Tally) -> Iterator[None]:
    over, client = threading.Event(), _Client(server, model, 0)

    def ask_on() -> None:
        while not over.is_set():
            tally.count("requests", f"beside:{tally.n}", client.ask())
            time.sleep(0.02)

    thread = threading.Thread(target=ask_on)
    thread.start()
    try:
        with tally.timed():
            yield
    finally:
        over.set()
        thread.join()


def _crowd(server: _Server, model: Classifier, count: int, tally: Tally) -> None:
    """More clients at one time than the server accepts; none gets the answer of another."""
    with ThreadPoolExecutor(_CROWD) as threads:
        answers = threads.map(lambda number: _Client(server, model, number).ask(), range(1, count + 1))
        for number, found in enumerate(answers):
            tally.count("requests", f"overload:{number}", found)


def _send_made_up(server: _Server, options: Options, tally: Tally) -> None:
    """Requests that Schemathesis makes from the server's description of itself, where it is installed."""
    try:
        import hypothesis
        import schemathesis
    except ImportError:
        return
    schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{server.port}/openapi.json")
    checks = hypothesis.settings(
        max_examples=min(40, options.most), deadline=None, database=None,
        phases=[hypothesis.Phase.generate], suppress_health_check=list(hypothesis.HealthCheck),
    )  # fmt: skip
    operations: Iterable[Any] = schema.get_all_operations()
    for operation in operations:
        described = operation.ok()

        @hypothesis.seed(options.seed)
        @checks
        @hypothesis.given(case=described.as_strategy())
        def ask(case: Any) -> None:
            status = case.call().status_code
            found = f"status {status} of {case.path}" if status >= 500 and status not in _FINE else ""
            tally.count("requests", f"schemathesis:{tally.n}", found)

        ask()


def _state(server: _Server, model: Classifier, workers: set[int]) -> dict[str, str]:
    """What holds at the end: its name, and "" or what does not."""
    memory, told = server.memory(), server.told.read_text()
    ready = [server.status(path) for path in ("/healthz", "/readyz")]
    return {
        "alive": "" if server.process.poll() is None else f"it ended with {server.process.returncode}",
        "ready": "" if ready == [200, 200] else f"/healthz and /readyz answer {ready}",
        "answers": _Client(server, model, 0).ask(),
        "memory": "" if memory < _MOST_MEMORY else f"{memory:.0f} MiB",
        "workers": "" if server.workers() == workers else "a worker died",
        "log": f"a traceback: {told[-300:]}" if "Traceback" in told else "",
    }
