"""An Exploration -> one HTML file that needs nothing else: no network, no script."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold.errors import UsageError
from tenfold.explore.duplicates import DuplicateGroup
from tenfold.explore.look import ClassLook, Exploration, Record
from tenfold.files import replace_file, write_text
from tenfold.show import components
from tenfold.show.components import ACCENT, INK, LARGEST, MUTED, SECOND, grey_picture, render_page
from tenfold.show.data_terminal import (
    alike_words,
    count_of,
    duplicate_sentences,
    imbalance_sentence,
    name_row,
    pixel_rows,
    shrink,
    stretch,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["write_page", "write_poster"]

_PICTURES = 3_000  # of examples, so that it does with many classes too
_GROUPS, _MEMBERS = 30, 6  # of duplicates that are shown
_BARS = 64  # of the histogram
_CONTENTS = (
    ("distribution", "Distribution"),
    ("classes", "Classes"),
    ("pixels", "Pixels"),
    ("duplicates", "Duplicates"),
    ("record", "One image as numbers"),
)


def write_page(exploration: Exploration, path: str | Path, *, record: Record | None = None) -> Path:
    """Writes the page, beside and renamed; returns its path. record: the image that is shown as numbers,
    else the first of the data set. Raises UsageError where `path` is a folder."""
    target = Path(path)
    if target.is_dir():
        raise UsageError(f"{target} is a folder", expected="a file's name, such as data.html")
    context = _context(exploration, record or _first_record(exploration))
    write_text(target, render_page("explore.html.j2", context))
    return target


def _first_record(exploration: Exploration) -> Record:
    dataset = exploration.dataset
    split, index = exploration.place(0)
    file = dataset.files[0] if dataset.files else ""
    return Record(dataset.name, split, index, exploration.label(0), np.asarray(dataset.images[0]), file)


def _context(exploration: Exploration, record: Record) -> dict[str, Any]:
    dataset = exploration.dataset
    height, width = dataset.image_shape
    return {
        "contents": _CONTENTS,
        "name": dataset.name,
        "note": dataset.note,
        "count": f"{len(dataset):,}",
        "size": components.times((height, width)),
        "facts": _facts(exploration),
        "parts": [name for name in exploration.parts if len(exploration.parts) > 1],
        "rows": _class_rows(exploration),
        "balance": imbalance_sentence(exploration),
        "classes": _class_cards(exploration),
        "pixels": pixel_rows(exploration.pixels),
        "histogram": _histogram(exploration.pixels.histogram),
        "duplicates": duplicate_sentences(exploration),
        "groups": [_group(exploration, group) for group in exploration.groups[:_GROUPS]],
        "groups_total": len(exploration.groups),
        "record": _record(record),
    }


def _facts(exploration: Exploration) -> list[tuple[str, str]]:
    smallest, largest = exploration.extremes
    parts = [(name, f"{count:,}") for name, count in exploration.parts.items()]
    found = exploration.duplicates
    return [
        *(parts if len(parts) > 1 else []),
        ("classes", f"{len(exploration.classes):,}"),
        ("smallest class", f"{smallest.name}: {smallest.count:,}"),
        ("largest class", f"{largest.name}: {largest.count:,}"),
        ("pixel mean", f"{exploration.pixels.mean / 255:.4f}"),
        ("standard deviation", f"{exploration.pixels.std / 255:.4f}"),
        ("groups of equal images", f"{len(found.exact):,}"),
        ("groups of near duplicates", "not looked for" if found.near is None else f"{len(found.near):,}"),
    ]


def _class_rows(exploration: Exploration) -> list[dict[str, Any]]:
    most = max(look.count for look in exploration.classes)
    return [
        {
            "name": look.name,
            "count": f"{look.count:,}",
            "parts": [f"{count:,}" for count in exploration.counts[:, number].tolist()],
            "widths": [f"{100 * count / most:.2f}" for count in exploration.counts[:, number].tolist()],
            "share": components.percent(look.count / len(exploration.dataset)),
        }
        for number, look in enumerate(exploration.classes)
    ]


def _class_cards(exploration: Exploration) -> list[dict[str, Any]]:
    each = max(1, _PICTURES // (3 * len(exploration.classes)))
    return [
        {
            "name": look.name,
            "count": count_of(look.count, "image"),
            "ink": components.percent(look.ink, 1),
            "mean": grey_picture(stretch(look.mean)),
            "spread": grey_picture(stretch(look.spread)),
            "kinds": _kinds(exploration, look, each),
        }
        for look in exploration.classes
        if look.count
    ]


def _kinds(exploration: Exploration, look: ClassLook, each: int) -> list[tuple[str, list[dict[str, str]]]]:
    kinds = [("typical", look.typical), ("unusual", look.unusual), ("random", look.random)]
    return [(kind, _pictures(exploration, rows[:each].tolist())) for kind, rows in kinds if len(rows)]


def _pictures(exploration: Exploration, rows: Iterable[int]) -> list[dict[str, str]]:
    images = exploration.dataset.images
    return [
        {
            "picture": grey_picture(images[row]),
            "place": name_row(exploration, row),
            "label": exploration.label(row),
        }
        for row in rows
    ]


def _histogram(values: np.ndarray) -> list[dict[str, Any]]:
    """Bars of a drawing 100 high, on a logarithmic scale."""
    step = 256 // _BARS
    sums = values.reshape(_BARS, step).sum(axis=1)
    heights = 100 * np.log1p(sums) / np.log1p(sums.max())
    return [
        {
            "x": number,
            "height": f"{height:.2f}",
            "y": f"{100 - height:.2f}",
            "title": f"{number * step} to {number * step + step - 1}: {total:,} pixels",
        }
        for number, (height, total) in enumerate(zip(heights.tolist(), sums.tolist(), strict=True))
    ]


def _group(exploration: Exploration, group: DuplicateGroup) -> dict[str, Any]:
    rows = group.rows.tolist()
    return {
        "pictures": _pictures(exploration, rows[:_MEMBERS]),
        "more": len(rows) - _MEMBERS,
        "words": alike_words(exploration, group),
    }


def _record(record: Record) -> dict[str, Any]:
    image = record.image
    large = max(image.shape) > LARGEST
    return {
        "title": record.title,
        "label": record.label,
        "picture": grey_picture(image),
        "size": components.times(image.shape),
        "cells": None if large else image.tolist(),
    }


# An Exploration -> one PNG: distribution, pixel values, and of each class mean, spread and examples.

_SIDE = 64  # pixels per side of a picture
_EACH = 5  # examples of each kind
_MOST = 20  # classes that are drawn; of more, the first
_WIDTH, _ROW, _HEAD = 11.0, 0.62, 1.2  # inches


def write_poster(exploration: Exploration, path: str | Path) -> Path:
    """Writes the PNG, beside and renamed; returns its path. Raises UsageError where `path` is a folder."""
    target = Path(path)
    if target.is_dir():
        raise UsageError(f"{target} is a folder", expected="a file's name, such as data.png")
    figure = draw_poster(exploration)
    with replace_file(target) as beside:
        figure.savefig(beside, format="png", dpi=120, metadata={"Software": None})
    return target


def draw_poster(exploration: Exploration) -> Figure:
    import matplotlib
    from matplotlib.figure import Figure

    classes = exploration.classes[:_MOST]
    upper, lower = max(2.4, 0.22 * len(classes) + 0.5), _ROW * len(classes) + 0.35
    height = _HEAD + upper + lower + 0.15
    plain: dict[str, object] = {
        "text.parse_math": False,
        "font.size": 9,
        "text.color": INK,
        "axes.edgecolor": MUTED,
    }
    plain |= {"xtick.labelcolor": MUTED, "ytick.labelcolor": INK}
    with matplotlib.rc_context(plain):  # type: ignore[arg-type]
        figure = Figure(figsize=(_WIDTH, height), facecolor="white")
        _write_title(figure, exploration, height)
        top = 1 - _HEAD / height
        bottom = top - (upper - 0.55) / height
        _draw_counts(figure.add_axes((0.1, bottom, 0.5, top - bottom)), exploration, classes)
        _draw_histogram(figure.add_axes((0.68, bottom, 0.28, top - bottom)), exploration.pixels.histogram)
        _draw_pictures(figure.add_axes((0.04, 0.2 / height, 0.92, lower / height)), exploration, classes)
    return figure


def _write_title(figure: Figure, exploration: Exploration, height: float) -> None:
    rows, columns = exploration.dataset.image_shape
    count = f"{len(exploration.dataset):,} images of {rows} x {columns} pixels"
    figure.text(0.04, 1 - 0.42 / height, f"{exploration.dataset.name}: {count}", fontsize=15, weight="bold")
    figure.text(0.04, 1 - 0.72 / height, imbalance_sentence(exploration), color=MUTED)
    left = len(exploration.classes) - _MOST
    if left > 0:
        figure.text(0.04, 1 - 0.92 / height, f"the first {_MOST} classes; {left} more", color=MUTED)


def _draw_counts(axes: Axes, exploration: Exploration, classes: tuple[ClassLook, ...]) -> None:
    places, left = np.arange(len(classes)), np.zeros(len(classes))
    several = len(exploration.parts) > 1
    for name, counts, colour in zip(exploration.parts, exploration.counts, (ACCENT, SECOND)):
        shown = counts[: len(classes)]
        bars = axes.barh(places, shown, left=left, height=0.7, color=colour, label=name)
        left = left + shown
    axes.bar_label(bars, [f"{look.count:,}" for look in classes], padding=4, fontsize=8)
    axes.set_yticks(places, [_short(look.name) for look in classes])
    axes.set_ylim(len(classes) - 0.4, -0.6)
    axes.set_xlim(0, max(float(left.max()), 1) * 1.12)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.set_title("images per class", fontsize=9, color=MUTED, loc="left")
    if several:
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, borderaxespad=0.1)


def _draw_histogram(axes: Axes, histogram: np.ndarray) -> None:
    axes.bar(
        np.arange(0, 256, 4), histogram.reshape(64, 4).sum(axis=1), width=3.6, align="edge", color=ACCENT
    )
    axes.set_yscale("log")
    axes.set_ylim(bottom=1)
    axes.set_xlim(-2, 258)
    axes.set_xticks([0, 64, 128, 192, 255])
    axes.tick_params(labelsize=8, colors=MUTED, labelcolor=MUTED)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title("pixel values (logarithmic)", fontsize=9, color=MUTED, loc="left")


def _draw_pictures(axes: Axes, exploration: Exploration, classes: tuple[ClassLook, ...]) -> None:
    """One canvas in units of a row's height: a name, then mean, spread and three groups of examples."""
    axes.set_xlim(0, 0.92 * _WIDTH / _ROW)
    axes.set_ylim(len(classes), -0.55)
    axes.set_axis_off()
    kinds = ("typical", "unusual", "random")
    heads = [(1.6, "mean"), (2.6, "spread")] + [(3.9 + 4.9 * n * 0.86, kind) for n, kind in enumerate(kinds)]
    for left, name in heads:
        axes.text(left, -0.12, name, color=MUTED, fontsize=9)
    for row, look in enumerate(classes):
        axes.text(1.4, row + 0.47, _short(look.name), ha="right", va="center", weight="bold")
        if not look.count:
            continue
        _place(axes, stretch(look.mean), 1.6, row)
        _place(axes, stretch(look.spread), 2.6, row)
        for (left, _), kind in zip(heads[2:], kinds):
            for number, index in enumerate(getattr(look, kind)[:_EACH].tolist()):
                _place(axes, exploration.dataset.images[index], left + 0.8 * number, row)


def _place(axes: Axes, image: np.ndarray, left: float, row: float) -> None:
    small = shrink(np.asarray(image), _SIDE)
    width, height = (0.76 * length / max(small.shape) for length in small.shape[::-1])
    extent = (left, left + width, row + 0.1 + height, row + 0.1)
    axes.imshow(small, cmap="gray", vmin=0, vmax=255, extent=extent, aspect="auto", interpolation="nearest")


def _short(name: str) -> str:
    return name if len(name) <= 12 else name[:11] + "…"
