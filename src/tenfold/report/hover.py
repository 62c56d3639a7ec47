"""Charts whose values can be read at a place: by pointing, by tapping and with the arrow keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from tenfold.pages.svg import figure_to_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Chart", "draw_chart"]


@dataclass(frozen=True)
class Chart:
    """A drawing, and for its script what stands where; all in units of the drawing.

    name: what it shows. across: the places, joined by spaces. heights: those of the curves at each
    place, joined by commas. box: top and bottom of the axes. texts: a line per place. readout: what is
    read at the last place, which stands there without the script too.
    """

    svg: Markup
    name: str
    across: str
    heights: str
    box: str
    texts: str
    readout: str


def draw_chart(
    figure: Figure, name: str, alt: str, places: Sequence[float], texts: Sequence[str], *, title: str = ""
) -> Chart:
    """A figure of one pair of axes. places: on its x axis, where texts[i] is what is read at places[i]."""
    svg = figure_to_svg(figure, name, alt)  # which lays the axes out
    (axes,) = figure.axes
    height = 72 * figure.get_size_inches()[1]
    across, _ = _to_points(axes, np.array([(place, 1.0) for place in places]).reshape(-1, 2))
    curves = [_heights(axes, np.asarray(line.get_xydata()), places, height) for line in axes.lines]
    frame = axes.get_position()
    return Chart(
        svg=svg,
        name=title or name,
        across=" ".join(f"{x:.1f}" for x in across),
        heights=" ".join(",".join(f"{y:.1f}" for y in at if np.isfinite(y)) for at in zip(*curves)),
        box=f"{height * (1 - frame.y1):.1f} {height * (1 - frame.y0):.1f}",
        texts="\n".join(" ".join(text.split("\n")) for text in texts),
        readout=texts[-1] if texts else "",
    )


def _to_points(axes: Axes, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, 2) in the units of the axes -> x and y in points from the lower left corner."""
    scale = 72 / axes.figure.dpi
    x, y = scale * axes.transData.transform(values).T
    return x, y


def _heights(axes: Axes, line: np.ndarray, places: Sequence[float], height: float) -> list[float]:
    """Of a curve at each place, from the top; nan where it has no point there."""
    points = line.astype(float)
    _, up = _to_points(axes, points)
    known = {float(x): height - float(y) for x, y in zip(points[:, 0], up, strict=True)}
    return [known.get(float(place), float("nan")) for place in places]
