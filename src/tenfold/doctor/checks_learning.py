"""Short trainings: does it learn, from the images, at this rate, and does anything hold it back?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tenfold.arrays import ImageDataset
from tenfold.doctor.checks_data import best_shift
from tenfold.doctor.diagnosis import LayerReading, RangeTest, Severity
from tenfold.doctor.examination import Examination
from tenfold.doctor.range_test import find_rate, range_test
from tenfold.doctor.trials import Trial, overfit_batch, run_trial, without_dropout, without_regularisers
from tenfold.recipes.load import change_recipe
from tenfold.recipes.schema import Recipe
from tenfold.settings import AugmentationSettings

__all__ = [
    "check_black_images",
    "check_dead",
    "check_labels",
    "check_overfit",
    "check_rate",
    "check_restraints",
]

_GAP = 0.15  # of the accuracy on images held out: what a better rate must gain to be worth a word
# Where accuracies are alike, a rate this many times that of the fastest fall, with so much more loss. In few
# small batches a sound rate of one-cycle may lie ten times above.
_FAR, _WORSE = 30.0, 1.5
_PATIENCE = 3.0  # times the way that a trial at the good rate goes: what a small rate may take longer
_HELD_BACK = 0.15  # of the accuracy on the training images
_DEAD, _MOSTLY_DEAD = 0.5, 0.9  # of a layer's ReLUs
_LEARNED = 0.9  # of sixteen images
_ALIKE = 0.1  # of the loss


def check_rate(examination: Examination, trial: Trial) -> tuple[RangeTest, Trial]:
    """The range test's rate against the recipe's, both tried out; the trial of the better one.

    A small rate is no fault in itself, if there are steps enough: what counts is rate times steps.
    """
    patient, recipe = examination.patient, examination.recipe
    test = range_test(patient, recipe)
    rival = change_recipe(recipe, {"optimiser.learning_rate": float(f"{test.best:.2g}")})
    other = run_trial(patient, rival)
    used = recipe.optimiser.learning_rate
    gain = other.held_accuracy - trial.held_accuracy
    way, good_way = used * patient.planned_steps(recipe), test.best * patient.sizing.steps
    small = test.best > 3 * used and way < _PATIENCE * good_way
    large = test.best < used / 3 or (test.best < used and not trial.finite)
    better = gain >= _GAP or (used > _FAR * test.best and trial.last_loss > _WORSE * other.last_loss)
    seen = (
        f"{used:.2g}; the loss falls fastest at {test.best:.2g}. After {patient.sizing.steps} steps the one "
        f"reads {trial.held_accuracy:.0%} of images held out (loss {trial.last_loss:.3g}), the other "
        f"{other.held_accuracy:.0%} ({other.last_loss:.3g})"
    )
    expected = "a rate that learns about as well as that of the range test"
    if not (better and (small or large)):
        examination.passed("learning rate", seen, expected)
        return test, trial if trial.held_accuracy >= other.held_accuracy else other
    if not trial.finite:
        seen += f". The loss was no number after step {len(trial.losses)}"
    changes = _good_habits(recipe)
    better_recipe = change_recipe(recipe, changes)
    found, best = find_rate(patient, better_recipe, range_test(patient, better_recipe))
    changes["optimiser.learning_rate"] = found.optimiser.learning_rate
    code = "rate-too-large" if large else "rate-too-small"
    examination.found(code, "fault", seen, expected=expected, changes=changes)
    return replace(test, used=used), best


def _good_habits(recipe: Recipe) -> dict[str, Any]:
    """What belongs to a rate that is chosen anew: it falls to 0, and plain descent gets momentum."""
    changes: dict[str, Any] = {}
    if recipe.optimiser.name == "sgd" and not recipe.optimiser.momentum:
        changes |= {"optimiser.momentum": 0.9, "optimiser.nesterov": True}
    if recipe.schedule.name in ("constant", "step"):
        changes |= {"schedule.name": "cosine", "schedule.milestones": []}
    return changes


def check_dead(examination: Examination, readings: tuple[LayerReading, ...]) -> None:
    layers = [reading for reading in readings if reading.kind == "relu"]
    if not layers:
        return
    worst = max(layers, key=lambda reading: reading.dead)
    seen = f"{worst.dead:.0%} of {worst.name} is 0 for every image"
    expected = f"at most {_DEAD:.0%}"
    if worst.dead > _DEAD:
        severity: Severity = "fault" if worst.dead > _MOSTLY_DEAD else "warning"
        changes = {"network.initialise": "kaiming"}
        examination.found("dead-relu", severity, seen, expected=expected, changes=changes, layer=worst.name)
    else:
        examination.passed("ReLUs that never fire", seen, expected)


def check_overfit(examination: Examination) -> bool:
    """Whether sixteen images can be learned by heart; a finding only where nothing else explains it."""
    right, loss = overfit_batch(examination.patient, examination.recipe)
    seen = f"{right:.0%} right, loss {loss:.3g}"
    expected = f"at least {_LEARNED:.0%} right"
    if right >= _LEARNED:
        examination.passed("sixteen images learned by heart", seen, expected)
    elif not examination.faulty:
        examination.found("cannot-overfit", "fault", seen, expected=expected)
    return right >= _LEARNED


def check_labels(examination: Examination, trial: Trial, *, capable: bool) -> None:
    """The same training with the labels in a random order: what is learned from true labels must be more.

    And the test images' labels, read by what was learned from the training images: a constant shift is one
    of numbering. Their accuracy is not looked at.
    """
    patient = examination.patient
    train = patient.train
    rng = np.random.default_rng([patient.seed, *b"shuffled"])
    shuffled = ImageDataset(train.images, rng.permutation(train.labels), train.class_names)
    other = run_trial(patient, trial.recipe, train=shuffled)
    guess = _guessing(examination)
    seen = (
        f"loss {trial.last_loss:.3g} with the true labels, {other.last_loss:.3g} with shuffled ones; "
        f"{trial.held_accuracy:.0%} of images held out are read, by chance it would be {guess:.0%}"
    )
    expected = "a lower loss with the true ones"
    alike = trial.last_loss > (1 - _ALIKE) * other.last_loss
    if capable and alike and trial.held_accuracy < _lucky(guess, len(patient.held)):
        examination.found("labels-random", "fault", seen, expected=expected)
        return
    if not alike or trial.held_accuracy >= _lucky(guess, len(patient.held)):
        examination.passed("true labels against shuffled ones", seen, expected)
        _check_test_labels(examination, trial)


def _check_test_labels(examination: Examination, trial: Trial) -> None:
    test = examination.patient.test
    if test is None or test.image_shape != examination.patient.train.image_shape:
        return
    if test.class_names != examination.patient.train.class_names:
        return
    few = test.subset(np.random.default_rng(examination.patient.seed).permutation(len(test))[:500])
    answers = trial.engine.logits(few.images).argmax(axis=1)
    shift, share = best_shift(answers, few.labels, len(few.class_names))
    expected = "no shift"
    if shift and share > 0.5 and len(few.class_names) > 2:
        seen = f"{share:.0%} of the test labels are what the network answers, shifted by {shift}"
        examination.found("labels-shifted", "fault", seen, expected=expected, part="test", shift=str(shift))
    else:
        examination.passed(
            "numbering of the test labels", f"shift {shift}" if shift else "no shift", expected
        )


def check_restraints(examination: Examination, trial: Trial) -> Trial:
    """The trial to go on with. Without dropout, augmentation and weight decay the same steps must not learn
    much more of the training images; where they do, each of the three is left out by itself."""
    patient, recipe = examination.patient, trial.recipe
    free = without_regularisers(recipe)
    if free == recipe:
        return trial
    most = run_trial(patient, free).train_accuracy
    own = trial.train_accuracy
    seen = f"{own:.0%} of the training images are learned with it, {most:.0%} without"
    expected = f"a loss of at most {_HELD_BACK:.0%}"
    if most - own < _HELD_BACK:
        examination.passed("what dropout, augmentation and weight decay cost", seen, expected)
        return trial
    for code, changes in _restraints(recipe).items():
        alone = run_trial(patient, change_recipe(recipe, changes)).train_accuracy
        if alone - own >= _HELD_BACK / 2:
            seen = f"{own:.0%} of the training images are learned with it, {alone:.0%} without"
            examination.found(code, "warning", seen, expected=expected, changes=changes)
    return trial if examination.recipe == recipe else run_trial(patient, examination.recipe)


def _restraints(recipe: Recipe) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    layers = without_dropout(recipe.network.layers)
    if layers != list(recipe.network.layers):
        found["dropout-strong"] = {"network.layers": layers}
    if recipe.augmentation.active:
        found["augmentation-strong"] = {"augmentation": AugmentationSettings().model_dump()}
    if recipe.optimiser.weight_decay:
        found["decay-strong"] = {"optimiser.weight_decay": recipe.optimiser.weight_decay / 100}
    return found


def check_black_images(examination: Examination, trial: Trial) -> None:
    """The input-independent baseline: black images, the same labels."""
    patient = examination.patient
    train = patient.train
    black = ImageDataset(np.zeros_like(train.images), train.labels, train.class_names)
    other = run_trial(patient, trial.recipe, train=black)
    guess = _guessing(examination)
    seen = f"loss {trial.last_loss:.3g} with the images, {other.last_loss:.3g} with black ones"
    expected = "a lower loss with the images"
    if trial.last_loss < 0.97 * other.last_loss or trial.held_accuracy > _lucky(guess, len(patient.held)):
        examination.passed("true images against black ones", seen, expected)
    elif not examination.faulty:
        examination.found("ignores-input", "fault", seen, expected=expected)


def _guessing(examination: Examination) -> float:
    """The accuracy of always answering with the most frequent class."""
    counts = examination.patient.held.class_counts()
    return float(counts.max() / counts.sum())


def _lucky(guess: float, images: int) -> float:
    """What guessing does not reach: three standard deviations above it."""
    return guess + 3 * float(np.sqrt(guess * (1 - guess) / images)) + 0.03
