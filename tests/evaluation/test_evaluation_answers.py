"""What an evaluation keeps of every image and of each cell of the confusion matrix."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

from tenfold.arrays import ImageDataset
from tenfold.classifier import Classifier, ModelCard
from tenfold.evaluation.evaluate import Evaluation, evaluate
from tenfold.recipes.schema import Recipe

NAMES = tuple("abc")


def _measure(
    count: int = 300, classes: int = 3, side: int = 6, temperature: float = 2.0
) -> tuple[Any, np.ndarray]:
    """An evaluation of logits drawn at random, and those logits."""
    rng = np.random.default_rng(count)
    names = tuple(f"class {k}" for k in range(classes))
    images = rng.integers(0, 256, (count, side, side), dtype=np.uint8)
    files = tuple(f"class {k % 3}/größe {k}.png" for k in range(count))
    dataset = ImageDataset(images, rng.integers(0, classes, count), names, files=files)
    logits = rng.normal(0, 3, (count, classes)).astype(np.float32)
    recipe = Recipe.from_dict({"name": "plain", "network": {"layers": ["flatten", "linear classes"]}})
    engine: Any = SimpleNamespace(logits=lambda _images: logits)
    card = ModelCard(recipe, names, (side, side), 0.0, 1.0, temperature=temperature)
    return evaluate(Classifier(engine, card), dataset), (logits, dataset)


def test_every_image_keeps_its_label_and_calibrated_probabilities() -> None:
    evaluation, (logits, dataset) = _measure()
    assert evaluation.labels.dtype == np.int64 and evaluation.probs.dtype == np.float32
    np.testing.assert_array_equal(evaluation.labels, dataset.labels)
    np.testing.assert_allclose(evaluation.probs, softmax(logits / 2.0, axis=1), rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(evaluation.right, logits.argmax(axis=1) == dataset.labels)
    assert evaluation.has_probs


def test_a_cell_holds_the_surest_mistakes_and_the_least_sure_hits() -> None:
    evaluation, (logits, dataset) = _measure(count=900)
    predicted, sure = logits.argmax(axis=1), evaluation.probs.max(axis=1)
    for true in range(3):
        for answer in range(3):
            members = np.flatnonzero((dataset.labels == true) & (predicted == answer))
            order = members[np.argsort(sure[members] if true == answer else -sure[members], kind="stable")]
            kept = (evaluation.cell_label == true) & (evaluation.cell_predicted == answer)
            assert set(evaluation.cell_index[kept].tolist()) == set(order[:12].tolist())
            expected = sure[evaluation.cell_index[kept]]
            np.testing.assert_allclose(evaluation.cell_confidence[kept], expected, rtol=1e-5)
    np.testing.assert_array_equal(evaluation.cell_images, dataset.images[evaluation.cell_index])


def test_pictures_of_cells_are_limited_in_all() -> None:
    evaluation, _ = _measure(count=20_000, classes=40, side=2)
    assert len(evaluation.cell_index) == 1000
    cells = set(zip(evaluation.cell_label.tolist(), evaluation.cell_predicted.tolist()))
    assert len(cells) == 1000  # of 1,600 cells the fullest, one picture each, before any gets a second
    count = evaluation.confusion
    least = min(count[cell] for cell in cells)
    assert all(count[i, j] <= least for i in range(40) for j in range(40) if (i, j) not in cells)
    large, _ = _measure(count=100, side=400)
    assert large.cell_images.nbytes <= 4 << 20


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    evaluation, _ = _measure()
    evaluation.save(tmp_path)
    loaded = Evaluation.load(tmp_path)
    for name in ("labels", "probs", "cell_index", "cell_predicted", "cell_confidence", "cell_images"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(evaluation, name))
    assert loaded.files == evaluation.files and loaded.files[7] == "class 1/größe 7.png"
    for row in loaded.to_dict()["most_confident_misses"]:
        assert row["file"] == f"class {row['index'] % 3}/größe {row['index']}.png"


def test_files_of_an_earlier_version_are_still_read(tmp_path: Path) -> None:
    evaluation, _ = _measure()
    evaluation.save(tmp_path)
    with np.load(tmp_path / "evaluation.npz") as arrays:
        old = {
            key: arrays[key] for key in arrays if not key.startswith(("cell_", "probs", "labels", "files"))
        }
    np.savez_compressed(tmp_path / "evaluation.npz", **old)
    loaded = Evaluation.load(tmp_path)
    assert not loaded.has_probs and loaded.probs.shape == (0, 3) and len(loaded.cell_index) == 0
    np.testing.assert_array_equal(loaded.right, evaluation.right)
    assert loaded.files == () and "file" not in loaded.to_dict()["most_confident_misses"][0]
    assert loaded.to_dict() == replace(evaluation, files=()).to_dict()
    replace(loaded, dataset="again").save(tmp_path)
    assert Evaluation.load(tmp_path).dataset == "again"


def test_rows_of_classes_hold_their_intervals() -> None:
    evaluation, _ = _measure()
    for row in evaluation.per_class():
        for key in ("precision", "recall", "f1"):
            low, high = row[f"{key}_interval_95"]
            assert 0 <= low < row[key] < high <= 1
            assert high - low == pytest.approx(2 * 1.96 * 0.5 / 10, abs=0.07)  # of about 100 images
