"""Templates of the report -> pages with the charts' script and the colours of signed pictures."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from tenfold.pages import render
from tenfold.pages.pictures import COOL, WARM

__all__ = ["render_page"]


def render_page(template: str, context: Mapping[str, Any]) -> str:
    """The page as HTML. The browser runs the script whose hash the page names, and no other."""
    script = files("tenfold.report").joinpath("templates", "page.js").read_text(encoding="utf-8")
    shared = {"warm": WARM, "cool": COOL}
    return render.render_page("tenfold.report", template, shared | dict(context), script=script)
