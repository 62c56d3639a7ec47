"""Coverage and risk: how often a reader is wrong among the pictures that it answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from reading_scores import area_under_curve, coverage_risk, roc_area

from tenfold.pages.svg import ACCENT, SECOND, chart_style

__all__ = ["Confidences", "draw_curves"]

_POINTS = 200
_LEAST_COVERAGE = 0.05  # below it one picture is a large share of the answers


@dataclass(frozen=True, eq=False)
class Confidences:
    """Of one reader on digits and others alike.

    scores: float (N,), a picture is answered from the highest. digit: bool (N,), it shows a digit.
    right: bool (N,), the answer would be right; never so where there is no digit.
    """

    scores: np.ndarray
    digit: np.ndarray
    right: np.ndarray

    def to_dict(self) -> dict[str, Any]:
        """The areas over all thresholds; the curve at about 200 of them."""
        coverage, risk = coverage_risk(self.scores, self.right)
        kept = np.unique(np.linspace(0, len(coverage) - 1, _POINTS).round().astype(int))
        return {
            "n": len(self.scores),
            "roc_area": roc_area(self.scores, self.digit),
            "risk_area": area_under_curve(coverage, risk),
            "coverage": [round(float(value), 5) for value in coverage[kept]],
            "risk": [round(float(value), 5) for value in risk[kept]],
        }


def draw_curves(curves: dict[str, dict[str, Any]], threshold: dict[str, float], path: Path) -> None:
    """Risk against coverage of both readers; a dot where the default threshold stands."""
    with chart_style():
        figure = Figure(figsize=(6.0, 3.4))
        axes = figure.subplots()
        for (name, curve), colour in zip(curves.items(), (ACCENT, SECOND), strict=True):
            coverage, risk = np.array(curve["coverage"]), np.array(curve["risk"])
            shown = coverage >= _LEAST_COVERAGE
            axes.plot(100 * coverage[shown], 100 * risk[shown], color=colour, linewidth=1.7, label=name)
        axes.plot(
            100 * threshold["coverage"], 100 * threshold["risk"], "o", color=ACCENT, label="default threshold"
        )
        digits, others = curves["tenfold"]["digits"], curves["tenfold"]["others"]
        axes.set_xlabel(f"answered, % of {digits} digits and {others} letters")
        axes.set_ylabel("wrong, % of the answers")
        axes.set_xlim(0, 101)
        axes.set_ylim(bottom=0)
        axes.grid(True, axis="y")
        axes.legend(loc="upper left")
        figure.savefig(path, dpi=110, facecolor="white", metadata={"Software": None})
