"""The garbage collector while a server runs: rarer, but not off, and as it was before afterwards."""

from __future__ import annotations

import gc
import weakref

import pytest

from tenfold.serve.settings import collect_rarely


class Knot:
    """Refers to itself: only the garbage collector frees it."""

    def __init__(self) -> None:
        self.own = self


def test_new_cycles_are_still_found() -> None:
    with collect_rarely():
        knot = weakref.ref(Knot())
        assert knot() is not None
        kept = [[] for _ in range(2 * gc.get_threshold()[0])]
        assert knot() is None and kept


def test_everything_is_as_before_afterwards() -> None:
    usual, before = gc.get_threshold(), (700, 10, 10)
    gc.set_threshold(*before)  # whatever server another test has open
    try:
        with pytest.raises(KeyError), collect_rarely():
            assert gc.get_threshold()[0] > before[0] and gc.get_freeze_count() > 0
            raise KeyError
        assert gc.get_threshold() == before and gc.get_freeze_count() == 0
    finally:
        gc.set_threshold(*usual)
