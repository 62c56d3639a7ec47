"""Images that occur more than once: equal ones by hash, near ones by their likeness."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np

from tenfold.arguments import check_images, checked
from tenfold.arrays import iterate_pieces
from tenfold.errors import DataError
from tenfold.explore.likeness import NEAR, describe_images, link_near

__all__ = ["DuplicateGroup", "Duplicates", "find_duplicates"]


@dataclass(frozen=True, eq=False)
class DuplicateGroup:
    """rows: int64, ascending, at least two. likeness: the lowest normalised correlation of the first image
    with another of the group; 1 where all are equal."""

    rows: np.ndarray
    likeness: float


@dataclass(frozen=True, eq=False)
class Duplicates:
    """What occurs more than once. Rows count `images` from 0 to count - 1, and `others` from count on.

    exact: groups of equal images. near: groups of images that are alike as copies but not all equal, with
    all equal copies of their members; None where they were not looked for.
    """

    count: int
    total: int
    exact: tuple[DuplicateGroup, ...]
    near: tuple[DuplicateGroup, ...] | None = field(default=None)

    @property
    def groups(self) -> tuple[DuplicateGroup, ...]:
        """Exact ones, then near ones."""
        return self.exact + (self.near or ())

    def crossing(self) -> tuple[DuplicateGroup, ...]:
        """Groups with members on both sides: `others` (test) holds what `images` (training) holds too."""
        return tuple(group for group in self.groups if group.rows[0] < self.count <= group.rows[-1])

    def leaked(self) -> np.ndarray:
        """int64, ascending: places in `others` of images with a copy, equal or near, in `images`."""
        rows = [group.rows for group in self.crossing()]
        whole = np.unique(np.concatenate(rows)) if rows else np.zeros(0, np.int64)
        return whole[whole >= self.count] - self.count

    def conflicting(self, labels: np.ndarray) -> tuple[DuplicateGroup, ...]:
        """Groups whose images are labelled differently. labels: int (total,), of `images` then `others`."""
        return tuple(group for group in self.groups if len(np.unique(labels[group.rows])) > 1)


@checked
def find_duplicates(
    images: np.ndarray, *, others: np.ndarray | None = None, near: bool = False
) -> Duplicates:
    """Which images occur more than once, within `images` and across `images` and `others`.

    images, others: uint8 (N, H, W) and (M, H, W), such as training and test images. Equal images are found
    by hash (BLAKE2b, 128 bits). near: also those whose normalised correlation, once both are centred, is
    at least NEAR (see `tenfold.explore.likeness`): copies that were moved, made brighter or fainter,
    compressed or made noisy. Raises DataError where the two sides have different sizes.
    """
    sides = [images] if others is None else [images, others]
    for side, name in zip(sides, ("images", "others")):
        check_images(side, name)
    if others is not None and images.shape[1:] != others.shape[1:]:
        raise DataError(
            f"images of {_size(images)} pixels are compared with images of {_size(others)}",
            expected="one size",
            remedy="look for duplicates in each by itself",
        )
    first = _first_equals(sides)
    exact = tuple(DuplicateGroup(rows, 1.0) for rows in _groups(first))
    return Duplicates(len(images), len(first), exact, _near_groups(sides, first) if near else None)


def _size(images: np.ndarray) -> str:
    return f"{images.shape[1]} x {images.shape[2]}"


def _first_equals(sides: list[np.ndarray]) -> np.ndarray:
    """int64 (N + M,): for each image the first row that holds an equal one."""
    known: dict[bytes, int] = {}
    first: list[int] = []
    for side in sides:
        for piece in iterate_pieces(side):
            for image in piece:
                digest = hashlib.blake2b(image.data, digest_size=16).digest()
                first.append(known.setdefault(digest, len(first)))
    return np.array(first, dtype=np.int64)


def _groups(numbers: np.ndarray) -> list[np.ndarray]:
    """Rows with the same number, where two or more have it: ascending, and by their first row."""
    shared = np.flatnonzero(np.bincount(numbers)[numbers] > 1)
    order = shared[np.argsort(numbers[shared], kind="stable")]
    parts = np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1) if len(order) else []
    return sorted(parts, key=lambda rows: int(rows[0]))


def _near_groups(sides: list[np.ndarray], first: np.ndarray) -> tuple[DuplicateGroup, ...]:
    unique = np.flatnonzero(first == np.arange(len(first)))
    vectors = np.concatenate([describe_images(side) for side in sides])[unique]
    links = np.zeros(len(first), np.int64)
    links[unique] = link_near(vectors, NEAR)
    place = np.zeros(len(first), np.int64)
    place[unique] = np.arange(len(unique))
    found = []
    for rows in _groups(links[first]):
        members = place[np.unique(first[rows])]
        if len(members) > 1:
            likeness = vectors[members[1:]] @ vectors[members[0]]
            found.append(DuplicateGroup(rows, float(likeness.min())))
    return tuple(found)
