"""Numbers -> small SVG charts whose colours are those of the page, light or dark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from tenfold.doctor.diagnosis import LayerReading

__all__ = ["Mark", "draw_histogram", "draw_line", "draw_ratios"]

_WIDTH, _HEIGHT = 440, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 26, 40
_SOUND = (1e-4, 3e-2)  # |change of a step| / |weights|: about a thousandth is good (Karpathy 2015, CS231n)


@dataclass(frozen=True)
class Mark:
    """A dashed vertical line at x, with its name above; style: a class of the page."""

    x: float
    name: str
    style: str


def draw_line(
    x: np.ndarray,
    y: np.ndarray,
    *,
    alt: str,
    x_title: str,
    y_title: str,
    log_x: bool = False,
    marks: Sequence[Mark] = (),
) -> Markup:
    """A curve; y beyond four times its first value is cut off, so that a diverging end hides nothing."""
    keep = np.isfinite(y)
    x, y = x[keep], y[keep]
    if len(x) < 2:
        return Markup()
    top = min(float(y.max()), 2.5 * float(y[0]) if y[0] > 0 else float(y.max())) * 1.04
    places = np.log10(x) if log_x else x
    ends = [*places, *(np.log10(mark.x) if log_x else mark.x for mark in marks)]
    low, high = float(min(ends)), float(max(ends))
    wide, tall = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    across = _LEFT + (places - low) / max(high - low, 1e-9) * wide
    down = _TOP + (1 - np.clip(y, 0, top) / max(top, 1e-12)) * tall
    parts = [_y_axis(top, y_title)]
    parts += _x_ticks(low, high, wide, log_x=log_x)
    for mark in marks:
        place = np.log10(mark.x) if log_x else mark.x
        if low <= place <= high:
            parts.append(_mark(_LEFT + (place - low) / max(high - low, 1e-9) * wide, mark))
    path = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(across, down, strict=True))
    parts.append(Markup('<polyline class="curve" points="{}"/>').format(path))
    parts.append(_text(_LEFT + wide / 2, _HEIGHT - 5, x_title, "middle"))
    return _svg(parts, alt, _WIDTH, _HEIGHT)


def _mark(x: float, mark: Mark) -> Markup:
    anchor = "start" if x < _WIDTH / 2 else "end"
    return Markup('<g class="mark {}"><line x1="{x:.1f}" x2="{x:.1f}" y1="{}" y2="{}"/>{}</g>').format(
        mark.style,
        _TOP - 6 + (14 if mark.style == "good" else 0),
        _HEIGHT - _BOTTOM,
        _text(
            x + (5 if anchor == "start" else -5),
            _TOP + (14 if mark.style == "good" else 0),
            mark.name,
            anchor,
        ),
        x=x,
    )


def _y_axis(top: float, title: str) -> Markup:
    step = _round_step(top)
    parts = []
    for value in np.arange(0, top, step):
        y = _TOP + (1 - value / max(top, 1e-12)) * (_HEIGHT - _TOP - _BOTTOM)
        parts.append(
            Markup('<line class="grid" x1="{}" x2="{}" y1="{y:.1f}" y2="{y:.1f}"/>').format(
                _LEFT, _WIDTH - _RIGHT, y=y
            )
        )
        parts.append(_text(_LEFT - 8, y + 4, f"{value:g}", "end"))
    parts.append(_text(0, 12, title, "start"))
    return Markup().join(parts)


def _round_step(top: float) -> float:
    """1, 2 or 5 times a power of ten: three to six lines."""
    rough = max(top, 1e-9) / 5
    power = 10 ** np.floor(np.log10(rough))
    return float(next(power * k for k in (1, 2, 5, 10) if power * k >= rough))


def _x_ticks(low: float, high: float, wide: float, *, log_x: bool) -> list[Markup]:
    step = 1.0 if log_x else _round_step(high - low)
    first = np.ceil(low / step - 1e-9) * step
    return [
        _text(
            _LEFT + (value - low) / max(high - low, 1e-9) * wide,
            _HEIGHT - _BOTTOM + 17,
            f"{10**value:g}" if log_x else f"{value:g}",
            "middle",
        )
        for value in np.arange(first, high + 1e-9, step)
    ]


def draw_histogram(reading: LayerReading) -> Markup:
    """The outputs of a layer, a bar per bin; the dashed line is 0."""
    width, height, floor = 240, 76, 58
    shares, edges = reading.histogram, reading.edges
    tallest = max(float(np.sort(shares)[-2:].mean()), 1e-9)  # one bar, such as ReLU's zeros, may stick out
    bar = width / len(shares)
    parts = []
    for number, share in enumerate(shares):
        tall = min(float(share) / tallest, 1.0) * (floor - 4)
        parts.append(
            Markup('<rect class="bar" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(
                number * bar + 0.5, floor - tall, bar - 1, tall
            )
        )
    low, high = float(edges[0]), float(edges[-1])
    if low < 0 < high:
        x = -low / (high - low) * width
        parts.append(
            Markup('<line class="zero" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{}"/>').format(floor, x=x)
        )
    parts.append(_text(0, height - 3, f"{low:.3g}", "start"))
    parts.append(_text(width, height - 3, f"{high:.3g}", "end"))
    return _svg(parts, f"histogram of {reading.name}: from {low:.3g} to {high:.3g}", width, height)


def draw_ratios(updates: dict[str, float]) -> Markup:
    """How far a step moves each parameter against its size, on a logarithmic scale; the band is sound."""
    low, high, row, left = -7.0, 1.0, 26, 130
    wide = _WIDTH - left - _RIGHT
    tall = row * len(updates)

    def across(value: float) -> float:
        return left + (float(np.clip(np.log10(max(value, 1e-12)), low, high)) - low) / (high - low) * wide

    band = Markup('<rect class="band" x="{:.1f}" y="0" width="{:.1f}" height="{}"/>').format(
        across(_SOUND[0]), across(_SOUND[1]) - across(_SOUND[0]), tall
    )
    parts = [band]
    for number, (name, value) in enumerate(updates.items()):
        y = number * row + row / 2
        sound = _SOUND[0] <= value <= _SOUND[1]
        parts.append(_text(left - 12, y + 4, name, "end"))
        parts.append(
            Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="5"><title>{}</title></circle>').format(
                "dot" if sound else "dot odd", across(value), y, f"{name}: {value:.2g}"
            )
        )
    powers = [10.0**power for power in range(int(low), int(high) + 1, 2)]
    parts += [_text(across(power), tall + 18, f"{power:g}", "middle") for power in powers]
    return _svg(parts, "change of a step over the size of the weights, by parameter", _WIDTH, tall + 26)


def _text(x: float, y: float, text: str, anchor: str) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(x, y, anchor, text)


def _svg(parts: Sequence[Markup], alt: str, width: float, height: float) -> Markup:
    opening = Markup('<svg class="chart" role="img" aria-label="{}" viewBox="0 0 {} {}">').format(
        alt, width, height
    )
    return opening + Markup().join(parts) + Markup("</svg>")
