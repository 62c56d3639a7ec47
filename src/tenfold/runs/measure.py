"""What a report shows and a run's folder does not hold yet, measured and kept there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tenfold.arrays import ImageDataset
from tenfold.claims import claim_folder
from tenfold.errors import DataError, MissingDependencyError, UsageError
from tenfold.evaluation.evaluate import evaluate
from tenfold.evaluation.robustness import measure_robustness
from tenfold.runs.folder import Run
from tenfold.runs.run import load_for_run

__all__ = ["complete_run"]

_LONG = 20  # seconds


def complete_run(run: Run, *, announce: Callable[[str], None] = lambda _line: None, **options: Any) -> Run:
    """Measures robustness where it is missing, and the test set again where an earlier version kept no
    probabilities; on the run's own test images, where they are at hand. Nothing is downloaded.

    announce: gets a line for each thing measured, and for why nothing is. options: of load_for_run.
    Raises ModelError where a part of the run is there but cannot be read.
    """
    robust = (run.folder / "robustness.json").is_file()
    measured = run.evaluation is not None and run.evaluation.has_probs
    if not (run.folder / "model.safetensors").is_file() or (robust and measured):
        return run
    try:
        with claim_folder(run.folder):
            return _complete(run, announce, robust=robust, measured=measured, **options)
    except (DataError, MissingDependencyError, UsageError) as error:
        announce(f"nothing more is measured: {error}")
        return run


def _complete(
    run: Run, announce: Callable[[str], None], *, robust: bool, measured: bool, **options: Any
) -> Run:
    """In the run's folder, which this process holds."""
    test_set = load_for_run(run, split="test", **{"offline": True} | options)
    _refuse_other_images(run, test_set)
    classifier = run.classifier()
    if not measured:
        announce(f"measuring {len(test_set):,} test images")
        evaluate(classifier, test_set).save(run.folder)
    if not robust:
        announce(f"measuring robustness on up to 1,000 test images{_expected(run)} (kept in robustness.json)")
        measure_robustness(classifier, test_set).save(run.folder)
    return Run(run.folder)


def _expected(run: Run) -> str:
    """How long fifteen corruptions of five severities may take, where one would wonder."""
    evaluation = run.evaluation
    if evaluation is None:
        return ""
    seconds = 75 * min(evaluation.n, 1000) * evaluation.seconds / evaluation.n
    return f", about {seconds:.0f} s" if seconds > _LONG else ""


def _refuse_other_images(run: Run, test_set: ImageDataset) -> None:
    evaluation = run.evaluation
    if evaluation is not None and evaluation.dataset_sha256 != test_set.sha256():
        raise DataError(
            f"{test_set.name} is not what {run.folder} was tested on", expected="the same images and labels"
        )
