"""The confusion matrix as a table whose cells open what is in them."""

from __future__ import annotations

from typing import Any

import numpy as np

from tenfold.arrays import image_place
from tenfold.evaluation.evaluate import Evaluation
from tenfold.pages import numbers
from tenfold.pages.pictures import picture_row

__all__ = ["confused_pairs", "confusion_section"]

Section = dict[str, Any]
_MOST_CLASSES = 60


def confusion_section(evaluation: Evaluation) -> Section | None:
    """Rows of cells; None where there are too many classes for a table."""
    names, confusion = evaluation.class_names, evaluation.confusion
    if len(names) > _MOST_CLASSES:
        return None
    shades, pictures = _shades(confusion), _cell_pictures(evaluation)
    return {
        "names": [_shorten(name) for name in names],
        "upright": max(map(len, names)) > 3,
        "rows": [
            (
                _shorten(name),
                [
                    _cell(evaluation, row, column, shades, pictures.get((row, column)))
                    for column in range(len(names))
                ],
            )
            for row, name in enumerate(names)
        ],
        "opens": bool(pictures),
    }


def confused_pairs(evaluation: Evaluation, limit: int = 5) -> list[tuple[str, str, str]]:
    """The most frequent mistakes: true class, predicted class, how often."""
    mistakes = evaluation.confusion * (1 - np.eye(len(evaluation.confusion), dtype=np.int64))
    order = np.argsort(-mistakes, axis=None, kind="stable")[:limit]
    pairs = [np.unravel_index(place, mistakes.shape) for place in order]
    names = evaluation.class_names
    return [(names[t], names[p], numbers.count(int(mistakes[t, p]))) for t, p in pairs if mistakes[t, p]]


def _cell(
    evaluation: Evaluation, row: int, column: int, shades: np.ndarray, pictures: Section | None
) -> Section:
    names, count = evaluation.class_names, int(evaluation.confusion[row, column])
    right = row == column
    said = f"{names[row]}, {'answered rightly' if right else f'taken for {names[column]}'}"
    return {
        "id": f"cell-{row}-{column}",
        "count": count,
        "text": f"{count}" if count < 10_000 else f"{count / 1000:.0f}k",
        "right": right,
        "shade": f"{100 * shades[row, column]:.0f}",
        "said": f"{said}: {numbers.count(count)} image{'s' * (count != 1)}",
        "pictures": pictures,
    }


def _shades(confusion: np.ndarray) -> np.ndarray:
    """Opacity of each cell: the diagonal against its largest, mistakes against the largest mistake."""
    mistakes = confusion * (1 - np.eye(len(confusion), dtype=confusion.dtype))
    wrong = 0.12 + 0.5 * np.sqrt(mistakes / max(mistakes.max(), 1))
    right = 0.08 + 0.27 * confusion / max(np.diag(confusion).max(), 1)
    return np.where(np.eye(len(confusion), dtype=bool), right, wrong)


def _cell_pictures(evaluation: Evaluation) -> dict[tuple[int, int], Section]:
    """(true, predicted) -> the cell's pictures as one strip, and what stands below each."""
    cells: dict[tuple[int, int], list[int]] = {}
    for place, cell in enumerate(zip(evaluation.cell_label, evaluation.cell_predicted, strict=True)):
        cells.setdefault((int(cell[0]), int(cell[1])), []).append(place)
    height, width = evaluation.cell_images.shape[1:]
    return {
        cell: {
            "strip": picture_row(evaluation.cell_images[places], gap=0),
            "ratio": f"{width} / {height}",
            "items": [
                image_place(evaluation.cell_index[i], evaluation.files)
                | {"confidence": numbers.percent(float(evaluation.cell_confidence[i]), 1)}
                for i in places
            ],
        }
        for cell, places in cells.items()
    }


def _shorten(name: str, limit: int = 18) -> str:
    return name if len(name) <= limit else name[: limit - 1] + "…"
