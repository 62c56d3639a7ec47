"""A run's history: plateau against over-fitting, and what was claimed of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tenfold.doctor.checks_start import guessing_loss
from tenfold.doctor.examination import Examination
from tenfold.metrics import wilson_interval
from tenfold.training.history import EpochRecord

__all__ = ["check_claim", "check_history"]

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
        examination.found(
            "not-finite", "fault", "the training loss is NaN or infinite", expected="a number in each epoch",
            changes={"optimiser.clip_norm": 1.0},
        )  # fmt: skip
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
    if poor and (last > _GROWN * losses[lowest] or above):
        changes = {"optimiser.learning_rate": float(f"{examination.recipe.optimiser.learning_rate / 10:.2g}")}
        if any(finding.severity == "fault" for finding in examination.findings):
            changes = {}  # what was found before is the cause
        examination.found("diverged", "fault", seen, expected=expected, changes=changes)
        return True
    examination.passed("training loss from the first epoch to the last", seen, expected)
    return False


def _check_over_fitting(examination: Examination, history: Sequence[EpochRecord], losses: np.ndarray) -> None:
    best = int(losses.argmin())
    seen = (
        f"validation loss {losses[best]:.4g} at epoch {best + 1}, {losses[-1]:.4g} at the end; training loss "
        f"{history[best].train_loss:.4g}, then {history[-1].train_loss:.4g}"
    )
    expected = f"at the end at most {_RISEN:g} times the lowest"
    if losses[-1] > _RISEN * losses[best] and history[-1].train_loss < history[best].train_loss:
        if examination.under_test.recipe.training.patience:
            examination.passed("validation loss against training loss", seen, "the best weights are kept")
            return
        changes = {"training.patience": max(3, len(history) // 10)}
        examination.found("over-fitting", "warning", seen, expected=expected, changes=changes)
        return
    examination.passed("validation loss against training loss", seen, expected)
    tenth = max(1, len(losses) // 10)
    if losses[-1] < (1 - _FALLING) * losses[-1 - tenth] and best == len(losses) - 1:
        examination.found(
            "unfinished", "note",
            f"validation loss {losses[-1 - tenth]:.4g}, {tenth} epochs later {losses[-1]:.4g}",
            expected="a loss that has settled", changes={"training.epochs": 2 * len(history)},
        )  # fmt: skip


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
    if fallen < _STILL and last.train_accuracy < _POOR:
        examination.found("plateau", "warning", seen, expected=expected)
    else:
        examination.passed("progress of the training loss", seen, expected)


def check_claim(examination: Examination, right: int, total: int) -> None:
    """The accuracy that the recipe names, against what its run reached on the test images."""
    claimed = examination.under_test.recipe.published.test_accuracy
    if claimed is None or not total:
        return
    low, high = wilson_interval(right, total)
    reached = f"{right / total:.2%} (95 % interval {low:.2%} to {high:.2%})"
    seen = f"{claimed:.2%} is claimed; the run reached {reached}"
    expected = "a claim that the interval allows"
    if claimed > high:
        examination.found("claim", "warning", seen, expected=expected)
    else:
        examination.passed("accuracy that is claimed", seen, expected)
