"""The images that a run learned from, found again by its record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tenfold.arrays import ImageDataset
from tenfold.data.split import split_indices
from tenfold.errors import ModelError
from tenfold.runs.folder import Run
from tenfold.runs.run import load_for_run

__all__ = ["load_learned"]


def load_learned(
    run: Run,
    *,
    data_dir: Path | None = None,
    offline: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
) -> tuple[ImageDataset, np.ndarray]:
    """The data set of a run, and which of its images it learned from: int64, ascending, all but those
    it held out. Raises ModelError where the data are no longer those of the run, DataError where they are
    not to be had.
    """
    dataset = load_for_run(run, data_dir=data_dir, offline=offline, progress=progress)
    if dataset.sha256() != run.record["data"]["sha256"]:
        raise ModelError(
            f"the data set {run.environment['data']['source']} is not what {run.folder} was trained on",
            expected="the same images in the same order",
        )
    data = run.recipe.data
    if data.validation == 0:
        return dataset, np.arange(len(dataset))
    classes = dataset.labels if data.stratified else np.zeros(len(dataset), np.int64)
    return dataset, split_indices(classes, data.validation, seed=run.environment["seed"])[0]
