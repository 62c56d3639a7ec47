"""Mistakes that raise no error: nineteen of them are named first, and sound set-ups get no finding."""

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
from tenfold.doctor.checks_data import check_data
from tenfold.doctor.checks_design import check_design, check_start
from tenfold.doctor.checks_learning import check_history
from tenfold.doctor.checks_sets import share_of_wraps
from tenfold.doctor.checks_step import check_inputs, check_loss, check_step
from tenfold.doctor.diagnosis import Examination, prepare_recipe
from tenfold.recipes.load import change_recipe, get_recipe, list_recipes
from tenfold.recipes.schema import EnsembleSettings
from tenfold.training.progress import EpochRecord

SORTED = TRAIN.subset(np.argsort(TRAIN.labels, kind="stable"))


def relabelled(data: ImageDataset, share: float) -> ImageDataset:
    """`share` of the labels are drawn anew."""
    rng = np.random.default_rng(9)
    drawn = rng.integers(0, 5, len(data))
    return replace(data, labels=np.where(rng.random(len(data)) < share, drawn, data.labels))


def brightened(data: ImageDataset, times: int) -> ImageDataset:
    """In eight bits, as NumPy multiplies."""
    return with_images(data.images * np.uint8(times), data)


def with_test(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[], Case]:
    return lambda: (recipe(), TRAIN, with_images(change(TEST.images), TEST))


def with_test_labels(labels: np.ndarray) -> Callable[[], Case]:
    return lambda: (recipe(), TRAIN, replace(TEST, labels=labels))


CUT = recipe(network__layers=["flatten", "linear 32", "relu", "linear classes", "relu"])
HEAD_FROZEN = recipe(optimiser__groups=[{"match": "linear2", "factor": 0.0}])

BLIND: dict[str, tuple[str, Callable[[], Case]]] = {
    "milestones counted in epochs": (
        "schedule-early",
        on_slants(
            recipe(schedule__name="step", schedule__milestones=[1, 2, 3], schedule__gamma=0.001),
        ),
    ),
    "warm-up that never ends": (
        "schedule-late",
        on_slants(recipe(schedule__name="cosine", schedule__warm_up=1.0, training__epochs=1)),
    ),
    "momentum 0.999": ("momentum-long", on_slants(recipe(**sgd(0.05, optimiser__momentum=0.999)))),
    "sorted and not shuffled": (
        "order-sorted",
        lambda: (recipe(training__shuffle=False), SORTED, TEST),
    ),
    "shuffled test labels": (
        "test-labels",
        with_test_labels(np.random.default_rng(8).permutation(TEST.labels)),
    ),
    "two labels in five wrong": ("labels-noisy", lambda: (recipe(), relabelled(TRAIN, 0.5), TEST)),
    "pixels that overflow": ("pixels-wrapped", lambda: (recipe(), brightened(TRAIN, 3), brightened(TEST, 3))),
    "batch norm of one image": (
        "batch-norm-few",
        on_slants(recipe("linear 32", "batch-norm", "relu", training__batch_size=1)),
    ),
    "ReLU after the scores": ("output-cut", on_slants(CUT)),
    "two units in the middle": ("bottleneck", on_slants(recipe("linear 32", "relu", "linear 2", "relu"))),
    "a preset's rate times 100": ("rate-too-large", on_slants(recipe(optimiser__learning_rate=0.3))),
    "test images transposed": ("test-turned", with_test(lambda images: images.transpose(0, 2, 1))),
    "test images brighter": ("test-scale", with_test(lambda images: np.minimum(images, 155) + 100)),
    "test classes exchanged": ("test-renamed", with_test_labels(np.array([0, 2, 1, 3, 4])[TEST.labels])),
    "training images twice": (
        "validation-leak",
        lambda: (recipe(), TRAIN.subset(np.r_[:1000, :500]), TEST),
    ),
    "a batch of all images": (
        "steps-few",
        on_slants(recipe(training__batch_size=100_000, training__epochs=2)),
    ),
    "last layer frozen": ("weights-frozen", on_slants(HEAD_FROZEN)),
    "clipped to nothing": ("clipping-strong", on_slants(recipe(**sgd(0.03, optimiser__clip_norm=1e-6)))),
    "labels smoothed away": ("smoothing-strong", on_slants(recipe(loss__label_smoothing=0.99))),
}


@pytest.mark.parametrize("name", BLIND)
def test_the_right_fault_comes_first(name: str) -> None:
    code, make = BLIND[name]
    diagnosis = examine(make())
    assert diagnosis.codes and diagnosis.codes[0] == code, diagnosis.codes
    found = diagnosis.findings[0]
    assert found.severity == "fault" and not diagnosis.healthy
    assert found.title and any(letter.isdigit() for letter in found.seen) and found.why and found.remedy


SMALL = shapes(900, 11, side=20), shapes(200, 12, side=20)
FINE = {
    "one image per step": recipe(training__batch_size=1, optimiser__learning_rate=0.01, **SGD),
    "milestones as shares": recipe(schedule__name="step", schedule__milestones=[0.5, 0.75]),
    "a fifth to warm up": recipe(schedule__name="cosine", schedule__warm_up=0.2),
    "tanh for squared error": recipe(
        network__layers=["flatten", "linear 32", "relu", "linear classes", "tanh"],
        loss__name="mean-squared-error",
    ),
    "batches of eight with batch norm": recipe("linear 32", "batch-norm", "relu", training__batch_size=8),
    "not shuffled, in a mixed order": recipe(training__shuffle=False),
    "clipped at one": recipe(**sgd(0.03, optimiser__clip_norm=1.0)),
    "softmax regression with momentum": bare("flatten", **sgd(0.02, optimiser__momentum=0.95)),
}


@pytest.mark.parametrize("name", FINE)
def test_sound_set_ups_get_none(name: str) -> None:
    diagnosis = examine((FINE[name], TRAIN, TEST))
    assert diagnosis.codes == [] and diagnosis.healthy


CARRIED = [name for name in list_recipes() if "published" not in name]


@pytest.mark.parametrize("name", CARRIED)
def test_carried_recipes_get_none(name: str) -> None:
    """Of networks with convolutions what needs no training; benchmarks/doctor.py examines them whole. The
    thirtieth that some of them hold out would be too few of these images."""
    given = get_recipe(name)
    if not any("conv" in str(line) for line in given.network.layers):
        assert examine((given, *SMALL)).codes == []
        return
    single = change_recipe(given, {"ensemble": EnsembleSettings().model_dump(), "data.validation": 0.2})
    examination = Examination(prepare_recipe(single, *SMALL, engine="numpy", seed=0))
    for check in (check_data, check_design, check_inputs, check_loss, check_step, check_start):
        check(examination)
    assert not {"fault", "warning"} & {finding.severity for finding in examination.findings}


def test_overflow_is_told_from_edges_and_noise() -> None:
    """Sharp edges, single bright pixels and noise are not overflow; products and sums in eight bits are."""
    smooth = TRAIN.images[:200]
    noise = np.random.default_rng(1).integers(-40, 40, smooth.shape)
    sound = [
        smooth,
        255 - smooth,
        np.where(smooth > 100, np.uint8(255), np.uint8(0)),
        np.clip(smooth + noise, 0, 255).astype(np.uint8),
        np.clip(3 * smooth.astype(int), 0, 255).astype(np.uint8),
    ]
    assert max(map(share_of_wraps, sound)) < 0.03
    wrapped = [smooth * np.uint8(2), smooth * np.uint8(5), smooth + np.uint8(100), smooth - np.uint8(60)]
    assert min(map(share_of_wraps, wrapped)) > 0.1


def history(*losses: float, accuracy: float = 0.3) -> list[EpochRecord]:
    return [
        EpochRecord(number + 1, loss, accuracy, None, None, 0.1, 1.0, 10)
        for number, loss in enumerate(losses)
    ]


@pytest.mark.parametrize(
    "losses", [(2.0, 1.2, 1.5, 1.7, 2.0, 3.4), (5.0,), (1.7, 1.8, 1.9)], ids=["rose", "one epoch", "three"]
)
def test_a_diverged_run_is_called_so(losses: tuple[float, ...], blobs: ImageDataset) -> None:
    """ln 3 = 1.0986 is the loss of guessing here; a loss that rises is never said to fall."""
    examination = Examination(prepare_recipe(get_recipe("softmax-sgd"), blobs, None, engine="numpy", seed=0))
    check_history(examination, history(*losses))
    (finding,) = examination.findings
    assert finding.code == "diverged" and finding.severity == "fault"
    assert f"{losses[-1]:.4g} in epoch {len(losses)}" in finding.seen and "-" not in finding.seen


def test_a_plateau_that_rises_a_little_does_not_fall(blobs: ImageDataset) -> None:
    examination = Examination(prepare_recipe(get_recipe("softmax-sgd"), blobs, None, engine="numpy", seed=0))
    check_history(examination, history(0.9, 0.8, 0.7, 0.7, 0.7, 0.705))
    (finding,) = examination.findings
    assert finding.code == "plateau" and "rose by 0.7%" in finding.seen
