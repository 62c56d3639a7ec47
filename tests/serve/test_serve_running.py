"""A real server on loopback: streaming, joined batches, load, time limits, and its end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import numpy as np
import pytest
from serving import EXAMPLES, Running, base64_of, numbers, running

from tenfold.classifier import Classifier
from tenfold.errors import DataError, UsageError
from tenfold.reader.line_reader import LineReader
from tenfold.serve.app import serve
from tenfold.serve.settings import ServeSettings

PNG, RAW = {"Content-Type": "image/png"}, {"Content-Type": "application/octet-stream"}
SEVEN = (EXAMPLES / "seven.png").read_bytes()
LONG_WAITS = ("--timeout", "90", "--max-wait", "90")  # on a busy machine
LOW_LIMITS = ("--workers", "2", "--max-body", "1", "--queue", "40", "--quiet", *LONG_WAITS)


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    """With low limits, so that they are met quickly."""
    with running(*LOW_LIMITS) as started:
        yield started


@pytest.fixture(scope="module")
def image_server(classifier_folder: Path) -> Iterator[Running]:
    """The same for images."""
    with running(*LOW_LIMITS, "--model", str(classifier_folder)) as started:
        yield started


def images_by_number(count: int) -> np.ndarray:
    """uint8 (N, 28, 28): noise that the network answers differently for each."""
    return np.random.default_rng(2).integers(0, 256, (count, 28, 28), dtype=np.uint8)


def test_joined_answers_are_never_crossed(image_server: Running, classifier: Classifier) -> None:
    """Sixteen clients at once: every image's answer is its own, though many are answered together."""
    images = images_by_number(160)
    expected = classifier.predict_proba(images)
    assert len(np.unique(expected.round(4), axis=0)) == len(images)

    def ask(share: int) -> float:
        worst = 0.0
        with httpx.Client(base_url=image_server.address, timeout=90) as client:
            for number in range(share, len(images), 16):
                answer = client.post("/v1/predict", content=images[number].tobytes(), headers=RAW)
                worst = max(worst, float(np.abs(answer.json()["probs"][0] - expected[number]).max()))
        return worst

    with ThreadPoolExecutor(16) as pool:
        assert max(pool.map(ask, range(16))) < 1e-4
    lines = httpx.get(f"{image_server.address}/metrics").text.splitlines()
    counts = {line.split()[0]: float(line.split()[1]) for line in lines if line.startswith("tenfold_batch")}
    assert counts["tenfold_batch_requests_sum"] == 160
    assert counts["tenfold_batch_requests_count"] < 160  # some were joined


def test_modules_of_the_working_folder_are_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("numpy", "json", "tenfold"):
        (tmp_path / f"{name}.py").write_text(
            "import pathlib; pathlib.Path(__file__).with_suffix('.ran').touch()"
        )
    monkeypatch.chdir(tmp_path)
    with running("--workers", "1", "--quiet", *LONG_WAITS) as started:
        answer = httpx.post(f"{started.address}/v1/read", content=SEVEN, headers=PNG, timeout=90)
    assert answer.status_code == 200 and not list(tmp_path.glob("*.ran"))


def test_readings_are_never_crossed(server: Running, reader: LineReader) -> None:
    pictures = numbers(24)
    expected = [reader.read(picture).seen for picture in pictures]
    boxes = [[list(line.box) for line in lines if line.characters] for lines in expected]
    assert len({str(each) for each in boxes}) > len(pictures) // 2

    def ask(number: int) -> bool:
        answer = httpx.post(f"{server.address}/v1/read", content=pictures[number], headers=PNG, timeout=90)
        (told,) = answer.json()["pictures"]
        return [line["box"] for line in told["lines"]] == boxes[number]

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(ask, range(len(pictures))))


def test_overload_is_refused_at_once_and_the_rest_answered(server: Running) -> None:
    """More at once than may wait: each is answered rightly or refused with Retry-After, nothing else."""
    statuses: list[int] = []

    def ask(client: httpx.Client) -> None:
        answer = client.post("/v1/read", content=SEVEN, headers=PNG)
        if answer.status_code == 200:
            assert answer.json()["pictures"][0]["text"] == "7"
        else:
            assert answer.status_code == 503 and answer.headers["retry-after"] == "1"
            assert answer.json()["error"]["remedy"]
        statuses.append(answer.status_code)

    with httpx.Client(base_url=server.address, timeout=90, limits=httpx.Limits(max_connections=90)) as client:
        with ThreadPoolExecutor(90) as pool:
            list(pool.map(ask, [client] * 180))
        assert {200, 503} == set(statuses) and len(statuses) == 180
        assert client.post("/v1/read", content=SEVEN, headers=PNG).status_code == 200  # it recovers


def test_a_chunked_body_is_cut_off_while_it_arrives(server: Running, image_server: Running) -> None:
    """Without a length: refused after one MiB, though the sender would go on for ever."""
    head = "POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {}\r\nTransfer-Encoding: chunked\r\n\r\n"
    for path, kind, of in (
        ("/v1/read", "image/png", server),
        ("/v1/read", "multipart/form-data; boundary=b", server),
        ("/v1/predict", "application/json", image_server),
    ):
        with socket.create_connection(("127.0.0.1", of.port), timeout=20) as sender:
            sender.sendall(head.format(path, kind).encode())
            sent = 0
            with suppress(OSError):  # closed on us, as it should be
                while sent < 64 * 2**20:
                    sender.sendall(b"10000\r\n" + bytes(0x10000) + b"\r\n")
                    sent += 0x10000
            sender.settimeout(20)
            answer = b""
            with suppress(OSError):
                answer = sender.recv(65536)
            assert sent < 64 * 2**20
            assert not answer or b" 413 " in answer.splitlines()[0]
        assert "tenfold_body_bytes 0" in httpx.get(f"{of.address}/metrics").text


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no SIGTERM")
def test_sigterm_answers_what_is_in_flight_and_logs_a_line_a_request() -> None:
    """Requests that wait and are worked on when the signal comes are all answered; then nothing is left."""
    many = {"pictures": [base64_of(SEVEN)] * 16}
    with running("--workers", "1", *LONG_WAITS) as server, ThreadPoolExecutor(3) as pool:
        children = children_of(server.process.pid)
        httpx.get(f"{server.address}/nowhere?secret=1")
        asked = [
            pool.submit(httpx.post, f"{server.address}/v1/read", json=many, timeout=90) for _ in range(3)
        ]
        while sum(each.done() for each in asked) + connected(server.address) < 3:
            pass
        assert not all(each.done() for each in asked)
        server.process.send_signal(signal.SIGTERM)
        answers = [each.result() for each in asked]
        lines = [json.loads(line) for line in server.finish()]
        with pytest.raises(httpx.ConnectError):
            httpx.get(server.address)
    assert [answer.status_code for answer in answers] == [200] * 3
    assert all(entry["text"] == "7" for answer in answers for entry in answer.json()["pictures"])
    assert not [child for child in children if Path(f"/proc/{child}").exists()]
    lost, *reads = [line for line in lines if line["path"] not in ("/readyz", "/metrics")]
    assert set(lost) == {"time", "method", "path", "status", "ms", "bytes_in", "bytes_out", "pictures"}
    assert (lost["path"], lost["status"], lost["pictures"]) == ("/nowhere", 404, 0)
    for read in reads:
        assert (read["method"], read["path"], read["status"]) == ("POST", "/v1/read", 200)
        assert read["pictures"] == 16 and read["bytes_in"] > 16 * len(SEVEN) and read["ms"] > 0


def connected(address: str) -> int:
    """How many others are."""
    metrics = httpx.get(f"{address}/metrics").text.splitlines()
    return (
        next(int(float(line.split()[1])) for line in metrics if line.startswith("tenfold_connections ")) - 1
    )


def children_of(process: int) -> list[str]:
    return Path(f"/proc/{process}/task/{process}/children").read_text().split()


@pytest.mark.skipif(sys.platform != "linux", reason="stops a process as POSIX does, found through /proc")
def test_what_takes_too_long_or_dies_costs_one_answer() -> None:
    with running("--workers", "1", "--timeout", "1", "--quiet") as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as sender:
            sender.sendall(b"POST /v1/read HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n")
            sender.sendall(b"Content-Length: 9\r\n\r\nab")
            assert b" 408 " in sender.recv(65536).splitlines()[0]
        (worker,) = children_of(server.process.pid)
        os.kill(int(worker), signal.SIGSTOP)
        answer = httpx.post(f"{server.address}/v1/read", content=SEVEN, headers=PNG, timeout=90)
        assert answer.status_code == 504 and "1 seconds" in answer.json()["error"]["found"]
        server.wait_until_ready()
        (replaced,) = children_of(server.process.pid)
        assert replaced != worker
        os.kill(int(replaced), signal.SIGKILL)
        answer = httpx.post(f"{server.address}/v1/read", content=SEVEN, headers=PNG, timeout=90)
        assert answer.status_code == 200 or answer.headers["retry-after"] == "1"  # it waits for another one
        server.wait_until_ready()
        assert httpx.post(f"{server.address}/v1/read", content=SEVEN, headers=PNG).status_code == 200
        assert "tenfold_worker_restarts 2" in httpx.get(f"{server.address}/metrics").text


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow(server: Running) -> None:
    """After a warm-up, hundreds of requests of all kinds leave the server and its workers as they were."""

    def ask(count: int) -> None:
        with httpx.Client(base_url=server.address, timeout=90) as client:
            for _ in range(count):
                client.post("/v1/predict", content=bytes(784), headers=RAW)
                client.post("/v1/read", content=bytes(2**21), headers=PNG)
                client.post("/v1/read", content=b"nothing", headers=PNG)
            for number in range(count // 4):
                query = {"include": "image,saliency,strip", "pattern": f"[0-9.]{{1,{1 + number}}}"}
                client.post("/v1/read", content=SEVEN, headers=PNG, params=query)

    def held() -> int:
        """KiB of the server and its workers."""
        pids = [str(server.process.pid), *children_of(server.process.pid)]
        texts = [Path(f"/proc/{pid}/status").read_text() for pid in pids]
        return sum(int(text.split("VmRSS:")[1].split()[0]) for text in texts)

    ask(60)
    before = held()
    ask(120)
    assert held() - before < 6 * 1024
    assert held() < 600 * 1024


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no SIGHUP")
def test_half_sent_heads_and_a_hang_up() -> None:
    """Three times as many connections as the server may have: one more is served; then SIGHUP ends it all."""
    half = b"POST /v1/read HTTP/1.1\r\nHost: localhost\r\n"
    with ExitStack() as stack:
        server = stack.enter_context(running("--workers", "1", *LONG_WAITS, descriptors=128))
        (worker,) = children_of(server.process.pid)
        for _ in range(130):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 20)).sendall(half)
        answer = httpx.post(f"{server.address}/v1/read", content=SEVEN, headers=PNG, timeout=90)
        assert answer.status_code == 200 and answer.json()["pictures"][0]["text"] == "7"
        lines = httpx.get(f"{server.address}/metrics").text.splitlines()
        assert 'tenfold_connections_closed_total{reason="displaced"}' in {line.split()[0] for line in lines}
        server.process.send_signal(signal.SIGHUP)
        logged = [json.loads(line) for line in server.finish()]
    assert (
        server.process.returncode in (-signal.SIGTERM, 128 + signal.SIGTERM)
        and not Path(f"/proc/{worker}").exists()
    )
    assert {"displaced"} == {line["closed"] for line in logged if "closed" in line}


def test_mistakes_are_said(reader: LineReader) -> None:
    for options, words in (
        ({"host": "192.0.2.1"}, "192.0.2.1, port 0: "),
        ({"host": "no such host"}, "--host no such host: "),
        ({"port": 70_000}, "port 70000"),
    ):
        with pytest.raises(UsageError, match=words):
            serve(reader, ServeSettings(), **{"port": 0} | options)
    with pytest.raises(DataError, match="/proc/nothing cannot be written"):
        serve(reader, ServeSettings(collect=Path("/proc/nothing")), port=0)


def test_a_port_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        check_one_line(["--port", str(taken.getsockname()[1])], "Address already in use")


def test_the_extra_is_named() -> None:
    """Where FastAPI is not installed: as if it were not to be found."""
    code = (
        "import sys\nfrom importlib.machinery import PathFinder\n"
        "class Without(PathFinder):\n"
        "    @classmethod\n    def find_spec(cls, name, path=None, target=None):\n"
        "        return None if name == 'fastapi' else super().find_spec(name, path, target)\n"
        "sys.meta_path[:] = [f for f in sys.meta_path if f is not PathFinder] + [Without]\n"
        "sys.argv = ['tenfold', 'serve']\nfrom tenfold.cli import main\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
    assert "pip install 'tenfold[serve]'" in done.stderr


def check_one_line(options: list[str], words: str) -> None:
    command = [sys.executable, "-m", "tenfold", "serve", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode in (1, 2) and not done.stdout
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("tenfold: "), done.stderr
    assert words in done.stderr
