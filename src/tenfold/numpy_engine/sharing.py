"""Work on a batch, shared out to threads part by part.

OpenBLAS's own threads share out one product at a time: where each is small, as those of a few images'
windows are, they wait for each other more than they compute; and they go on waiting in busy loops
afterwards, on the cores that others could use. Here each thread takes whole parts, with products on one
thread. NumPy releases the GIL while it computes.

On a busy machine a thread may have to wait for a core. The caller does not wait for it: what no thread
has begun when the caller is done with its own parts, the caller does itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import cache
from math import ceil
from typing import TYPE_CHECKING

from tenfold.numpy_engine.blas import blas_threads, one_blas_thread

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

__all__ = ["count_workers", "even_parts", "limit_workers", "most_threads", "own_threads", "share_out"]

MOST_WORKERS = 4
# Multiplications that a worker should have at least: to begin takes time, too.
LEAST_WORK = 6_000_000

_allowed: ContextVar[int] = ContextVar("threads that work may be shared out to", default=1)


@contextmanager
def own_threads() -> Iterator[int]:
    """Inside, matrix products take one thread, and work may be shared out to as many as they had; yields
    that number."""
    with one_blas_thread() as threads:
        token = _allowed.set(threads)
        try:
            yield threads
        finally:
            _allowed.reset(token)


def most_threads() -> int:
    """Threads that a training takes at most: as many as NumPy's matrix products would, four at most."""
    return min(blas_threads(), MOST_WORKERS)


def limit_workers(threads: int, parts: int) -> int:
    """How many workers there are to be for so many parts, where the machine has `threads` for them."""
    return max(1, min(threads, MOST_WORKERS, parts))


def count_workers(parts: int, multiplications: int) -> int:
    """How many threads `share_out` should take, for at most so many parts and so many multiplications;
    1 outside `own_threads`, and where the work is itself a share."""
    return limit_workers(_allowed.get(), min(parts, multiplications // LEAST_WORK))


def even_parts(count: int, most: int, workers: int = 1) -> list[slice]:
    """Slices of 0..count of about the same length, none longer than `most`; as many for each worker."""
    turns = max(1, ceil(count / (most * workers)))
    length = max(1, ceil(count / (turns * workers)))
    return [slice(start, start + length) for start in range(0, count, length)]


def share_out(parts: Sequence[slice], workers: int, work: Callable[[int, slice], None]) -> None:
    """work(worker, part) for every part; worker w takes parts w, w + workers, ... in this order, so that
    the same number of workers gives the same bits, whichever thread it is that works as w. Raises what a
    worker raised."""

    def do(worker: int) -> None:
        token = _allowed.set(1)
        try:
            for part in parts[worker::workers]:
                work(worker, part)
        finally:
            _allowed.reset(token)

    others = {worker: _pool().submit(copy_context().run, do, worker) for worker in range(1, workers)}
    try:
        do(0)
        for worker, future in others.items():
            if future.cancel():  # no thread had a core for it so far
                do(worker)
    finally:  # nobody works on after this
        raised = [future.exception() for future in others.values() if not future.cancel()]
    for error in raised:
        if error is not None:
            raise error


@cache
def _pool() -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor  # not for who asks for one image

    return ThreadPoolExecutor(MOST_WORKERS - 1, thread_name_prefix="tenfold")


if hasattr(os, "register_at_fork"):  # a child has none of its parent's threads
    os.register_at_fork(after_in_child=_pool.cache_clear)
