"""Duplicates against brute force, on small sets with planted copies."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist

from tenfold.errors import DataError
from tenfold.explore import duplicates
from tenfold.explore.duplicates import NEAR, describe_images, find_duplicates, link_near


def scribbles(count: int, seed: int, size: tuple[int, int] = (28, 28)) -> np.ndarray:
    """uint8 (count, H, W): blurred specks of ink in the middle, no two alike."""
    rng = np.random.default_rng(seed)
    height, width = size
    specks = np.zeros((count, height, width))
    middle = (slice(None), slice(height // 5, -(height // 5)), slice(width // 5, -(width // 5)))
    specks[middle] = rng.random(specks[middle].shape) > 0.9
    blurred = ndimage.gaussian_filter(specks, (0, 1, 1))
    return np.rint(255 * blurred / blurred.max(axis=(1, 2), keepdims=True)).astype(np.uint8)


def as_sets(groups: tuple) -> list[set[int]]:
    return [set(group.rows.tolist()) for group in groups]


EDITS = {
    "a pixel down": lambda image: np.roll(image, 1, axis=0),
    "a pixel up and two left": lambda image: np.roll(image, (-1, -2), axis=(0, 1)),
    "fainter": lambda image: (image * 0.5).astype(np.uint8),
    "on a lighter ground": lambda image: (image * 0.8 + 40).astype(np.uint8),
    "turned over in brightness": lambda image: 255 - image,
    "noisy": lambda image: np.clip(
        image + np.rint(np.random.default_rng(9).normal(0, 8, image.shape)), 0, 255
    ).astype(np.uint8),
}


@pytest.mark.parametrize("edit", EDITS)
def test_planted_copies_are_found_and_nothing_else(edit: str) -> None:
    images = scribbles(300, seed=1)
    others = np.stack([EDITS[edit](image) for image in images[[7, 40, 299]]])
    found = find_duplicates(images, others=others, near=True)
    assert found.exact == () and found.near is not None
    if edit == "turned over in brightness":  # another picture
        assert found.near == ()
        return
    assert as_sets(found.near) == [{7, 300}, {40, 301}, {299, 302}]
    assert found.leaked().tolist() == [0, 1, 2]
    assert all(NEAR <= group.likeness < 1.00001 for group in found.near)


def test_equal_images_by_hash_within_and_across() -> None:
    images = scribbles(50, seed=2)
    images[[3, 9]] = images[1]
    others = np.concatenate([scribbles(5, seed=3), images[[1, 20]]])
    others[1] = others[0]
    found = find_duplicates(images, others=others)
    assert found.near is None and (found.count, found.total) == (50, 57)
    assert as_sets(found.exact) == [{1, 3, 9, 55}, {20, 56}, {50, 51}]
    assert as_sets(found.crossing()) == [{1, 3, 9, 55}, {20, 56}]
    assert found.leaked().tolist() == [5, 6]
    labels = np.zeros(57, int)
    assert found.conflicting(labels) == ()
    labels[51] = 1
    assert as_sets(found.conflicting(labels)) == [{50, 51}]


def test_near_groups_hold_the_equal_copies_of_their_members_and_only_these() -> None:
    images = scribbles(40, seed=4)
    images[11] = images[10]  # equal, and near to nothing else
    images[21], images[22] = images[20], np.roll(images[20], 1, axis=1)
    found = find_duplicates(images, near=True)
    assert as_sets(found.exact) == [{10, 11}, {20, 21}]
    assert as_sets(found.near or ()) == [{20, 21, 22}]
    assert found.crossing() == () and not len(found.leaked())


def brute_force(vectors: np.ndarray, threshold: float) -> np.ndarray:
    """Numbers of the linked groups: every pair compared, by SciPy."""
    cosines = 1 - cdist(vectors.astype(np.float64), vectors.astype(np.float64), "sqeuclidean") / 2
    return connected_components(cosines >= threshold, directed=False)[1]


def same_partition(one: np.ndarray, other: np.ndarray) -> bool:
    return len(set(zip(one.tolist(), other.tolist()))) == len(set(one.tolist())) == len(set(other.tolist()))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(2, 150),
    size=st.integers(3, 40),
    threshold=st.floats(0.3, 0.99),
    block=st.integers(1, 200),
    axes=st.integers(1, 20),
)
def test_links_as_brute_force_finds_them(
    seed: int, count: int, size: int, threshold: float, block: int, axes: int
) -> None:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(max(1, count // 3), size))
    vectors = centres[rng.integers(0, len(centres), count)] + 0.3 * rng.normal(size=(count, size))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    cosines = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    if (np.abs(cosines - threshold) < 1e-5).any():  # where rounding decides
        return
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("_BLOCK", block), ("_CHUNK", max(1, block // 2)), ("_AXES", axes)):
            patch.setattr(duplicates, name, value)
        links = link_near(vectors, threshold)
    assert same_partition(links, brute_force(vectors, threshold))


def test_likeness_is_the_correlation_of_centred_images() -> None:
    """Where the ink lies in the middle already, it is NumPy's correlation coefficient."""
    rng = np.random.default_rng(5)
    images = np.zeros((6, 20, 14), np.uint8)
    quarter = rng.integers(0, 256, (6, 6, 4), dtype=np.uint8)
    half = np.concatenate([quarter, quarter[:, ::-1]], axis=1)
    images[:, 4:16, 3:11] = np.concatenate([half, half[:, :, ::-1]], axis=2)  # symmetrical, so centred
    vectors = describe_images(images)
    np.testing.assert_allclose(vectors @ vectors.T, np.corrcoef(images.reshape(6, -1)), atol=2e-5)


@pytest.mark.parametrize("size", [(28, 28), (16, 16), (70, 41), (1, 5), (1, 1)])
def test_any_size_and_blank_images(size: tuple[int, int]) -> None:
    images = np.zeros((4, *size), np.uint8)
    images[1], images[2] = 255, 254
    vectors = describe_images(images)
    assert vectors.dtype == np.float32 and max(vectors.shape[1:]) <= 32 * 32 and np.isfinite(vectors).all()
    assert not vectors.any()
    found = find_duplicates(images, near=True)
    assert as_sets(found.exact) == [{0, 3}] and found.near == ()


def test_large_pictures_are_compared_too() -> None:
    images = scribbles(30, seed=6, size=(90, 70))
    moved = np.roll(images[[4]], (3, -2), axis=(1, 2))
    assert as_sets(find_duplicates(images, others=moved, near=True).near or ()) == [{4, 30}]


def test_a_thousand_copies_cost_no_million_comparisons(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = 0
    product = np.einsum

    def count(formula: str, *arrays: np.ndarray) -> np.ndarray:
        nonlocal compared
        compared += len(arrays[0])
        return product(formula, *arrays)

    vectors = describe_images(np.repeat(scribbles(1, seed=7), 1500, axis=0))
    monkeypatch.setattr(duplicates.np, "einsum", count)
    assert len(set(link_near(vectors).tolist())) == 1
    assert compared < 100_000


def test_two_sizes_are_a_mistake_that_is_told() -> None:
    with pytest.raises(DataError, match=r"28 x 28 pixels .* 16 x 16; expected one size"):
        find_duplicates(scribbles(3, 0), others=scribbles(3, 0, (16, 16)))


@pytest.mark.mnist
def test_mnist_holds_no_image_twice(mnist_dir) -> None:
    from tenfold.data.load import load_dataset

    train, test = (load_dataset("mnist", split=part, data_dir=mnist_dir).images for part in ("train", "test"))
    found = find_duplicates(train, others=test)
    every = np.concatenate([train, test]).reshape(70_000, -1)
    assert found.exact == () and found.total == 70_000
    assert len({image.tobytes() for image in every}) == 70_000
