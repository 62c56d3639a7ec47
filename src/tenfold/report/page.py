"""Templates -> a page that allows itself no script but its own, and asks the network for nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from markupsafe import Markup

from tenfold.report.pictures import COOL, WARM
from tenfold.version import __version__

__all__ = ["render_page"]


def render_page(template: str, context: Mapping[str, Any]) -> str:
    """The page as HTML. The browser runs the script whose hash the page names, and no other."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("tenfold.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = files("tenfold.report").joinpath("templates", "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    shared = {
        "version": __version__,
        "script": Markup(script),
        "script_hash": f"sha256-{digest}",
        "warm": "rgb({}, {}, {})".format(*WARM),
        "cool": "rgb({}, {}, {})".format(*COOL),
    }
    return environment.get_template(template).render(shared | dict(context))
