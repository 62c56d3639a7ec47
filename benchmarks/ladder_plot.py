"""The ladder as a picture: seconds on a logarithmic axis, misses on another, every point named."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from tenfold.show.charts import ACCENT, INK, MUTED, SECOND, chart_style

__all__ = ["draw_ladder", "place_labels"]

_TICKS = (80, 90, 95, 98, 99, 99.5, 99.7, 99.8, 99.9)  # % of accuracy
_SECONDS = (1, 2, 5, 10, 20, 60, 120, 300, 900, 3600)
_AROUND = 5.0  # points of a dot's surroundings that no label may cover
_FONT, _AIR = 8.5, 2.0  # points; pixels around a name
_Place = tuple[float, float, Literal["left", "right"]]
_Size = tuple[float, float]
_SIDES: tuple[tuple[int, Literal["left", "right"]], ...] = ((1, "left"), (-1, "right"))
# Where a label may stand, the nearest first: points to the right and upwards, and the text's edge there.
_PLACES: list[_Place] = sorted(
    [
        (float(sideways * across), float(up), edge)
        for (sideways, edge), across, up in product(
            _SIDES, (8, 14, 24, 40), (0, 7, -7, 14, -14, 22, -22, 32, -32, 44, -44)
        )
    ],
    key=lambda place: abs(place[0]) + 1.5 * abs(place[1]),
)


class Point(Protocol):
    """accuracy: a share; deviation: of it, or None. ours: a recipe of tenfold."""

    @property
    def title(self) -> str: ...
    @property
    def seconds(self) -> float: ...
    @property
    def accuracy(self) -> float: ...
    @property
    def deviation(self) -> float | None: ...
    @property
    def ours(self) -> bool: ...


def draw_ladder(points: Sequence[Point], frontier: Sequence[Point], path: Path) -> list[Annotation]:
    """Writes a PNG on a light ground; gives the labels as they stand."""
    with chart_style():
        figure = Figure(figsize=(8.0, 5.0), dpi=110)
        canvas = FigureCanvasAgg(figure)
        axes = figure.subplots()
        axes.plot(
            [one.seconds for one in frontier], [_misses(one) for one in frontier],
            color=ACCENT, linewidth=1.2, alpha=0.35, zorder=1,
        )  # fmt: skip
        for one in points:
            _draw_point(axes, one)
        _set_axes(axes, points)
        canvas.draw()
        figure.set_layout_engine("none")  # labels keep their places
        labels = place_labels(axes, points, frontier)
        figure.savefig(path, facecolor="white", metadata={"Software": None})
    return labels


def _misses(point: Point) -> float:
    """% of the test images; a perfect score has no place on the axis."""
    return max(100 * (1 - point.accuracy), 0.01)


def _draw_point(axes: Axes, point: Point) -> None:
    colour = ACCENT if point.ours else SECOND
    axes.errorbar(
        point.seconds, _misses(point), yerr=_whiskers(point), fmt="o" if point.ours else "s", color=colour,
        markersize=5.5, elinewidth=0.9, capsize=2, zorder=3,
    )  # fmt: skip


def _whiskers(point: Point) -> np.ndarray | None:
    """One deviation each way, on a logarithmic axis never down to nothing: (2, 1)."""
    if not point.deviation:
        return None
    deviation = 100 * point.deviation
    return np.array([[min(deviation, 0.9 * _misses(point))], [deviation]])


def _set_axes(axes: Axes, points: Sequence[Point]) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    misses, seconds = [_misses(one) for one in points], [one.seconds for one in points]
    axes.set_ylim(1.5 * max(misses), min(misses) / 1.5)  # the best on top
    axes.set_xlim(min(seconds) / 1.8, 2.2 * max(seconds))
    _name_ticks(axes)
    axes.grid(True, linewidth=0.6)
    axes.set_xlabel("seconds from process start to saved weights")
    axes.set_ylabel("test accuracy, %")
    for label, colour, mark in (("tenfold", ACCENT, "o"), ("peers", SECOND, "s")):
        axes.plot([], [], mark, color=colour, markersize=5.5, label=label)
    axes.legend(loc="lower right", labelcolor=INK)


def _name_ticks(axes: Axes) -> None:
    low, high = sorted(axes.get_xlim())
    shown = [tick for tick in _SECONDS if low <= tick <= high]
    axes.set_xticks(shown, [f"{tick} s" if tick < 60 else f"{tick // 60} min" for tick in shown])
    low, high = sorted(axes.get_ylim())
    marks = [tick for tick in _TICKS if low <= 100 - tick <= high]
    axes.set_yticks([100 - tick for tick in marks], [f"{tick:g}" for tick in marks])
    axes.minorticks_off()


def place_labels(axes: Axes, points: Sequence[Point], frontier: Sequence[Point] = ()) -> list[Annotation]:
    """Each name beside its point, where it covers no other name, point or line, nor leaves the frame.

    Greedy, from the top: with more points than a picture can name, the last ones go where they cover
    least.
    """
    dots, taken = _dots(axes, points), [*_line(axes, frontier), _legend(axes)]
    frame = np.array(axes.get_window_extent().extents)
    labels = []
    for number in sorted(range(len(points)), key=lambda i: _misses(points[i])):
        own, others = dots[number], np.delete(dots, number, axis=0)
        size, names = _size(axes, points[number]), np.array([*taken, own])
        boxes = [_box(own, place, size, axes) for place in _PLACES]
        # With the way to its own point: a name beyond another point would seem to be that one's.
        ways = [np.r_[np.minimum(box[:2], own[:2]), np.maximum(box[2:], own[2:])] for box in boxes]
        covered = [
            _overlap(box, names) + _overlap(way, others) + _outside(box, frame)
            for box, way in zip(boxes, ways)
        ]
        best = int(np.argmin(covered))  # the nearest of those that cover nothing
        taken.append(boxes[best])
        labels.append(_annotate(axes, points[number], _PLACES[best]))
    return labels


def _size(axes: Axes, point: Point) -> _Size:
    """Of the name in pixels, with a little air around."""
    text = axes.text(0, 0, _name(point), fontsize=_FONT)
    extent = text.get_window_extent()
    text.remove()
    return extent.width + 2 * _AIR, extent.height + 2 * _AIR


def _box(dot: np.ndarray, place: _Place, size: _Size, axes: Axes) -> np.ndarray:
    """Where a name of this size stands: left, low, right, top in pixels, as all boxes here."""
    right, up, edge = place
    scale, (width, height) = axes.figure.dpi / 72, size
    x, y = (dot[0] + dot[2]) / 2 + right * scale, (dot[1] + dot[3]) / 2 + up * scale
    left = x - _AIR if edge == "left" else x + _AIR - width
    return np.array([left, y - height / 2, left + width, y + height / 2])


def _line(axes: Axes, frontier: Sequence[Point]) -> np.ndarray:
    """The line that joins the frontier, as small squares of it: (N, 4)."""
    if len(frontier) < 2:
        return np.empty((0, 4))
    corners = axes.transData.transform([(one.seconds, _misses(one)) for one in frontier])
    steps = np.linspace(0, 1, 100)[:, None]
    places = np.concatenate([a + steps * (b - a) for a, b in pairwise(corners)])
    return np.hstack([places - 1, places + 1])


def _name(point: Point) -> str:
    return point.title.replace("`", "")


def _annotate(axes: Axes, point: Point, place: _Place) -> Annotation:
    """With a thin line to the point where the name stands away from it."""
    right, up, edge = place
    far = abs(up) > 10 or abs(right) > 14
    return axes.annotate(
        _name(point),
        (point.seconds, _misses(point)),
        xytext=(right, up),
        textcoords="offset points",
        ha=edge,
        va="center",
        color=INK if point.ours else MUTED,
        fontsize=_FONT,
        arrowprops={"arrowstyle": "-", "color": MUTED, "linewidth": 0.5, "shrinkB": 4} if far else None,
    )


def _dots(axes: Axes, points: Sequence[Point]) -> np.ndarray:
    """The surroundings of every point: (N, 4)."""
    reach = _AROUND * axes.figure.dpi / 72
    places = axes.transData.transform([(one.seconds, _misses(one)) for one in points])
    return np.hstack([places - reach, places + reach])


def _legend(axes: Axes) -> np.ndarray:
    legend = axes.get_legend()
    return np.array(legend.get_window_extent().extents) if legend else np.zeros(4)


def _overlap(box: np.ndarray, others: np.ndarray) -> float:
    """Square pixels that a box (4,) shares with others (N, 4)."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    return float(sides.clip(min=0).prod(axis=1).sum())


def _outside(box: np.ndarray, frame: np.ndarray) -> float:
    """Square pixels of the box that are not in the frame."""
    rest = float((box[2:] - box[:2]).prod()) - _overlap(box, frame[None])
    return rest if rest > 1e-6 else 0.0  # of rounding
