"""Data sets of all kinds for the tests of this package."""

from __future__ import annotations

from functools import cache

import numpy as np

from tenfold.arrays import ImageDataset
from tenfold.explore.look import Exploration, explore_dataset


def letters() -> dict[str, ImageDataset]:
    """40 and 10 images of 9 x 7 pixels: classes a, b, c, none of c in train, two planted leaks."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (50, 9, 7), dtype=np.uint8)
    labels = np.array([0] * 25 + [1] * 15 + [0] * 3 + [1] * 3 + [2] * 4)
    images[40] = images[3]  # test 0, the same label
    images[43] = images[5]  # test 3, another
    images[8] = images[7]
    names = ("a", "b", "c")
    return {
        "train": ImageDataset(images[:40], labels[:40], names, "letters"),
        "test": ImageDataset(images[40:], labels[40:], names, "letters"),
    }


def noise(classes: int, each: int, size: tuple[int, int], name: str = "noise") -> ImageDataset:
    rng = np.random.default_rng(classes)
    images = rng.integers(0, 256, (classes * each, *size), dtype=np.uint8)
    names = tuple(f"class <{number}> & a name of some length" for number in range(classes))
    return ImageDataset(images, np.arange(classes * each) % classes, names, name)


def empty_class() -> ImageDataset:
    dataset = noise(2, 5, (8, 8), "with <b>nothing</b> in a class")
    return ImageDataset(dataset.images, np.zeros(10, np.int64), ("x" * 120, "y"), dataset.name, "a note")


@cache
def explorations() -> dict[str, Exploration]:
    return {
        "letters": explore_dataset(letters(), near=True),
        "hundred classes": explore_dataset(noise(100, 2, (16, 16))),
        "one image per class": explore_dataset(noise(3, 1, (28, 28))),
        "two classes, large": explore_dataset(noise(2, 6, (120, 90))),
        "an empty class": explore_dataset(empty_class()),
        "one pixel": explore_dataset(noise(2, 3, (1, 1)), near=False),
    }
