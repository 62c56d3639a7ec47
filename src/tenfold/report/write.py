"""A run's folder -> one HTML file that needs nothing else: no network, no script, under 3 MB."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tenfold.files import write_text
from tenfold.report import sections
from tenfold.report.pictures import COOL, WARM
from tenfold.report.scores import evaluation_section
from tenfold.runs.folder import Run
from tenfold.version import __version__

__all__ = ["write_report"]


def write_report(run: Run, path: Path | None = None) -> Path:
    """Writes the report (`report.html` in the run's folder unless `path` is given); returns its path.

    Parts that the run does not have (no evaluation, no summary, no epoch yet) are said to be missing.
    Raises ModelError or DataError where a part is there but cannot be read.
    """
    target = run.folder / "report.html" if path is None else Path(path)
    write_text(target, _render(_context(run)))
    return target


def _context(run: Run) -> dict[str, Any]:
    return {
        "name": run.name,
        "recipe": run.recipe,
        "command": run.environment.get("command", ""),
        "version": __version__,
        "verdict": sections.verdict_section(run),
        "published": sections.published_section(run),
        "data": sections.data_section(run),
        "network": sections.network_section(run),
        "training": sections.training_section(run),
        "test": evaluation_section(run),
        "weights": sections.weights_section(run),
        "warm": "rgb({}, {}, {})".format(*WARM),
        "cool": "rgb({}, {}, {})".format(*COOL),
        "environment": sections.environment_section(run),
    }


def _render(context: dict[str, Any]) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("tenfold.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(context)
