"""How many threads NumPy's matrix products may use, where NumPy stands on OpenBLAS.

The products of one small image are too small to share out: OpenBLAS still does, its threads wait for
each other in busy loops, and where something else runs on a core the answer takes a hundred times as
long. Whoever knows better therefore takes one thread for a while, as the package threadpoolctl does.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import NamedTuple

from numpy.linalg import _umath_linalg

__all__ = ["blas_threads", "describe_blas", "multiplies_in_place", "one_blas_thread"]

# what OpenBLAS calls its functions in NumPy's wheels, in older ones, and in distributions
_NAMES = ("scipy_openblas_{}64_", "openblas_{}64_", "openblas_{}")
# kernels of OpenBLAS (by AVX-512) that multiply small matrices without copying them first
_IN_PLACE = (b"SkylakeX", b"Cooperlake", b"SapphireRapids")


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
