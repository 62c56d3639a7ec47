"""Figures that must be met: for scripts and CI."""

from __future__ import annotations

from collections.abc import Sequence

from tenfold.errors import FigureNotMetError, UsageError, nearest
from tenfold.evaluation.evaluate import Evaluation

__all__ = ["check_required", "parse_required"]

_HIGHER_IS_BETTER = {"accuracy": True, "loss": False, "calibration_error": False, "misses": False}


def parse_required(text: str) -> tuple[str, float]:
    """ "accuracy=0.99" -> ("accuracy", 0.99). Raises UsageError."""
    name, _, value = text.partition("=")
    if name not in _HIGHER_IS_BETTER:
        raise UsageError(f"--require {text!r}: unknown figure", remedy=nearest(name, _HIGHER_IS_BETTER))
    try:
        return name, float(value)
    except ValueError as error:
        raise UsageError(f"--require {text!r}", expected=f"a number, such as {name}=0.99") from error


def check_required(evaluation: Evaluation, bounds: Sequence[tuple[str, float]]) -> None:
    """accuracy is a least value, the others are greatest ones. Raises FigureNotMetError."""
    for name, bound in bounds:
        value = getattr(evaluation, name)
        met = value >= bound if _HIGHER_IS_BETTER[name] else value <= bound
        if not met:
            side = "at least" if _HIGHER_IS_BETTER[name] else "at most"
            raise FigureNotMetError(f"{name} is {value:.6g}", expected=f"{side} {bound:g}")
