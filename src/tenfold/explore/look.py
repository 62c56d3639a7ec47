"""What there is to see in a data set: how many, how they look, how far they spread, what occurs twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tenfold.arguments import checked
from tenfold.arrays import ImageDataset, image_place, iterate_pieces
from tenfold.errors import DataError, UsageError
from tenfold.explore.duplicates import DuplicateGroup, Duplicates, find_duplicates

__all__ = ["Exploration", "Record", "explore_dataset"]

_SOON = 15_000  # images among which near duplicates are found within about a second


@dataclass(frozen=True, eq=False)
class PixelStatistics:
    """Of all pixels. histogram: int64 (256,), how often each value occurs. mean, std: in 0..255.
    ink: the share that is not black. bright: the share of 128 and more."""

    histogram: np.ndarray
    low: int
    high: int
    mean: float
    std: float
    ink: float
    bright: float

    @classmethod
    def of(cls, images: np.ndarray) -> PixelStatistics:
        """images: uint8 (N, H, W)."""
        counts, values = ImageDataset.count_pixels(images), np.arange(256)
        total, seen = int(counts.sum()), np.flatnonzero(counts)
        mean = int(counts @ values) / total
        std = float(np.sqrt(max(int(counts @ values**2) / total - mean**2, 0.0)))
        ink, bright = float(counts[1:].sum() / total), float(counts[128:].sum() / total)
        return cls(counts, int(seen[0]), int(seen[-1]), mean, std, ink, bright)

    def to_dict(self) -> dict[str, Any]:
        names = ("low", "high", "mean", "std", "ink", "bright")
        return {name: getattr(self, name) for name in names} | {"histogram": self.histogram.tolist()}


@dataclass(frozen=True, eq=False)
class ClassLook:
    """One class. mean, spread: float64 (H, W), mean and standard deviation of each pixel, in 0..255.

    ink: the share of its pixels that is not black. typical, unusual: rows of the images most and least
    like the class's mean (normalised correlation), the most typical and the most unusual first, and none
    in both; random: rows chosen by the seed. All are empty for a class without images.
    """

    name: str
    count: int
    ink: float
    mean: np.ndarray
    spread: np.ndarray
    typical: np.ndarray
    unusual: np.ndarray
    random: np.ndarray

    @property
    def examples(self) -> dict[str, np.ndarray]:
        """The rows of each kind."""
        return {"typical": self.typical, "unusual": self.unusual, "random": self.random}


@dataclass(frozen=True, eq=False)
class Exploration:
    """A data set looked at. dataset: all its parts, one after the other, as rows count them; its files are
    those of the parts, each within the folder of its own.

    parts: name -> images. counts: int64 (parts, K), images of each class. duplicates: of the first part,
    the others being everything after it.
    """

    dataset: ImageDataset
    parts: dict[str, int]
    counts: np.ndarray
    pixels: PixelStatistics
    classes: tuple[ClassLook, ...]
    duplicates: Duplicates

    def place(self, row: int) -> tuple[str, int]:
        """The part in which a row lies, and its place in there."""
        for name, count in self.parts.items():
            if row < count:
                return name, row
            row -= count
        raise IndexError(row)

    def label(self, row: int) -> str:
        return self.dataset.class_names[self.dataset.labels[row]]

    def record(self, row: int) -> Record:
        return Record.of(self.dataset, row, *self.place(row))

    @property
    def extremes(self) -> tuple[ClassLook, ClassLook]:
        """The smallest and the largest class; of several the first."""
        return min(self.classes, key=lambda each: each.count), max(self.classes, key=lambda each: each.count)

    @property
    def imbalance(self) -> float | None:
        """Images of the largest class per image of the smallest; None where that one is empty."""
        smallest, largest = self.extremes
        return largest.count / smallest.count if smallest.count else None

    @property
    def conflicts(self) -> tuple[DuplicateGroup, ...]:
        """Groups of equal or near images with different labels."""
        return self.duplicates.conflicting(self.dataset.labels)

    def conflicts_in(self, rows: np.ndarray) -> bool:
        """Whether these images are labelled differently."""
        return len(np.unique(self.dataset.labels[rows])) > 1

    @property
    def groups(self) -> tuple[DuplicateGroup, ...]:
        """All duplicates, the worst first: labelled differently, across parts, many images."""

        def weight(group: DuplicateGroup) -> tuple[bool, bool, int]:
            rows = group.rows
            return self.conflicts_in(rows), self.duplicates.crosses(rows), len(rows)

        return tuple(sorted(self.duplicates.groups, key=weight, reverse=True))

    def to_dict(self) -> dict[str, Any]:
        """All figures, and the places of all images that are named; what JSON can say."""
        smallest, largest = self.extremes
        found = self.duplicates
        near = None if found.near is None else [self._group(group) for group in found.near]
        return {
            "name": self.dataset.name,
            "note": self.dataset.note,
            "images": len(self.dataset),
            "image_shape": list(self.dataset.image_shape),
            "splits": self.parts,
            "classes": [self._class(number) for number in range(len(self.classes))],
            "smallest_class": smallest.name,
            "largest_class": largest.name,
            "imbalance": self.imbalance,
            "pixels": self.pixels.to_dict(),
            "duplicates": {
                "exact": [self._group(group) for group in found.exact],
                "near": near,
                "across_splits": len(found.crossing()),
                "labelled_differently": len(self.conflicts),
            },
        }

    def _class(self, number: int) -> dict[str, Any]:
        look = self.classes[number]
        counts = dict(zip(self.parts, self.counts[:, number].tolist(), strict=True))
        document = {"name": look.name, "images": look.count, "splits": counts, "ink": look.ink}
        document["mean"] = float(look.mean.mean())
        for kind, rows in look.examples.items():
            document[kind] = [self._image(row) for row in rows.tolist()]
        return document

    def _image(self, row: int) -> dict[str, Any]:
        part, index = self.place(row)
        return {"split": part} | image_place(row, self.dataset.files) | {"index": index}

    def _group(self, group: DuplicateGroup) -> dict[str, Any]:
        images = [self._image(row) | {"label": self.label(row)} for row in group.rows.tolist()]
        return {"likeness": group.likeness, "images": images}


@checked
def explore_dataset(
    parts: ImageDataset | Mapping[str, ImageDataset],
    *,
    near: bool | None = None,
    examples: int = 8,
    seed: int = 0,
) -> Exploration:
    """Looks at a data set, or at its parts ("train", "test") as one with distinguished parts.

    near: whether near duplicates are looked for (see `find_duplicates`); None: where there are few enough
    images for that to take a second. examples: typical, unusual and random images per class.
    Raises DataError where the parts do not fit each other.
    """
    given = {"all": parts} if isinstance(parts, ImageDataset) else dict(parts)
    if not given or examples < 0:
        raise UsageError(f"{len(given)} parts, {examples} examples", expected="at least one part, 0 examples")
    dataset, (first, *rest) = _join(given), given.values()
    if near is None:
        near = len(dataset) <= _SOON
    rng = np.random.default_rng(seed)
    return Exploration(
        dataset=dataset,
        parts={name: len(part) for name, part in given.items()},
        counts=np.stack([part.class_counts() for part in given.values()]),
        pixels=PixelStatistics.of(dataset.images),
        classes=tuple(_look_at(dataset, label, examples, rng) for label in range(len(dataset.class_names))),
        duplicates=find_duplicates(
            first.images, others=dataset.images[len(first) :] if rest else None, near=near
        ),
    )


def _join(parts: dict[str, ImageDataset]) -> ImageDataset:
    first, *rest = parts.values()
    if not rest:
        return first
    for part in rest:
        if (part.image_shape, part.class_names) != (first.image_shape, first.class_names):
            found = (
                f"{first.name}: {' and '.join(parts)} differ in the size of their images or in their classes"
            )
            raise DataError(
                found, expected="one size and the same classes", remedy="look at one with --split"
            )
    images, labels = (
        np.concatenate([getattr(part, key) for part in parts.values()]) for key in ("images", "labels")
    )
    files = [file for part in parts.values() for file in part.files]
    whole = tuple(files) if len(files) == len(labels) else ()
    return ImageDataset(images, labels, first.class_names, first.name, first.note, files=whole)


def _look_at(dataset: ImageDataset, label: int, examples: int, rng: np.random.Generator) -> ClassLook:
    members = np.flatnonzero(dataset.labels == label)
    images, count = dataset.images[members], max(len(members), 1)
    (total, squares), ink = np.zeros((2, *dataset.image_shape), np.int64), 0
    for piece in iterate_pieces(images):  # sums in whole numbers are exact
        values = piece.astype(np.uint32)
        total += values.sum(axis=0, dtype=np.int64)
        squares += (values * values).sum(axis=0, dtype=np.int64)
        ink += int(np.count_nonzero(piece))
    mean = total / count
    order = members[np.argsort(-_likeness_to(mean, images), kind="stable")]
    shown = (len(members) + 1) // 2
    return ClassLook(
        name=dataset.class_names[label],
        count=len(members),
        ink=ink / (count * mean.size),
        mean=mean,
        spread=np.sqrt(np.maximum(squares / count - mean**2, 0)),
        typical=order[: min(examples, shown)],
        unusual=order[::-1][: min(examples, len(members) - shown)],
        random=rng.permutation(members)[:examples],
    )


def _likeness_to(mean: np.ndarray, images: np.ndarray) -> np.ndarray:
    """float64 (N,): the normalised correlation of each image with `mean`, of its shape; 0 for a blank one."""
    wanted = mean.ravel() - mean.mean()
    found = [np.zeros(0)]
    for piece in iterate_pieces(images):
        rows = piece.reshape(len(piece), -1).astype(np.float32)
        rows -= rows.mean(axis=1, keepdims=True)
        sizes = np.sqrt(np.einsum("nd,nd->n", rows, rows) * (wanted @ wanted))
        found.append(np.where(sizes > 1e-3, rows @ wanted.astype(np.float32) / np.maximum(sizes, 1e-3), 0))
    return np.concatenate(found)


# One image of a data set: its numbers, its label, and where it stands.


@dataclass(frozen=True, eq=False)
class Record:
    """split, index: the part and the place in there. image: uint8 (H, W) or (H, W, 3). file: where it came
    from one.
    """

    dataset: str
    split: str
    index: int
    label: str
    image: np.ndarray
    file: str = ""

    @classmethod
    def of(cls, dataset: ImageDataset, row: int, split: str, index: int) -> Record:
        """Row of a data set that is the image `index` of its part `split`."""
        image, label = dataset[row]
        file = dataset.files[row] if dataset.files else ""
        return cls(dataset.name, split, index, dataset.class_names[label], np.asarray(image), file)

    @classmethod
    def find(cls, parts: Mapping[str, ImageDataset], number: int) -> Record:
        """Image `number` of all parts, one after the other. Raises UsageError where there are not so many."""
        row = number
        for split, part in parts.items():
            if 0 <= row < len(part):
                return cls.of(part, row, split, row)
            row -= len(part)
        count = sum(map(len, parts.values()))
        raise UsageError(f"image {number} of {count:,}", expected=f"0 to {count - 1}")

    @property
    def title(self) -> str:
        return f"{self.dataset} ({self.split}), {self.file or f'image {self.index}'}"

    def to_dict(self) -> dict[str, Any]:
        known = {"name": self.dataset, "split": self.split, "index": self.index, "label": self.label}
        if self.file:
            known["file"] = self.file
        return known | {"image_shape": list(self.image.shape), "pixels": self.image.tolist()}
