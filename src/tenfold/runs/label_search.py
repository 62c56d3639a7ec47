"""Labels of a data set that are likely wrong: a recipe over folds, then confident learning."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tenfold.arrays import ImageDataset, image_place
from tenfold.errors import RecipeError
from tenfold.evaluation.label_errors import LabelErrors, find_label_errors
from tenfold.files import csv_line, replace_file, write_text
from tenfold.recipes.load import change_recipe, get_recipe
from tenfold.recipes.schema import Recipe
from tenfold.training.folds import cross_validate
from tenfold.training.observers import TrainingObserver

__all__ = ["quick_recipe", "search_labels", "suspect_rows", "write_suspects"]

_SMALL = "mlp-small"
_LEAST_STEPS = 600  # of the small network


def quick_recipe(dataset: ImageDataset) -> Recipe:
    """`fast`, longer where there are many classes, or `mlp-small` where the images are too small for it."""
    classes = len(dataset.class_names)
    fast = get_recipe("fast")
    with suppress(RecipeError):
        fast.plan(dataset.image_shape, classes)
        steps = max(fast.training.steps, fast.training.steps * classes // 10)  # as many per class as MNIST's
        return change_recipe(fast, {"input.scaling": "standardise", "training.steps": steps})
    changes = {"input.scaling": "standardise", "training.min_steps": _LEAST_STEPS}
    return change_recipe(get_recipe(_SMALL), changes)


def search_labels(
    dataset: ImageDataset,
    recipe: Recipe | None = None,
    *,
    folds: int = 5,
    seed: int = 0,
    engine: str = "auto",
    callbacks: Sequence[TrainingObserver] = (),
) -> LabelErrors:
    """Cross-validates a recipe (a quick one where none is given) and judges every label by it."""
    chosen = recipe or quick_recipe(dataset)
    result = cross_validate(chosen, dataset, folds=folds, seed=seed, engine=engine, callbacks=callbacks)
    note = (
        f"Every image was judged by a network that never saw it: recipe {chosen.name} over {folds} folds, "
        f"which answers {100 * result.mean:.2f} % as labelled."
    )
    return find_label_errors(result.probs, dataset.labels, note=note, files=dataset.files)


def suspect_rows(
    found: LabelErrors, class_names: Sequence[str], count: int | None = None
) -> list[dict[str, Any]]:
    """A row a suspect, the most suspect first: index, file (where there are), given, suggested, quality."""
    columns = zip(found.index, found.given, found.suggested, found.quality, strict=True)
    return [
        image_place(index, found.files)
        | {
            "given": class_names[given],
            "suggested": class_names[suggested],
            "quality": round(float(quality), 6),
        }
        for index, given, suggested, quality in list(columns)[:count]
    ]


def write_suspects(found: LabelErrors, class_names: Sequence[str], path: Path) -> None:
    """All suspects as CSV or, where the name ends in .json, as JSON."""
    rows = suspect_rows(found, class_names)
    if path.suffix == ".json":
        document = {"n": found.n, "suspects": rows, "note": found.note}
        write_text(path, json.dumps(document, indent=2) + "\n")
        return
    with replace_file(path) as beside, beside.open("w", encoding="utf-8", newline="") as file:
        named = ("index", "file") if found.files else ("index",)
        columns = (*named, "given", "suggested", "quality")
        file.write(csv_line(columns, "\r\n"))
        file.writelines(csv_line([row[column] for column in columns], "\r\n") for row in rows)
