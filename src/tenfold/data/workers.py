"""Many pictures decoded by several processes.

Not threads: on pictures of 28x28 they are slower than none, because PIL's short calls fight for the
interpreter's lock. Not multiprocessing: it would import the user's script anew
in every process. A worker is this module run by itself: it reads a JSON list of paths a line, and
answers with a JSON list of shapes a line and the pixels; null when a picture cannot be read.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from tenfold.data.pictures import read_grey
from tenfold.data.progress import Progress

__all__ = ["read_pictures"]

CHUNK = 250  # pictures a question
WORTH_A_PROCESS = 1500  # pictures; fewer are decoded before another process has started
MOST_PROCESSES = 8

Worker = subprocess.Popen[bytes]


def read_pictures(
    paths: Sequence[str], *, progress: Progress | None = None, processes: int | None = None
) -> list[np.ndarray]:
    """Grey images, uint8 (H, W) each, in the order of `paths`.

    processes: None chooses by the number of pictures and cores. Raises the DataError of the first
    file that is no picture.
    """
    if processes is None:
        processes = min(_cores(), MOST_PROCESSES, len(paths) // WORTH_A_PROCESS)
    chunks = [paths[start : start + CHUNK] for start in range(0, len(paths), CHUNK)]
    images: list[np.ndarray] = []
    with ExitStack() as stack:
        workers: queue.SimpleQueue[Worker | None] = queue.SimpleQueue()
        pool = ThreadPoolExecutor(max(processes, 1))
        stack.callback(pool.shutdown, cancel_futures=True)
        for _ in range(max(processes, 1)):
            workers.put(stack.enter_context(_start()) if processes > 1 else None)
        for decoded in pool.map(lambda chunk: _decode(chunk, workers), chunks):
            images += decoded
            if progress:
                progress("pictures", len(images), len(paths))
    return images


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _start() -> Worker:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "tenfold.data.workers"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(str(Path(folder).absolute()) for folder in sys.path)},
    )


def _decode(chunk: Sequence[str], workers: queue.SimpleQueue[Worker | None]) -> list[np.ndarray]:
    worker = workers.get()
    try:
        images = _ask(worker, chunk) if worker else None
    except (OSError, ValueError):  # the process died; what it left is done here
        images = None
    finally:
        workers.put(worker)
    return [read_grey(path) for path in chunk] if images is None else images


def _ask(worker: Worker, chunk: Sequence[str]) -> list[np.ndarray] | None:
    if worker.stdin is None or worker.stdout is None:
        return None
    worker.stdin.write(json.dumps(chunk).encode() + b"\n")
    worker.stdin.flush()
    shapes = json.loads(worker.stdout.readline())
    if shapes is None:
        return None
    ends = np.cumsum([height * width for height, width in shapes])
    pixels = np.frombuffer(worker.stdout.read(int(ends[-1])), dtype=np.uint8)
    return [part.reshape(shape) for part, shape in zip(np.split(pixels, ends[:-1]), shapes, strict=True)]


def _serve() -> None:
    for line in sys.stdin.buffer:
        try:
            images = [read_grey(path) for path in json.loads(line)]
        except Exception:  # the other side reads them again and says what is wrong
            sys.stdout.buffer.write(b"null\n")
        else:
            sys.stdout.buffer.write(json.dumps([image.shape for image in images]).encode() + b"\n")
            sys.stdout.buffer.writelines(image.tobytes() for image in images)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    _serve()
