"""Ctrl-C asks the loop to stop after the step it is in; a second one stops at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["StopRequest", "stop_on_interrupt"]


class StopRequest:
    """Truthy once a stop was asked for; it is the handler of the signal itself."""

    def __init__(self) -> None:
        self.asked = False

    def __bool__(self) -> bool:
        return self.asked

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


@contextmanager
def stop_on_interrupt() -> Iterator[StopRequest]:
    """Turns the first SIGINT into a StopRequest. Outside the main thread it never becomes true.

    Within another `stop_on_interrupt` the request is that one's: who asks stops the whole.
    """
    if threading.current_thread() is not threading.main_thread():
        yield StopRequest()
        return
    before = signal.getsignal(signal.SIGINT)
    if isinstance(before, StopRequest):
        yield before
        return
    request = StopRequest()
    signal.signal(signal.SIGINT, request)
    try:
        yield request
    finally:
        signal.signal(signal.SIGINT, before)
