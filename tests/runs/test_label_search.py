"""Suspect labels of a data set: the quick recipe that finds them, and the files that name them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np

from tenfold.arrays import ImageDataset
from tenfold.recipes.load import change_recipe, get_recipe
from tenfold.training.folds import quick_recipe, search_labels


def pictures(side: int, classes: int) -> ImageDataset:
    names = tuple(f"class {k}" for k in range(classes))
    return ImageDataset(np.zeros((classes, side, side), np.uint8), np.arange(classes), names)


def test_the_quick_recipe_fits_any_size_and_number_of_classes() -> None:
    assert quick_recipe(pictures(28, 10)).name == "fast"
    steps = get_recipe("fast").training.steps
    assert {quick_recipe(pictures(28, classes)).training.steps for classes in (3, 10)} == {steps}
    assert quick_recipe(pictures(28, 47)).training.steps == 47 * steps // 10
    for side in (1, 8, 28, 64):
        dataset = pictures(side, 3)
        recipe = quick_recipe(dataset)
        assert recipe.plan(dataset.image_shape, 3) and recipe.input.scaling == "standardise"
    assert quick_recipe(pictures(8, 10)).name == "mlp-small"


def test_flipped_labels_are_found_and_written(blobs: ImageDataset, tmp_path: Path) -> None:
    flipped = np.random.default_rng(0).permutation(600)[:30]
    labels = blobs.labels.copy()
    labels[flipped] = (labels[flipped] + 1) % 3
    noisy = ImageDataset(blobs.images, labels, blobs.class_names, "noisy")
    recipe = change_recipe(get_recipe("mlp-small"), {"training.epochs": 12})
    found = search_labels(noisy, recipe, folds=3, engine="numpy")
    assert set(flipped) == set(found.index)
    assert "mlp-small over 3 folds" in found.note
    rows = found.rows(noisy.class_names)
    assert rows[0]["given"] == blobs.class_names[(blobs.labels[rows[0]["index"]] + 1) % 3]
    assert rows[0]["suggested"] == blobs.class_names[blobs.labels[rows[0]["index"]]]
    assert len(found.rows(noisy.class_names, 5)) == 5
    found.write(noisy.class_names, tmp_path / "suspects.csv")
    found.write(noisy.class_names, tmp_path / "suspects.json")
    with (tmp_path / "suspects.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    document = json.loads((tmp_path / "suspects.json").read_text(encoding="utf-8"))
    assert [int(row["index"]) for row in table] == found.index.tolist()
    assert document["suspects"] == rows and document["n"] == 600
