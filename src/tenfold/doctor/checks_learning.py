"""Short trainings: does it learn, from the images, at this rate, and does anything hold it back?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tenfold.arrays import ImageDataset
from tenfold.augmentation import AugmentationDraws
from tenfold.doctor.checks_design import guessing_loss
from tenfold.doctor.diagnosis import Examination, LayerReading, RangeTest, RecipeUnderTest, Severity
from tenfold.doctor.trials import (
    Trial,
    find_rate,
    guessing,
    lucky,
    overfit_batch,
    range_test,
    run_trial,
    without_regularisers,
)
from tenfold.numerics import softmax, wilson_interval
from tenfold.recipes.load import change_recipe
from tenfold.recipes.schema import Recipe
from tenfold.settings import AugmentationSettings
from tenfold.training.progress import EpochRecord

_GAP = 0.15  # of the accuracy on images held out: what a better rate must gain to be worth a word
# Where accuracies are alike, a rate this many times that of the fastest fall, with so much more loss. In few
# small batches a sound rate of one-cycle may lie ten times above.
_FAR, _WORSE = 30.0, 1.5
_PATIENCE = 3.0  # times the way that a trial at the good rate goes: what a small rate may take longer
_MORE_STEPS = 0.25  # of the accuracy on images held out
_LARGE_BATCH = 256  # images
_HEAVY, _UNUSUAL = 0.05, 0.5  # weight decay
_TIGHT = 0.1  # norm of a gradient; that of a sound network is about 1 at the start
_HELD_BACK = 0.15  # of the accuracy on the training images
_DEAD, _MOSTLY_DEAD = 0.5, 0.9  # of a layer's ReLUs
_LEARNED = 0.9  # of sixteen images
_ALIKE = 0.1  # of the loss
_KNOWN, _UNSURE = 0.7, 0.1  # of the images held out: read; less sure than changed images have to be
_BECOME, _OF_A_CLASS = 0.5, 5  # of a class's images, and how many those are
_TURN = 30  # degrees: less makes no class another


def check_steps(examination: Examination, trial: Trial) -> Trial:
    """Where the training takes fewer steps than a trial, a trial of as many: what more steps gain. Returns
    the trial to continue with, of as many steps as trials have."""
    under_test, recipe = examination.under_test, examination.recipe
    planned, most = under_test.planned_steps(recipe), len(trial.losses)
    if planned >= under_test.sizing.steps or not trial.finite:
        return trial
    short = run_trial(under_test, recipe, steps=planned)
    gain = trial.held_accuracy - short.held_accuracy
    seen = (
        f"{planned} steps of {under_test.batch_size(recipe):,} images in {recipe.training.epochs} epochs. "
        f"After as many {short.held_accuracy:.0%} of images held out are read, after {most} steps "
        f"{trial.held_accuracy:.0%}"
    )
    expected = f"a gain of at most {_MORE_STEPS:.0%} from more steps"
    changes: dict[str, Any] = {"training.min_steps": 5 * under_test.sizing.steps, "training.steps": 0}
    if under_test.batch_size(recipe) > _LARGE_BATCH:
        changes["training.batch_size"] = 64
    examination.judge("steps-few", seen, expected, changes, fault=gain >= _MORE_STEPS)
    return trial


def check_rate(examination: Examination, trial: Trial) -> tuple[RangeTest, Trial]:
    """The range test's rate against the recipe's, both tried out; the trial of the better one.

    A small rate is not a fault in itself, if there are steps enough: what counts is rate times steps.
    """
    under_test, recipe = examination.under_test, examination.recipe
    test = range_test(under_test, recipe)
    rival = change_recipe(recipe, {"optimiser.learning_rate": float(f"{test.best:.2g}")})
    other = run_trial(under_test, rival)
    used = recipe.optimiser.learning_rate
    gain = other.held_accuracy - trial.held_accuracy
    way, good_way = used * under_test.planned_steps(recipe), test.best * under_test.sizing.steps
    small = test.best > 3 * used and way < _PATIENCE * good_way
    large = test.best < used / 3 or (test.best < used and not trial.finite)
    better = gain >= _GAP or (used > _FAR * test.best and trial.last_loss > _WORSE * other.last_loss)
    seen = (
        f"{used:.2g}; the loss falls fastest at {test.best:.2g}. After {under_test.sizing.steps} steps the "
        f"one reads {trial.held_accuracy:.0%} of images held out (loss {trial.last_loss:.3g}), the other "
        f"{other.held_accuracy:.0%} ({other.last_loss:.3g})"
    )
    expected = "a rate that learns about as well as that of the range test"
    if not (better and (small or large)):
        examination.passed("learning rate", seen, expected)
        return test, trial if trial.held_accuracy >= other.held_accuracy else other
    if not trial.finite:
        seen += f". The loss was NaN or infinite after step {len(trial.losses)}"
    changes = _good_habits(recipe)
    better_recipe = change_recipe(recipe, changes)
    best = find_rate(under_test, better_recipe, range_test(under_test, better_recipe))
    changes["optimiser.learning_rate"] = best.recipe.optimiser.learning_rate
    code = "rate-too-large" if large else "rate-too-small"
    examination.found(code, "fault", seen, expected, changes)
    return test, best


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
    examination.judge(
        "dead-relu", seen, f"at most {_DEAD:.0%}", {"network.initialise": "kaiming"},
        fault=worst.dead > _MOSTLY_DEAD, warning=worst.dead > _DEAD, layer=worst.name,
    )  # fmt: skip


def check_overfit(examination: Examination) -> bool:
    """Whether sixteen images can be memorised; a finding only where nothing else explains it."""
    right, loss = overfit_batch(examination.under_test, examination.recipe)
    seen = f"{right:.0%} right, loss {loss:.3g}"
    expected = f"at least {_LEARNED:.0%} right"
    if right >= _LEARNED or not (examination.faulty or _overfit_slowly(examination, right)):
        examination.judge("cannot-overfit", seen, expected, fault=right < _LEARNED)
    return right >= _LEARNED


def _overfit_slowly(examination: Examination, right: float) -> bool:
    """Whether a much smaller rate memorises them: then the rate is at fault, not the network."""
    rate = float(f"{examination.recipe.optimiser.learning_rate / _FAR:.2g}")
    changes = {"optimiser.learning_rate": rate}
    slowly, _ = overfit_batch(examination.under_test, change_recipe(examination.recipe, changes))
    if slowly < _LEARNED:
        return False
    used = examination.recipe.optimiser.learning_rate
    seen = f"{used:.2g} memorises {right:.0%} of sixteen images, {rate:.2g} {slowly:.0%}"
    expected = f"at least {_LEARNED:.0%}"
    examination.found("rate-too-large", "fault", seen, expected, changes)
    return True


def check_labels(examination: Examination, trial: Trial, *, capable: bool) -> None:
    """The same training with the labels in a random order: what is learned from true labels must be more."""
    under_test = examination.under_test
    train = under_test.train
    rng = np.random.default_rng([under_test.seed, *b"shuffled"])
    shuffled = ImageDataset(train.images, rng.permutation(train.labels), train.class_names)
    other = run_trial(under_test, trial.recipe, train=shuffled)
    guess = guessing(under_test.held.labels)
    seen = (
        f"loss {trial.last_loss:.3g} with the true labels, {other.last_loss:.3g} with shuffled ones; "
        f"{trial.held_accuracy:.0%} of images held out are read, by chance it would be {guess:.0%}"
    )
    expected = "a lower loss with the true ones"
    alike = trial.last_loss > (1 - _ALIKE) * other.last_loss
    alike = alike and trial.held_accuracy < lucky(guess, len(under_test.held))
    if capable or not alike:
        examination.judge("labels-random", seen, expected, fault=alike)


def check_regularisers(examination: Examination, trial: Trial) -> Trial:
    """The trial to continue with. Without dropout, augmentation, smoothed labels, weight decay and tight
    clipping the same steps must not learn much more of the training images; where they do, each is left out
    by itself."""
    under_test, recipe = examination.under_test, trial.recipe
    free = change_recipe(without_regularisers(recipe), {"loss.label_smoothing": 0.0})
    if 0 < recipe.optimiser.clip_norm < _TIGHT:
        free = change_recipe(free, {"optimiser.clip_norm": 1.0})
    if free == recipe:
        return trial
    most = run_trial(under_test, free).train_accuracy
    own = trial.train_accuracy
    seen = f"{own:.0%} of the training images are learned with it, {most:.0%} without"
    expected = f"a loss of at most {_HELD_BACK:.0%}"
    if _check_decay(examination, trial):
        return run_trial(under_test, examination.recipe)
    if most - own < _HELD_BACK:
        examination.passed("what dropout, augmentation, clipping and weight decay cost", seen, expected)
        return trial
    for code, changes in _regularisers(recipe).items():
        alone = run_trial(under_test, change_recipe(recipe, changes)).train_accuracy
        if alone - own >= _HELD_BACK / 2:
            seen = f"{own:.0%} of the training images are learned with it, {alone:.0%} without"
            severity: Severity = "fault" if alone - own >= 2 * _HELD_BACK else "warning"
            examination.found(code, severity, seen, expected, changes)
    return trial if examination.recipe == recipe else run_trial(under_test, examination.recipe)


def _check_decay(examination: Examination, trial: Trial) -> bool:
    """Decay that is far above what is usual, judged by the loss: small weights may still answer rightly, with
    hardly any difference between the scores."""
    decay = trial.recipe.optimiser.weight_decay
    if decay < _HEAVY:
        return False
    changes = {"optimiser.weight_decay": decay / 100}
    other = run_trial(examination.under_test, change_recipe(trial.recipe, changes))
    seen = (
        f"{decay:g}: the loss ends at {trial.last_loss:.3g}, with a hundredth of it at {other.last_loss:.3g}"
    )
    grave = trial.last_loss > 2 * other.last_loss
    if grave or decay >= _UNUSUAL:
        expected = f"less than {_HEAVY:g}, or a loss that is not twice as high"
        return examination.judge("decay-strong", seen, expected, changes, fault=grave, warning=True)
    return False


def _regularisers(recipe: Recipe) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    if "dropout" in recipe.kinds:
        found["dropout-strong"] = {"network.layers": list(recipe.without_dropout().network.layers)}
    if recipe.augmentation.active:
        found["augmentation-strong"] = {"augmentation": AugmentationSettings().model_dump()}
    if 0 < recipe.optimiser.clip_norm < _TIGHT:
        found["clipping-strong"] = {"optimiser.clip_norm": 1.0}
    if recipe.loss.label_smoothing:
        found["smoothing-strong"] = {"loss.label_smoothing": 0.0}
    if recipe.optimiser.weight_decay:
        found["decay-strong"] = {"optimiser.weight_decay": recipe.optimiser.weight_decay / 100}
    return found


def check_black_images(examination: Examination, trial: Trial) -> None:
    """The input-independent baseline: black images, the same labels."""
    under_test = examination.under_test
    train = under_test.train
    black = ImageDataset(np.zeros_like(train.images), train.labels, train.class_names)
    other = run_trial(under_test, trial.recipe, train=black)
    guess = guessing(under_test.held.labels)
    seen = f"loss {trial.last_loss:.3g} with the images, {other.last_loss:.3g} with black ones"
    lower = trial.last_loss < 0.97 * other.last_loss
    better = lower or trial.held_accuracy > lucky(guess, len(under_test.held))
    if better or not examination.faulty:
        examination.judge("ignores-input", seen, "a lower loss with the images", fault=not better)


def check_changed_classes(examination: Examination) -> None:
    """Classes that augmentation turns into others, as a half turn does 6 and 9: a network that has seen no
    augmented image answers those of the images held out, changed as far as the recipe may, as another class.
    """
    under_test, recipe = examination.under_test, examination.recipe
    settings = under_test.recipe.augmentation
    flips, furthest = settings.flip > 0, settings.rotation
    if not flips and furthest < _TURN:
        return
    trial = run_trial(under_test, without_regularisers(recipe))
    if trial.held_accuracy < _KNOWN:
        return
    images = under_test.held.images
    found: dict[str, str] = {}
    changes: dict[str, Any] = {}
    if flips and (pairs := _taken_for(under_test, trial, images[:, :, ::-1])):
        found |= dict.fromkeys(pairs, "mirrored")
        changes["augmentation.flip"] = 0.0
    angles = [*range(_TURN, int(furthest), _TURN), *([furthest] if furthest >= _TURN else [])]
    for angle in (way * each for each in angles for way in (1, -1)):
        for pair in _taken_for(under_test, trial, _turn(images, angle)):
            if pair not in found:
                found[pair] = f"turned by {abs(angle):g} degrees"
                changes.setdefault("augmentation.rotation", float(round(abs(angle) / 4)))
    seen = ", ".join(f"{pair} ({how})" for pair, how in [*found.items()][:6])
    seen = f"answered as another class: {seen}" if found else "no class is answered as another"
    examination.judge(
        "augmentation-class", seen, f"at most {_BECOME:.0%} of a class, by a network that saw none changed",
        {} if recipe.augmentation != settings else changes, warning=bool(found),
    )  # fmt: skip


def _taken_for(under_test: RecipeUnderTest, trial: Trial, images: np.ndarray) -> list[str]:
    """ "6 as 9" for each class of which most of these images are answered as one other, about as surely as
    unchanged ones: what looks like no class is answered too. images: uint8, those held out, changed."""
    held, names = under_test.held, under_test.held.class_names
    before, after = (softmax(trial.engine.logits(np.ascontiguousarray(x))) for x in (held.images, images))
    sure = after.max(axis=1) >= np.quantile(before.max(axis=1), _UNSURE)
    pairs = []
    for label, name in enumerate(names):
        own = held.labels == label
        counts = np.bincount(after.argmax(axis=1)[own & sure], minlength=len(names))
        other = int(counts.argmax())
        if other != label and counts[other] > max(_BECOME * own.sum(), _OF_A_CLASS):
            pairs.append(f"{name} as {names[other]}")
    return pairs


def _turn(images: np.ndarray, degrees: float) -> np.ndarray:
    """uint8 (N, H, W), turned about their centre; black comes in."""
    from tenfold.numpy_engine.runtime.batches import augment

    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    affine = np.tile(np.array([[cosine, -sine, 0], [sine, cosine, 0]], np.float32), (len(images), 1, 1))
    return np.rint(augment(images, AugmentationDraws(affine=affine))).astype(np.uint8)


# A run's history: plateau against over-fitting, and what was claimed of it.

_RISEN = 1.2  # times the lowest validation loss
_GROWN = 1.5  # times the lowest training loss
_ABOVE_GUESSING = 1.1  # times
_STILL = 0.02  # of the training loss, over the last third of the epochs
_POOR = 0.9  # of the training images
_FALLING = 0.05  # of the validation loss, over the last tenth of the epochs
_SHORTEST = 5  # epochs that a judgement needs


def check_history(examination: Examination, history: Sequence[EpochRecord]) -> None:
    """One epoch after another, as the run wrote them down."""
    if any(not np.isfinite(record.train_loss) for record in history):
        seen, changes = "the training loss is NaN or infinite", {"optimiser.clip_norm": 1.0}
        examination.found("not-finite", "fault", seen, "a number in each epoch", changes)
        return
    if _check_divergence(examination, history) or len(history) < _SHORTEST:
        return
    _check_plateau(examination, history)
    if all(record.val_loss is not None for record in history):
        _check_over_fitting(examination, history, np.array([record.val_loss for record in history], float))


def _check_divergence(examination: Examination, history: Sequence[EpochRecord]) -> bool:
    """A loss that ended far above its lowest, or above that of guessing without having come down to it."""
    losses = np.array([record.train_loss for record in history], float)
    lowest, last = int(losses.argmin()), losses[-1]
    guess = guessing_loss(examination.under_test)
    seen = (
        f"training loss {losses[0]:.4g} in epoch 1, {losses[lowest]:.4g} in epoch {lowest + 1}, "
        f"{last:.4g} in epoch {len(losses)}; that of guessing is {guess:.4g}"
    )
    expected = f"at the end at most {_GROWN:g} times the lowest, and less than that of guessing"
    poor = history[-1].train_accuracy < _POOR
    from_far = any(finding.code == "start-loss" for finding in examination.findings)
    above = last > _ABOVE_GUESSING * guess and last >= losses[0] and not from_far
    rate = float(f"{examination.recipe.optimiser.learning_rate / 10:.2g}")
    # a fault that was found before is the cause
    changes = {} if examination.faulty else {"optimiser.learning_rate": rate}
    diverged = poor and (last > _GROWN * losses[lowest] or above)
    return examination.judge("diverged", seen, expected, changes, fault=diverged)


def _check_over_fitting(examination: Examination, history: Sequence[EpochRecord], losses: np.ndarray) -> None:
    best = int(losses.argmin())
    seen = (
        f"validation loss {losses[best]:.4g} at epoch {best + 1}, {losses[-1]:.4g} at the end; training loss "
        f"{history[best].train_loss:.4g}, then {history[-1].train_loss:.4g}"
    )
    expected = f"at the end at most {_RISEN:g} times the lowest"
    risen = losses[-1] > _RISEN * losses[best] and history[-1].train_loss < history[best].train_loss
    kept = risen and examination.under_test.recipe.training.patience > 0
    changes = {"training.patience": max(3, len(history) // 10)}
    expected = "the best weights are kept" if kept else expected
    examination.judge("over-fitting", seen, expected, changes, warning=risen and not kept)
    tenth = max(1, len(losses) // 10)
    if not risen and losses[-1] < (1 - _FALLING) * losses[-1 - tenth] and best == len(losses) - 1:
        seen = f"validation loss {losses[-1 - tenth]:.4g}, {tenth} epochs later {losses[-1]:.4g}"
        changes = {"training.epochs": 2 * len(history)}
        examination.found("unfinished", "note", seen, "a loss that has settled", changes)


def _check_plateau(examination: Examination, history: Sequence[EpochRecord]) -> None:
    third = max(2, len(history) // 3)
    before, last = history[-1 - third], history[-1]
    fallen = 1 - last.train_loss / before.train_loss if before.train_loss else 0.0
    moved = f"fell by {fallen:.1%}" if fallen >= 0 else f"rose by {-fallen:.1%}"
    seen = (
        f"over the last {third} epochs the training loss {moved}, to {last.train_loss:.4g}; "
        f"{last.train_accuracy:.0%} of the training images are read"
    )
    expected = f"a loss that falls, or {_POOR:.0%} of the training images"
    still = fallen < _STILL and last.train_accuracy < _POOR
    examination.judge("plateau", seen, expected, warning=still)


def check_claim(examination: Examination, right: int, total: int) -> None:
    """The accuracy that the recipe names, against what its run reached on the test images."""
    claimed = examination.under_test.recipe.published.test_accuracy
    if claimed is None or not total:
        return
    low, high = wilson_interval(right, total)
    reached = f"{right / total:.2%} (95 % interval {low:.2%} to {high:.2%})"
    seen = f"{claimed:.2%} is claimed; the run reached {reached}"
    examination.judge("claim", seen, "a claim that the interval allows", warning=claimed > high)
