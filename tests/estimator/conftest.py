"""Small pictures that are quick to learn, and one thread: on small tensors, a second one costs time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from tenfold.arrays import ImageDataset
from tenfold.data.catalogue import load_sample


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def sample() -> tuple[ImageDataset, ImageDataset]:
    """(900 to train on, 400 to test on) of the embedded MNIST sample, ten classes alike."""
    whole = load_sample()
    order = np.random.default_rng(0).permutation(len(whole))
    return whole.subset(order[:900]), whole.subset(order[900:1300])
