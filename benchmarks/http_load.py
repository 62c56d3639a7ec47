"""Load on an HTTP server of this machine: closed loops and an open one, with little work of its own.

Requests are bytes made beforehand on kept connections; answers are kept as bytes and looked at when the
clock has stopped.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Answered", "closed_loop", "open_loop", "request_bytes"]

_MOST_CONNECTIONS = 400


@dataclass(frozen=True)
class Answered:
    """number: which request. seconds: from when it was sent (closed) or due (open) to its answer's end."""

    number: int
    status: int
    seconds: float
    body: bytes


def request_bytes(path: str, body: bytes, kind: str = "application/json") -> bytes:
    lines = (
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join((*lines, "", "")).encode() + body


def closed_loop(port: int, requests: Sequence[bytes], clients: int, seconds: float) -> list[Answered]:
    """Each client sends its next request when it has its answer, for so many seconds."""
    return asyncio.run(_closed_loop(port, requests, clients, seconds))


def open_loop(port: int, requests: Sequence[bytes], rate: float, seconds: float) -> list[Answered]:
    """So many requests per second, whether answers come or not."""
    return asyncio.run(_open_loop(port, requests, rate, seconds))


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def to(cls, port: int) -> _Connection:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        self.writer.write(request)
        head = await self.reader.readuntil(b"\r\n\r\n")
        lower = head.lower()
        start = lower.index(b"content-length:") + 15
        length = int(head[start : head.index(b"\r\n", start)])
        body = await self.reader.readexactly(length)
        return int(head[9:12]), body


async def _closed_loop(port: int, requests: Sequence[bytes], clients: int, seconds: float) -> list[Answered]:
    answers: list[Answered] = []
    until = time.perf_counter() + seconds

    async def loop(client: int) -> None:
        connection, number = await _Connection.to(port), client
        while (sent := time.perf_counter()) < until:
            status, body = await connection.ask(requests[number % len(requests)])
            answers.append(Answered(number % len(requests), status, time.perf_counter() - sent, body))
            number += clients
        connection.writer.close()

    await asyncio.gather(*(loop(client) for client in range(clients)))
    return answers


async def _open_loop(port: int, requests: Sequence[bytes], rate: float, seconds: float) -> list[Answered]:
    answers: list[Answered] = []
    free: list[_Connection] = []
    tasks: set[asyncio.Task[None]] = set()
    limiter = asyncio.Semaphore(_MOST_CONNECTIONS)

    async def one(number: int, due: float) -> None:
        async with limiter:
            connection = free.pop() if free else await _Connection.to(port)
            status, body = await connection.ask(requests[number])
            answers.append(Answered(number, status, time.perf_counter() - due, body))
            free.append(connection)

    started = time.perf_counter()
    for count in range(int(rate * seconds)):
        due = started + count / rate
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        task = asyncio.create_task(one(count % len(requests), due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    for connection in free:
        connection.writer.close()
    return answers
