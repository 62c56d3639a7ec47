"""Does another client notice an attack on the server?

    python benchmarks/under_attack.py [--seconds 60]

A client sends one request after the other, images to /v1/predict and then pictures to /v1/read, for so many
seconds: undisturbed, while each attack runs, while all of them do, and undisturbed again. The attacks: bodies
that once killed a worker, took gigabytes or blocked the server, one every 50 ms; 1,100 connections with half
a head each; eight clients that send 16 MiB of noise again and again. Attackers, client and server share the
cores, and attackers and client one address: the worst case. failed: answers other than 200. MiB: the most
that the server and its workers held.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import multiprocessing
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from common import RESULTS, machine, markdown_table, publish
from http_load import request_bytes
from inference import build_classifier
from serving import Task, resident, started

from tenfold.reader.line_reader import LineReader

HALF_SENT = 1100  # connections
SENDERS = 8  # of the largest bodies
PAUSE = 0.05  # seconds between two requests of an attacker
MIB = 2**20


@dataclass(frozen=True)
class Measured:
    per_second: float
    p99_ms: float
    failed: int
    n: int
    mib: float


def npy(shape: str) -> bytes:
    header = ("{'descr': '|u1', 'fortran_order': False, 'shape': " + shape + "}").encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(784)


def hostile_bodies() -> list[bytes]:
    """B1 and B2: requests that killed a worker, took gigabytes, or blocked the server for half a minute."""
    shapes = ("(0x" + "f" * 8000 + ", 28, 28)", "(-1, -28, 28)", "(True, 28, 28)")
    kind = "application/x-npy"
    requests = [request_bytes("/v1/predict", npy(shape), kind) for shape in shapes]
    texts = json.dumps({"images": ["a" * 999_000, *[""] * 400]}).encode()
    empty = json.dumps({"pictures": [""] * (4 * MIB - 5)}).encode()
    requests += [request_bytes("/v1/predict", texts), request_bytes("/v1/read", empty)]
    return requests


async def send_again_and_again(port: int, requests: Sequence[bytes], pause: float) -> None:
    """pause: seconds after each; a connection that is closed is opened anew."""
    number = 0
    while True:
        writer = None
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.TimeoutError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            request = requests[number % len(requests)]
            for start in range(0, len(request), MIB // 4):
                writer.write(request[start : start + MIB // 4])
                await writer.drain()
            async with asyncio.timeout(20):
                await reader.readuntil(b"\r\n\r\n")
        if writer is not None:
            writer.close()
        number += 1
        await asyncio.sleep(pause)


async def hold_half_sent(port: int) -> None:
    """B3: as many half-sent heads as there were descriptors; those that are closed are sent anew."""
    held: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    while True:
        for reader, writer in held:
            if reader.at_eof():
                writer.close()
        held = [pair for pair in held if not pair[0].at_eof()]
        for _ in range(min(25, HALF_SENT - len(held))):
            with suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"POST /v1/read HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-")
                held.append((reader, writer))
        await asyncio.sleep(PAUSE)


async def _attack(name: str, port: int) -> None:
    noise = base64.b64encode(os.urandom(12 * MIB - 4096))
    large = request_bytes("/v1/read", b'{"pictures": ["' + noise + b'"]}')
    plans = {
        "hostile bodies": lambda: [send_again_and_again(port, hostile_bodies(), PAUSE)],
        "half-sent heads": lambda: [hold_half_sent(port)],
        "16 MiB bodies": lambda: [send_again_and_again(port, [large], 20 * PAUSE) for _ in range(SENDERS)],
    }
    chosen = [plan for other, plan in plans.items() if name in (other, "all of them")]
    await asyncio.gather(*(each for plan in chosen for each in plan()))


def attack(name: str, port: int, begun: Any) -> None:
    """Until the process is ended."""
    begun.set()
    asyncio.run(_attack(name, port))


ATTACKS = ("hostile bodies", "half-sent heads", "16 MiB bodies", "all of them")


@contextmanager
def attacked(name: str | None, port: int) -> Iterator[None]:
    if name is None:
        yield
        return
    context = multiprocessing.get_context("spawn")
    begun = context.Event()
    process = context.Process(target=attack, args=(name, port, begun), daemon=True)
    process.start()
    begun.wait()
    time.sleep(2)  # until it is under way
    try:
        yield
    finally:
        process.kill()
        process.join()


def measure(port: int, pid: int, requests: Sequence[bytes], seconds: float) -> Measured:
    times: list[float] = []
    most, stop = [0.0], threading.Event()

    def watch() -> None:
        while not stop.wait(0.25):
            with suppress(OSError, IndexError):
                most[0] = max(most[0], resident(pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    failed = asyncio.run(_ask(port, requests, seconds, times))
    stop.set()
    watcher.join()
    slowest = 1000 * float(np.percentile(times, 99)) if times else float("nan")
    return Measured(len(times) / seconds, slowest, failed, len(times) + failed, most[0])


async def _ask(port: int, requests: Sequence[bytes], seconds: float, times: list[float]) -> int:
    """The times of right answers; how many were none. A client that is refused opens a connection anew."""
    failed, number, connection = 0, 0, None
    until = time.perf_counter() + seconds
    while (sent := time.perf_counter()) < until:
        try:
            connection = connection or await asyncio.open_connection("127.0.0.1", port)
            reader, writer = connection
            writer.write(requests[number % len(requests)])
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split()[0])
            await reader.readexactly(length)
            if head[9:12] != b"200":
                raise ConnectionError
            times.append(time.perf_counter() - sent)
        except (OSError, asyncio.IncompleteReadError):
            failed += 1
            if connection is not None:
                connection[1].close()
            connection = None
        number += 1
    if connection is not None:
        connection[1].close()
    return failed


def image_requests() -> list[bytes]:
    image = np.random.default_rng(4).integers(0, 256, (28, 28), dtype=np.uint8)
    return [request_bytes("/v1/predict", json.dumps({"images": [image.tolist()]}).encode())]


def picture_requests() -> list[bytes]:
    from tenfold.serve.worker import warming_picture

    return [request_bytes("/v1/read", warming_picture(), "image/png")]


def rows_of(found: dict[str, list[tuple[str, Measured]]]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for route, measured in found.items():
        calm = statistics.fmean(each.per_second for name, each in measured if name == "nothing")
        for name, each in measured:
            rows.append(
                (
                    route,
                    name,
                    f"{each.n:,}",
                    f"{each.per_second:,.0f}",
                    f"{100 * each.per_second / calm:.0f} %",
                    f"{each.p99_ms:.0f}",
                    f"{each.failed}",
                    f"{each.mib:.0f}",
                )
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    found: dict[str, list[tuple[str, Measured]]] = {}
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        build_classifier("cnn").save(Path(place))
        for route, model, requests in (
            ("predict", Path(place), image_requests()),
            ("read", LineReader.FOLDER, picture_requests()),
        ):
            port, pid = stack.enter_context(started("tenfold", Task(route, model, requests, [])))
            measure(port, pid, requests, 1.0)
            found[route] = []
            for name in (None, *ATTACKS, None):
                with attacked(name, port):
                    each = measure(port, pid, requests, options.seconds)
                found[route].append((name or "nothing", each))
                print(route, name or "nothing", each, flush=True)
    columns = ("route", "attack", "n", "requests per second", "of undisturbed", "p99 ms", "failed", "MiB")
    host = machine()
    note = (
        f"One client for {options.seconds:g} s each, n requests; {host['processor']}, {os.cpu_count()} cores "
        "that server, client and attackers share. Made by `python benchmarks/under_attack.py`."
    )
    runs = {route: [{"attack": name} | vars(each) for name, each in rows] for route, rows in found.items()}
    folder = RESULTS if options.seconds >= 60 else Path(tempfile.mkdtemp())
    table = markdown_table(columns, rows_of(found))
    publish("under_attack", table, note, {"runs": runs}, readme=False, folder=folder)


if __name__ == "__main__":
    main()
