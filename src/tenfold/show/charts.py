"""Numbers -> small SVG charts whose colours are those of the page, light or dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from tenfold.classifier import ModelCard
from tenfold.doctor.diagnosis import LayerReading
from tenfold.evaluation.evaluate import Evaluation
from tenfold.evaluation.label_errors import LabelErrors
from tenfold.evaluation.robustness import Robustness
from tenfold.networks.shapes import Network
from tenfold.runs.folder import Run
from tenfold.show import components
from tenfold.show.components import COOL, WARM, figure_to_svg
from tenfold.training.checkpoint import EpochRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


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


# Charts whose values can be read at a place: by pointing, by tapping and with the arrow keys.


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


# Which pictures of a test set a run keeps.


def kept_pictures(evaluation: Evaluation) -> dict[int, np.ndarray]:
    """Place in the test set -> uint8 (H, W), of the images that an evaluation keeps."""
    shown = evaluation.miss_index[evaluation.miss_shown]
    kept = (
        (evaluation.hit_index, evaluation.hit_images),
        (evaluation.cell_index, evaluation.cell_images),
        (shown, evaluation.miss_images),
    )
    return {int(i): image for index, images in kept for i, image in zip(index, images, strict=False)}


# Templates of the report -> pages with the charts' script and the colours of signed pictures.


def render_page(template: str, context: Mapping[str, Any]) -> str:
    """The page as HTML. The browser runs the script whose hash the page names, and no other."""
    script = files("tenfold.show").joinpath("templates", "page.js").read_text(encoding="utf-8")
    shared = {"warm": WARM, "cool": COOL}
    return components.render_page(template, shared | dict(context), script=script)


# The parts of a run that may not be there yet: nothing where a file is missing, an error where it is bad.


def history_of(run: Run) -> list[EpochRecord]:
    """The epochs so far; none before the first. Raises ModelError where the file cannot be read."""
    return run.history if (run.folder / "history.jsonl").is_file() else []


def label_errors_of(run: Run) -> LabelErrors | None:
    """The likely label errors of the training set, where they were looked for. Raises ModelError."""
    there = (run.folder / "label_errors.json").is_file()
    return LabelErrors.load(run.folder) if there else None


def robustness_of(run: Run) -> Robustness | None:
    """Accuracy under corruptions, where it was measured. Raises ModelError."""
    there = (run.folder / "robustness.json").is_file()
    return Robustness.load(run.folder) if there else None


def model_of(run: Run) -> tuple[ModelCard, dict[str, np.ndarray]] | None:
    """The saved model, or None before it is saved. Raises ModelError where it cannot be read."""
    names = ("model.json", "model.safetensors")
    return run.model if all((run.folder / name).is_file() for name in names) else None


def class_names_of(run: Run) -> tuple[str, ...] | None:
    model = model_of(run)
    if model is not None:
        return model[0].class_names
    return None if run.summary is None else tuple(run.summary.class_names)


def network_of(run: Run) -> Network | None:
    """The network at the size of the run's images, or None where neither model nor summary tells it."""
    model, names = model_of(run), class_names_of(run)
    if names is None:
        return None
    if model is not None:
        return run.recipe.plan(model[0].image_shape, len(names))
    height, width = run.summary.image_shape if run.summary else (0, 0)
    return run.recipe.plan((int(height), int(width)), len(names))


def parameters_of(run: Run) -> int | None:
    """Learned numbers of all networks that the recipe asks for."""
    network = network_of(run)
    return None if network is None else network.parameter_count * run.recipe.ensemble.members


def final_record(run: Run) -> EpochRecord | None:
    """The epoch whose weights the model holds: the best where patience keeps it, else the last.

    Of an ensemble it is that of the last network.
    """
    records = history_of(run)
    best = run.environment.get("best_epoch") if run.recipe.training.patience else None
    chosen = [record for record in records if record.epoch == best]
    found = chosen or records[-1:]
    return found[0] if found else None
