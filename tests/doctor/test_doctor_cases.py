"""Two dozen broken recipes and data sets, each with its right diagnosis; sound ones get none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from some_slants import (
    SGD,
    TEST,
    TRAIN,
    Case,
    bare,
    examine,
    on_slants,
    recipe,
    sgd,
    shapes,
    with_images,
)

from tenfold.arrays import ImageDataset
from tenfold.doctor.checks_learning import check_changed_classes
from tenfold.doctor.diagnosis import Examination, prepare_recipe
from tenfold.recipes.load import get_recipe

DEEP = ("linear 32", "sigmoid") * 6


def shuffled() -> Case:
    labels = np.random.default_rng(5).permutation(TRAIN.labels)
    return recipe(), replace(TRAIN, labels=labels), TEST


def off_by_one() -> Case:
    return recipe(), replace(TRAIN, labels=(TRAIN.labels + 1) % 5), TEST


def counted_from_one() -> Case:
    names = ("nothing", *TRAIN.class_names)
    train = ImageDataset(TRAIN.images, TRAIN.labels + 1, names)
    return recipe(), train, ImageDataset(TEST.images, TEST.labels + 1, names)


def leaking() -> Case:
    images, labels = TEST.images.copy(), TEST.labels.copy()
    images[:60], labels[:60] = TRAIN.images[:60], TRAIN.labels[:60]
    return recipe(), TRAIN, replace(TEST, images=images, labels=labels)


def imbalanced() -> Case:
    kept = (TRAIN.labels == 0) | (np.arange(len(TRAIN)) // 5 % 25 < 1)
    return recipe(), TRAIN.subset(np.flatnonzero(kept)), TEST


def zeros_and_ones() -> Case:
    """As who has divided by 255 already, and rounded."""
    train, test = (with_images(data.images // 100, data) for data in (TRAIN, TEST))
    return recipe(input__scaling="unit"), train, test


def blank() -> Case:
    images = TRAIN.images.copy()
    images[np.random.default_rng(0).permutation(len(images))[:500]] = 0
    return recipe(), replace(TRAIN, images=images), TEST


BROKEN: dict[str, tuple[str, Callable[[], Case]]] = {
    "pixels 0..255": ("inputs-unscaled", on_slants(recipe(input__scaling="none"))),
    "pixels 0 and 1": (
        "inputs-tiny",
        zeros_and_ones,
    ),
    "N(0, 1) weights": ("start-loss", on_slants(recipe(network__initialise="normal"))),
    "sigmoid loss": (
        "loss-trap",
        on_slants(
            recipe(
                network__initialise="normal",
                loss__name="sigmoid-distance",
                optimiser__learning_rate=50,
                **SGD,
            )
        ),
    ),
    "summed gradients": (
        "gradient-sum",
        on_slants(recipe(loss__reduction="sum", optimiser__learning_rate=1e-3, **SGD)),
    ),
    "shifted columns": ("columns-shifted", on_slants(recipe(loss__label_shift=-1))),
    "slow biases": (
        "bias-rate",
        on_slants(recipe(optimiser__groups=[{"match": "bias", "factor": 0.1}])),
    ),
    "rate too large": ("rate-too-large", on_slants(recipe(optimiser__learning_rate=3.0))),
    "descent that overflows": ("rate-too-large", on_slants(recipe(optimiser__learning_rate=1e4, **SGD))),
    "rate too small": ("rate-too-small", on_slants(recipe(optimiser__learning_rate=1e-4, **SGD))),
    "six sigmoids": ("vanishing-gradients", on_slants(recipe(*DEEP, network__initialise="torch"))),
    "saturated tanh": ("saturated", on_slants(recipe("linear 32", "tanh", network__initialise="normal"))),
    "dropout 0.97": ("dropout-strong", on_slants(recipe("linear 32", "relu", "dropout 0.97"))),
    "turned by any angle": ("augmentation-strong", on_slants(recipe(augmentation__rotation=180.0))),
    "weight decay 1": (
        "decay-strong",
        on_slants(
            recipe(optimiser__momentum=0.9, optimiser__learning_rate=0.1, optimiser__weight_decay=1.0, **SGD)
        ),
    ),
    "labels of other images": ("labels-random", shuffled),
    "labels off by one": ("labels-shifted", off_by_one),
    "labels from 1": ("class-missing", counted_from_one),
    "test images in training": ("test-leak", leaking),
    "negative test images": (
        "test-inverted",
        lambda: (recipe(), TRAIN, with_images(255 - TEST.images, TEST)),
    ),
    "faint test images": ("test-scale", lambda: (recipe(), TRAIN, with_images(TEST.images // 8, TEST))),
    "one class in five": ("class-imbalance", imbalanced),
    "blank images": ("constant-images", blank),
    "ten to validate on": ("validation-small", on_slants(recipe(data__validation=0.01))),
}


@pytest.mark.parametrize("name", BROKEN)
def test_each_broken_case_gets_its_diagnosis(name: str) -> None:
    code, make = BROKEN[name]
    diagnosis = examine(make())
    assert diagnosis.codes and diagnosis.codes[0] == code, diagnosis.codes
    found = diagnosis.findings[0]
    assert found.title and any(letter.isdigit() for letter in found.seen) and found.why and found.remedy


def test_classes_that_augmentation_turns_into_others_are_named() -> None:
    """A slant of 36 degrees more is the next class of five, one of the other way that of a mirror."""
    diagnosis = examine((recipe("linear 64", "relu", augmentation__rotation=45.0), TRAIN, TEST))
    found = next(finding for finding in diagnosis.findings if finding.code == "augmentation-class")
    assert "slant 0 as slant 1 (turned by 30 degrees)" in found.seen or "slant 1 as slant 2" in found.seen
    assert "augmentation.rotation" in found.remedy


def test_classes_that_a_mirror_turns_into_others_are_named() -> None:
    made = recipe("linear 64", "relu", augmentation__flip=0.5)
    examination = Examination(prepare_recipe(made, TRAIN, TEST, engine="numpy", seed=0))
    check_changed_classes(examination)
    (found,) = examination.findings
    assert "slant 1 as slant 4 (mirrored)" in found.seen and "slant 0" not in found.seen


CONV = (
    "pixel-unshuffle 2",
    "conv 12 3x3 padding same no-bias",
    "batch-norm",
    "relu",
    "max-pool 2",
    "flatten",
)
RESIDUAL = {"residual": ["linear 32", "batch-norm", "relu", "linear 32"]}
TEN = shapes(1800, 3, side=28, classes=10), shapes(400, 4, side=28, classes=10)
TWO = shapes(600, 5, classes=2), shapes(200, 6, classes=2)
FEW = shapes(400, 7), shapes(100, 8)


SOUND: dict[str, tuple[str, Callable[[], Case]]] = {
    "one hidden layer": ("numpy", on_slants(recipe())),
    "one hidden layer, PyTorch": ("torch", on_slants(recipe())),
    "softmax regression": ("numpy", on_slants(bare("flatten", **sgd(0.05)))),
    "full batch": (
        "numpy",
        on_slants(bare("flatten", training__batch_size=0, training__epochs=200, **sgd(0.1))),
    ),
    "convolution": ("numpy", on_slants(bare(*CONV, network__initialise="torch"))),
    "convolution, PyTorch": ("torch", on_slants(bare(*CONV, network__initialise="kaiming"))),
    "residual": ("numpy", on_slants(recipe("linear 32", "relu", RESIDUAL, "relu"))),
    "tanh": ("numpy", on_slants(recipe("linear 32", "tanh", network__initialise="xavier"))),
    "sigmoid": (
        "numpy",
        on_slants(
            recipe("linear 32", "sigmoid", network__initialise="xavier", optimiser__learning_rate=0.01)
        ),
    ),
    "squared error": (
        "numpy",
        on_slants(recipe(loss__name="mean-squared-error", network__initialise="torch")),
    ),
    "smoothed labels": ("numpy", on_slants(recipe(loss__label_smoothing=0.1))),
    "light dropout": ("numpy", on_slants(recipe("linear 64", "relu", "dropout 0.2"))),
    "light augmentation": ("numpy", on_slants(recipe(augmentation__rotation=5.0, augmentation__shift=1.0))),
    "light weight decay": ("numpy", on_slants(recipe(optimiser__name="adamw", optimiser__weight_decay=0.01))),
    "descent with momentum": ("numpy", on_slants(recipe(**sgd(0.03)))),
    "ten classes of 28 x 28": ("numpy", lambda: (recipe("linear 64", "relu", "linear 32", "relu"), *TEN)),
    "two classes": ("numpy", lambda: (recipe(), *TWO)),
    "few images": ("numpy", lambda: (recipe(data__validation=0.3), *FEW)),
    "mlp-small": ("numpy", lambda: (get_recipe("mlp-small"), *TEN)),
    "sigmoid-500, fixed": ("numpy", lambda: (get_recipe("sigmoid-500"), *TEN)),
}


@pytest.mark.parametrize("name", SOUND)
def test_sound_cases_get_none(name: str) -> None:
    engine, make = SOUND[name]
    if engine == "torch":
        pytest.importorskip("torch")
    diagnosis = examine(make(), engine)
    assert diagnosis.codes == [] and diagnosis.healthy and not diagnosis.changes
    assert diagnosis.engine == engine and all(
        check.passed for check in diagnosis.checks if "validate" not in check.name
    )
