"""The likely label errors of a data set with their pictures, as one HTML file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tenfold.arrays import ImageDataset, image_place
from tenfold.evaluation.label_errors import LabelErrors
from tenfold.files import write_text
from tenfold.pages import numbers
from tenfold.pages.pictures import grey_picture
from tenfold.report.page import render_page

__all__ = ["write_label_errors_page"]

_MOST_PICTURES = 1000  # a page of about 1 MB
_MOST_PAIRS = 20


def write_label_errors_page(found: LabelErrors, dataset: ImageDataset, path: Path) -> None:
    """found: of that data set. The page opens without network."""
    names = dataset.class_names
    columns = zip(found.index, found.given, found.suggested, found.quality, strict=True)
    shown = [
        image_place(index, found.files)
        | {
            "given": names[given],
            "suggested": names[suggested],
            "quality": numbers.percent(float(quality), 2),
            "picture": grey_picture(dataset.images[index]),
        }
        for index, given, suggested, quality in list(columns)[:_MOST_PICTURES]
    ]
    context = {
        "name": dataset.name,
        "contents": [("suspects", "Suspects"), ("pairs", "Classes")] if shown else [],
        "n": numbers.count(found.n),
        "count": numbers.count(len(found)),
        "share": numbers.percent(len(found) / found.n),
        "note": found.note,
        "files": bool(found.files),
        "shown": shown,
        "hidden": len(found) - len(shown),
        "pairs": _pairs(found, dataset),
    }
    write_text(path, render_page("label_errors.html.j2", context))


def _pairs(found: LabelErrors, dataset: ImageDataset) -> list[tuple[str, str, int]]:
    """(given, suggested, records), the most frequent first."""
    counts = Counter(zip(found.given.tolist(), found.suggested.tolist(), strict=True))
    names = dataset.class_names
    return [(names[given], names[best], count) for (given, best), count in counts.most_common(_MOST_PAIRS)]
