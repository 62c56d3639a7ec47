"""Images that occur more than once: equal ones by hash, near ones by their likeness.

Two images are near where they are as alike as copies: copies that were moved, made fainter, saved as JPEG or
given a little noise are, while of what different people wrote on MNIST only straight ones are.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from math import ceil
from typing import ClassVar

import numpy as np

from tenfold.arguments import check_images, checked
from tenfold.arrays import iterate_pieces
from tenfold.errors import DataError

__all__ = ["find_duplicates"]

NEAR = 0.985  # between what different people wrote and what was copied; benchmarks/explore.py counts both
_SIDE = 32  # pixels per side that are compared; larger images are made smaller
_AXES = 128  # principal axes of the first look
_SAMPLE = 5_000  # images from which these are found
_BLOCK = 2_048  # rows per side of the products that are looked at together
_CHUNK = 16_384  # pairs that are compared exactly at a time
_SLACK = 1e-5  # of float32 products


def describe_images(images: np.ndarray) -> np.ndarray:
    """float32 (N, D) of length 1, whose products are the likeness of two images; 0 for a blank image.

    images: uint8 (N, H, W) or (N, H, W, 3). Each is moved, by fractions of a pixel, so that what stands out
    from its border's median lies in the middle (weighted with its square, so that faint noise weighs
    little), made smaller where a side exceeds 32 pixels, and its mean taken away. The product of two is
    therefore their normalised correlation (J. P. Lewis: Fast Normalized Cross-Correlation, 1995): it does
    not change with place, brightness or contrast.
    """
    return np.concatenate([_describe(piece.astype(np.float32)) for piece in iterate_pieces(images)])


def _describe(images: np.ndarray) -> np.ndarray:
    channels = [images] if images.ndim == 3 else [*np.moveaxis(images, 3, 0)]
    raised = [channel - _border(channel)[:, None, None] for channel in channels]
    energy = sum(each**2 for each in raised[1:]) + raised[0] ** 2
    rows = _resampling(energy.sum(axis=2), max(images.shape[1:3]))
    columns = _resampling(energy.sum(axis=1), max(images.shape[1:3])).transpose(0, 2, 1)
    vectors = np.concatenate([(rows @ each @ columns).reshape(len(images), -1) for each in raised], axis=1)
    vectors -= vectors.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    blank = lengths < 1e-3  # rounding of an image of one value
    vectors /= np.where(blank, 1, lengths)
    return np.where(blank, 0, vectors).astype(np.float32)


def _border(images: np.ndarray) -> np.ndarray:
    """The median (N,) of the border of each."""
    border = [images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]]
    return np.asarray(np.median(np.concatenate(border, axis=1), axis=1))


def _resampling(weights: np.ndarray, longest: int) -> np.ndarray:
    """float32 (N, n, L) that puts the centre of weights (N, L) into the middle and shrinks L to n pixels.

    Band-limited (sinc), which unlike linear interpolation blurs nothing: what is left of an image does not
    depend on the fraction of a pixel by which it was moved."""
    length = weights.shape[1]
    factor = max(1.0, longest / _SIDE)
    places, total = np.arange(length), weights.sum(axis=1)
    middle = (length - 1) / 2
    centre = np.where(total > 0, weights @ places / np.where(total > 0, total, 1), middle)
    count = ceil(length / factor)
    wanted = (np.arange(count) - (count - 1) / 2) * factor + centre[:, None]
    return (np.sinc((wanted[:, :, None] - places) / factor) / factor).astype(np.float32)


def link_near(vectors: np.ndarray, threshold: float = NEAR) -> np.ndarray:
    """int64 (N,): the same number for rows that are linked by products of at least `threshold`.

    vectors: float32 (N, D), each of length 1 or 0. No pair is missed: the first look, at a few principal
    axes and the length of what they leave over, never says less than the product (Cauchy-Schwarz), and
    every pair that it lets through is compared in full.
    """
    looks = _first_look(vectors)
    links = np.arange(len(vectors))
    for top in range(0, len(vectors), _BLOCK):
        for left in range(top, len(vectors), _BLOCK):
            bounds = looks[top : top + _BLOCK] @ looks[left : left + _BLOCK].T
            ones, others = np.nonzero(bounds >= threshold - _SLACK)
            links = _link_pairs(vectors, links, ones + top, others + left, threshold)
    return links


def _first_look(vectors: np.ndarray) -> np.ndarray:
    """(N, axes + 1): the parts along the principal axes of a sample, and the length of the rest."""
    if vectors.shape[1] <= _AXES:
        return vectors
    sample = vectors[:: max(1, len(vectors) // _SAMPLE)]
    axes = np.linalg.eigh(sample.T @ sample)[1][:, -_AXES:]
    parts = vectors @ axes
    rest = np.einsum("nd,nd->n", vectors, vectors) - np.einsum("nd,nd->n", parts, parts)
    return np.column_stack([parts, np.sqrt(np.maximum(rest, 0))])


def _link_pairs(
    vectors: np.ndarray, links: np.ndarray, ones: np.ndarray, others: np.ndarray, threshold: float
) -> np.ndarray:
    """`links` joined where rows `ones` and `others` are near; those that are linked already are not asked,
    so that a thousand copies of one image cost no million comparisons."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    for start in range(0, len(ones), _CHUNK):
        one, other = ones[start : start + _CHUNK], others[start : start + _CHUNK]
        apart = links[one] != links[other]
        one, other = one[apart], other[apart]
        near = np.einsum("nd,nd->n", vectors[one], vectors[other]) >= threshold
        if near.any():
            edges = (np.ones(near.sum(), np.int8), (links[one[near]], links[other[near]]))
            graph = coo_array(edges, shape=(len(links), len(links)))
            links = connected_components(graph, directed=False)[1][links].astype(np.int64)
    return links


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
    near: tuple[DuplicateGroup, ...] | None = None
    threshold: ClassVar[float] = NEAR  # of the correlation of near ones

    @property
    def groups(self) -> tuple[DuplicateGroup, ...]:
        """Exact ones, then near ones."""
        return self.exact + (self.near or ())

    def crosses(self, rows: np.ndarray) -> bool:
        """Whether a group has members on both sides."""
        return bool(rows[0] < self.count <= rows[-1])

    def crossing(self) -> tuple[DuplicateGroup, ...]:
        """Groups of which `others` (test) holds what `images` (training) holds too."""
        return tuple(group for group in self.groups if self.crosses(group.rows))

    def leaked(self) -> np.ndarray:
        """int64, ascending: places in `others` of images with a copy, equal or near, in `images`."""
        rows = np.unique(np.concatenate([np.zeros(0, np.int64), *(group.rows for group in self.crossing())]))
        return rows[rows >= self.count] - self.count

    def conflicting(self, labels: np.ndarray) -> tuple[DuplicateGroup, ...]:
        """Groups whose images are labelled differently. labels: int (total,), of `images` then `others`."""
        return tuple(group for group in self.groups if len(np.unique(labels[group.rows])) > 1)


@checked
def find_duplicates(
    images: np.ndarray, *, others: np.ndarray | None = None, near: bool = False
) -> Duplicates:
    """Which images occur more than once, within `images` and across `images` and `others`.

    images, others: uint8 (N, H, W) and (M, H, W), or both in colour (N, H, W, 3), such as training and test
    images. Equal images are found by hash (BLAKE2b, 128 bits). near: also those whose normalised
    correlation, once both are centred, is at least NEAR (see `tenfold.explore.duplicates`): copies that
    were moved, made brighter or fainter, compressed or made noisy. Raises DataError where the two sides
    have different sizes.
    """
    sides = [images] if others is None else [images, others]
    for side, name in zip(sides, ("images", "others")):
        check_images(side, name)
    if others is not None and images.shape[1:] != others.shape[1:]:
        one, other = ("{1} x {2}".format(*side.shape) for side in sides)
        found = f"images of {one} pixels are compared with images of {other}"
        raise DataError(found, expected="one size", remedy="look for duplicates in each by itself")
    first = _first_equals(sides)
    exact = tuple(DuplicateGroup(rows, 1.0) for rows in _groups(first))
    return Duplicates(len(images), len(first), exact, _near_groups(sides, first) if near else None)


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
