"""How much does the server answer, beside a plain FastAPI server and LitServe on the same model?

    python benchmarks/serving.py [--seconds 4] [--repeats 5] [--minutes 10] [--quick] [--readme]

LitServe stands twice: with its defaults (one worker, no batches), and tuned (as many workers as tenfold,
and batches for /v1/predict). Loopback only, the client on the same cores. Single 28x28 images go to
/v1/predict of a classifier (the recipe `cnn` with random weights, which take as long as trained ones), canvas
pictures to /v1/read of the built-in line reader, as JSON for all: closed loops of 1, 8 and 32 clients, the
servers in turn; then twice what tenfold answered at most, as an open loop; then minutes of tenfold's two
servers, watching their memory. Every answer is compared with the model's own for its picture.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from answers import data_root, find_cases
from common import RESULTS, machine, markdown_table, publish, spread
from http_load import Answered, closed_loop, open_loop, request_bytes
from inference import build_classifier

from tenfold import load_dataset
from tenfold.reader.line_reader import LineReader, load_reader

CLIENTS = (1, 8, 32)
PEERS = {"plain FastAPI": "plain", "LitServe": "litserve", "LitServe, tuned": "litserve-tuned"}
SERVERS = ("tenfold", *PEERS)
PICTURES = 200
NEAR = 1e-5  # of a probability: the same answer; those of random weights differ by 6e-4 or more


@dataclass(frozen=True)
class Task:
    """model: the folder that every server loads. bodies: one per request. expected: what the model itself
    answers to each, as `found_in` returns it."""

    route: str
    model: Path
    bodies: list[bytes]
    expected: list[tuple[str, np.ndarray]]

    def requests(self, server: str) -> list[bytes]:
        path = f"/v1/{self.route}" if server == "tenfold" else f"/{self.route}"
        return [request_bytes(path, body) for body in self.bodies]

    def is_right(self, answer: Answered) -> bool:
        text, probs = self.expected[answer.number]
        found, others = found_in(json.loads(answer.body))
        return found == text and bool(np.abs(others - probs).max() < NEAR)


def found_in(answer: dict[str, Any]) -> tuple[str, np.ndarray]:
    """The text of a picture with its confidence (1,), or "" with the probabilities (K,) of an image."""
    if "probs" in answer:
        return "", np.array(answer["probs"][0])
    reading = answer["pictures"][0]
    return reading["text"], np.array([reading["confidence"]], float)


def make_tasks(data_dir: str | None, folder: Path) -> list[Task]:
    """folder: where the classifier is saved."""
    classifier = build_classifier("cnn")
    classifier.save(folder)
    images = load_dataset(split="test", data_dir=data_root(data_dir), offline=True).images[:PICTURES]
    bodies = [json.dumps({"images": [image.tolist()]}).encode() for image in images]
    return [
        Task("predict", folder, bodies, [("", probs) for probs in classifier.predict_proba(images)]),
        read_task(data_dir),
    ]


def read_task(data_dir: str | None) -> Task:
    """Canvas pictures in which the line reader reads something."""
    reader = load_reader()
    cases = find_cases(data_root(data_dir), ["rendered-canvas"], PICTURES)["rendered-canvas"]
    files = [case.path.read_bytes() for case in cases]
    read = [(data, reading) for data in files if (reading := reader.read(data)).digits]
    bodies = [json.dumps({"pictures": [base64.b64encode(data).decode()]}).encode() for data, _ in read]
    expected = [(reading.text, np.array([reading.confidence], float)) for _, reading in read]
    return Task("read", LineReader.FOLDER, bodies, expected)


@contextmanager
def started(server: str, task: Task) -> Iterator[tuple[int, int]]:
    """Its port and its process, when it answers."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    here, cores = Path(__file__).parent, len(os.sched_getaffinity(0))
    if server == "tenfold":
        command = ["-m", "tenfold", "serve", "--port", str(port), "--workers", str(cores), "--quiet"]
        command += ["--model", str(task.model)]
    else:
        command = [str(here / "serving_peers.py"), PEERS[server], task.route, str(port), str(cores)]
        command += [str(task.model)]
    surroundings = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, *command],
        env=surroundings,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait(port, "/readyz" if server == "tenfold" else "/openapi.json")
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(timeout=60)
        with suppress(ProcessLookupError):  # LitServe leaves its workers behind
            os.killpg(process.pid, signal.SIGKILL)


def _wait(port: int, path: str) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, ConnectionError):
            pass
        time.sleep(0.1)
    raise SystemExit("a server did not start")


def check(task: Task, answers: Sequence[Answered]) -> list[Answered]:
    """The accepted ones, each held against its own picture; leaves the program at a wrong one."""
    accepted = [answer for answer in answers if answer.status == 200]
    if odd := {answer.status for answer in answers} - {200, 503}:
        raise SystemExit(f"status {odd}")
    wrong = sum(not task.is_right(answer) for answer in accepted)
    if wrong:
        raise SystemExit(f"{wrong} of {len(accepted)} answers are not their picture's")
    return accepted


def measure(answers: Sequence[Answered], seconds: float) -> dict[str, float]:
    times = 1000 * np.array([answer.seconds for answer in answers])
    middle, slow = np.percentile(times, [50, 99])
    return {"per_second": len(answers) / seconds, "p50_ms": float(middle), "p99_ms": float(slow)}


def compare(task: Task, seconds: float, repeats: int) -> dict[str, dict[int, list[dict[str, float]]]]:
    """Server -> clients -> a measurement a repeat; the servers take turns."""
    found: dict[str, dict[int, list[dict[str, float]]]] = {
        name: {count: [] for count in CLIENTS} for name in SERVERS
    }
    with ExitStack() as stack:
        ports = {name: stack.enter_context(started(name, task))[0] for name in SERVERS}
        for name, port in ports.items():
            check(task, closed_loop(port, task.requests(name), 4, min(1.0, seconds)))
        for _ in range(repeats):
            for count in CLIENTS:
                for name, port in ports.items():
                    answers = check(task, closed_loop(port, task.requests(name), count, seconds))
                    found[name][count].append(measure(answers, seconds))
    return found


def overload(task: Task, capacity: float, seconds: float) -> dict[str, float]:
    """Twice what it can answer, for tenfold alone."""
    with started("tenfold", task) as (port, _):
        requests = task.requests("tenfold")
        check(task, closed_loop(port, requests, 4, 1.0))
        answers = open_loop(port, requests, 2 * capacity, seconds)
        accepted = check(task, answers)
    told = measure(accepted, seconds)
    return told | {"asked": len(answers), "refused": 1 - len(accepted) / len(answers), "crossed": 0}


def endure(tasks: Sequence[Task], minutes: float) -> dict[str, Any]:
    """tenfold's servers in turn for so many minutes; MiB of them and their workers, each half minute."""
    held: list[float] = []
    answered = 0
    with ExitStack() as stack:
        servers = [stack.enter_context(started("tenfold", task)) for task in tasks]
        until, turn = time.monotonic() + 60 * minutes, min(15.0, 60 * minutes / 8)
        while time.monotonic() < until:
            for task, (port, _) in zip(tasks, servers, strict=True):
                answered += len(check(task, closed_loop(port, task.requests("tenfold"), 8, turn)))
            held.append(sum(resident(pid) for _, pid in servers))
    return {"minutes": minutes, "answered": answered, "mib": held}


def resident(pid: int) -> float:
    """MiB of a process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    texts = [Path(f"/proc/{each}/status").read_text() for each in (str(pid), *children)]
    return sum(int(text.split("VmRSS:")[1].split()[0]) for text in texts) / 1024


def median(runs: Sequence[dict[str, float]], key: str) -> float:
    return statistics.median(run[key] for run in runs)


def rows_of(task: Task, found: dict[str, dict[int, list[dict[str, float]]]]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for count in CLIENTS:
        for name in SERVERS:
            runs = found[name][count]
            pairs = zip(found["tenfold"][count], runs, strict=True)
            times = [own["per_second"] / other["per_second"] for own, other in pairs]
            rows.append(
                (
                    f"/v1/{task.route}",
                    str(count),
                    name,
                    f"{median(runs, 'per_second'):,.0f}",
                    f"{median(runs, 'p50_ms'):.1f}",
                    f"{median(runs, 'p99_ms'):.1f}",
                    "" if name == "tenfold" else spread(times),
                )
            )
    return rows


def say_overload(task: Task, told: dict[str, float]) -> str:
    return (
        f"At twice its capacity /v1/{task.route} refused {100 * told['refused']:.0f} % of "
        f"{told['asked']:,.0f} requests; of the accepted the slowest hundredth took "
        f"{told['p99_ms']:.0f} ms; no answer was another picture's."
    )


def say_endured(told: dict[str, Any]) -> str:
    held = told["mib"]
    return (
        f"Over {told['minutes']:g} minutes ({told['answered']:,} requests) the two servers and their workers "
        f"held {held[len(held) // 4]:.0f} MiB after a quarter and {held[-1]:.0f} MiB at the end."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--quick", action="store_true", help="one repeat of a second, and half a minute")
    parser.add_argument("--data-dir", default=None)
    parser.add_argument("--readme", action="store_true", help="put the table into its page")
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.repeats, options.minutes = 1.0, 1, 0.5
    rows: list[tuple[str, ...]] = []
    notes, runs = [], {}
    with tempfile.TemporaryDirectory() as place:
        tasks = make_tasks(options.data_dir, Path(place))
        for task in tasks:
            found = compare(task, options.seconds, options.repeats)
            capacity = max(median(found["tenfold"][count], "per_second") for count in CLIENTS)
            loaded = overload(task, capacity, 3 * options.seconds)
            rows += rows_of(task, found)
            notes.append(say_overload(task, loaded))
            runs[task.route] = {"closed": found, "overload": loaded}
        endured = endure(tasks, options.minutes)
    host = machine()
    columns = ("route", "clients", "server", "answers per second", "p50 ms", "p99 ms", "tenfold is faster by")
    note = (
        f"Medians of n = {options.repeats} repeats of {options.seconds:g} s, the servers in turn, ratios of "
        f"the same repeat with spread; {host['processor']}, {os.cpu_count()} cores that client and server "
        f"share. {' '.join(notes)} {say_endured(endured)} Made by `python benchmarks/serving.py`."
    )
    document = {"n": options.repeats, "runs": runs, "memory": endured}
    folder = Path(tempfile.mkdtemp()) if options.quick else RESULTS
    publish("serving", markdown_table(columns, rows), note, document, readme=options.readme, folder=folder)


if __name__ == "__main__":
    main()
