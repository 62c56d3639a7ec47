"""Explanations -> a file: a page or a picture, by its name."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from tenfold.errors import UsageError
from tenfold.explain.explanation import Explanation
from tenfold.explain.shown import Shown
from tenfold.files import replace_file, write_text

__all__ = ["check_target", "write_explanation"]


def write_explanation(path: Path, explanations: Sequence[Explanation], shown: Shown) -> Path:
    """Writes a page (.html) or a picture (.png). Raises UsageError for another name."""
    check_target(path)
    if path.suffix.lower() == ".png":
        from tenfold.explain.picture import draw_explanations

        buffer = io.BytesIO()
        draw_explanations(explanations, shown).save(buffer, format="PNG")
        with replace_file(path) as beside:
            beside.write_bytes(buffer.getvalue())
    else:
        from tenfold.explain.page import render_explanations

        write_text(path, render_explanations(explanations, shown))
    return path


def check_target(path: Path) -> None:
    """Raises UsageError where the name is neither that of a page nor of a picture."""
    if path.suffix.lower() not in (".html", ".htm", ".png"):
        raise UsageError(f"{path} is neither a page nor a picture", expected="a name ending in .html or .png")
