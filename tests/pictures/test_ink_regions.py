"""Regions and distances against SciPy, which does the same in C."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from tenfold.pictures.lines import distance_to_outside, find_boxes, label_regions, largest_around

MASKS = arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9)))


def noise(share: float, shape: tuple[int, int] = (60, 43)) -> np.ndarray:
    return np.random.default_rng(0).random(shape) < share


def spiral(size: int = 41) -> np.ndarray:
    """One long region that winds inwards, a free line between its turns: joining takes many steps."""
    mask = np.zeros((size, size), bool)
    for ring in range(0, size // 2, 2):
        far = size - 1 - ring
        mask[ring, max(ring - 1, 0) : far + 1] = True
        mask[ring : far + 1, far] = True
        mask[far, ring : far + 1] = True
        mask[ring + 2 : far + 1, ring] = True
    return mask


def check_labels(mask: np.ndarray) -> None:
    labels, count = label_regions(mask)
    expected, expected_count = ndimage.label(mask, structure=np.ones((3, 3)))
    assert count == expected_count
    np.testing.assert_array_equal(labels, expected)
    assert find_boxes(labels, count) == ndimage.find_objects(expected)
    np.testing.assert_array_equal(largest_around(labels, 3), ndimage.grey_dilation(expected, size=3))


def check_distances(mask: np.ndarray) -> None:
    if mask.all():
        assert np.isinf(distance_to_outside(mask)).all()
    else:
        expected = ndimage.distance_transform_edt(mask)
        np.testing.assert_allclose(distance_to_outside(mask), expected, rtol=1e-6)
        near = distance_to_outside(mask, 2.5)
        np.testing.assert_allclose(near[expected <= 2.5], expected[expected <= 2.5], rtol=1e-6)
        assert (near >= expected * (1 - 1e-6)).all()


@settings(max_examples=150, deadline=None, derandomize=True)
@given(mask=MASKS)
def test_small_masks_of_every_kind(mask: np.ndarray) -> None:
    check_labels(mask)
    check_distances(mask)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.4, 0.5, 0.6, 0.97, 1.0])
def test_larger_ones(share: float) -> None:
    check_labels(noise(share))
    check_distances(noise(share))


@pytest.mark.parametrize("turn", range(4))
def test_one_region_that_turns_round_and_round(turn: int) -> None:
    assert label_regions(spiral())[1] == 1
    check_labels(np.rot90(spiral(), turn))


def test_combs_from_both_sides() -> None:
    comb = np.zeros((40, 41), bool)
    comb[:, ::2] = True
    for rows in ([0], [-1], [20], [0, -1]):
        joined = comb.copy()
        joined[rows] = True
        check_labels(joined)
        check_labels(joined.T)


def test_a_label_that_is_nowhere_has_no_box() -> None:
    labels = np.array([[1, 0], [0, 3]])
    assert find_boxes(labels, 3) == [(slice(0, 1), slice(0, 1)), None, (slice(1, 2), slice(1, 2))]
