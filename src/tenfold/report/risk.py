"""Coverage and risk: how many wrong answers are left when the network may pass on what it is unsure of."""

from __future__ import annotations

from typing import Any

import numpy as np

from tenfold.evaluation.evaluate import Evaluation
from tenfold.metrics import coverage_risk
from tenfold.pages import numbers
from tenfold.report import plots
from tenfold.report.hover import draw_chart

__all__ = ["risk_section"]

Section = dict[str, Any]
_PLACES = 200  # of the curve that are drawn, at even distances
_RISKS = (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05)


def risk_section(evaluation: Evaluation) -> Section:
    """The curve, and a row for each risk that one may want to stay below."""
    confidence = evaluation.probs.max(axis=1).astype(np.float64)
    coverage, risk = coverage_risk(confidence, evaluation.right)
    sure = -np.unique(-confidence)  # the confidence from which on so many are answered
    chosen = _even_places(risk)
    texts = [
        f"The surest {numbers.percent(coverage[i], 1)}: {numbers.percent(risk[i])} of them wrong"
        for i in chosen
    ]
    alt = f"Wrong answers over the share answered: {numbers.percent(risk[-1])} where all are answered."
    figure = plots.plot_coverage_risk(coverage[chosen], risk[chosen])
    bounds = {_last_within(bound, risk): bound for bound in reversed(_RISKS) if bound < risk[-1]}
    return {
        "chart": draw_chart(figure, "risk", alt, coverage[chosen], texts, title="coverage and risk"),
        "rows": [
            {
                "risk": numbers.percent(bound, 1) if bound else "none",
                "coverage": numbers.percent(coverage[last], 1),
                "passed": numbers.count(evaluation.n - round(evaluation.n * coverage[last])),
                "threshold": numbers.percent(sure[last], 2),
            }
            for last, bound in reversed(bounds.items())
            if last >= 0
        ],
    }


def _even_places(risk: np.ndarray) -> np.ndarray:
    """Up to so many places from where the first wrong answer comes, and the first of all."""
    first = max(int(np.argmax(risk > 0)) - 1, 0) if risk.any() else 0
    return np.unique(np.append(np.linspace(first, len(risk) - 1, _PLACES).round().astype(int), 0))


def _last_within(bound: float, risk: np.ndarray) -> int:
    """Up to where can be answered with no more than this share of the answers wrong; -1 for nowhere."""
    return int(np.flatnonzero(np.append(True, risk <= bound))[-1]) - 1
