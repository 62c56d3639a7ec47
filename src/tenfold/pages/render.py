"""Templates of a package -> a page in one file, in the common frame and style."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from tenfold.version import __version__

__all__ = ["render_page"]


def render_page(package: str, template: str, context: Mapping[str, Any], *, script: str = "") -> str:
    """The page as HTML that asks the network for nothing and runs no script but `script`.

    package: the package whose folder `templates` holds the template, such as "tenfold.report". The template
    extends "base.html.j2" and fills its blocks; its own rules, in the block `style`, follow the common ones.
    context: what the template shows; `contents`, pairs of (id, title), become the links at the top.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(place, "templates") for place in (package, "tenfold.pages")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["rgb"] = "rgb({0[0]}, {0[1]}, {0[2]})".format
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    shared = {
        "version": __version__,
        "contents": (),
        "script": Markup(script),
        "script_hash": f"sha256-{digest}",
    }
    return environment.get_template(template).render(shared | dict(context))
