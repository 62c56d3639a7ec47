"""Python's garbage collector, out of the way of requests.

It looks through everything that lives, again and again, for the few cycles that requests leave behind;
what was imported and loaded at the start is most of it, and lives until the end.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["collect_rarely"]

_NEW_OBJECTS = 50_000  # before they are looked through


@contextmanager
def collect_rarely() -> Iterator[None]:
    """Inside, what lives already is not looked at, and what is new more rarely. Of the whole process."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
