"""Where data is kept between runs (XDG base directory specification)."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cache_folder"]


def cache_folder(*parts: str) -> Path:
    """`$XDG_CACHE_HOME/tenfold/<parts>`, or `~/.cache/...` where that is unset or not absolute."""
    root = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not root.is_absolute():
        root = Path.home() / ".cache"
    return root.joinpath("tenfold", *parts)
