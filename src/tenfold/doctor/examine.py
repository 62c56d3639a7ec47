"""`diagnose`: a recipe and its data, examined from the pixels to the last step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.arguments import checked, describe_value
from tenfold.arrays import ImageDataset
from tenfold.data.download import Progress
from tenfold.data.load import load_dataset
from tenfold.doctor.checks_data import check_data
from tenfold.doctor.checks_design import check_design, check_start
from tenfold.doctor.checks_learning import (
    check_black_images,
    check_claim,
    check_dead,
    check_history,
    check_labels,
    check_overfit,
    check_rate,
    check_regularisers,
    check_steps,
)
from tenfold.doctor.checks_sets import best_shift
from tenfold.doctor.checks_step import check_inputs, check_loss, check_step, judge_derivative
from tenfold.doctor.diagnosis import Diagnosis, Examination, Finding, RangeTest, make_finding
from tenfold.doctor.recipe_under_test import prepare_recipe
from tenfold.doctor.trials import Trial, read_layers, run_trial, view_inside
from tenfold.engines.create import choose_engine
from tenfold.errors import UsageError
from tenfold.numerics import softmax as right_softmax
from tenfold.recipes.load import get_recipe
from tenfold.recipes.schema import EnsembleSettings, Recipe
from tenfold.runs.folder import Run, is_run, open_run
from tenfold.runs.run import load_for_run

__all__ = ["check_own_code", "diagnose", "examine_target"]


@checked
def diagnose(
    recipe: Recipe | str | Path,
    dataset: ImageDataset,
    test: ImageDataset | None = None,
    *,
    engine: str = "auto",
    seed: int = 0,
    run: Run | str | Path | None = None,
) -> Diagnosis:
    """Looks for what keeps `recipe` from learning `dataset`, by measuring: the data, one step of the
    network, its start, and short trainings on a part of the images (at most 2,000 and some 80 steps).

    test: test images, whose pixels and labels are compared with those of the training images (by the most
    similar training images, never by the network), so that no score of the recipe is measured on them.
    run: its history, weights and figures are judged too. Recipe and run may be given by name or path. The
    checks go from causes to symptoms, and each is made on the recipe as fixed so far. Raises RecipeError
    and DataError where recipe and data do not fit.
    """
    recipe = get_recipe(recipe)
    run = None if run is None else open_run(run)
    single = recipe.model_copy(update={"ensemble": EnsembleSettings()})
    network = single.plan(dataset.image_shape, len(dataset.class_names))
    choose_engine(engine, network)  # a name that is unknown is refused before anything is measured
    examination = Examination(prepare_recipe(single, dataset, test, engine=engine, seed=seed))
    check_data(examination)
    check_design(examination)
    check_inputs(examination)
    check_loss(examination)
    check_step(examination)
    check_start(examination)
    given, rates = _check_learning(examination)
    if run is not None:
        _check_run(examination, run)
    return _conclude(examination, recipe, given, rates, run)


def examine_target(
    target: str,
    *,
    source: str | Path | None = None,
    data_dir: Path | None = None,
    offline: bool = False,
    engine: str = "auto",
    seed: int = 0,
    progress: Progress | None = None,
    announce: Callable[[str], None] = lambda _line: None,
) -> tuple[Diagnosis, ImageDataset]:
    """`diagnose` of a recipe by name or file, or of a run by folder, and the training images it was done on.

    source: by default the recipe's own data set, or that of the run. `announce` gets the line that says
    where another one had to be taken.
    """
    options: dict[str, Any] = {"data_dir": data_dir, "offline": offline, "progress": progress}
    run = open_run(target) if is_run(Path(target)) else None
    recipe = run.recipe if run else get_recipe(target)
    if run is not None and source is None:
        sets = [load_for_run(run, split=split, **options) for split in ("train", "test")]
        seed = run.record["seed"]
    else:
        wanted = source if source is not None or recipe.data.default == "mnist" else recipe.data.default
        sets = [load_dataset(wanted, split=split, **options) for split in ("train", "test")]
    if sets[0].note:
        announce(sets[0].note)
    return diagnose(recipe, *sets, engine=engine, seed=seed, run=run), sets[0]


def _check_learning(examination: Examination) -> tuple[Trial, RangeTest]:
    """The trial of the recipe as it was given, and the range test."""
    under_test = examination.under_test
    given = run_trial(under_test, under_test.recipe)
    trial = run_trial(under_test, examination.recipe) if examination.recipe != under_test.recipe else given
    trial = check_steps(examination, trial)
    trial = check_regularisers(examination, trial)
    test, trial = check_rate(examination, trial)
    if not trial.finite:
        examination.found(
            "not-finite", "fault", f"the loss was NaN or infinite after step {len(trial.losses)}",
            expected="numbers", changes={"optimiser.clip_norm": 1.0},
        )  # fmt: skip
    check_dead(examination, read_layers(view_inside(under_test, under_test.recipe, given.weights)))
    capable = check_overfit(examination)
    check_labels(examination, trial, capable=capable)
    check_black_images(examination, trial)
    return given, test


def _check_run(examination: Examination, run: Run) -> None:
    if (run.folder / "history.jsonl").is_file():
        check_history(examination, run.history)
    if run.evaluation is not None:
        confusion = run.evaluation.confusion
        check_claim(examination, int(np.trace(confusion)), int(confusion.sum()))


def _conclude(
    examination: Examination, recipe: Recipe, given: Trial, test: RangeTest, run: Run | None
) -> Diagnosis:
    under_test = examination.under_test
    return Diagnosis(
        recipe=recipe,
        engine=given.engine.name,
        data=under_test.whole.name,
        images=len(under_test.whole),
        findings=examination.ordered(),
        checks=tuple(examination.checks),
        changes=examination.changes,
        fixed=examination.recipe.model_copy(update={"ensemble": recipe.ensemble}),
        before=read_layers(view_inside(under_test, under_test.recipe)),
        after=read_layers(view_inside(under_test, under_test.recipe, _last_weights(given, run))),
        updates=given.updates,
        losses=tuple(given.losses.tolist()),
        range_test=test,
        references=tuple(examination.references),
    )


def _last_weights(given: Trial, run: Run | None) -> dict[str, np.ndarray]:
    """The run's own where it has a model of one network, else those after the trial."""
    if run is None or not (run.folder / "model.safetensors").is_file():
        return given.weights
    weights = run.model[1]
    return weights if set(weights) == set(given.weights) else given.weights


# Softmax, one-hot and gradient as somebody wrote them, held against what they should be.
#
# A recipe cannot carry a mistake in a formula; a notebook can. Those of the softmax regression tutorial are
# found here: a softmax divided by the wrong sum, one-hot columns shifted by one, y - p called the gradient,
# sums in place of means, and nine pictures of the weights of ten classes.

Function = Callable[..., np.ndarray]

_IMAGES = 20
_MOST_CLASSES = 10_000
_MOVE = 1e-6


@checked
def check_own_code(
    *,
    softmax: Function | None = None,
    one_hot: Function | None = None,
    loss: Callable[[np.ndarray, np.ndarray], float] | None = None,
    gradient: Function | None = None,
    weights: np.ndarray | None = None,
    pictures: np.ndarray | None = None,
    classes: int = 10,
    seed: int = 0,
) -> tuple[Finding, ...]:
    """What is wrong with code of one's own; nothing where it is right. Leave out what you do not have.

    softmax: logits (N, K) -> probabilities (N, K). one_hot: labels (N,) -> (N, K). loss: (logits (N, K),
    labels (N,)) -> the mean loss; gradient: the same -> d loss / d logits (N, K), which needs the loss.
    weights (K, P) and pictures (M, ...) drawn from them, P pixels each. Raises UsageError for a gradient
    without a loss, pictures without weights, or an answer of another shape.
    """
    if (gradient is not None and loss is None) or (pictures is not None and weights is None):
        raise UsageError(
            "a gradient or pictures by themselves", expected="the loss, or the weights, with them"
        )
    if not 2 <= classes <= _MOST_CLASSES:
        raise UsageError(f"{classes} classes", expected=f"2 to {_MOST_CLASSES}")
    rng = np.random.default_rng(seed)
    logits, labels = rng.standard_normal((_IMAGES, classes)), np.arange(_IMAGES) % classes
    findings: list[Finding] = []
    if softmax is not None:
        findings += _check_softmax(softmax, logits)
    if one_hot is not None:
        findings += _check_one_hot(one_hot, labels, classes)
    if loss is not None and gradient is not None:
        findings += _check_gradient(loss, gradient, logits, labels)
    if weights is not None and pictures is not None:
        findings += _check_pictures(weights, pictures)
    return tuple(findings)


def _answer(name: str, value: object, shape: tuple[int | None, ...]) -> np.ndarray:
    """What a function of the user's gave, as numbers of that shape; None is any size."""
    answer = np.asarray(value)
    fits = answer.ndim == len(shape) and all(b in (None, a) for a, b in zip(answer.shape, shape))
    if not fits or answer.dtype.kind not in "biuf":
        sizes = " x ".join("K" if size is None else str(size) for size in shape)
        expected = f"numbers, {sizes}" if shape else "a number"
        raise UsageError(f"{name} gives {describe_value(answer)}", expected=expected)
    return answer


def _check_softmax(softmax: Function, logits: np.ndarray) -> list[Finding]:
    with np.errstate(all="ignore"):
        probs = _answer("softmax", softmax(logits.copy()), logits.shape)
        large = _answer("softmax", softmax(1000 * logits), logits.shape)
    sums = probs.sum(axis=-1)
    if not np.allclose(probs, right_softmax(logits), atol=1e-6):
        seen = f"its rows sum to {sums.min():.4g} up to {sums.max():.4g}"
        return [make_finding("softmax-wrong", "fault", seen)]
    if not np.isfinite(large).all():
        share = float((~np.isfinite(large)).mean())
        seen = f"of scores a thousand times as large, {share:.0%} of its answers are NaN or infinite"
        return [make_finding("softmax-overflow", "fault", seen)]
    return []


def _check_one_hot(one_hot: Function, labels: np.ndarray, classes: int) -> list[Finding]:
    columns = _answer("one_hot", one_hot(labels), (len(labels), None)).argmax(axis=1)
    shift, _ = best_shift(labels, columns, classes)
    if (columns == labels).all():
        return []
    seen = f"label {labels[0]} has its 1 in column {columns[0]}"
    return [make_finding("columns-shifted", "warning", seen, shift=str(shift))]


def _check_gradient(
    loss: Callable[[np.ndarray, np.ndarray], float],
    gradient: Function,
    logits: np.ndarray,
    labels: np.ndarray,
) -> list[Finding]:
    found = _answer("gradient", gradient(logits.copy(), labels), logits.shape)
    length = float(np.linalg.norm(found))
    step = _MOVE * found / max(length, 1e-12)
    above, below = (_answer("loss", loss(logits + way, labels), ()) for way in (step, -step))
    change = float(above) - float(below)
    code, severity, seen = judge_derivative(change / (2 * _MOVE * max(length, 1e-12)), len(labels))
    return [make_finding(code, severity, seen)] if code else []


def _check_pictures(weights: np.ndarray, pictures: np.ndarray) -> list[Finding]:
    """A row of the weights is shown where a picture follows it, scaled and shifted in whatever way."""
    drawn = np.reshape(pictures, (len(pictures), -1)) if pictures.size else np.zeros((0, 0))
    kinds = {weights.dtype.kind, drawn.dtype.kind}
    if weights.ndim != 2 or drawn.shape[1] != weights.shape[1] or not kinds <= {*"biuf"}:
        raise UsageError(
            f"weights are {describe_value(weights)}, pictures {describe_value(pictures)}",
            expected="numbers (K, P), and M pictures of P pixels each",
        )
    likeness = np.corrcoef(np.concatenate([weights, drawn.astype(float)]))[: len(weights), len(weights) :]
    missing = np.flatnonzero(likeness.max(axis=1, initial=-1.0) < 0.99)
    if not len(missing):
        return []
    named = ", ".join(map(str, missing))
    seen = f"{len(weights) - len(missing)} of {len(weights)} rows are shown; missing: {named}"
    return [make_finding("pictures-missing", "warning", seen)]
