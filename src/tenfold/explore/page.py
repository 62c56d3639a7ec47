"""An Exploration -> one HTML file that needs nothing else: no network, no script."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.errors import UsageError
from tenfold.explore.blocks import stretch
from tenfold.explore.duplicates import DuplicateGroup
from tenfold.explore.look import ClassLook, Exploration
from tenfold.explore.record import Record
from tenfold.explore.words import (
    alike_words,
    count_of,
    duplicate_sentences,
    imbalance_sentence,
    name_row,
    pixel_rows,
)
from tenfold.files import write_text
from tenfold.pages import numbers
from tenfold.pages.pictures import LARGEST, grey_picture
from tenfold.pages.render import render_page

__all__ = ["write_page"]

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
    write_text(target, render_page("tenfold.explore", "explore.html.j2", context))
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
        "size": numbers.times((height, width)),
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
            "share": numbers.percent(look.count / len(exploration.dataset)),
        }
        for number, look in enumerate(exploration.classes)
    ]


def _class_cards(exploration: Exploration) -> list[dict[str, Any]]:
    each = max(1, _PICTURES // (3 * len(exploration.classes)))
    return [
        {
            "name": look.name,
            "count": count_of(look.count, "image"),
            "ink": numbers.percent(look.ink, 1),
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
        "size": numbers.times(image.shape),
        "cells": None if large else image.tolist(),
    }
