"""Figures as the report prints them: one form for each kind of quantity, an en dash where there is none."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["NOTHING", "count", "decimal", "difference", "duration", "percent", "points", "short", "times"]

NOTHING = "–"
_SPACE = "\u00a0"  # no line break between a number and its unit


def count(value: float | None) -> str:
    """10000 -> 10,000."""
    return NOTHING if value is None else f"{int(value):,}"


def percent(share: float | None, digits: int = 2) -> str:
    """0.9785 -> 97.85 %. A share short of 1 is never rounded up to 100 %."""
    if share is None or not math.isfinite(share):
        return NOTHING if share is None else "not a number"
    value = share * 100
    limit = 10**digits
    if share < 1:
        value = min(value, math.floor(100 * limit - 1) / limit)
    return f"{value:.{digits}f}{_SPACE}%"


def points(share: float | None) -> str:
    """A difference of two shares in percentage points: 0.012 -> +1.20 points."""
    return NOTHING if share is None else f"{_signed(share * 100, 2)}{_SPACE}points"


def decimal(value: float | None, digits: int = 4) -> str:
    """A loss: 0.0712; very large ones in powers of ten; nan and infinity in words."""
    if value is None:
        return NOTHING
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "infinite"
    return f"{value:.{digits}f}" if abs(value) < 1e5 else f"{value:.2e}"


def difference(value: float | None, digits: int = 4) -> str:
    """A signed loss difference: +0.0120, with a true minus sign."""
    return NOTHING if value is None else _signed(value, digits)


def short(value: float | None) -> str:
    """Three significant digits, as for learning rates: 0.003, 1e-05."""
    return NOTHING if value is None else f"{value:.3g}"


def duration(seconds: float | None) -> str:
    """38 ms; 12.3 s; 2 min 5 s; 1 h 3 min."""
    if seconds is None:
        return NOTHING
    if seconds < 0.95:
        return f"{seconds * 1000:.0f}{_SPACE}ms"
    if seconds < 59.95:
        return f"{seconds:.1f}{_SPACE}s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}{_SPACE}min {whole % 60}{_SPACE}s"
    return f"{whole // 3600}{_SPACE}h {whole % 3600 // 60}{_SPACE}min"


def times(shape: Sequence[int]) -> str:
    """(1, 28, 28) -> 1 × 28 × 28."""
    return f"{_SPACE}×{_SPACE}".join(f"{size:,}" for size in shape)


def _signed(value: float, digits: int) -> str:
    if not math.isfinite(value):
        return "not a number"
    sign = "" if round(value, digits) == 0 else "+" if value > 0 else "−"
    return f"{sign}{abs(value):,.{digits}f}"
