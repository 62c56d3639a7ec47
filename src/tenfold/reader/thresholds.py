"""From which doubts on a verdict is "unsure" or "not a digit": chosen on held-out digits."""

from __future__ import annotations

import numpy as np

__all__ = ["REFUSED_NONE", "REFUSED_UNSURE", "choose_thresholds"]

REFUSED_NONE = 0.015  # share of held-out digits that may be called no digit
REFUSED_UNSURE = 0.005  # share of held-out digits that may be called unsure besides


def choose_thresholds(probs: np.ndarray, none: np.ndarray) -> tuple[float, float]:
    """(least_confidence, most_none) that refuse the stated shares of these digits.

    probs: (N, K) of held-out digits; none: (N,), of being no digit. The stricter both are, the more of
    what is no digit is refused too; how much is measured on letters, not chosen on them.
    """
    most_none = float(np.quantile(none, 1 - REFUSED_NONE))
    confidence = probs.max(axis=1)[none <= most_none]
    return float(np.quantile(confidence, REFUSED_UNSURE)), most_none
