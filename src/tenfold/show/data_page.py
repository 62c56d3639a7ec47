"""An Exploration -> one HTML file that needs nothing else, or one picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold.errors import UsageError
from tenfold.files import replace_file, write_text
from tenfold.show import data_terminal
from tenfold.show.charts import MUTED, chart_style, figure_to_svg
from tenfold.show.components import LARGEST, count, picture_items, render_page, shorten, shrink, stretch
from tenfold.show.plots import draw_bars, draw_pixel_histogram, plot_pixel_histogram

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tenfold.explore.look import Exploration, Record

__all__ = ["write_poster"]

_PICTURES = 3_000  # of examples, so that it does with many classes too
_GROUPS, _MEMBERS = 30, 6  # of duplicates that are shown


def write_page(exploration: Exploration, path: str | Path, *, record: Record | None = None) -> Path:
    """Writes the page, beside and renamed; returns its path. record: the image that is shown as numbers,
    else the first of the data set. Raises UsageError where `path` is a folder."""
    target = _target(path, "data.html")
    record = record or exploration.record(0)
    classes = exploration.classes
    each = max(1, _PICTURES // (3 * len(classes)))
    several = len(exploration.parts) > 1
    histogram = plot_pixel_histogram(exploration.pixels.histogram)
    context = {
        "seen": exploration,
        "most": max(look.count for look in classes),
        "parts": [(name, count(number)) for name, number in exploration.parts.items()] if several else [],
        "balance": data_terminal.imbalance_sentence(exploration),
        "cards": [
            (look, {kind: _items(exploration, rows[:each])
                    for kind, rows in look.examples.items() if len(rows)})
            for look in classes if look.count
        ],
        "pixels": data_terminal.pixel_rows(exploration),
        "histogram": figure_to_svg(histogram, "pixel-values", "How often each pixel value occurs"),
        "duplicates": data_terminal.duplicate_sentences(exploration),
        "groups": [
            (_items(exploration, group.rows[:_MEMBERS]), len(group.rows) - _MEMBERS,
             data_terminal.alike_words(exploration, group.rows, group.likeness))
            for group in exploration.groups[:_GROUPS]
        ],
        "record": record,
        "large": max(record.image.shape) > LARGEST,
    }  # fmt: skip
    write_text(target, render_page("explore.html.j2", context))
    return target


def _target(path: str | Path, name: str) -> Path:
    if Path(path).is_dir():
        raise UsageError(f"{path} is a folder", expected=f"a file's name, such as {name}")
    return Path(path)


def _items(exploration: Exploration, rows: np.ndarray) -> list[dict[str, Any]]:
    pictures = {row: exploration.dataset.images[row] for row in rows.tolist()}
    names = [data_terminal.name_row(exploration, row) for row in rows.tolist()]
    labels = [exploration.label(row) for row in rows.tolist()]
    return picture_items(rows, (), pictures, place=names, label=labels)


# An Exploration -> one PNG: distribution, pixel values, and of each class mean, spread and examples.

_SIDE = 64  # pixels per side of a picture
_EACH = 5  # examples of each kind
_MOST = 20  # classes that are drawn; of more, the first
_WIDTH, _ROW, _HEAD = 11.0, 0.62, 1.2  # inches


def write_poster(exploration: Exploration, path: str | Path) -> Path:
    """Writes the PNG, beside and renamed; returns its path. Raises UsageError where `path` is a folder."""
    target = _target(path, "data.png")
    with chart_style(), replace_file(target) as beside:
        figure = _draw_poster(exploration)
        figure.savefig(beside, format="png", dpi=120, facecolor="white", metadata={"Software": None})
    return target


def _draw_poster(exploration: Exploration) -> Figure:
    from matplotlib.figure import Figure

    classes = exploration.classes[:_MOST]
    upper, lower = max(2.4, 0.22 * len(classes) + 0.5), _ROW * len(classes) + 0.35
    height = _HEAD + upper + lower + 0.15
    figure = Figure(figsize=(_WIDTH, height))
    figure.set_layout_engine("none")
    _write_title(figure, exploration, height)
    top, tall = 1 - _HEAD / height, (upper - 0.55) / height
    counts, values = (
        figure.add_axes((left, top - tall, wide, tall)) for left, wide in ((0.1, 0.5), (0.68, 0.28))
    )
    counts.set_title("images per class", fontsize=9, color=MUTED, loc="left")
    values.set_title("pixel values (logarithmic)", fontsize=9, color=MUTED, loc="left")
    by_part = dict(zip(exploration.parts, exploration.counts[:, : len(classes)], strict=True))
    names = [shorten(look.name, 12) for look in classes]
    draw_bars(counts, names, by_part, [f"{look.count:,}" for look in classes])
    if len(by_part) > 1:
        counts.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0.1)
    draw_pixel_histogram(values, exploration.pixels.histogram)
    _draw_pictures(figure.add_axes((0.04, 0.2 / height, 0.92, lower / height)), exploration)
    return figure


def _write_title(figure: Figure, exploration: Exploration, height: float) -> None:
    rows, columns = exploration.dataset.image_shape[:2]
    size = f"{len(exploration.dataset):,} images of {rows} x {columns} pixels"
    figure.text(0.04, 1 - 0.42 / height, f"{exploration.dataset.name}: {size}", fontsize=15, weight="bold")
    figure.text(0.04, 1 - 0.72 / height, data_terminal.imbalance_sentence(exploration), color=MUTED)
    left = len(exploration.classes) - _MOST
    if left > 0:
        figure.text(0.04, 1 - 0.92 / height, f"the first {_MOST} classes; {left} more", color=MUTED)


def _draw_pictures(axes: Axes, exploration: Exploration) -> None:
    """One canvas in units of a row's height: a name, then mean, spread and three groups of examples."""
    classes = exploration.classes[:_MOST]
    axes.set(xlim=(0, 0.92 * _WIDTH / _ROW), ylim=(len(classes), -0.55))
    axes.set_axis_off()
    heads = {"mean": 1.6, "spread": 2.6, "typical": 3.9, "unusual": 8.114, "random": 12.328}
    for name, left in heads.items():
        axes.text(left, -0.12, name, color=MUTED, fontsize=9)
    for row, look in enumerate(classes):
        axes.text(1.4, row + 0.47, shorten(look.name, 12), ha="right", va="center", weight="bold")
        if not look.count:
            continue
        _place(axes, stretch(look.mean), heads["mean"], row)
        _place(axes, stretch(look.spread), heads["spread"], row)
        for kind, rows in look.examples.items():
            for number, index in enumerate(rows[:_EACH].tolist()):
                _place(axes, exploration.dataset.images[index], heads[kind] + 0.8 * number, row)


def _place(axes: Axes, image: np.ndarray, left: float, row: float) -> None:
    small = shrink(np.asarray(image), _SIDE)
    width, height = (0.76 * length / max(small.shape) for length in small.shape[1::-1])
    extent = (left, left + width, row + 0.1 + height, row + 0.1)
    axes.imshow(small, cmap="gray", vmin=0, vmax=255, extent=extent, aspect="auto", interpolation="nearest")
