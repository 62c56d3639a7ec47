"""The page as it is opened for a test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from browser import Page
from page_hand import Hand

__all__ = ["Served", "at"]


class Served(NamedTuple):
    """A server with a folder for corrections."""

    address: str
    corrections: Path


def at(page: Page, address: str) -> Iterator[Hand]:
    """A hand on an empty page at this address; whatever the browser complains of fails."""
    page.events.clear()
    page.show(address, width=1000, height=800)
    hand = Hand(page)
    hand.wait()
    yield hand
    assert page.complaints() == []
