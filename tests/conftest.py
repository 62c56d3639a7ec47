"""Data that tests of several packages share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import Page, find_chromium, open_page

from tenfold.arrays import ImageDataset


def _data_dir() -> Path:
    named = os.environ.get("TENFOLD_DATA_DIR")
    return Path(named) if named else Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def mnist_dir() -> Path:
    """The folder that holds mnist/; the test is skipped where there is none."""
    folder = _data_dir()
    if not (folder / "mnist" / "train-images-idx3-ubyte.gz").is_file():
        reason = "the full MNIST files are not there (set TENFOLD_DATA_DIR)"
        if os.environ.get("TENFOLD_REQUIRE_DATA"):
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


@pytest.fixture(scope="session")
def real_dev() -> Path:
    """The folder of real pictures; the test is skipped where there is none."""
    folder = _data_dir() / "real-dev"
    if not (folder / "labels.csv").is_file():
        pytest.skip(f"{folder} is not there (set TENFOLD_DATA_DIR)")
    return folder


@pytest.fixture(scope="session")
def blobs() -> ImageDataset:
    """600 pictures of 12 x 10 pixels in three classes, which a linear network tells apart."""
    rng = np.random.default_rng(0)
    labels = np.arange(600) % 3
    images = rng.integers(0, 60, (600, 12, 10), dtype=np.uint8)
    for label in range(3):
        images[labels == label, 4 * label : 4 * label + 4, 2:8] += 120
    return ImageDataset(images, labels, ("left", "middle", "right"), "blobs")


@pytest.fixture(scope="module")
def browser_page() -> Iterator[Page]:
    """A page of a real headless Chromium; the test is skipped where there is none."""
    if find_chromium() is None:
        pytest.skip("no Chromium is installed")
    with open_page() as page:
        yield page
