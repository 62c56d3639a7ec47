"""Masks grown and shrunk along an axis are those of SciPy's filters."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

from tenfold.pictures.rules import grow, shrink


@settings(max_examples=60, deadline=None)
@given(
    arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=24)),
    st.integers(1, 60),
    st.sampled_from([0, 1]),
)
def test_the_same_as_scipy(mask: np.ndarray, length: int, axis: int) -> None:
    numbers, how = mask.view(np.uint8), {"axis": axis, "mode": "constant"}
    np.testing.assert_array_equal(
        grow(mask, length, axis), ndimage.maximum_filter1d(numbers, length | 1, **how)
    )
    np.testing.assert_array_equal(
        shrink(mask, length, axis), ndimage.minimum_filter1d(numbers, length | 1, **how)
    )
