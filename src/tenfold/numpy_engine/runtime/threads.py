"""Threads: how many matrix products may use, and work on a batch shared out part by part.

OpenBLAS's own threads share out one product at a time: where each is small, as those of a few images'
windows are, they wait for each other in busy loops more than they compute, on the cores that others could
use; where something else runs on a core, a small product takes a hundred times as long. So products take
one thread for a while, as with the package threadpoolctl, and each thread of ours takes whole parts of the
work. NumPy releases the GIL while it computes.

On a busy machine a thread may have to wait for a core. The caller does not wait for it: what no thread
has begun when the caller is done with its own parts, the caller does itself.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import cache
from math import ceil
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from numpy.linalg import _umath_linalg

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

__all__ = ["describe_blas"]

# what OpenBLAS calls its functions in NumPy's wheels, in older ones, and in distributions
_NAMES = ("scipy_openblas_{}64_", "openblas_{}64_", "openblas_{}")
# kernels of OpenBLAS (by AVX-512) that multiply small matrices without copying them first
_IN_PLACE = (b"SkylakeX", b"Cooperlake", b"SapphireRapids")
MOST_WORKERS = 4
# Multiplications that a worker should have at least: to begin takes time, too.
LEAST_WORK = 6_000_000


class _Switch(NamedTuple):
    get: Callable[[], int]
    set: Callable[[int], None]
    kernels: bytes  # the family of processors that its kernels are for


@cache
def _switch() -> _Switch | None:
    """OpenBLAS's functions, or None where another library does the products."""
    try:
        library = ctypes.CDLL(_umath_linalg.__file__)
    except OSError:
        return None
    for name in _NAMES:
        try:
            family = library[name.format("get_corename")]
            family.restype = ctypes.c_char_p
            get, put = (library[name.format(f"{verb}_num_threads")] for verb in ("get", "set"))
            return _Switch(get, put, family())
        except AttributeError:
            continue
    return None


def blas_threads() -> int:
    """Threads that matrix products use now; 1 where that is not known."""
    switch = _switch()
    return max(1, int(switch.get())) if switch else 1


def describe_blas() -> str:
    """Whose matrix products NumPy uses, such as "OpenBLAS, SkylakeX kernels": speeds depend on it."""
    switch = _switch()
    return f"OpenBLAS, {switch.kernels.decode()} kernels" if switch else "unknown"


@cache
def multiplies_in_place() -> bool:
    """Whether products of up to a million multiplications are done without copying the matrices."""
    switch = _switch()
    return switch is not None and switch.kernels in _IN_PLACE


_lock = Lock()
_inside = 0  # how many are in `one_blas_thread` at this moment, in all threads
_before = 1  # threads when the first of them came in


@contextmanager
def one_blas_thread() -> Iterator[int]:
    """Matrix products take one thread inside; yields how many they had outside.

    The number belongs to the whole process: the last to leave puts it back. OpenBLAS wants no change
    of it during a product on several threads, so do not train in one thread and answer in another."""
    global _inside, _before
    with _lock:
        if not _inside:
            _before = blas_threads()
            if _before > 1:
                _set_threads(1)
        _inside += 1
    try:
        yield _before
    finally:
        with _lock:
            _inside -= 1
            if not _inside and _before > 1:
                _set_threads(_before)


def _set_threads(count: int) -> None:
    switch = _switch()
    if switch:
        switch.set(count)


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
