"""Coverage and risk: how often a reader is wrong among the pictures that it answers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from tenfold.show.charts import ACCENT, SECOND, chart_style

__all__ = ["draw_curves"]

_LEAST_COVERAGE = 0.05  # below it one picture is a large share of the answers


def draw_curves(curves: Mapping[str, dict[str, Any]], path: Path) -> None:
    """Risk against coverage of two readers at most, on the same pictures."""
    with chart_style():
        figure = Figure(figsize=(6.0, 3.4))
        axes = figure.subplots()
        for (name, curve), colour in zip(curves.items(), (ACCENT, SECOND), strict=False):
            coverage, risk = np.array(curve["coverage"]), np.array(curve["risk"])
            shown = coverage >= _LEAST_COVERAGE
            axes.plot(100 * coverage[shown], 100 * risk[shown], color=colour, linewidth=1.7, label=name)
        pictures = max(curve["n"] for curve in curves.values())
        axes.set_xlabel(f"answered, % of {pictures:,} real pictures")
        axes.set_ylabel("wrong, % of the answers")
        axes.set_xlim(0, 101)
        axes.set_ylim(bottom=0)
        axes.grid(True, axis="y")
        axes.legend(loc="upper left")
        figure.savefig(path, dpi=110, facecolor="white", metadata={"Software": None})
