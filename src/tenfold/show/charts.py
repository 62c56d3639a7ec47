"""A matplotlib figure -> an SVG that takes its colours and its type from the page around it.

Figures are drawn in stand-in colours, each of which is then replaced by a CSS variable of the page,
so that one drawing is right in light, in dark and on paper.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup, escape

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Stand-ins: colours near those of the light page, so that a figure saved by itself looks right too.
INK, MUTED, LINE = "#1b2431", "#566173", "#d8dde6"
ACCENT, SECOND, GOOD, BAD = "#1d5fc1", "#b8500f", "#177245", "#b4252f"

_VARIABLES = {
    INK: "var(--ink)", MUTED: "var(--muted)", LINE: "var(--line)", ACCENT: "var(--accent)",
    SECOND: "var(--second)", GOOD: "var(--good)", BAD: "var(--bad)",
}  # fmt: skip
_TAG = re.compile(r"<[^<>]+>")  # matplotlib escapes < and > in text, so these are tags alone
_COLOUR = re.compile("|".join(_VARIABLES))
_REFERENCE = re.compile(r'( id="|(?:xlink:)?href="#|url\(#)')
_TITLED = re.compile(r'<g id="title:([^"]*)">')


@contextmanager
def chart_style() -> Iterator[None]:
    """Settings under which the charts are made and saved; restored afterwards."""
    import matplotlib

    settings: dict[Any, Any] = {
        "svg.fonttype": "none", "svg.hashsalt": "tenfold", "text.parse_math": False, "font.size": 9,
        "text.color": INK, "axes.labelcolor": MUTED, "axes.edgecolor": LINE, "xtick.color": LINE,
        "ytick.color": LINE, "xtick.labelcolor": MUTED, "ytick.labelcolor": MUTED, "grid.color": LINE,
        "axes.facecolor": "none", "figure.facecolor": "none", "savefig.facecolor": "none",
        "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True,
        "legend.frameon": False, "legend.labelcolor": INK, "figure.constrained_layout.use": True,
    }  # fmt: skip
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        # Only the browser draws the letters; matplotlib merely measures them.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield


def figure_to_svg(figure: Figure, name: str, alt: str) -> Markup:
    """The figure as inline SVG. name: unique on the page, the prefix of the ids; alt: what it shows.

    A part of the figure whose gid is "title:TEXT" shows the text when it is pointed at.
    """
    buffer = io.StringIO()
    with chart_style():
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    whole = buffer.getvalue()
    body = re.sub(
        r"<metadata>.*?</metadata>", "", whole[whole.index(">", whole.index("<svg ")) + 1 :], flags=re.S
    )
    body = _TAG.sub(lambda tag: _adapt(tag.group(), name), body)
    width, height = (round(float(size) * 72, 2) for size in figure.get_size_inches())
    opening = Markup(
        '<svg class="chart" role="img" aria-label="{}" viewBox="0 0 {} {}" style="width: {}px">'
    ).format(alt, width, height, round(width * 96 / 72))
    return opening + Markup(f"<title>{escape(alt)}</title>{body.strip()}")


def _adapt(tag: str, name: str) -> str:
    tag = _COLOUR.sub(lambda colour: _VARIABLES[colour.group()], tag)
    if titled := _TITLED.fullmatch(tag):
        return f"<g><title>{titled.group(1)}</title>"
    return _REFERENCE.sub(rf"\g<1>{name}-", tag).replace("xlink:href", "href")


def draw_chart(
    figure: Figure, name: str, alt: str, read: Sequence[tuple[float, str]], *, title: str = ""
) -> dict[str, Any]:
    """A drawing whose values can be read at a place, by pointing, by tapping and with the arrow keys.

    figure: of one pair of axes. read: places on its x axis, and what is read at each. Returned is what the
    macro `chart` and its script take, in units of the drawing: the places (across), the heights of the
    curves at each, top and bottom of the axes (box), and the text of the last place (readout).
    """
    svg = figure_to_svg(figure, name, alt)  # which lays the axes out
    (axes,) = figure.axes
    height = 72 * figure.get_size_inches()[1]

    def to_points(values: Any) -> np.ndarray:
        """(n, 2) in the units of the axes -> in points from the upper left corner."""
        points = 72 / figure.dpi * axes.transData.transform(np.reshape(values, (-1, 2)).astype(float))
        return np.column_stack([points[:, 0], height - points[:, 1]])

    curves = []
    for line in axes.lines:
        values = np.asarray(line.get_xydata()).astype(float)
        known = dict(zip(values[:, 0].tolist(), to_points(values)[:, 1].tolist(), strict=True))
        curves.append([known.get(float(place), np.nan) for place, _ in read])
    frame, across = axes.get_position(), to_points([(place, 1.0) for place, _ in read])[:, 0]
    return {
        "svg": svg,
        "name": title or name,
        "across": " ".join(f"{x:.1f}" for x in across),
        "heights": " ".join(",".join(f"{y:.1f}" for y in at if np.isfinite(y)) for at in zip(*curves)),
        "box": f"{height * (1 - frame.y1):.1f} {height * (1 - frame.y0):.1f}",
        "texts": "\n".join(" ".join(text.split("\n")) for _, text in read),
        "readout": read[-1][1] if read else "",
    }
