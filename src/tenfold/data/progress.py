"""How long work reports how far it is."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Progress"]

Progress = Callable[[str, int, int], None]
"""progress(what, done, total): `what` is a file's name (in bytes) or "pictures"; total 0 is unknown."""
